// Where the operands of each form stand in an encoding, as data from which the decoder makes its tables.
//
// Private to the decoder. A register is a field of the encoding or fixed by the form; an immediate is put together from
// pieces ("RISC-V Instruction Set Listings" and "RVC Instruction Set Listings" have the same numbers as bit[11:7] and
// the like).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>

#include "isa/riscv/instructions.h"

namespace caisson::riscv {

// A small unsigned value in an encoding: (bits >> low & mask) + base.
struct Field {
  std::uint8_t low, mask, base;

  constexpr std::uint8_t of(std::uint32_t bits) const { return static_cast<std::uint8_t>((bits >> low & mask) + base); }
};

// Bits [low, low + width) of an encoding are bits [to, to + width) of the immediate.
struct Piece {
  unsigned low, width, to;
};

enum class Extension : std::uint8_t { kZero, kSign };

// An immediate. Under kSign the highest bit of the first piece is the sign; where that piece is nothing else, extending
// the sign already puts it in its place.
class Immediate {
 public:
  constexpr Immediate() = default;
  constexpr Immediate(Extension extension, std::initializer_list<Piece> pieces) {
    const Piece& first = *pieces.begin();
    if (extension == Extension::kSign) {
      sign_shift_ = static_cast<std::uint8_t>(32 - first.low - first.width);
      sign_mask_ = ~std::uint32_t{0} << (first.to + first.width - 1);
    }
    is_signed_ = extension == Extension::kSign;
    std::size_t count = 0;
    for (const Piece& piece : pieces) {
      pieces_[piece_count_++] = piece;
      if (extension == Extension::kSign && &piece == &first && piece.width == 1) continue;
      rotations_[count] = static_cast<std::uint8_t>((32 + piece.to - piece.low) % 32);
      masks_[count] = static_cast<std::uint32_t>((std::uint64_t{1} << piece.width) - 1) << piece.to;
      ++count;
    }
  }

  constexpr std::int32_t of(std::uint32_t bits) const {
    const auto sign = static_cast<std::uint32_t>(static_cast<std::int32_t>(bits << sign_shift_) >> 31);
    std::uint32_t value = sign & sign_mask_;
    for (std::size_t index = 0; index < kMostPieces; ++index)
      value |= std::rotl(bits, rotations_[index]) & masks_[index];
    return static_cast<std::int32_t>(value);
  }

  // As it was written; the first piece of a signed one has the sign.
  constexpr bool is_signed() const { return is_signed_; }
  constexpr std::size_t piece_count() const { return piece_count_; }
  constexpr Piece piece(std::size_t index) const { return pieces_[index]; }

 private:
  static constexpr std::size_t kMostPieces = 7;  // of c.j, beside its sign

