// Guest programs of the kernel tests, and what every test needs around them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "caisson/kernel.h"
#include "support/guest_compiler.h"

namespace caisson::test {

// Every tier under which the kernel must give the same.
inline constexpr Tier kKernelTiers[] = {Tier::kInterp, Tier::kBaseline, Tier::kAuto, Tier::kOptimized};
inline std::string tier_name(Tier tier) {
  switch (tier) {
    case Tier::kAuto:
      return "auto";
    case Tier::kInterp:
      return "interp";
    case Tier::kBaseline:
      return "baseline";
    case Tier::kOptimized:
      return "optimized";
  }
  return "?";
}

// An ELF of functions, made of C that includes the guest's headers.
inline Result<std::vector<std::uint8_t>> compile_functions(const std::string& text) {
  return compile_guest({{"guest.c", "#include <caisson/guest.h>\n#include <caisson/capabilities.h>\n" + text}},
                       {"-O2", "-nostdlib", "-static", "-Wl,-e,0", "-ffreestanding"});
}

// A kernel with a store of its own, and images of compiled guests in it.
class KernelWorld {
 public:
  explicit KernelWorld(Tier tier, KernelOptions options = {})
      : KernelWorld(tier, options, CapabilityStore::in_memory()) {}
  // Another engine and kernel over the same store.
  KernelWorld(Tier tier, KernelOptions options, std::shared_ptr<CapabilityStore> store)
      : options_(options), store_(std::move(store)) {
    options_.tier = tier;
    engine_ = std::make_unique<Engine>(Engine::create().value());
    kernel_ = std::make_unique<Kernel>(Kernel::create(*engine_, store_, options_).value());
  }

  Engine& engine() { return *engine_; }
  Kernel& kernel() { return *kernel_; }
  CapabilityStore& store() { return *store_; }
  const std::shared_ptr<CapabilityStore>& shared_store() const { return store_; }

  // The image of `elf` with these functions as endpoints 0, 1, …
  Hash image(const std::vector<std::uint8_t>& elf, std::initializer_list<const char*> functions,
             std::uint64_t stack_size = 65536) {
    ImageOptions options{.endpoints = {}, .stack_size = stack_size};
    for (const char* const function : functions)
      options.endpoints.push_back({static_cast<std::uint32_t>(options.endpoints.size()), function});
    const Result<Hash> hash = kernel_->build_image(elf, options);
    EXPECT_TRUE(hash) << hash.error().to_string();
    return hash.value_or(Hash());
  }

 private:
  KernelOptions options_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<CapabilityStore> store_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace caisson::test
