// Common pairs of instructions as one record: one dispatch for two.
//
// Only pairs that cannot fault are fused, so the pc of a record stays exact. The second instruction keeps its own record
// behind, for those who jump to it.
#include "interp/fusion.h"
#include "interp/handler_support.h"
#include "interp/operations.h"

namespace caisson::interp {
namespace {

using riscv::Op;

// Two small fields in place of imm: a signed 12-bit immediate below, a distance in records above.
std::int64_t low_immediate(const Record* ip) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(ip->imm) << 20) >> 20;
}
const Record* distant_record(const Record* ip) { return ip + (ip->imm >> 12); }

// rd = rd + imm, then a near branch on rd: the end of a counted loop. b = rd, a = the other operand; class kClassCount is x0.
template <class Operation, class Condition, unsigned D, unsigned B>
CAISSON_HANDLER count_and_branch(CAISSON_INTERP_PARAMETERS) {
  const std::uint64_t counter = Operation::apply(CAISSON_GET(D, b), static_cast<std::uint64_t>(low_immediate(ip)));
  CAISSON_SET(D, b, counter);
  std::uint64_t other = 0;
  if constexpr (B < kClassCount) other = CAISSON_GET(B, a);
  if (Condition::holds(counter, other)) {
    ip = distant_record(ip);
    CAISSON_ENTER_BLOCK();
  }
  ip += 2;
  CAISSON_ENTER_BLOCK();
}

// rd = rs & imm, then a near branch on rd being zero or not.
template <class Condition, unsigned D, unsigned A>
CAISSON_HANDLER mask_and_branch(CAISSON_INTERP_PARAMETERS) {
  const std::uint64_t masked = CAISSON_GET(A, b) & static_cast<std::uint64_t>(low_immediate(ip));
  CAISSON_SET(D, a, masked);
  if (Condition::holds(masked, 0)) {
    ip = distant_record(ip);
    CAISSON_ENTER_BLOCK();
  }
  ip += 2;
  CAISSON_ENTER_BLOCK();
}

// rd = (rs1 << d) + rs2: indexing without Zba.
template <unsigned D, unsigned A, unsigned B>
CAISSON_HANDLER shift_and_add(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, (CAISSON_GET(A, b) << ip->d()) + CAISSON_GET(B, c()));
  ip += 2;
  CAISSON_DISPATCH();
}

// rd = (rs1 << c) >> d: zero and sign extension without Zbb, bit fields.
template <bool arithmetic, unsigned D, unsigned A>
CAISSON_HANDLER shift_left_and_right(CAISSON_INTERP_PARAMETERS) {
  const std::uint64_t shifted = CAISSON_GET(A, b) << ip->c();
  if constexpr (arithmetic) {
    CAISSON_SET(D, a, static_cast<std::uint64_t>(static_cast<std::int64_t>(shifted) >> ip->d()));
  } else {
    CAISSON_SET(D, a, shifted >> ip->d());
  }
  ip += 2;
  CAISSON_DISPATCH();
}

// a += low half of imm, b += high half: two pointers advance.
template <unsigned A, unsigned B>
CAISSON_HANDLER add_twice(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(A, a, CAISSON_GET(A, a) + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int16_t>(ip->imm)}));
  CAISSON_SET(B, b, CAISSON_GET(B, b) + static_cast<std::uint64_t>(std::int64_t{ip->imm >> 16}));
  ip += 2;
  CAISSON_DISPATCH();
}

// Constants and addresses that take two instructions (see handlers_immediate.cpp).
template <unsigned D>
CAISSON_HANDLER load_long_immediate(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, static_cast<std::uint64_t>(std::int64_t{ip->imm}));
  ip += 2;
  CAISSON_DISPATCH();
}
template <unsigned D>
CAISSON_HANDLER load_long_address(CAISSON_INTERP_PARAMETERS) {
  const auto upper = static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(ip->b)});
  CAISSON_SET(D, a, upper << 32 | static_cast<std::uint32_t>(ip->imm));
  ip += 2;
  CAISSON_DISPATCH();
}

constexpr unsigned kClassesAndZero = kClassCount + 1;

