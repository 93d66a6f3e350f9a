// libFuzzer target: parse_elf() on arbitrary bytes ends with an Error that names a field, or an image that keeps every rule.
#include <cstdio>
#include <cstdlib>

#include "image/elf_image.h"
#include "oracles/elf_image_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span file(data, size);
  const auto image = caisson::image::parse_elf(file);
  if (!image) {
    if (!image.error().where.empty() && !image.error().message.empty()) return 0;
    std::fprintf(stderr, "an error without a field or a sentence: %s\n", image.error().to_string().c_str());
    std::abort();
  }
  if (const auto rule = caisson::fuzz::broken_elf_image_rule(*image, file)) {
    std::fprintf(stderr, "broken rule: %s\n", rule->c_str());
    std::abort();
  }
  return 0;
}
