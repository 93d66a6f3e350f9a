// Address arithmetic (Zba) and upper products.
#include "interp/register_forms.h"

namespace caisson::interp {

const RegisterFormIndex kAddressForms = make_register_index<
    Performs<riscv::Op::kAddUw, operations::AddUw>, Performs<riscv::Op::kSh1add, operations::Sh1add>,
    Performs<riscv::Op::kSh2add, operations::Sh2add>, Performs<riscv::Op::kSh3add, operations::Sh3add>,
    Performs<riscv::Op::kSh1addUw, operations::Sh1addUw>, Performs<riscv::Op::kSh2addUw, operations::Sh2addUw>,
    Performs<riscv::Op::kSh3addUw, operations::Sh3addUw>, Performs<riscv::Op::kMulhu, operations::Mulhu>>();

}  // namespace caisson::interp
