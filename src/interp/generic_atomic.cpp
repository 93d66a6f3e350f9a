// LR, SC and AMO, by the host's compare-and-swap through guarded accesses.
//
// Addresses wrap modulo 2^32 as for any access; a misaligned one traps. SC succeeds only for the address and width of the
// reservation with the value unchanged (design: guest-riscv, "ISA"). x86's locked instructions order as the strongest of
// aq and rl, so these bits need no attention.
#include <algorithm>

#include "interp/generic.h"
#include "interp/operations.h"
#include "memory/fault_recovery.h"

namespace caisson::interp {
namespace {

using riscv::HartState;
using riscv::TrapKind;

// An aligned access lies in one page, so its first inaccessible byte is its first.
GenericOutcome fault(HartState& hart, TrapKind kind, std::uint32_t address) {
  hart.trap = {.kind = kind, .bus_error = memory::guarded_fault_is_bus_error, .address = address};
  return GenericOutcome::kTrap;
}

// One width: the register image of a value, and the guarded accesses.
struct Word {
  using Value = std::uint32_t;
  using Signed = std::int32_t;
  static constexpr std::uint32_t kWidth = 4;
  static std::uint64_t extend(Value value) { return operations::sign_extend32(value); }
  static bool load(const void* address, Value* value) { return memory::guarded_load32(address, value); }
  static bool compare_exchange(void* address, Value* expected, Value desired, bool* swapped) {
    return memory::guarded_compare_exchange32(address, expected, desired, swapped);
  }
};
struct DoubleWord {
  using Value = std::uint64_t;
  using Signed = std::int64_t;
  static constexpr std::uint32_t kWidth = 8;
  static std::uint64_t extend(Value value) { return value; }
  static bool load(const void* address, Value* value) { return memory::guarded_load64(address, value); }
  static bool compare_exchange(void* address, Value* expected, Value desired, bool* swapped) {
    return memory::guarded_compare_exchange64(address, expected, desired, swapped);
  }
};

std::uint8_t* host_address(HartState& hart, std::uint32_t address) {
  return context_of(&hart)->scope.window_base + address;
}

template <class Width>
bool is_misaligned(HartState& hart, std::uint32_t address) {
  if (address % Width::kWidth == 0) return false;
  hart.trap = {.kind = TrapKind::kMisalignedAtomic, .address = address};
  return true;
}

template <class Width>
GenericOutcome load_reserved(HartState& hart, const Record& record, std::int64_t) {
  const auto address = static_cast<std::uint32_t>(hart.x[record.b]);
  if (is_misaligned<Width>(hart, address)) return GenericOutcome::kTrap;
  typename Width::Value value;
  if (!Width::load(host_address(hart, address), &value)) return fault(hart, TrapKind::kLoadFault, address);
  hart.reservation_address = address;
  hart.reservation_value = value;
  hart.reservation_width = Width::kWidth;
  hart.x[record.a] = Width::extend(value);
  return GenericOutcome::kNext;
}

// Without a reservation nothing is accessed, so nothing faults, as in other implementations.
template <class Width>
GenericOutcome store_conditional(HartState& hart, const Record& record, std::int64_t) {
  const auto address = static_cast<std::uint32_t>(hart.x[record.b]);
  if (is_misaligned<Width>(hart, address)) return GenericOutcome::kTrap;
  bool swapped = false;
  if (hart.reservation_width == Width::kWidth && hart.reservation_address == address) {
    auto expected = static_cast<typename Width::Value>(hart.reservation_value);
    const auto desired = static_cast<typename Width::Value>(hart.x[record.c()]);
    if (!Width::compare_exchange(host_address(hart, address), &expected, desired, &swapped)) {
      return fault(hart, TrapKind::kStoreFault, address);
    }
  }
  hart.reservation_width = 0;
  hart.x[record.a] = swapped ? 0 : 1;
  return GenericOutcome::kNext;
}

// Stores combine(old value, rs2) and gives the old value.
template <class Width, auto combine>
GenericOutcome read_modify_write(HartState& hart, const Record& record, std::int64_t) {
  using Value = typename Width::Value;
  const auto address = static_cast<std::uint32_t>(hart.x[record.b]);
  if (is_misaligned<Width>(hart, address)) return GenericOutcome::kTrap;
  std::uint8_t* host = host_address(hart, address);
  const auto operand = static_cast<Value>(hart.x[record.c()]);
  Value old;
  // An AMO to a page that cannot be written is a store fault even where it could be read (privileged manual, section 3.1.15).
  if (!Width::load(host, &old)) return fault(hart, TrapKind::kStoreFault, address);
  for (bool swapped = false; !swapped;) {
    const auto desired = static_cast<Value>(combine(old, operand));
    if (!Width::compare_exchange(host, &old, desired, &swapped)) return fault(hart, TrapKind::kStoreFault, address);
  }
  hart.x[record.a] = Width::extend(old);
  return GenericOutcome::kNext;
}

constexpr auto swap = [](auto, auto operand) { return operand; };
constexpr auto add = [](auto old, auto operand) { return old + operand; };
constexpr auto exclusive_or = [](auto old, auto operand) { return old ^ operand; };
constexpr auto bit_and = [](auto old, auto operand) { return old & operand; };
constexpr auto bit_or = [](auto old, auto operand) { return old | operand; };
constexpr auto minimum_unsigned = [](auto old, auto operand) { return std::min(old, operand); };
constexpr auto maximum_unsigned = [](auto old, auto operand) { return std::max(old, operand); };
constexpr auto minimum = [](auto old, auto operand) {
  using Signed = std::make_signed_t<decltype(old)>;
  return static_cast<Signed>(old) < static_cast<Signed>(operand) ? old : operand;
};
constexpr auto maximum = [](auto old, auto operand) {
  using Signed = std::make_signed_t<decltype(old)>;
  return static_cast<Signed>(old) > static_cast<Signed>(operand) ? old : operand;
};

using riscv::Op;
constexpr GenericRow kRows[] = {
    kGenericRow<Op::kLrW, load_reserved<Word>>,
    kGenericRow<Op::kScW, store_conditional<Word>>,
    kGenericRow<Op::kAmoswapW, read_modify_write<Word, swap>>,
    kGenericRow<Op::kAmoaddW, read_modify_write<Word, add>>,
    kGenericRow<Op::kAmoxorW, read_modify_write<Word, exclusive_or>>,
    kGenericRow<Op::kAmoandW, read_modify_write<Word, bit_and>>,
    kGenericRow<Op::kAmoorW, read_modify_write<Word, bit_or>>,
    kGenericRow<Op::kAmominW, read_modify_write<Word, minimum>>,
    kGenericRow<Op::kAmomaxW, read_modify_write<Word, maximum>>,
    kGenericRow<Op::kAmominuW, read_modify_write<Word, minimum_unsigned>>,
    kGenericRow<Op::kAmomaxuW, read_modify_write<Word, maximum_unsigned>>,
    kGenericRow<Op::kLrD, load_reserved<DoubleWord>>,
    kGenericRow<Op::kScD, store_conditional<DoubleWord>>,
    kGenericRow<Op::kAmoswapD, read_modify_write<DoubleWord, swap>>,
    kGenericRow<Op::kAmoaddD, read_modify_write<DoubleWord, add>>,
    kGenericRow<Op::kAmoxorD, read_modify_write<DoubleWord, exclusive_or>>,
    kGenericRow<Op::kAmoandD, read_modify_write<DoubleWord, bit_and>>,
    kGenericRow<Op::kAmoorD, read_modify_write<DoubleWord, bit_or>>,
    kGenericRow<Op::kAmominD, read_modify_write<DoubleWord, minimum>>,
    kGenericRow<Op::kAmomaxD, read_modify_write<DoubleWord, maximum>>,
    kGenericRow<Op::kAmominuD, read_modify_write<DoubleWord, minimum_unsigned>>,
    kGenericRow<Op::kAmomaxuD, read_modify_write<DoubleWord, maximum_unsigned>>,
};

}  // namespace

const GenericRow* generic_atomic_row(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
