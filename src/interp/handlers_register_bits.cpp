// Bit manipulation (Zbb) and conditional zero (Zicond).
#include "interp/register_forms.h"

namespace caisson::interp {

const RegisterFormIndex kBitForms =
    make_register_index<Performs<riscv::Op::kAndn, operations::Andn>, Performs<riscv::Op::kOrn, operations::Orn>,
                        Performs<riscv::Op::kXnor, operations::Xnor>, Performs<riscv::Op::kMax, operations::Max>,
                        Performs<riscv::Op::kMaxu, operations::Maxu>, Performs<riscv::Op::kMin, operations::Min>,
                        Performs<riscv::Op::kMinu, operations::Minu>, Performs<riscv::Op::kRol, operations::Rol>,
                        Performs<riscv::Op::kRor, operations::Ror>,
                        Performs<riscv::Op::kCzeroEqz, operations::CzeroEqz>,
                        Performs<riscv::Op::kCzeroNez, operations::CzeroNez>>();

}  // namespace caisson::interp
