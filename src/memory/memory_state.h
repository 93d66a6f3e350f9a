#pragma once
#include <array>
#include "memory/memory_base.h"
namespace caisson::memory {
using PageBytes = std::array<std::uint8_t, kPageSize>;
struct ChangedPage {
  std::uint32_t page = 0;
  std::shared_ptr<const PageBytes> bytes;
};
struct MemoryState {
  std::shared_ptr<const MemoryBase> base;
  std::vector<ChangedPage> changed;
};
}  // namespace caisson::memory