template <class Operation, class Condition>
struct CountAndBranch {
  template <std::size_t I>
  static constexpr Handler handler = count_and_branch<Operation, Condition, I / kClassesAndZero, I % kClassesAndZero>;
};
template <class Condition>
struct MaskAndBranch {
  template <std::size_t I>
  static constexpr Handler handler = mask_and_branch<Condition, I / kClassCount, I % kClassCount>;
};
struct ShiftAndAdd {
  template <std::size_t I>
  static constexpr Handler handler =
      shift_and_add<I / (kClassCount * kClassCount), I / kClassCount % kClassCount, I % kClassCount>;
};
template <bool arithmetic>
struct ShiftLeftAndRight {
  template <std::size_t I>
  static constexpr Handler handler = shift_left_and_right<arithmetic, I / kClassCount, I % kClassCount>;
};
struct AddTwice {
  template <std::size_t I>
  static constexpr Handler handler = add_twice<I / kClassCount, I % kClassCount>;
};
struct LoadLongImmediate {
  template <std::size_t I>
  static constexpr Handler handler = load_long_immediate<I>;
};
struct LoadLongAddress {
  template <std::size_t I>
  static constexpr Handler handler = load_long_address<I>;
};

constexpr auto kSingles = std::make_index_sequence<kClassCount>();
constexpr auto kPairs = std::make_index_sequence<kClassCount * kClassCount>();
constexpr auto kPairsAndZero = std::make_index_sequence<kClassCount * kClassesAndZero>();
constexpr auto kTriples = std::make_index_sequence<kClassCount * kClassCount * kClassCount>();

using CountTable = std::array<Handler, kClassCount * kClassesAndZero>;
template <class Operation>
constexpr std::array<CountTable, 6> kCountAndBranch = {
    make_table<CountAndBranch<Operation, operations::Beq>>(kPairsAndZero),
    make_table<CountAndBranch<Operation, operations::Bne>>(kPairsAndZero),
    make_table<CountAndBranch<Operation, operations::Blt>>(kPairsAndZero),
    make_table<CountAndBranch<Operation, operations::Bge>>(kPairsAndZero),
    make_table<CountAndBranch<Operation, operations::Bltu>>(kPairsAndZero),
    make_table<CountAndBranch<Operation, operations::Bgeu>>(kPairsAndZero),
};
constexpr auto kMaskAndBranchZero = make_table<MaskAndBranch<operations::Beq>>(kPairs);
constexpr auto kMaskAndBranchNonzero = make_table<MaskAndBranch<operations::Bne>>(kPairs);
constexpr auto kShiftAndAdd = make_table<ShiftAndAdd>(kTriples);
constexpr auto kShiftLeftAndRight = make_table<ShiftLeftAndRight<false>>(kPairs);
constexpr auto kShiftLeftAndRightArithmetic = make_table<ShiftLeftAndRight<true>>(kPairs);
constexpr auto kAddTwice = make_table<AddTwice>(kPairs);
constexpr auto kLoadLongImmediate = make_table<LoadLongImmediate>(kSingles);
constexpr auto kLoadLongAddress = make_table<LoadLongAddress>(kSingles);

bool is_branch(Op op) { return op >= Op::kBeq && op <= Op::kBgeu; }

// Joins a 12-bit immediate and a distance in bytes; false where the distance is too long.
bool join(std::int32_t immediate, std::int32_t distance, Record* fused) {
  const std::int32_t records = distance / static_cast<std::int32_t>(sizeof(Record));
  if (records >= 1 << 19 || records < -(1 << 19)) return false;
  fused->imm = static_cast<std::int32_t>(static_cast<std::uint32_t>(records) << 12 |
                                         (static_cast<std::uint32_t>(immediate) & 0xFFF));
  return true;
}

bool fuse_with_branch(const riscv::Decoded& first, const riscv::Decoded& branch, std::int32_t distance,
                      const ClassMap& classes, Record* fused) {
  const bool counts = (first.op == Op::kAddi || first.op == Op::kAddiw) && first.rd == first.rs1;
  if (counts) {
    const bool swapped = branch.rs1 != first.rd && (branch.op == Op::kBeq || branch.op == Op::kBne);
    const std::uint8_t tested = swapped ? branch.rs2 : branch.rs1, other = swapped ? branch.rs1 : branch.rs2;
    if (tested != first.rd || other == first.rd || !join(first.imm, distance, fused)) return false;
    const auto& tables = first.op == Op::kAddi ? kCountAndBranch<operations::Add> : kCountAndBranch<operations::Addw>;
    const unsigned other_class = other == 0 ? kClassCount : classes[other];
    fused->handler = tables[static_cast<unsigned>(branch.op) - static_cast<unsigned>(Op::kBeq)]
                           [classes[first.rd] * kClassesAndZero + other_class];
    fused->a = other;
    fused->b = first.rd;
    return true;
  }
  const bool tests_zero = (branch.op == Op::kBeq || branch.op == Op::kBne) && branch.rs1 == first.rd && branch.rs2 == 0;
  if (first.op != Op::kAndi || !tests_zero || !join(first.imm, distance, fused)) return false;
  const auto& table = branch.op == Op::kBeq ? kMaskAndBranchZero : kMaskAndBranchNonzero;
  fused->handler = table[classes[first.rd] * kClassCount + classes[first.rs1]];
  fused->a = first.rd;
  fused->b = first.rs1;
  return true;
}

