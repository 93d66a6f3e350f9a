#include "generators/encoder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace caisson::fuzz {
namespace {

using riscv::Form;

// Where immediates stand: for each form the numbers of the immediate's bits, in the order of the pattern's letters i.
// Source: the instruction formats of "RV32I Base Integer Instruction Set" and the listings of the C extension.
struct ImmediateLayout {
  Form form;
  std::array<std::uint8_t, 20> bits;
};
constexpr ImmediateLayout kImmediateLayouts[] = {
    {Form::kI, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {Form::kLoad, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {Form::kJalr, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {Form::kCsr, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {Form::kCsrImmediate, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {Form::kStore, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
    {Form::kB, {12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11}},
    {Form::kU, {31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12}},
    {Form::kJ, {20, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 19, 18, 17, 16, 15, 14, 13, 12}},
    {Form::kShift, {5, 4, 3, 2, 1, 0}},
    {Form::kShiftW, {4, 3, 2, 1, 0}},
    {Form::kCAddi, {5, 4, 3, 2, 1, 0}},
    {Form::kCLi, {5, 4, 3, 2, 1, 0}},
    {Form::kCAndi, {5, 4, 3, 2, 1, 0}},
    {Form::kCShift, {5, 4, 3, 2, 1, 0}},
    {Form::kCShiftShort, {5, 4, 3, 2, 1, 0}},
    {Form::kCLui, {17, 16, 15, 14, 13, 12}},
    {Form::kCAddi16sp, {9, 4, 6, 8, 7, 5}},
    {Form::kCAddi4spn, {5, 4, 9, 8, 7, 6, 2, 3}},
    {Form::kCLoadWord, {5, 4, 3, 2, 6}},
    {Form::kCLoadDouble, {5, 4, 3, 7, 6}},
    {Form::kCStoreWord, {5, 4, 3, 2, 6}},
    {Form::kCStoreDouble, {5, 4, 3, 7, 6}},
    {Form::kCLoadWordSp, {5, 4, 3, 2, 7, 6}},
    {Form::kCLoadDoubleSp, {5, 4, 3, 8, 7, 6}},
    {Form::kCStoreWordSp, {5, 4, 3, 2, 7, 6}},
    {Form::kCStoreDoubleSp, {5, 4, 3, 8, 7, 6}},
    {Form::kCJump, {11, 4, 9, 8, 10, 6, 7, 3, 2, 1, 5}},
    {Form::kCBranch, {8, 4, 3, 7, 6, 2, 1, 5}},
};

const std::uint8_t* immediate_bits(Form form) {
  const auto* found = std::ranges::find(kImmediateLayouts, form, &ImmediateLayout::form);
  return found == std::end(kImmediateLayouts) ? nullptr : found->bits.data();
}

// Gives the bits of a value one after the other, from the highest of `width`.
class BitSource {
 public:
  BitSource(std::uint32_t value, unsigned width) : value_(value), left_(width) {}
  std::uint32_t next() { return value_ >> --left_ & 1; }

 private:
  std::uint32_t value_;
  unsigned left_;
};

unsigned letters(std::string_view pattern, char letter) {
  return static_cast<unsigned>(std::ranges::count_if(
      pattern, [letter](char other) { return std::tolower(static_cast<unsigned char>(other)) == letter; }));
}

}  // namespace

std::uint32_t encode(const Instruction& instruction) {
  const riscv::InstructionInfo& row = info(instruction);
  const auto source = [&](char letter, std::uint32_t value) { return BitSource(value, letters(row.pattern, letter)); };
  // Three-bit fields name x8 … x15, whose low three bits count from 0.
  BitSource rd = source('d', instruction.rd), rs1 = source('a', instruction.rs1), rs2 = source('b', instruction.rs2);
  BitSource rs3 = source('c', instruction.rs3), rm = source('m', instruction.rm),
            ordering = source('q', instruction.ordering);
  BitSource csr_immediate = source('z', instruction.rs1);
  BitSource predecessors = source('p', instruction.ordering >> 4u), successors = source('s', instruction.ordering);
  const std::uint8_t* immediate = immediate_bits(row.form);

  std::uint32_t bits = 0;
  for (const char character : row.pattern) {
    if (character == ' ') continue;
    bits <<= 1;
    switch (std::tolower(static_cast<unsigned char>(character))) {
      case '1':
        bits |= 1;
        break;
      case 'd':
        bits |= rd.next();
        break;
      case 'a':
        bits |= rs1.next();
        break;
      case 'b':
        bits |= rs2.next();
        break;
      case 'c':
        bits |= rs3.next();
        break;
      case 'm':
        bits |= rm.next();
        break;
      case 'q':
        bits |= ordering.next();
        break;
      case 'z':
        bits |= csr_immediate.next();
        break;
      case 'p':
        bits |= predecessors.next();
        break;
      case 's':
        bits |= successors.next();
        break;
      case 'i':
        bits |= static_cast<std::uint32_t>(instruction.imm) >> *immediate++ & 1;
        break;
      default:
        break;  // 0 and the ignored bits '-'
    }
  }
  return bits;
}

}  // namespace caisson::fuzz
