// libFuzzer target: decode_capability() on arbitrary bytes ends with an Error that names a field, or a value that keeps every rule, encodes to
// exactly these bytes, and has a hash.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "caisson/capability.h"

namespace {

[[noreturn]] void report(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  const caisson::Result<caisson::Capability> decoded = caisson::decode_capability(bytes);
  if (!decoded) {
    if (decoded.error().where.empty()) report("an error that names no field");
    return 0;
  }
  if (!caisson::check(*decoded)) report("a decoded value that breaks a rule");
  if (!std::ranges::equal(caisson::encode(*decoded), bytes)) report("two encodings of one value");
  if (caisson::hash_of(*decoded).is_zero()) report("a hash of zeros");
  (void)caisson::references_of(*decoded);
  return 0;
}
