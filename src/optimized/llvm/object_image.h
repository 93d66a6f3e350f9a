// An object file of LLVM's as code that can be placed anywhere, and its stack map.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "caisson/result.h"

namespace caisson::optimized {

// Where a value is at a patchpoint (LLVM, "Stack maps and patch points in LLVM", version 3).
struct StackMapLocation {
  enum Kind : std::uint8_t { kRegister = 1, kDirect = 2, kIndirect = 3, kConstant = 4, kConstantIndex = 5 };
  std::uint8_t kind = kRegister;
  std::uint16_t size = 0;
  std::uint16_t dwarf_register = 0;
  std::int32_t offset = 0;
};
struct StackMapRecord {
  std::uint64_t id = 0;
  std::uint32_t offset = 0;  // of the patchpoint in the image
  std::vector<StackMapLocation> locations;
};

struct ObjectImage {
  std::vector<std::uint8_t> bytes;  // code, then constants, relocated against each other
  std::uint32_t entry = 0;          // of the function
  std::vector<StackMapRecord> records;
  std::vector<std::uint64_t> constants;  // of kConstantIndex
};

// Of an object with one function. Error: kInternal, where it has what such an object should not have.
Result<ObjectImage> read_object(std::span<const char> object);

}  // namespace caisson::optimized
