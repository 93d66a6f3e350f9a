// rd = op(rs1, rs2) with every combination of operand classes: 512 handlers an operation, a few host instructions each.
// Instantiated in several handlers_register_*.cpp so that they compile in parallel.
#pragma once

#include <array>

#include "interp/handler_support.h"
#include "interp/operations.h"
#include "isa/riscv/instructions.h"

namespace caisson::interp {

// Indexed by Op: the operation's handlers by (rd * 8 + rs1) * 8 + rs2, or null.
using RegisterFormIndex = std::array<const Handler*, riscv::kBaseOpCount>;

extern const RegisterFormIndex kArithmeticForms, kLogicForms, kAddressForms, kBitForms;

namespace {

template <class Operation, unsigned D, unsigned A, unsigned B>
CAISSON_HANDLER register_form(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, Operation::apply(CAISSON_GET(A, b), CAISSON_GET(B, c())));
  CAISSON_NEXT();
}

template <class Operation>
struct RegisterForm {
  template <std::size_t I>
  static constexpr Handler handler =
      register_form<Operation, I / (kClassCount * kClassCount), I / kClassCount % kClassCount, I % kClassCount>;
};

template <class Operation>
constexpr auto kRegisterForms =
    make_table<RegisterForm<Operation>>(std::make_index_sequence<kClassCount * kClassCount * kClassCount>());

// One row of an index: the operation that performs an instruction.
template <riscv::Op kOp, class Operation>
struct Performs {
  static constexpr riscv::Op op = kOp;
  static constexpr const Handler* handlers = kRegisterForms<Operation>.data();
};

template <class... Rows>
constexpr RegisterFormIndex make_register_index() {
  RegisterFormIndex index{};
  ((index[static_cast<std::size_t>(Rows::op)] = Rows::handlers), ...);
  return index;
}

}  // namespace
}  // namespace caisson::interp
