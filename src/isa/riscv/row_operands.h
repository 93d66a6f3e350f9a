// Decoding where the row is known when the program is compiled: a few shifts and masks, of which only those remain whose results are
// used.
//
//   const Decoded decoded = decode_as<Op::kCLdsp>(bits);   // what decode(bits) answers, if that is its row
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "isa/riscv/decoder.h"
#include "isa/riscv/form_layout.h"

namespace caisson::riscv {

namespace detail {

// One piece in its place, with the sign above where it has it.
template <const Immediate& immediate, std::size_t index>
constexpr std::uint32_t piece_of(std::uint32_t bits) {
  constexpr Piece kPiece = immediate.piece(index);
  if constexpr (index == 0 && immediate.is_signed()) {
    const auto at_top = static_cast<std::int32_t>(bits << (32 - kPiece.low - kPiece.width));
    return static_cast<std::uint32_t>(at_top >> (32 - kPiece.width)) << kPiece.to;
  } else {
    constexpr auto kMask = static_cast<std::uint32_t>((std::uint64_t{1} << kPiece.width) - 1);
    return (bits >> kPiece.low & kMask) << kPiece.to;
  }
}

template <const Immediate& immediate>
constexpr std::int32_t immediate_of(std::uint32_t bits) {
  return [bits]<std::size_t... index>(std::index_sequence<index...>) {
    return static_cast<std::int32_t>((std::uint32_t{0} | ... | piece_of<immediate, index>(bits)));
  }(std::make_index_sequence<immediate.piece_count()>());
}

}  // namespace detail

// `bits` must be an encoding of `row`.
template <Op row>
constexpr Decoded decode_as(std::uint32_t bits) {
  constexpr const InstructionInfo& kRow = info(row);
  constexpr const FormLayout& kLayout = layout_of(kRow.form);
  return {
      .op = kRow.base,
      .row = row,
      .length = kRow.has(traits::kCompressed) ? std::uint8_t{2} : std::uint8_t{4},
      .rd = kLayout.rd.of(bits),
      .rs1 = kLayout.rs1.of(bits),
      .rs2 = kLayout.rs2.of(bits),
      .rs3 = kLayout.rs3.of(bits),
      .rm = kRow.has(traits::kRoundingMode) ? static_cast<std::uint8_t>(bits >> 12 & 7) : std::uint8_t{0},
      .ordering = kLayout.ordering.of(bits),
      .imm = detail::immediate_of<kLayout.immediate>(bits),
  };
}

// The compressed encodings of a base instruction, in the order of the table; kIllegal fills the rest.
inline constexpr std::size_t kMostCompressedEncodings = 4;  // of addi
constexpr std::array<Op, kMostCompressedEncodings> compressed_encodings_of(Op base) {
  std::array<Op, kMostCompressedEncodings> encodings{};
  std::size_t count = 0;
  for (std::size_t row = kBaseOpCount; row < kOpCount; ++row) {
    if (kInstructions[row].base == base) encodings[count++] = static_cast<Op>(row);
  }
  return encodings;
}

}  // namespace caisson::riscv
