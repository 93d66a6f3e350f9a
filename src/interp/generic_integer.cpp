// Divisions and other integer instructions without handlers of their own.
#include "interp/generic.h"
#include "interp/operations.h"

namespace caisson::interp {
namespace {

template <class Operation>
GenericOutcome perform(riscv::HartState& hart, const Record& record, std::int64_t) {
  hart.x[record.a] = Operation::apply(hart.x[record.b], hart.x[record.c()]);
  return GenericOutcome::kNext;
}

using riscv::Op;
constexpr GenericRow kRows[] = {
    kGenericRow<Op::kDiv, perform<operations::Div>>,   kGenericRow<Op::kDivu, perform<operations::Divu>>,
    kGenericRow<Op::kRem, perform<operations::Rem>>,   kGenericRow<Op::kRemu, perform<operations::Remu>>,
    kGenericRow<Op::kDivw, perform<operations::Divw>>, kGenericRow<Op::kDivuw, perform<operations::Divuw>>,
    kGenericRow<Op::kRemw, perform<operations::Remw>>, kGenericRow<Op::kRemuw, perform<operations::Remuw>>,
    kGenericRow<Op::kMulh, perform<operations::Mulh>>, kGenericRow<Op::kMulhsu, perform<operations::Mulhsu>>,
    kGenericRow<Op::kRolw, perform<operations::Rolw>>, kGenericRow<Op::kRorw, perform<operations::Rorw>>,
    kGenericRow<Op::kBclr, perform<operations::Bclr>>, kGenericRow<Op::kBext, perform<operations::Bext>>,
    kGenericRow<Op::kBinv, perform<operations::Binv>>, kGenericRow<Op::kBset, perform<operations::Bset>>,
};

}  // namespace

const GenericRow* generic_integer_row(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
