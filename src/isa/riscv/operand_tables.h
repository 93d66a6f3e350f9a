// How the operands of a form are put together quickly, derived from its layout (form_layout.h).
//
// Private to the decoder. Every operand bit is a copy of one bit of the encoding, and a sign fills several. Two masks
// take what words have in regular places. What remains of words, and what compressed encodings scatter, is looked up in
// two tables, each indexed by a short field of the encoding. The results are or'ed, so no form needs a jump.
//
//   constexpr OperandSource source = operand_source(Form::kB);
//   std::int32_t imm = static_cast<std::int32_t>(source.of(bits));
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "isa/riscv/form_layout.h"
#include "isa/riscv/instructions.h"

namespace caisson::riscv {

// The operands that most instructions have: imm in bits 31:0, rd in 47:40, rs1 in 55:48, rs2 in 63:56.
using Operands = std::uint64_t;

namespace operand_tables {

constexpr Operands pack(const FormLayout& layout, std::uint32_t bits) {
  return static_cast<std::uint32_t>(layout.immediate.of(bits)) | Operands{layout.rd.of(bits)} << 40 |
         Operands{layout.rs1.of(bits)} << 48 | Operands{layout.rs2.of(bits)} << 56;
}

// What the masks of an OperandSource choose from: the encoding twice, for immediates and such that rd and rs1 of words
// are in place; and the encoding shifted, which is the highest immediate of words with its sign.
constexpr Operands copies_of(std::uint32_t bits) { return Operands{bits} << 33 | bits; }
constexpr std::uint32_t shifted_of(std::uint32_t bits) {
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 20);
}

// The fields that index the tables: bits 12:7; and rs2, which is bits 24:20 of words and 6:2 of compressed encodings.
inline constexpr unsigned kUpperLow = 7, kUpperWidth = 6, kLowerWidth = 5;
constexpr std::uint8_t lower_low(Form form) { return form >= Form::kCNone ? 2 : 20; }
static_assert(Form::kCNone > Form::kLoadReserved, "forms of compressed encodings are last");

// A form as masks, and what they leave to the tables: the effect of each bit of the two fields.
struct Parts {
  Operands copies = 0;
  std::uint32_t shifted = 0;
  std::array<Operands, kUpperWidth> upper{};
  std::array<Operands, kLowerWidth> lower{};
};

constexpr Parts parts_of(Form form) {
  const FormLayout& layout = layout_of(form);
  Parts parts;
  for (unsigned bit = 0; bit < 32; ++bit) {
    const std::uint32_t bits = std::uint32_t{1} << bit;
    const Operands effect = pack(layout, bits) ^ pack(layout, 0);
    const Operands copied = copies_of(bits) & effect;
    const Operands shifted = shifted_of(bits) & effect;
    parts.copies |= copied;
    parts.shifted |= static_cast<std::uint32_t>(shifted);
    const Operands rest = effect & ~(copied | shifted);
    if (bit - kUpperLow < kUpperWidth) {
      parts.upper[bit - kUpperLow] = rest;
    } else if (bit - lower_low(form) < kLowerWidth) {
      parts.lower[bit - lower_low(form)] = rest;
    } else if (rest != 0) {
      throw "this operand bit is in neither field";
    }
  }
  return parts;
}

// The tables that are indexed by one field of kWidth bits. Forms share those that are alike.
template <std::size_t kWidth>
class Tables {
 public:
  using Effects = std::array<Operands, kWidth>;

  // Where the table of a form starts.
  constexpr std::uint16_t add(const Effects& effects) {
    const auto end = tables_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto found = std::find(tables_.begin(), end, effects);
    if (found == end) tables_[count_++] = effects;
    return static_cast<std::uint16_t>((found - tables_.begin()) << kWidth);
  }

  constexpr std::size_t size() const { return count_ << kWidth; }

  template <std::size_t kSize>
  constexpr std::array<Operands, kSize> filled() const {
    std::array<Operands, kSize> values{};
    for (std::size_t index = 0; index < kSize; ++index) {
      const std::size_t field = index % (std::size_t{1} << kWidth);
      if (field != 0)
        values[index] =
            values[index & (index - 1)] | tables_[index >> kWidth][static_cast<std::size_t>(std::countr_zero(field))];
    }
    return values;
  }

 private:
  std::array<Effects, std::size(layout::kLayouts)> tables_{};
  std::size_t count_ = 0;
};

struct Forms {
  std::array<Parts, std::size(layout::kLayouts)> parts;
  std::array<std::uint16_t, std::size(layout::kLayouts)> upper_start{}, lower_start{};
  Tables<kUpperWidth> upper;
  Tables<kLowerWidth> lower;

  constexpr Forms() {
    for (std::size_t index = 0; index < parts.size(); ++index) {
      parts[index] = parts_of(static_cast<Form>(index));
      upper_start[index] = upper.add(parts[index].upper);
      lower_start[index] = lower.add(parts[index].lower);
    }
  }
};
inline constexpr Forms kForms;

inline constexpr auto kUpper = kForms.upper.filled<kForms.upper.size()>();
inline constexpr auto kLower = kForms.lower.filled<kForms.lower.size()>();

}  // namespace operand_tables

struct OperandSource {
  Operands copies = 0;
  std::uint32_t shifted = 0;
  std::uint16_t upper = 0, lower = 0;
  std::uint8_t lower_low = 0;

  // Without what does not depend on the encoding (fixed_operands).
  constexpr Operands of(std::uint32_t bits) const {
    using namespace operand_tables;
    return (copies_of(bits) & copies) | (shifted_of(bits) & shifted) |
           kUpper[upper + (bits >> kUpperLow & ((1 << kUpperWidth) - 1))] |
           kLower[lower + (bits >> lower_low & ((1 << kLowerWidth) - 1))];
  }
};

constexpr OperandSource operand_source(Form form) {
  const auto index = static_cast<std::size_t>(form);
  const operand_tables::Forms& forms = operand_tables::kForms;
  return {.copies = forms.parts[index].copies,
          .shifted = forms.parts[index].shifted,
          .upper = forms.upper_start[index],
          .lower = forms.lower_start[index],
          .lower_low = operand_tables::lower_low(form)};
}

// Registers that the form implies.
constexpr Operands fixed_operands(Form form) { return operand_tables::pack(layout_of(form), 0); }

}  // namespace caisson::riscv
