// Floating-point instructions under a rounding mode that the host has not, or a static one: by float_semantics.h.
#include "interp/generic.h"
#include "isa/riscv/float_semantics.h"

namespace caisson::interp {
namespace {

using riscv::HartState;
using riscv::Op;

template <Op op>
GenericOutcome perform(HartState& hart, const Record& record, std::int64_t) {
  const bool performed = riscv::float_function(op)(hart, {.rd = record.a,
                                                          .rs1 = record.b,
                                                          .rs2 = record.c(),
                                                          .rs3 = record.d(),
                                                          .rounding_mode = static_cast<std::uint8_t>(record.e())});
  if (performed) return GenericOutcome::kNext;
  hart.trap = {.kind = riscv::TrapKind::kIllegal};
  return GenericOutcome::kTrap;
}

template <Op op>
inline constexpr GenericRow kFloatRow = kSlowPathRow<op, perform<op>>;

constexpr GenericRow kRows[] = {
    kFloatRow<Op::kFaddS>,   kFloatRow<Op::kFsubS>,   kFloatRow<Op::kFmulS>,  kFloatRow<Op::kFdivS>,
    kFloatRow<Op::kFsqrtS>,  kFloatRow<Op::kFmaddS>,  kFloatRow<Op::kFmsubS>, kFloatRow<Op::kFnmsubS>,
    kFloatRow<Op::kFnmaddS>, kFloatRow<Op::kFaddD>,   kFloatRow<Op::kFsubD>,  kFloatRow<Op::kFmulD>,
    kFloatRow<Op::kFdivD>,   kFloatRow<Op::kFsqrtD>,  kFloatRow<Op::kFmaddD>, kFloatRow<Op::kFmsubD>,
    kFloatRow<Op::kFnmsubD>, kFloatRow<Op::kFnmaddD>, kFloatRow<Op::kFcvtSD>, kFloatRow<Op::kFcvtDS>,
    kFloatRow<Op::kFcvtWS>,  kFloatRow<Op::kFcvtWuS>, kFloatRow<Op::kFcvtLS>, kFloatRow<Op::kFcvtLuS>,
    kFloatRow<Op::kFcvtWD>,  kFloatRow<Op::kFcvtWuD>, kFloatRow<Op::kFcvtLD>, kFloatRow<Op::kFcvtLuD>,
    kFloatRow<Op::kFcvtSW>,  kFloatRow<Op::kFcvtSWu>, kFloatRow<Op::kFcvtSL>, kFloatRow<Op::kFcvtSLu>,
    kFloatRow<Op::kFcvtDW>,  kFloatRow<Op::kFcvtDWu>, kFloatRow<Op::kFcvtDL>, kFloatRow<Op::kFcvtDLu>,
};

}  // namespace

const GenericRow* generic_float_row(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