bool fuse_constant(const riscv::Decoded& first, std::uint32_t pc, const riscv::Decoded& second, const ClassMap& classes,
                   Record* fused) {
  if (second.rd != first.rd || second.rs1 != first.rd) return false;
  if (first.op == Op::kLui && (second.op == Op::kAddi || second.op == Op::kAddiw)) {
    const std::int64_t sum = std::int64_t{first.imm} + second.imm;
    if (second.op == Op::kAddi && sum != static_cast<std::int32_t>(sum)) return false;
    fused->handler = kLoadLongImmediate[classes[first.rd]];
    fused->imm = static_cast<std::int32_t>(sum);
    return true;
  }
  if (first.op == Op::kAuipc && second.op == Op::kAddi) {
    const std::int64_t address = std::int64_t{pc} + first.imm + second.imm;
    fused->handler = kLoadLongAddress[classes[first.rd]];
    fused->b = static_cast<std::uint8_t>(address >> 32);
    fused->imm = static_cast<std::int32_t>(address);
    return true;
  }
  return false;
}

bool fuse_shift(const riscv::Decoded& first, const riscv::Decoded& second, const ClassMap& classes, Record* fused) {
  if (first.op != Op::kSlli || second.rd != first.rd) return false;
  const unsigned rd_and_rs1 = classes[first.rd] * kClassCount + classes[first.rs1];
  const auto amount = static_cast<std::uint8_t>(first.imm);
  fused->b = first.rs1;
  if (second.op == Op::kAdd) {
    const bool swapped = second.rs1 != first.rd;
    const std::uint8_t shifted = swapped ? second.rs2 : second.rs1, addend = swapped ? second.rs1 : second.rs2;
    if (shifted != first.rd || addend == first.rd) return false;
    fused->handler = kShiftAndAdd[rd_and_rs1 * kClassCount + classes[addend]];
    fused->set_operands(addend, amount, 0);
    return true;
  }
  if ((second.op == Op::kSrli || second.op == Op::kSrai) && second.rs1 == first.rd) {
    fused->handler = second.op == Op::kSrli ? kShiftLeftAndRight[rd_and_rs1] : kShiftLeftAndRightArithmetic[rd_and_rs1];
    fused->set_operands(amount, static_cast<std::uint8_t>(second.imm), 0);
    return true;
  }
  return false;
}

bool fuse_additions(const riscv::Decoded& first, const riscv::Decoded& second, const ClassMap& classes, Record* fused) {
  const auto advances = [](const riscv::Decoded& decoded) {
    return decoded.op == Op::kAddi && decoded.rd == decoded.rs1 && decoded.rd != 0;
  };
  if (!advances(first) || !advances(second)) return false;
  fused->handler = kAddTwice[classes[first.rd] * kClassCount + classes[second.rd]];
  fused->b = second.rd;
  fused->imm = static_cast<std::int32_t>(static_cast<std::uint32_t>(second.imm) << 16 |
                                         (static_cast<std::uint32_t>(first.imm) & 0xFFFF));
  return true;
}

}  // namespace

bool fuse(const riscv::Decoded& first, std::uint32_t pc, const riscv::Decoded& second, std::int32_t distance,
          const ClassMap& classes, Record* fused) {
  if (first.rd == 0) return false;
  fused->a = first.rd;
  if (is_branch(second.op)) return distance != 0 && fuse_with_branch(first, second, distance, classes, fused);
  return fuse_constant(first, pc, second, classes, fused) || fuse_shift(first, second, classes, fused) ||
         fuse_additions(first, second, classes, fused);
}

}  // namespace caisson::interp
