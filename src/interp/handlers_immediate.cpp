// rd = op(rs1, imm), unary operations, moves and constants; and the choice of register forms.
#include "interp/handler_select.h"
#include "interp/register_forms.h"

namespace caisson::interp {
namespace {

template <class Operation, unsigned D, unsigned A>
CAISSON_HANDLER immediate_form(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a,
              Operation::apply(CAISSON_GET(A, b), static_cast<std::uint64_t>(static_cast<std::int64_t>(ip->imm))));
  CAISSON_NEXT();
}

template <unsigned D>
CAISSON_HANDLER load_immediate(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, static_cast<std::uint64_t>(static_cast<std::int64_t>(ip->imm)));
  CAISSON_NEXT();
}

// A 40-bit signed value: pc-relative addresses reach from -2^31 to 2^32 + 2^31.
template <unsigned D>
CAISSON_HANDLER load_address(CAISSON_INTERP_PARAMETERS) {
  const auto upper = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int8_t>(ip->b)));
  CAISSON_SET(D, a, upper << 32 | static_cast<std::uint32_t>(ip->imm));
  CAISSON_NEXT();
}

// A pinned register to its place in memory, and back.
template <unsigned K>
CAISSON_HANDLER write_back(CAISSON_INTERP_PARAMETERS) {
  hart->x[ip->a] = CAISSON_GET(K, a);
  CAISSON_NEXT();
}
template <unsigned K>
CAISSON_HANDLER read_again(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(K, a, hart->x[ip->a]);
  CAISSON_NEXT();
}

template <class Operation>
struct ImmediateForm {
  template <std::size_t I>
  static constexpr Handler handler = immediate_form<Operation, I / kClassCount, I % kClassCount>;
};
template <class Unused>
struct LoadImmediate {
  template <std::size_t I>
  static constexpr Handler handler = load_immediate<I>;
};
template <class Unused>
struct LoadAddress {
  template <std::size_t I>
  static constexpr Handler handler = load_address<I>;
};

template <class Unused>
struct WriteBack {
  template <std::size_t I>
  static constexpr Handler handler = write_back<I>;
};
template <class Unused>
struct ReadAgain {
  template <std::size_t I>
  static constexpr Handler handler = read_again<I>;
};

template <class Operation>
constexpr auto kImmediateForms =
    make_table<ImmediateForm<Operation>>(std::make_index_sequence<kClassCount * kClassCount>());
constexpr auto kLoadImmediate = make_table<LoadImmediate<void>>(std::make_index_sequence<kClassCount>());
constexpr auto kWriteBack = make_table<WriteBack<void>>(std::make_index_sequence<kPinCount>());
constexpr auto kReadAgain = make_table<ReadAgain<void>>(std::make_index_sequence<kPinCount>());
constexpr auto kLoadAddress = make_table<LoadAddress<void>>(std::make_index_sequence<kClassCount>());

template <riscv::Op kOp, class Operation>
struct PerformsImmediate {
  static constexpr riscv::Op op = kOp;
  static constexpr const Handler* handlers = kImmediateForms<Operation>.data();
};

template <class... Rows>
constexpr RegisterFormIndex make_immediate_index() {
  RegisterFormIndex index{};
  ((index[static_cast<std::size_t>(Rows::op)] = Rows::handlers), ...);
  return index;
}

using riscv::Op;
constexpr RegisterFormIndex kImmediateIndex = make_immediate_index<
    PerformsImmediate<Op::kAddi, operations::Add>, PerformsImmediate<Op::kAddiw, operations::Addw>,
    PerformsImmediate<Op::kAndi, operations::And>, PerformsImmediate<Op::kOri, operations::Or>,
    PerformsImmediate<Op::kXori, operations::Xor>, PerformsImmediate<Op::kSlti, operations::Slt>,
    PerformsImmediate<Op::kSltiu, operations::Sltu>, PerformsImmediate<Op::kSlli, operations::Sll>,
    PerformsImmediate<Op::kSrli, operations::Srl>, PerformsImmediate<Op::kSrai, operations::Sra>,
    PerformsImmediate<Op::kSlliw, operations::Sllw>, PerformsImmediate<Op::kSrliw, operations::Srlw>,
    PerformsImmediate<Op::kSraiw, operations::Sraw>, PerformsImmediate<Op::kSlliUw, operations::SlliUw>,
    PerformsImmediate<Op::kRori, operations::Ror>, PerformsImmediate<Op::kRoriw, operations::Rorw>,
    PerformsImmediate<Op::kBclri, operations::Bclr>, PerformsImmediate<Op::kBexti, operations::Bext>,
    PerformsImmediate<Op::kBinvi, operations::Binv>, PerformsImmediate<Op::kBseti, operations::Bset>,
    PerformsImmediate<Op::kClz, operations::Clz>, PerformsImmediate<Op::kCtz, operations::Ctz>,
    PerformsImmediate<Op::kCpop, operations::Cpop>, PerformsImmediate<Op::kClzw, operations::Clzw>,
    PerformsImmediate<Op::kCtzw, operations::Ctzw>, PerformsImmediate<Op::kCpopw, operations::Cpopw>,
    PerformsImmediate<Op::kSextB, operations::SextB>, PerformsImmediate<Op::kSextH, operations::SextH>,
    PerformsImmediate<Op::kZextH, operations::ZextH>, PerformsImmediate<Op::kRev8, operations::Rev8>,
    PerformsImmediate<Op::kOrcB, operations::OrcB>>();

}  // namespace

Handler select_register_form(Op op, unsigned rd_class, unsigned rs1_class, unsigned rs2_class) {
  const auto row = static_cast<std::size_t>(op);
  for (const RegisterFormIndex* forms : {&kArithmeticForms, &kLogicForms, &kAddressForms, &kBitForms}) {
    if ((*forms)[row] != nullptr) return (*forms)[row][(rd_class * kClassCount + rs1_class) * kClassCount + rs2_class];
  }
  return nullptr;
}

Handler select_immediate_form(Op op, unsigned rd_class, unsigned rs1_class) {
  const Handler* handlers = kImmediateIndex[static_cast<std::size_t>(op)];
  return handlers == nullptr ? nullptr : handlers[rd_class * kClassCount + rs1_class];
}

Handler select_load_immediate(unsigned rd_class) { return kLoadImmediate[rd_class]; }
Handler select_load_address(unsigned rd_class) { return kLoadAddress[rd_class]; }
Handler select_write_back(unsigned pin) { return kWriteBack[pin]; }
Handler select_read_again(unsigned pin) { return kReadAgain[pin]; }
Handler select_move(unsigned rd_class, unsigned rs1_class) {
  return kImmediateForms<operations::Move>[rd_class * kClassCount + rs1_class];
}

}  // namespace caisson::interp
