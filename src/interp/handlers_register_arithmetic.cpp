// Additions, subtractions, comparisons, products.
#include "interp/register_forms.h"

namespace caisson::interp {

const RegisterFormIndex kArithmeticForms =
    make_register_index<Performs<riscv::Op::kAdd, operations::Add>, Performs<riscv::Op::kAddw, operations::Addw>,
                        Performs<riscv::Op::kSub, operations::Sub>, Performs<riscv::Op::kSubw, operations::Subw>,
                        Performs<riscv::Op::kSlt, operations::Slt>, Performs<riscv::Op::kSltu, operations::Sltu>,
                        Performs<riscv::Op::kMul, operations::Mul>, Performs<riscv::Op::kMulw, operations::Mulw>>();

}  // namespace caisson::interp
