// CSR instructions, and the jump whose target no window holds.
#include "interp/float_environment.h"
#include "interp/generic.h"
#include "interp/resolve.h"

namespace caisson::interp {
namespace {

using riscv::HartState;

// Numbers of the user-level CSRs (manual, chapter "CSR Listing"); the decoder lets no other pass.
constexpr std::uint32_t kFflags = 0x001, kFrm = 0x002, kFcsr = 0x003, kCycle = 0xC00, kTime = 0xC01, kInstret = 0xC02;

std::uint64_t read_csr(HartState& hart, std::uint32_t number, std::int64_t gas) {
  switch (number) {
    case kFflags:
      return hart.fflags;
    case kFrm:
      return hart.frm;
    case kFcsr:
      return hart.frm << 5 | hart.fflags;
    case kTime: {
      // A deterministic clock is driven by gas, so it sees what is left of the slice as the cycle counter does.
      hart.gas += static_cast<std::uint64_t>(gas);
      const std::uint64_t time = current_time(*context_of(&hart));
      hart.gas -= static_cast<std::uint64_t>(gas);
      return time;
    }
    case kCycle:
    case kInstret:
      return hart.gas_used() - static_cast<std::uint64_t>(gas);
    default:
      return 0;
  }
}

void write_csr(HartState& hart, std::uint32_t number, std::uint64_t value) {
  if (number == kFflags || number == kFcsr) hart.fflags = value & 0x1F;
  if (number == kFrm) hart.frm = value & 7;
  if (number == kFcsr) hart.frm = value >> 5 & 7;
}

enum class Change : std::uint8_t { kWrite, kSet, kClear };

// csrrs and csrrc with x0 (or 0) do not write. `operand_is_register` tells b's meaning: a register, or the 5-bit value itself.
template <Change change, bool operand_is_register>
GenericOutcome access_csr(HartState& hart, const Record& record, std::int64_t gas) {
  collect_flags(hart);
  const std::uint64_t operand = operand_is_register ? hart.x[record.b] : record.b;
  const std::uint64_t old = read_csr(hart, record.e(), gas);
  if (change == Change::kWrite) {
    write_csr(hart, record.e(), operand);
  } else if (record.b != 0) {
    write_csr(hart, record.e(), change == Change::kSet ? old | operand : old & ~operand);
  }
  hart.x[record.a] = old;
  load_rounding_mode(hart);
  return GenericOutcome::kNext;
}

// jal to a target below 0 or at or above 2^32: link, and the fetch faults there.
GenericOutcome jump_outside(HartState& hart, const Record& record, std::int64_t) {
  const std::uint64_t pc = context_of(&hart)->pc_of(&record);
  hart.x[record.a] = pc + 4;
  hart.pc = pc + static_cast<std::uint64_t>(static_cast<std::int64_t>(record.imm));
  return GenericOutcome::kTransfer;
}

using riscv::Op;
constexpr GenericRow kRows[] = {
    kGenericRow<Op::kCsrrw, access_csr<Change::kWrite, true>>,
    kGenericRow<Op::kCsrrs, access_csr<Change::kSet, true>>,
    kGenericRow<Op::kCsrrc, access_csr<Change::kClear, true>>,
    kGenericRow<Op::kCsrrwi, access_csr<Change::kWrite, false>>,
    kGenericRow<Op::kCsrrsi, access_csr<Change::kSet, false>>,
    kGenericRow<Op::kCsrrci, access_csr<Change::kClear, false>>,
    kSlowPathRow<Op::kJal, jump_outside>,
};

}  // namespace

const GenericRow* generic_system_row(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
