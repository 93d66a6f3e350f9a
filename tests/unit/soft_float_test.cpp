// Soft floating point against hardware that rounds in four of the five modes, and against qemu-riscv64 in all five.
//
// Operations are rows of one table: the host's instruction, the guest's, and ours. The guest program is generated from
// the table, compiled, and fed with operands through files.
#include "isa/riscv/soft_float.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "support/guest_compiler.h"

namespace caisson::riscv {
namespace {

constexpr std::uint64_t kSeed = 20260402;
constexpr std::array kModes = {RoundingMode::kNearestEven, RoundingMode::kTowardZero, RoundingMode::kDown,
                               RoundingMode::kUp, RoundingMode::kNearestMaxMagnitude};

// What an operation takes and gives: bits of a float or double, integers of 32 or 64 bits. What is narrow stands in the
// low half, whatever the upper half holds.
enum class Operand { kNone, kSingle, kDouble, kWord, kLong };

using Operands = std::array<std::uint64_t, 3>;
using Outcome = FloatResult<std::uint64_t>;

struct Operation {
  std::string name;
  std::array<Operand, 3> operands;
  Operand result;
  std::string guest;  // the guest's instruction, from fa0, fa1, fa2 or %[a] to fa0 or %[value]
  Outcome (*soft)(const Operands&, RoundingMode);
  std::optional<Outcome> (*host)(const Operands&, RoundingMode);  // nothing where the host cannot tell
};

// --- the host ---

constexpr std::uint32_t kUsualControl = 0x1F80;

// MXCSR with all exceptions masked, by rounding mode.
std::optional<std::uint32_t> host_control(RoundingMode mode) {
  switch (mode) {
    case RoundingMode::kNearestEven:
      return kUsualControl;
    case RoundingMode::kDown:
      return 0x3F80;
    case RoundingMode::kUp:
      return 0x5F80;
    case RoundingMode::kTowardZero:
      return 0x7F80;
    default:
      return std::nullopt;
  }
}

std::uint32_t flags_of_host(std::uint32_t status) {
  return ((status & 0x20) != 0 ? kInexact : 0u) | ((status & 0x10) != 0 ? kUnderflow : 0u) |
         ((status & 0x08) != 0 ? kOverflow : 0u) | ((status & 0x04) != 0 ? kDivideByZero : 0u) |
         ((status & 0x01) != 0 ? kInvalid : 0u);
}

template <class Bits>
using FloatOf = std::conditional_t<sizeof(Bits) == 4, float, double>;

template <class Bits>
FloatOf<Bits> number_of(std::uint64_t operand) {
  FloatOf<Bits> number;
  std::memcpy(&number, &operand, sizeof number);
  return number;
}

// The bits of a result, NaN as RISC-V wants it.
std::uint64_t canonical_bits(float number) {
  return std::isnan(number) ? 0x7FC00000u : std::bit_cast<std::uint32_t>(number);
}
std::uint64_t canonical_bits(double number) {
  return std::isnan(number) ? 0x7FF8000000000000u : std::bit_cast<std::uint64_t>(number);
}

// One SSE or FMA instruction on `a` between setting and reading MXCSR: a single asm, so that nothing moves across.
#define HOST_ASM(instruction, target, ...)                                                      \
  asm volatile("ldmxcsr %[control]\n\t" instruction "\n\tstmxcsr %[status]\n\tldmxcsr %[usual]" \
               : [a] "+x"(target), [status] "=m"(status)                                        \
               : [control] "m"(*control), [usual] "m"(kUsualControl), __VA_ARGS__)

// An instruction with up to three operands of one format.
#define HOST_INSTRUCTION(function, single, wide)                                   \
  template <class Bits>                                                            \
  std::optional<Outcome> function(const Operands& operands, RoundingMode mode) {   \
    const std::optional<std::uint32_t> control = host_control(mode);               \
    if (!control) return std::nullopt;                                             \
    std::uint32_t status = 0;                                                      \
    auto a = number_of<Bits>(operands[0]);                                         \
    const auto b = number_of<Bits>(operands[1]), c = number_of<Bits>(operands[2]); \
    if constexpr (sizeof(Bits) == 4) {                                             \
      HOST_ASM(single, a, [b] "x"(b), [c] "x"(c));                                 \
    } else {                                                                       \
      HOST_ASM(wide, a, [b] "x"(b), [c] "x"(c));                                   \
    }                                                                              \
    return Outcome{canonical_bits(a), flags_of_host(status)};                      \
  }

HOST_INSTRUCTION(host_add, "addss %[b], %[a]", "addsd %[b], %[a]")
HOST_INSTRUCTION(host_subtract, "subss %[b], %[a]", "subsd %[b], %[a]")
HOST_INSTRUCTION(host_multiply, "mulss %[b], %[a]", "mulsd %[b], %[a]")
HOST_INSTRUCTION(host_divide, "divss %[b], %[a]", "divsd %[b], %[a]")
HOST_INSTRUCTION(host_square_root, "sqrtss %[a], %[a]", "sqrtsd %[a], %[a]")
HOST_INSTRUCTION(host_fused, "vfmadd213ss %[c], %[b], %[a]", "vfmadd213sd %[c], %[b], %[a]")

template <class Bits>
std::optional<Outcome> host_multiply_add(const Operands& operands, RoundingMode mode) {
  if (!__builtin_cpu_supports("fma")) return std::nullopt;
  // x86 lets a quiet NaN addend hide an invalid product, RISC-V does not.
  if (std::isnan(number_of<Bits>(operands[2]))) return std::nullopt;
  return host_fused<Bits>(operands, mode);
}

template <class Source>
std::optional<Outcome> host_to_single(const Operands& operands, RoundingMode mode) {
  const std::optional<std::uint32_t> control = host_control(mode);
  if (!control) return std::nullopt;
  std::uint32_t status = 0;
  float to = 0;
  if constexpr (std::is_same_v<Source, double>) {
    HOST_ASM("cvtsd2ss %[from], %[a]", to, [from] "x"(std::bit_cast<double>(operands[0])));
  } else {
    HOST_ASM("cvtsi2ssq %[from], %[a]", to, [from] "r"(operands[0]));
  }
  return Outcome{canonical_bits(to), flags_of_host(status)};
}

template <class Source>
std::optional<Outcome> host_to_double(const Operands& operands, RoundingMode mode) {
  const std::optional<std::uint32_t> control = host_control(mode);
  if (!control) return std::nullopt;
  std::uint32_t status = 0;
  double to = 0;
  if constexpr (std::is_same_v<Source, float>) {
    HOST_ASM("cvtss2sd %[from], %[a]", to, [from] "x"(number_of<std::uint32_t>(operands[0])));
  } else {
    HOST_ASM("cvtsi2sdq %[from], %[a]", to, [from] "r"(operands[0]));
  }
  return Outcome{canonical_bits(to), flags_of_host(status)};
}

template <class Bits>
std::optional<Outcome> host_from_signed(const Operands& operands, RoundingMode mode) {
  if constexpr (sizeof(Bits) == 4) {
    return host_to_single<std::int64_t>(operands, mode);
  } else {
    return host_to_double<std::int64_t>(operands, mode);
  }
}

// Unsigned integers that a signed one holds go the same way; the host has no instruction for the others.
template <class Bits>
std::optional<Outcome> host_from_unsigned(const Operands& operands, RoundingMode mode) {
  if (operands[0] >> 63 != 0) return std::nullopt;
  return host_from_signed<Bits>(operands, mode);
}

// To an integer by the definition: round to an integral value as the C library does, then look whether it fits.
template <class Integer, class Bits>
std::optional<Outcome> host_to_integer(const Operands& operands, RoundingMode mode) {
  using Limits = std::numeric_limits<Integer>;
  const auto outcome = [](Integer value, std::uint32_t flags) {
    return Outcome{static_cast<std::uint64_t>(value), flags};
  };
  const FloatOf<Bits> number = number_of<Bits>(operands[0]);
  if (std::isnan(number)) return outcome(Limits::max(), kInvalid);
  FloatOf<Bits> integral = 0;
  switch (mode) {
    case RoundingMode::kNearestEven:
      integral = std::nearbyint(number);
      break;
    case RoundingMode::kTowardZero:
      integral = std::trunc(number);
      break;
    case RoundingMode::kDown:
      integral = std::floor(number);
      break;
    case RoundingMode::kUp:
      integral = std::ceil(number);
      break;
    case RoundingMode::kNearestMaxMagnitude:
      integral = std::round(number);
      break;
    case RoundingMode::kDynamic:
      return std::nullopt;
  }
  // long double holds every 64-bit integer.
  if (static_cast<long double>(integral) > static_cast<long double>(Limits::max()))
    return outcome(Limits::max(), kInvalid);
  if (static_cast<long double>(integral) < static_cast<long double>(Limits::min()))
    return outcome(Limits::min(), kInvalid);
  return outcome(static_cast<Integer>(integral), integral == number ? 0u : kInexact);
}

// --- the table ---

template <class Value>
Outcome outcome(FloatResult<Value> result) {
  return {static_cast<std::uint64_t>(result.value), result.flags};
}

template <class Bits>
void add_arithmetic(std::vector<Operation>& table, const std::string& format_name, Operand format) {
  using enum Operand;
  const auto add = [&](const std::string& name, std::array<Operand, 3> operands, const std::string& registers,
                       auto soft, auto host) {
    table.push_back(
        {name + "." + format_name, operands, format, name + "." + format_name + " " + registers + ",dyn", soft, host});
  };
  const std::array unary = {format, kNone, kNone}, binary = {format, format, kNone}, ternary = {format, format, format};
  add(
      "fadd", binary, "fa0,fa0,fa1",
      [](const Operands& o, RoundingMode mode) { return outcome(soft_float::add(Bits(o[0]), Bits(o[1]), mode)); },
      host_add<Bits>);
  add(
      "fsub", binary, "fa0,fa0,fa1",
      [](const Operands& o, RoundingMode mode) { return outcome(soft_float::subtract(Bits(o[0]), Bits(o[1]), mode)); },
      host_subtract<Bits>);
  add(
      "fmul", binary, "fa0,fa0,fa1",
      [](const Operands& o, RoundingMode mode) { return outcome(soft_float::multiply(Bits(o[0]), Bits(o[1]), mode)); },
      host_multiply<Bits>);
  add(
      "fdiv", binary, "fa0,fa0,fa1",
      [](const Operands& o, RoundingMode mode) { return outcome(soft_float::divide(Bits(o[0]), Bits(o[1]), mode)); },
      host_divide<Bits>);
  add(
      "fsqrt", unary, "fa0,fa0",
      [](const Operands& o, RoundingMode mode) { return outcome(soft_float::square_root(Bits(o[0]), mode)); },
      host_square_root<Bits>);
  add(
      "fmadd", ternary, "fa0,fa0,fa1,fa2",
      [](const Operands& o, RoundingMode mode) {
        return outcome(soft_float::multiply_add(Bits(o[0]), Bits(o[1]), Bits(o[2]), mode));
      },
      host_multiply_add<Bits>);
}

template <class Bits>
void add_conversions(std::vector<Operation>& table, const std::string& format_name, Operand format) {
  using enum Operand;
  const auto from = [&](const std::string& source, auto soft, auto host) {
    const std::string name = "fcvt." + format_name + "." + source;
    table.push_back({name, {kLong, kNone, kNone}, format, name + " fa0,%[a],dyn", soft, host});
  };
  from(
      "l",
      [](const Operands& o, RoundingMode mode) {
        return outcome(soft_float::from_signed<Bits>(static_cast<std::int64_t>(o[0]), mode));
      },
      host_from_signed<Bits>);
  from(
      "lu", [](const Operands& o, RoundingMode mode) { return outcome(soft_float::from_unsigned<Bits>(o[0], mode)); },
      host_from_unsigned<Bits>);
  const auto to = [&]<class Integer>(Integer, const std::string& target) {
    const std::string name = "fcvt." + target + "." + format_name;
    table.push_back({name,
                     {format, kNone, kNone},
                     sizeof(Integer) == 4 ? kWord : kLong,
                     name + " %[value],fa0,dyn",
                     [](const Operands& o, RoundingMode mode) {
                       return outcome(soft_float::to_integer<Integer>(Bits(o[0]), mode));
                     },
                     host_to_integer<Integer, Bits>});
  };
  to(std::int32_t{}, "w");
  to(std::uint32_t{}, "wu");
  to(std::int64_t{}, "l");
  to(std::uint64_t{}, "lu");
}

const std::vector<Operation>& operations() {
  static const auto all = [] {
    using enum Operand;
    std::vector<Operation> table;
    add_arithmetic<std::uint32_t>(table, "s", kSingle);
    add_arithmetic<std::uint64_t>(table, "d", kDouble);
    add_conversions<std::uint32_t>(table, "s", kSingle);
    add_conversions<std::uint64_t>(table, "d", kDouble);
    table.push_back({"fcvt.s.d",
                     {kDouble, kNone, kNone},
                     kSingle,
                     "fcvt.s.d fa0,fa0,dyn",
                     [](const Operands& o, RoundingMode mode) { return outcome(soft_float::narrow(o[0], mode)); },
                     host_to_single<double>});
    table.push_back(
        {"fcvt.d.s",
         {kSingle, kNone, kNone},
         kDouble,
         "fcvt.d.s fa0,fa0",
         [](const Operands& o, RoundingMode) { return outcome(soft_float::widen(static_cast<std::uint32_t>(o[0]))); },
         host_to_double<float>});
    return table;
  }();
  return all;
}

// --- operands ---

// Values where rounding, range or kind of a float changes, each with its neighbours and both signs.
template <class Bits>
std::vector<std::uint64_t> make_corners() {
  constexpr unsigned kFraction = sizeof(Bits) == 4 ? 23 : 52;
  constexpr std::uint64_t kBias = sizeof(Bits) == 4 ? 127 : 1023;
  constexpr std::uint64_t kSign = std::uint64_t{1} << (sizeof(Bits) * 8 - 1);
  constexpr std::uint64_t kInfinity = (2 * kBias + 1) << kFraction, kQuiet = std::uint64_t{1} << (kFraction - 1);
  std::vector<std::uint64_t> positive = {
      0, 1, 2, 3, kInfinity, kInfinity + 1, kInfinity + kQuiet, kInfinity + kQuiet + 5};
  const auto with_neighbours = [&](std::uint64_t value) {
    positive.insert(positive.end(), {value - 1, value, value + 1});
  };
  with_neighbours(std::uint64_t{1} << kFraction);  // least normal
  with_neighbours(std::uint64_t{1} << (kFraction - 1));  // a subnormal half of it
  positive.push_back(kInfinity - 1);
  for (std::uint64_t power : {0u, 1u, 8u, 22u, 23u, 24u, 30u, 31u, 32u, 51u, 52u, 53u, 62u, 63u, 64u}) {
    with_neighbours((kBias + power) << kFraction);
  }
  for (std::uint64_t power : {1u, 2u, 24u, 25u, 53u, 54u}) with_neighbours((kBias - power) << kFraction);
  for (std::uint64_t half : {0u, 1u, 2u, 3u})
    positive.push_back(((kBias + half) << kFraction) | kQuiet);  // 1.5, 3, 6 ...
  positive.push_back(((kBias + 1) << kFraction) | kQuiet >> 1);  // 2.5
  std::vector<std::uint64_t> corners;
  for (std::uint64_t value : positive) corners.insert(corners.end(), {value, value | kSign});
  return corners;
}

const std::vector<std::uint64_t>& corners_of(Operand operand) {
  static const std::vector<std::uint64_t> single = make_corners<std::uint32_t>(), wide = make_corners<std::uint64_t>();
  static const auto integer = [] {
    std::vector<std::uint64_t> values;
    for (unsigned shift = 0; shift < 64; ++shift) {
      const std::uint64_t power = std::uint64_t{1} << shift;
      values.insert(values.end(), {power, power - 1, power + 1, 0 - power, 0 - power + 1, power | power >> 24 | 1,
                                   power | power >> 53});
    }
    return values;
  }();
  static const std::vector<std::uint64_t> none = {0};
  switch (operand) {
    case Operand::kSingle:
      return single;
    case Operand::kDouble:
      return wide;
    case Operand::kWord:
    case Operand::kLong:
      return integer;
    case Operand::kNone:
      break;
  }
  return none;
}

class OperandSource {
 public:
  explicit OperandSource(const Operation& operation) : operation_(operation) {}

