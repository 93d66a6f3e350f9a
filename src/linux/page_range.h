// Arithmetic of pages, and the gas that granting them costs.
#pragma once

#include <cstdint>
#include <optional>

#include "gas/gas_schedule.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::linux_personality {

constexpr bool is_page_aligned(std::uint64_t address) { return (address & (memory::kPageSize - 1)) == 0; }
constexpr std::uint64_t page_down(std::uint64_t address) { return address & ~(memory::kPageSize - 1); }

// nullopt where the sum passes 2^64.
constexpr std::optional<std::uint64_t> page_up(std::uint64_t length) {
  const std::uint64_t rounded = page_down(length + memory::kPageSize - 1);
  if (rounded < length) return std::nullopt;
  return rounded;
}

// [address, address + length) ends at or below the last address that can be mapped (what Linux calls TASK_SIZE).
constexpr bool is_within_window(std::uint64_t address, std::uint64_t length) {
  return length <= memory::kHighestAddress && address <= memory::kHighestAddress - length;
}

// PROT_* bits as permissions. riscv has no pages that can be written and not read.
constexpr memory::Permissions permissions_of(std::uint64_t protection) {
  const auto permissions =
      static_cast<memory::Permissions>(protection & (memory::kRead | memory::kWrite | memory::kExecute));
  return (permissions & memory::kWrite) != 0 ? permissions | memory::kRead : permissions;
}

// The price of pages, paid before they are granted and given back unless keep() is called.
class PageCharge {
 public:
  PageCharge(riscv::HartState& hart, std::uint64_t bytes)
      : hart_(hart), gas_(bytes / memory::kPageSize * gas::kPageGrantGas), paid_(hart.charge(gas_)) {}
  ~PageCharge() {
    if (paid_ && !kept_) hart_.gas += gas_;
  }
  PageCharge(const PageCharge&) = delete;
  PageCharge& operator=(const PageCharge&) = delete;

  bool paid() const { return paid_; }
  void keep() { kept_ = true; }

 private:
  riscv::HartState& hart_;
  std::uint64_t gas_;
  bool paid_;
  bool kept_ = false;
};

}  // namespace caisson::linux_personality
