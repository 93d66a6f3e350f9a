// Which guest registers deserve a host register within one stretch of straight-line integer code.
//
// Code with more live registers than the map keeps (hashes, ciphers) would pay a memory access for each of the others. Within a long
// stretch the emitter lends host registers out instead: a guest register that is needed soon takes the place of the one that is needed
// last (Belady, "A study of replacement algorithms", 1966), and at the end of the stretch the map holds again. What stands where at
// any instruction is a HostChange, read only when that instruction faults.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "baseline/page_scan.h"

namespace caisson::baseline {

// From `native` (offset in the unit) on, a host register, by its index in kIntegerHosts, has this guest register; 0: none.
struct HostChange {
  std::uint32_t native = 0;
  std::uint8_t host = 0;
  std::uint8_t guest = 0;
};

// The stretch and when each register is named next in it.
class LocalStretch {
 public:
  static constexpr std::uint32_t kMostInstructions = 48;
  static constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();

  // The stretch from an instruction of scan.in_order() on: integer arithmetic, loads and stores, up to where paths meet or anything else
  // happens. False where it has fewer than `least` instructions; then only end() may be asked.
  bool measure(const PageScan& scan, const PageScan::Instruction* first, std::uint32_t least);

  // The half-word behind the last instruction.
  std::uint32_t end() const { return end_; }
  // How often the stretch names registers of the set `counted`.
  unsigned references(std::uint32_t counted) const;

  // Prepares the questions below, for the first instruction.
  void start();
  // The register's next use from the current instruction on, as a distance; kNever where it has none or is overwritten first.
  std::uint32_t distance(unsigned reg) const { return distance_of(upcoming_[reg]); }
  // The same behind the current instruction, of its operands.
  std::uint32_t distance_behind(unsigned operand) const { return distance_of(next_[at_][operand]); }
  void advance();

  enum Operand : std::uint8_t { kFirst, kSecond, kResult, kOperands };

 private:
  // An instruction's number, and whether the register is read there.
  struct Reference {
    std::uint16_t number = 0xFFFF;
    bool reads = false;
  };
  std::uint32_t distance_of(const Reference& next) const { return next.reads ? next.number - at_ : kNever; }

  std::uint32_t length_ = 0, end_ = 0, at_ = 0;
  std::array<std::array<std::uint8_t, kOperands>, kMostInstructions> operands_;  // guest registers, 0: none
  std::array<std::array<Reference, kOperands>, kMostInstructions + 1> next_{};  // the last one of no instruction
  std::array<Reference, 32> upcoming_;
};

}  // namespace caisson::baseline