  // Random operands: corners, random bits, few-bit significands that make ties, and exponents near each other.
  Operands next() {
    Operands operands{};
    const std::uint64_t exponent = random_();
    for (std::size_t index = 0; index < operands.size(); ++index)
      operands[index] = next(operation_.operands[index], exponent);
    return operands;
  }

 private:
  std::uint64_t next(Operand operand, std::uint64_t exponent) {
    const std::vector<std::uint64_t>& corners = corners_of(operand);
    const unsigned kind = random_() % 8;
    if (operand == Operand::kNone) return 0;
    if (kind == 0) return corners[random_() % corners.size()];
    if (operand == Operand::kLong) return random_() >> random_() % 64;
    const bool single = operand == Operand::kSingle;
    const unsigned fraction = single ? 23 : 52, sign = single ? 31 : 63;
    const std::uint64_t fraction_mask = (std::uint64_t{1} << fraction) - 1, exponents = single ? 0xFF : 0x7FF;
    std::uint64_t significand = random_() & fraction_mask;
    if (kind < 4) significand &= fraction_mask << random_() % (fraction + 1);
    if (kind == 4) significand = fraction_mask ^ (significand & 7);
    const std::uint64_t offset = random_() % 2 != 0 ? random_() % 64 : random_() % 5;
    const std::uint64_t chosen = kind < 7 ? exponent + offset : random_();
    return (random_() & 1) << sign | (chosen & exponents) << fraction | significand;
  }

