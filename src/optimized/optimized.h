// optimized/: tier 2, code by an optimising compiler.
//
// A unit is compiled code for one guest entry: a function, or a loop from its header on (unit_format.h has the convention). Here is what
// runs units: the entry table, the way in and out, and the reconstruction of the guest's state where one leaves from its middle. Nothing
// of LLVM is here: who makes units is the plug-in in llvm/, which an engine that never gets hot does not load.
// It knows instructions' gas and guest memory; it must not know instances, ecalls' meaning or Linux.
// Start reading at unit_format.h, then Optimized::run(), then llvm/lifter.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "caisson/result.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"
#include "optimized/loaded_unit.h"

namespace caisson::optimized {

struct OptimizedStats {
  std::uint64_t units = 0;  // that can be entered now
  std::uint64_t code_bytes = 0;  // theirs
  std::uint64_t units_dropped = 0;  // because guest code changed
  std::uint64_t entries = 0;  // of units from other tiers
  std::uint64_t exits_midway = 0;  // faults and ends of gas
};

// Asked where a unit's gas is used up: the next slice, or 0 where the run has to end now. So a loop needs not be left to be metered.
struct SliceSource {
  std::uint64_t (*next)(void* context) = nullptr;
  void* context = nullptr;
};

// The units of one address space. Used by one thread at a time.
class Optimized final : public memory::CodeObserver {
 public:
  // Becomes a code observer of `memory`. Errors: kOutOfMemory (address space), kUnsupported (executable memory is forbidden).
  static Result<std::unique_ptr<Optimized>> create(memory::AddressSpace& memory, const SliceSource& slices = {});
  ~Optimized();

  // Whether `pc` is an entry, for a hart in any state.
  bool has_unit(std::uint64_t pc) const;
  // Whether units can run with this hart's rounding mode.
  static bool suits(const riscv::HartState& hart) { return hart.frm < 4; }

  // Makes a unit enterable. It must have been made from the code that is mapped now. Not while units run. False where no memory is left.
  bool add(std::shared_ptr<const LoadedUnit> unit);

  // The unit that is entered at `pc`; null where there is none.
  std::shared_ptr<const LoadedUnit> unit(std::uint32_t pc) const;

  // What can be entered, ascending.
  struct Entry {
    std::uint32_t pc = 0;
    std::size_t code_bytes = 0;
  };
  std::vector<Entry> entries() const;

  // `pc` is no entry any more. Not while units run.
  void remove(std::uint32_t pc);

  enum class End : std::uint8_t {
    kOutside,  // hart.pc has no unit, or one that could not begin
    kTrap,  // hart.trap says why
    kLowGas,  // the block at hart.pc is not charged; what is left is less than kGasReserve, or little more
    kFault,  // an access faults. hart.pc is before it, memory may be behind it: blocks of *repeated gas are to be interpreted now
  };
  // Runs from hart.pc, an entry, until control leaves all units, with `gas`, or what hart.gas has, and more as slices come. *used is what
  // was charged.
  End run(riscv::HartState& hart, std::uint64_t gas, std::uint64_t* used, std::uint64_t* repeated);

  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override;
  void release_code();
  const OptimizedStats& stats() const;

  struct Impl;

 private:
  explicit Optimized(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::optimized
