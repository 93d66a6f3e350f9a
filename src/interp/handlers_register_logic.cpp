// Logic and shifts.
#include "interp/register_forms.h"

namespace caisson::interp {

const RegisterFormIndex kLogicForms =
    make_register_index<Performs<riscv::Op::kAnd, operations::And>, Performs<riscv::Op::kOr, operations::Or>,
                        Performs<riscv::Op::kXor, operations::Xor>, Performs<riscv::Op::kSll, operations::Sll>,
                        Performs<riscv::Op::kSrl, operations::Srl>, Performs<riscv::Op::kSra, operations::Sra>,
                        Performs<riscv::Op::kSllw, operations::Sllw>, Performs<riscv::Op::kSrlw, operations::Srlw>,
                        Performs<riscv::Op::kSraw, operations::Sraw>>();

}  // namespace caisson::interp
