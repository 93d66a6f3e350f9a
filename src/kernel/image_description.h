// What MAKE_IMAGE reads from memory: see struct caisson_image_description in guest/sdk/include/caisson/capabilities.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "caisson/capability.h"
#include "kernel/cnode_object.h"
#include "kernel/kernel_error.h"

namespace caisson::kernel {

inline constexpr std::size_t kMostDescriptionBytes = std::size_t{1} << 20;

struct DescribedImage {
  Image image;
  std::vector<Data> contents;  // of the mappings; without pages where a mapping has none
  std::uint64_t pages = 0;  // of all mappings
};

// Strict: every byte counts. Errors: kBadArgument, and those of find_capability(); kWrongKind where a slot holds no data.
std::expected<DescribedImage, KernelError> parse_image_description(std::span<const std::uint8_t> bytes,
                                                                   CNodeObject& root);

}  // namespace caisson::kernel
