// The memory of a suspended guest: a base that it shares with others, and the pages that are its own.
//
// AddressSpace::state() makes one, AddressSpace::load() makes any address space equal to it. Copies are cheap and share the pages;
// a copy is a fork of the guest's memory. Thread safety: plain values of immutable parts.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/address_space.h"
#include "memory/memory_base.h"

namespace caisson::memory {

struct PageContents {
  alignas(64) std::array<std::uint8_t, kPageSize> bytes;
};

struct ChangedPage {
  std::uint32_t page = 0;  // address >> 12
  std::shared_ptr<const PageContents> contents;
};

struct MemoryState {
  std::shared_ptr<const MemoryBase> base;
  // Ascending by page, each within an accessible region of the base's layout. What the guest mapped is the base's layout.
  std::vector<ChangedPage> changed;

  // The kPageSize bytes of a page; null where it is not mapped or all zero.
  const std::uint8_t* page(std::uint32_t page) const;
};

}  // namespace caisson::memory
