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
    {Op::kDiv, generic_form<perform<operations::Div>>},           {Op::kDivu, generic_form<perform<operations::Divu>>},
    {Op::kRem, generic_form<perform<operations::Rem>>},           {Op::kRemu, generic_form<perform<operations::Remu>>},
    {Op::kDivw, generic_form<perform<operations::Divw>>},         {Op::kDivuw, generic_form<perform<operations::Divuw>>},
    {Op::kRemw, generic_form<perform<operations::Remw>>},         {Op::kRemuw, generic_form<perform<operations::Remuw>>},
    {Op::kMulh, generic_form<perform<operations::Mulh>>},         {Op::kMulhsu, generic_form<perform<operations::Mulhsu>>},
    {Op::kAndn, generic_form<perform<operations::Andn>>},         {Op::kOrn, generic_form<perform<operations::Orn>>},
    {Op::kXnor, generic_form<perform<operations::Xnor>>},         {Op::kMax, generic_form<perform<operations::Max>>},
    {Op::kMaxu, generic_form<perform<operations::Maxu>>},         {Op::kMin, generic_form<perform<operations::Min>>},
    {Op::kMinu, generic_form<perform<operations::Minu>>},         {Op::kRol, generic_form<perform<operations::Rol>>},
    {Op::kRor, generic_form<perform<operations::Ror>>},           {Op::kRolw, generic_form<perform<operations::Rolw>>},
    {Op::kRorw, generic_form<perform<operations::Rorw>>},         {Op::kBclr, generic_form<perform<operations::Bclr>>},
    {Op::kBext, generic_form<perform<operations::Bext>>},         {Op::kBinv, generic_form<perform<operations::Binv>>},
    {Op::kBset, generic_form<perform<operations::Bset>>},         {Op::kCzeroEqz, generic_form<perform<operations::CzeroEqz>>},
    {Op::kCzeroNez, generic_form<perform<operations::CzeroNez>>},
};

}  // namespace

Handler generic_integer_handler(Op op) { return find_generic(kRows, op); }

}  // namespace caisson::interp