  const Operation& operation_;
  std::mt19937_64 random_{kSeed};
};

// All pairs of corners; of a third operand every 13th, others for each pair.
std::vector<Operands> corner_operands(const Operation& operation) {
  std::vector<Operands> all;
  const std::vector<std::uint64_t>& third = corners_of(operation.operands[2]);
  for (std::uint64_t a : corners_of(operation.operands[0])) {
    for (std::uint64_t b : corners_of(operation.operands[1])) {
      for (std::size_t index = all.size() % std::min<std::size_t>(13, third.size()); index < third.size();
           index += 13) {
        all.push_back({a, b, third[index]});
      }
    }
  }
  return all;
}

// Empty where both outcomes are the same, else what differs.
std::string difference(const Operation& operation, const Operands& operands, RoundingMode mode, const Outcome& theirs) {
  const Outcome ours = operation.soft(operands, mode);
  const bool narrow = operation.result == Operand::kSingle || operation.result == Operand::kWord;
  const std::uint64_t differing = (ours.value ^ theirs.value) & (narrow ? 0xFFFFFFFF : ~std::uint64_t{0});
  if (differing == 0 && ours.flags == theirs.flags) return "";
  std::ostringstream text;
  text << operation.name << ", mode " << static_cast<int>(mode) << ", operands" << std::hex;
  for (std::uint64_t operand : operands) text << " 0x" << operand;
  text << ": here 0x" << ours.value << " flags " << ours.flags << ", there 0x" << theirs.value << " flags "
       << theirs.flags;
  return text.str();
}

// --- against the host ---

class SoftFloatAgainstHost : public testing::TestWithParam<std::size_t> {
 protected:
  const Operation& operation() const { return operations()[GetParam()]; }

