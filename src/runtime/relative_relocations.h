// Relocations of position-independent modules that have no start of their own to apply them.
#pragma once

#include <cstdint>

#include "caisson/result.h"
#include "image/elf_image.h"
#include "memory/address_space.h"

namespace caisson::runtime {

// Adds `bias` to what the R_RISCV_RELATIVE relocations of the mapped module name. The tables are read as the guest could
// read them, and only writable places are changed. Errors: kUnsupported for relocations that need a dynamic linker,
// kInvalidImage for tables or places that are not there, or that hold more than a file of `file_size` bytes can.
Result<void> apply_relative_relocations(memory::AddressSpace& memory, const image::ElfImage& elf,
                                        std::uint64_t file_size, std::uint64_t bias);

}  // namespace caisson::runtime
