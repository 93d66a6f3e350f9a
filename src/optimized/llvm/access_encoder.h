// x86-64 bytes of guest memory accesses and of the call that leaves a unit, once it is known which registers LLVM chose.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "optimized/llvm/lifter.h"

namespace caisson::optimized {

// How many bytes encode() fills, whatever the registers are.
std::uint32_t encoded_size(Access access, const AddressForm& address, std::int32_t displacement);

// Numbers of DWARF. Of those that the address is made of the low 32 bits count, and what its form has not is not looked at.
struct AccessRegisters {
  unsigned base = 0, index = 0;
  unsigned value = 0;  // a general or a vector register, as the access wants it
};
struct EncodedAccess {
  std::array<std::uint8_t, 16> bytes{};
  std::uint32_t size = 0;
  std::uint32_t call_size = 0;  // of kExit: up to the return address
};
// The window's base is that of GS. Of kExit, the base is the register that holds the hart, and `value` gets what the exit function leaves in r11. Nothing where registers are of the wrong kind.
std::optional<EncodedAccess> encode(Access access, const AddressForm& address, std::int32_t displacement,
                                    const AccessRegisters& registers);

bool is_load(Access access);
std::int32_t bytes_of(Access access);  // of memory
// Loads into and stores from vector registers.
bool uses_vectors(Access access);

}  // namespace caisson::optimized
