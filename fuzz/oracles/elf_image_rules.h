// What holds for every ElfImage that parse_elf() returns, whatever bytes it was given. Consumers index the file and map memory
// by these rules without checking again, so the fuzz target and the unit tests hold each result against them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "image/elf_image.h"

namespace caisson::fuzz {

// The first rule of elf_image.h that `image`, parsed from `file`, breaks; nothing where all hold.
std::optional<std::string> broken_elf_image_rule(const image::ElfImage& image, std::span<const std::uint8_t> file);

}  // namespace caisson::fuzz
