// libFuzzer target: a small guest of arbitrary bytes does the same on every tier (oracles/tier_comparison.h).
#include <cstdio>
#include <cstdlib>

#include "oracles/tier_comparison.h"

// Before libFuzzer installs its handlers, which leave ours in their place: guests fault, and what is not a guest's fault goes on to
// the address sanitizer, which was there before.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  caisson::fuzz::prepare_tier_comparison();
  return 0;
}

// A guest's pages go through host memory by the dozen; the usual 256 MiB of freed memory kept apart would halve the speed.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8:malloc_context_size=3"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool prints = std::getenv("CAISSON_TIER_FUZZ_PRINT") != nullptr;
  const std::span input(data, size);
  if (prints) std::fputs(caisson::fuzz::describe_tier_input(input).c_str(), stderr);
  if (const auto difference = caisson::fuzz::tier_difference(input)) {
    std::fprintf(stderr, "%s", difference->c_str());
    __builtin_trap();
  }
  return 0;
}
