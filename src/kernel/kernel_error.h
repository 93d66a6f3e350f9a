// The codes that operations leave in a1.
#pragma once

#include <cstdint>
#include <string_view>

namespace caisson::kernel {

enum class KernelError : std::uint8_t {
#define CAISSON_KERNEL_ERROR(number, name, meaning) k##name = number,
#include "kernel/errors.inc"
#undef CAISSON_KERNEL_ERROR
};

// "BadSlot" and so on; what it means, a sentence. Both empty for a number that is no code.
std::string_view name_of(KernelError error);
std::string_view meaning_of(KernelError error);

}  // namespace caisson::kernel