  std::string difference_from_host(const Operands& operands, RoundingMode mode) const {
    const std::optional<Outcome> theirs = operation().host(operands, mode);
    return theirs ? difference(operation(), operands, mode, *theirs) : "";
  }
};

TEST_P(SoftFloatAgainstHost, Corners) {
  for (const Operands& operands : corner_operands(operation())) {
    for (RoundingMode mode : kModes) ASSERT_EQ(difference_from_host(operands, mode), "");
  }
}

TEST_P(SoftFloatAgainstHost, RandomOperands) {
  OperandSource source(operation());
  for (unsigned count = 0; count < 1'250'000; ++count) {
    ASSERT_EQ(difference_from_host(source.next(), kModes[count % kModes.size()]), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, SoftFloatAgainstHost, testing::Range(std::size_t{0}, operations().size()),
                         [](const testing::TestParamInfo<std::size_t>& parameter) {
                           std::string name = operations()[parameter.param].name;
                           for (char& character : name) character = character == '.' ? '_' : character;
                           return name;
                         });

// --- against qemu ---

// Runs the record {operation, mode, a, b, c} that it reads and writes {value, flags}, until the end of its input.
std::string guest_source() {
  std::string source =
      "#include <stdint.h>\n#include <stdio.h>\n"
      "int main(void) {\n"
      "  uint64_t in[5], out[2];\n"
      "  while (fread(in, sizeof in, 1, stdin) == 1) {\n"
      "    switch (in[0]) {\n";
  for (std::size_t index = 0; index < operations().size(); ++index) {
    const Operation& operation = operations()[index];
    const bool in_register = operation.result == Operand::kWord || operation.result == Operand::kLong;
    source += "      case " + std::to_string(index) +
              ": asm volatile(\"csrw fcsr, zero\\n fsrm %[mode]\\n fmv.d.x fa0, %[a]\\n fmv.d.x fa1, %[b]\\n"
              " fmv.d.x fa2, %[c]\\n " +
              operation.guest + (in_register ? "" : "\\n fmv.x.d %[value], fa0") +
              "\\n frflags %[flags]\" : [value] \"=&r\"(out[0]), [flags] \"=&r\"(out[1])"
              " : [mode] \"r\"(in[1]), [a] \"r\"(in[2]), [b] \"r\"(in[3]), [c] \"r\"(in[4]) : \"fa0\", \"fa1\", "
              "\"fa2\"); break;\n";
  }
  return source + "    }\n    fwrite(out, sizeof out, 1, stdout);\n  }\n  return 0;\n}\n";
}

struct Case {
  std::size_t operation;
  RoundingMode mode;
  Operands operands;
};

// Corners, thinned out, and random operands, each in all five modes.
std::vector<Case> cases_for_qemu() {
  std::vector<Case> cases;
  for (std::size_t index = 0; index < operations().size(); ++index) {
    std::vector<Operands> all = corner_operands(operations()[index]);
    constexpr std::size_t kCorners = 3000;
    std::shuffle(all.begin(), all.end(), std::mt19937_64(kSeed));
    all.resize(std::min(all.size(), kCorners));
    OperandSource source(operations()[index]);
    for (unsigned count = 0; count < 5000; ++count) all.push_back(source.next());
    for (const Operands& operands : all) {
      for (RoundingMode mode : kModes) cases.push_back({index, mode, operands});
    }
  }
  return cases;
}

std::vector<std::uint8_t> records_of(const std::vector<Case>& cases) {
  std::vector<std::uint8_t> records;
  for (const Case& each : cases) {
    std::array<std::uint64_t, 5> record = {each.operation, static_cast<std::uint64_t>(each.mode)};
    for (std::size_t index = 0; index < 3; ++index) {
      const bool boxed = operations()[each.operation].operands[index] == Operand::kSingle;
      record[2 + index] = boxed ? each.operands[index] | 0xFFFFFFFF00000000 : each.operands[index];
    }
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(record.data());
    records.insert(records.end(), bytes, bytes + sizeof record);
  }
  return records;
}

TEST(SoftFloatAgainstQemu, AllModes) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  if (!test::output_of("command -v qemu-riscv64")) GTEST_SKIP() << "qemu-riscv64 is not installed (make deps)";
  const auto program = test::compile_guest({{"guest.c", guest_source()}}, {"-O1", "-static"});
  ASSERT_TRUE(program) << program.error().to_string();
  const std::vector<Case> cases = cases_for_qemu();
  const test::TemporaryFolder folder;
  const auto guest = folder.path() / "guest", input = folder.path() / "input", output = folder.path() / "output";
  test::write_file(guest, *program);
  std::filesystem::permissions(guest, std::filesystem::perms::owner_all);
  test::write_file(input, records_of(cases));
  const auto run =
      test::output_of("timeout 120 qemu-riscv64 " + guest.string() + " <" + input.string() + " >" + output.string());
  ASSERT_TRUE(run) << run.error().to_string();

  std::ifstream results(output, std::ios::binary);
  unsigned wrong = 0;
  for (const Case& each : cases) {
    std::array<std::uint64_t, 2> record{};
    ASSERT_TRUE(results.read(reinterpret_cast<char*>(record.data()), sizeof record));
    const Outcome theirs = {record[0], static_cast<std::uint32_t>(record[1])};
    const std::string problem = difference(operations()[each.operation], each.operands, each.mode, theirs);
    EXPECT_EQ(problem, "");
    if (!problem.empty() && ++wrong == 20) break;
  }
}

}  // namespace
}  // namespace caisson::riscv