  std::array<Piece, kMostPieces + 1> pieces_{};
  std::size_t piece_count_ = 0;
  bool is_signed_ = false;
  std::array<std::uint32_t, kMostPieces> masks_{};
  std::uint32_t sign_mask_ = 0;
  std::array<std::uint8_t, kMostPieces> rotations_{};
  std::uint8_t sign_shift_ = 0;
};

struct FormLayout {
  Form form = Form::kNone;
  Field rd{}, rs1{}, rs2{}, rs3{}, ordering{};
  Immediate immediate{};
};

namespace layout {

// Register fields: of five bits, of three bits (x8 ... x15), or none but a register that the form implies.
constexpr Field full(std::uint8_t low) { return {low, 31, 0}; }
constexpr Field brief(std::uint8_t low) { return {low, 7, 8}; }
constexpr Field fixed(std::uint8_t number) { return {0, 0, number}; }

inline constexpr Field kWordRd = full(7), kWordRs1 = full(15), kWordRs2 = full(20), kWordRs3 = full(27);
inline constexpr Field kRa = fixed(1), kSp = fixed(2);
inline constexpr Extension kZero = Extension::kZero, kSign = Extension::kSign;

inline constexpr Immediate kImmediateI{kSign, {{20, 12, 0}}};
inline constexpr Immediate kCompressedImmediate{kSign, {{12, 1, 5}, {2, 5, 0}}};
inline constexpr Immediate kCompressedAmount{kZero, {{12, 1, 5}, {2, 5, 0}}};
inline constexpr Immediate kCompressedWord{kZero, {{5, 1, 6}, {10, 3, 3}, {6, 1, 2}}};
inline constexpr Immediate kCompressedDouble{kZero, {{5, 2, 6}, {10, 3, 3}}};

// clang-format off: a row per form, in their order
inline constexpr FormLayout kLayouts[] = {
    {.form = Form::kNone},
    {.form = Form::kR, .rd = kWordRd, .rs1 = kWordRs1, .rs2 = kWordRs2},
    {.form = Form::kI, .rd = kWordRd, .rs1 = kWordRs1, .immediate = kImmediateI},
    {.form = Form::kLoad, .rd = kWordRd, .rs1 = kWordRs1, .immediate = kImmediateI},
    {.form = Form::kStore, .rs1 = kWordRs1, .rs2 = kWordRs2, .immediate = {kSign, {{25, 7, 5}, {7, 5, 0}}}},
    {.form = Form::kB, .rs1 = kWordRs1, .rs2 = kWordRs2, .immediate = {kSign, {{31, 1, 12}, {7, 1, 11}, {25, 6, 5}, {8, 4, 1}}}},
    {.form = Form::kU, .rd = kWordRd, .immediate = {kZero, {{12, 20, 12}}}},
    {.form = Form::kJ, .rd = kWordRd, .immediate = {kSign, {{31, 1, 20}, {12, 8, 12}, {20, 1, 11}, {21, 10, 1}}}},
    {.form = Form::kJalr, .rd = kWordRd, .rs1 = kWordRs1, .immediate = kImmediateI},
    {.form = Form::kR4, .rd = kWordRd, .rs1 = kWordRs1, .rs2 = kWordRs2, .rs3 = kWordRs3},
    {.form = Form::kShift, .rd = kWordRd, .rs1 = kWordRs1, .immediate = {kZero, {{20, 6, 0}}}},
    {.form = Form::kShiftW, .rd = kWordRd, .rs1 = kWordRs1, .immediate = {kZero, {{20, 5, 0}}}},
    {.form = Form::kUnary, .rd = kWordRd, .rs1 = kWordRs1},
    {.form = Form::kCsr, .rd = kWordRd, .rs1 = kWordRs1, .immediate = {kZero, {{20, 12, 0}}}},
    {.form = Form::kCsrImmediate, .rd = kWordRd, .rs1 = kWordRs1, .immediate = {kZero, {{20, 12, 0}}}},
    {.form = Form::kFence, .ordering = {20, 255, 0}},
    {.form = Form::kAtomic, .rd = kWordRd, .rs1 = kWordRs1, .rs2 = kWordRs2, .ordering = {25, 3, 0}},
    {.form = Form::kLoadReserved, .rd = kWordRd, .rs1 = kWordRs1, .ordering = {25, 3, 0}},
    {.form = Form::kCNone},
    {.form = Form::kCAddi, .rd = full(7), .rs1 = full(7), .immediate = kCompressedImmediate},
    {.form = Form::kCLi, .rd = full(7), .immediate = kCompressedImmediate},
    {.form = Form::kCLui, .rd = full(7), .immediate = {kSign, {{12, 1, 17}, {2, 5, 12}}}},
    {.form = Form::kCAddi16sp, .rd = kSp, .rs1 = kSp, .immediate = {kSign, {{12, 1, 9}, {3, 2, 7}, {5, 1, 6}, {2, 1, 5}, {6, 1, 4}}}},
    {.form = Form::kCAddi4spn, .rd = brief(2), .rs1 = kSp, .immediate = {kZero, {{7, 4, 6}, {11, 2, 4}, {5, 1, 3}, {6, 1, 2}}}},
    {.form = Form::kCShift, .rd = full(7), .rs1 = full(7), .immediate = kCompressedAmount},
    {.form = Form::kCShiftShort, .rd = brief(7), .rs1 = brief(7), .immediate = kCompressedAmount},
    {.form = Form::kCAndi, .rd = brief(7), .rs1 = brief(7), .immediate = kCompressedImmediate},
    {.form = Form::kCArithmetic, .rd = brief(7), .rs1 = brief(7), .rs2 = brief(2)},
    {.form = Form::kCMove, .rd = full(7), .rs2 = full(2)},
    {.form = Form::kCAdd, .rd = full(7), .rs1 = full(7), .rs2 = full(2)},
    {.form = Form::kCLoadWord, .rd = brief(2), .rs1 = brief(7), .immediate = kCompressedWord},
    {.form = Form::kCLoadDouble, .rd = brief(2), .rs1 = brief(7), .immediate = kCompressedDouble},
    {.form = Form::kCStoreWord, .rs1 = brief(7), .rs2 = brief(2), .immediate = kCompressedWord},
    {.form = Form::kCStoreDouble, .rs1 = brief(7), .rs2 = brief(2), .immediate = kCompressedDouble},
    {.form = Form::kCLoadWordSp, .rd = full(7), .rs1 = kSp, .immediate = {kZero, {{2, 2, 6}, {12, 1, 5}, {4, 3, 2}}}},
    {.form = Form::kCLoadDoubleSp, .rd = full(7), .rs1 = kSp, .immediate = {kZero, {{2, 3, 6}, {12, 1, 5}, {5, 2, 3}}}},
    {.form = Form::kCStoreWordSp, .rs1 = kSp, .rs2 = full(2), .immediate = {kZero, {{7, 2, 6}, {9, 4, 2}}}},
    {.form = Form::kCStoreDoubleSp, .rs1 = kSp, .rs2 = full(2), .immediate = {kZero, {{7, 3, 6}, {10, 3, 3}}}},
    {.form = Form::kCJump, .immediate = {kSign, {{12, 1, 11}, {8, 1, 10}, {9, 2, 8}, {6, 1, 7}, {7, 1, 6}, {2, 1, 5}, {11, 1, 4}, {3, 3, 1}}}},
    {.form = Form::kCJumpRegister, .rs1 = full(7)},
    {.form = Form::kCJumpRegisterLink, .rd = kRa, .rs1 = full(7)},
    {.form = Form::kCBranch, .rs1 = brief(7), .immediate = {kSign, {{12, 1, 8}, {5, 2, 6}, {2, 1, 5}, {10, 2, 3}, {3, 2, 1}}}},
};
// clang-format on

constexpr bool is_in_form_order() {
  for (std::size_t index = 0; index < std::size(kLayouts); ++index) {
    if (static_cast<std::size_t>(kLayouts[index].form) != index) return false;
  }
  return std::size(kLayouts) == static_cast<std::size_t>(Form::kCBranch) + 1;
}
static_assert(is_in_form_order(), "layout_of() indexes by form");

}  // namespace layout

constexpr const FormLayout& layout_of(Form form) { return layout::kLayouts[static_cast<std::size_t>(form)]; }

}  // namespace caisson::riscv
