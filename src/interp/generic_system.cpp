// CSR instructions, and the jump whose target no window holds.
#include "interp/generic.h"
#include "interp/resolve.h"
#include "isa/riscv/csr_semantics.h"

namespace caisson::interp {
namespace {

using riscv::HartState;
using riscv::Op;

template <Op op>
GenericOutcome access_csr(HartState& hart, const Record& record, std::int64_t gas) {
  constexpr auto kTime = [](void* context) { return current_time(*static_cast<Context*>(context)); };
  riscv::execute_csr(hart, {.op = op, .rd = record.a, .rs1 = record.b, .number = record.e()},
                     static_cast<std::uint64_t>(gas), kTime, context_of(&hart));
  return GenericOutcome::kNext;
}

// jal to a target below 0 or at or above 2^32: link, and the fetch faults there.
GenericOutcome jump_outside(HartState& hart, const Record& record, std::int64_t) {
  const std::uint64_t pc = context_of(&hart)->pc_of(&record);
  hart.x[record.a] = pc + 4;
  hart.pc = pc + static_cast<std::uint64_t>(static_cast<std::int64_t>(record.imm));
  return GenericOutcome::kTransfer;
}

constexpr GenericRow kRows[] = {
    kGenericRow<Op::kCsrrw, access_csr<Op::kCsrrw>>,
    kGenericRow<Op::kCsrrs, access_csr<Op::kCsrrs>>,
    kGenericRow<Op::kCsrrc, access_csr<Op::kCsrrc>>,
    kGenericRow<Op::kCsrrwi, access_csr<Op::kCsrrwi>>,
    kGenericRow<Op::kCsrrsi, access_csr<Op::kCsrrsi>>,
    kGenericRow<Op::kCsrrci, access_csr<Op::kCsrrci>>,
    kSlowPathRow<Op::kJal, jump_outside>,
};

}  // namespace

const GenericRow* generic_system_row(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
