#include "generators/overlapping_code.h"

#include <array>

#include "generators/encoder.h"
#include "generators/random.h"

namespace caisson::fuzz {
namespace {

using riscv::Op;

constexpr Op kPlain[] = {Op::kAdd,  Op::kSub, Op::kXor,  Op::kOr,   Op::kAnd,  Op::kSll,   Op::kSrl, Op::kSltu,
                         Op::kAddw, Op::kMul, Op::kAddi, Op::kXori, Op::kAndi, Op::kSltiu, Op::kLui, Op::kAuipc};
constexpr Op kBranches[] = {Op::kBeq, Op::kBne, Op::kBlt, Op::kBgeu};
constexpr Op kMemory[] = {Op::kLd, Op::kSd, Op::kLw, Op::kSb};

template <std::size_t kCount>
Op one_of(Random& random, const Op (&rows)[kCount]) {
  return rows[random.below(kCount)];
}

std::uint8_t any_register(Random& random) { return static_cast<std::uint8_t>(random.below(32)); }
// x8 … x15 point at data.
std::uint8_t result_register(Random& random) {
  const std::uint8_t reg = any_register(random);
  return random.below(16) != 0 && reg >= 8 && reg < 16 ? reg ^ 16 : reg;
}

std::uint32_t plain(Random& random) {
  Instruction instruction{.row = one_of(random, kPlain),
                          .rd = result_register(random),
                          .rs1 = any_register(random),
                          .rs2 = any_register(random)};
  const bool is_upper = instruction.row == Op::kLui || instruction.row == Op::kAuipc;
  instruction.imm = is_upper ? static_cast<std::int32_t>(static_cast<std::uint32_t>(random.next()) & 0xfffff000)
                             : static_cast<std::int32_t>(random.below(4096)) - 2048;
  return encode(instruction);
}

// c.li, c.addi, c.mv, c.add, c.slli: any of their operands but those that mean something else.
std::uint32_t compressed(Random& random) {
  const std::uint32_t rd = 1 + static_cast<std::uint32_t>(random.below(31)),
                      other = 1 + static_cast<std::uint32_t>(random.below(31));
  const std::uint32_t fields = rd << 7 | other << 2;
  constexpr std::uint32_t kForms[] = {0x4001, 0x0001, 0x8002, 0x9002, 0x0002};
  return kForms[random.below(std::size(kForms))] | fields;
}

std::uint32_t branch(Random& random, std::int32_t half_words) {
  return encode({.row = one_of(random, kBranches),
                 .rs1 = any_register(random),
                 .rs2 = static_cast<std::uint8_t>(random.below(2) == 0 ? 0 : any_register(random)),
                 .imm = half_words * 2});
}

// Whatever half-word follows, an instruction begins here.
std::uint32_t beginning(Random& random) {
  constexpr std::uint32_t kForms[] = {0x37, 0x17, 0x13, 0x4013, 0x6013, 0x7013};  // lui, auipc, addi, xori, ori, andi
  const std::uint32_t form = kForms[random.below(std::size(kForms))];
  const std::uint32_t operand = (form & 4) != 0 ? static_cast<std::uint32_t>(random.next()) & 0xf000
                                                : static_cast<std::uint32_t>(random.next()) & 0x8000;
  return form | std::uint32_t{result_register(random)} << 7 | operand;
}

// The lower half of a jalr that goes on nowhere: the way that comes here ends with what its upper half begins.
std::uint32_t beginning_of_jump(Random& random) { return 0x67 | (static_cast<std::uint32_t>(random.next()) & 0x8000); }

// lui or auipc, and an addi or addiw that mostly completes its constant.
std::array<std::uint32_t, 2> constant(Random& random) {
  const std::uint8_t rd = result_register(random);
  const std::uint8_t from = random.below(8) == 0 ? any_register(random) : rd;
  return {encode({.row = random.below(2) == 0 ? Op::kLui : Op::kAuipc,
                  .rd = rd,
                  .imm = static_cast<std::int32_t>(static_cast<std::uint32_t>(random.next()) & 0xfffff000)}),
          encode({.row = random.below(2) == 0 ? Op::kAddi : Op::kAddiw,
                  .rd = rd,
                  .rs1 = from,
                  .imm = static_cast<std::int32_t>(random.below(4096)) - 2048})};
}

}  // namespace

OverlappingCode overlapping_code(std::uint64_t seed, std::size_t length, unsigned shape) {
  constexpr unsigned kKnots[] = {0, 4, 8, 16}, kPieces[] = {6, 14, 24, 60};
  constexpr unsigned kAnythingShares[] = {0, 1, 4, 32}, kCompressedShares[] = {0, 64, 128, 192};  // of 256
  const unsigned knot = kKnots[shape & 3];
  const unsigned anything_share = kAnythingShares[shape >> 2 & 3];
  const unsigned compressed_share = kCompressedShares[shape >> 4 & 3];
  const unsigned piece = kPieces[shape >> 6 & 3];
  const bool has_jumps = seed % 4 == 0;

  Random random(seed);
  OverlappingCode code;
  const auto put = [&](std::uint32_t bits, std::size_t size) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&bits);
    code.bytes.insert(code.bytes.end(), bytes, bytes + size);
  };
  while (code.bytes.size() < length) {
    if (knot != 0) {
      // The branches lead into the knot; one in a while goes back, or into other knots.
      for (std::uint64_t left = 1 + random.below(3); left > 0; --left) {
        const auto behind = static_cast<std::int32_t>(left * 2 + random.below(knot));
        const auto far = static_cast<std::int32_t>(random.below(256)) - 64;
        put(branch(random, random.below(6) == 0 ? far : behind), 4);
      }
      for (unsigned i = 0; i < knot; ++i) {
        if (has_jumps && random.below(6) == 0) {
          put(beginning_of_jump(random), 2);
          for (const std::uint32_t word : constant(random)) put(word, 4);
        } else {
          put(random.below(3) == 0 ? compressed(random) : beginning(random), 2);
        }
      }
    }
    code.joints.push_back(code.bytes.size());
    for (std::uint64_t left = piece / 2 + random.below(piece); left > 0; --left) {
      if (random.below(256) < anything_share) {
        put(static_cast<std::uint32_t>(random.next()), 2);
      } else if (random.below(256) < compressed_share) {
        put(compressed(random), 2);
      } else if (random.below(64) == 0) {
        put(encode({.row = one_of(random, kMemory),
                    .rd = result_register(random),
                    .rs1 = static_cast<std::uint8_t>(8 + random.below(8)),
                    .rs2 = any_register(random),
                    .imm = static_cast<std::int32_t>(random.below(64)) * 8 - 256}),
            4);
      } else {
        put(plain(random), 4);
      }
    }
    constexpr std::uint32_t kReturn = 0x8082, kBreak = 0x9002;
    if (random.below(4) == 0) put(random.below(4) == 0 ? kReturn : kBreak, 2);
  }
  return code;
}

}  // namespace caisson::fuzz
