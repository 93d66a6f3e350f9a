#include "oracles/tier_guest.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "gas/gas_schedule.h"
#include "generators/encoder.h"
#include "generators/overlapping_code.h"
#include "generators/random.h"
#include "isa/riscv/decoder.h"
#include "isa/riscv/hart_state.h"

namespace caisson::fuzz {
namespace {

using memory::kPageSize;
using riscv::Op;
namespace traits = riscv::traits;

// The table's row and the operands of one instruction, for Header::chooses_rows().
struct RowChoice {
  std::uint16_t row;
  std::uint8_t rd, rs1, rs2, rs3;  // five bits each, and three for other operands
  std::uint16_t immediate;
};
static_assert(sizeof(RowChoice) == 8);

constexpr std::uint64_t kIntegers[] = {0,
                                       1,
                                       63,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0xffffffff80000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xffffffffffffffff,
                                       0xffff0000,
                                       0xfffffffe,
                                       0x10000,
                                       0xffff,
                                       0x100000000 + kDataAddress,
                                       0xffffffff00000000 + kDataAddress};
constexpr std::uint64_t kFloats[] = {0xffffffff3f800000, 0xffffffff7f800000, 0xffffffff7fc00000, 0xffffffff7f800001,
                                     0xffffffff00000001, 0xffffffff80800000, 0xffffffff7f7fffff, 0xffffffffcf000000,
                                     0x3ff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
                                     0x0000000000000001, 0x8010000000000000, 0x7fefffffffffffff, 0xc3e0000000000000,
                                     0x8000000000000000, 0x3ff0000000000001, 0x380fffffffffffff, 0x41dfffffffc00000};

std::uint64_t random_integer(Random& random) {
  switch (random.below(3)) {
    case 0:
      return kIntegers[random.below(std::size(kIntegers))];
    case 1:
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(random.next()) >> random.below(64));
    default:
      return random.next();
  }
}

std::uint64_t data_pointer(Random& random) {
  switch (random.below(8)) {
    case 0:  // around the border of two pages
      return kDataAddress + kPageSize - 8 + random.below(16);
    case 1:  // around the border to the page behind the file's end
      return kFileAddress + kPageSize - 64 + random.below(128);
    case 2:
      return kFileAddress + random.below(64) * 8;
    default:
      return kDataAddress + kPageSize / 2 + random.below(256) * 8;
  }
}

void fill_registers(const Guest& guest, Random& random, std::array<std::uint64_t, 32>& x,
                    std::array<std::uint64_t, 32>& f) {
  const auto code_pointer = [&] { return kCodeAddress + guest.code_begin + random.below(64) * 2; };
  for (unsigned i = 1; i < 32; ++i) {
    const bool is_pointer = i == riscv::kSp || (i >= 8 && i < 16);
    const bool is_link = i == riscv::kRa || (i >= 5 && i < 8) || (guest.header.points_at_code() && i % 2 == 0);
    x[i] = is_link ? code_pointer() : is_pointer ? data_pointer(random) : random_integer(random);
  }
  for (std::uint64_t& value : f)
    value = random.below(4) == 0 ? random.next() : kFloats[random.below(std::size(kFloats))];
}

void fill_state(Guest& guest) {
  Random random(guest.header.seed);
  fill_registers(guest, random, guest.x, guest.f);
  for (std::size_t offset = 0; offset < guest.data.size(); offset += 8) {
    const std::uint64_t value = random.next();
    std::memcpy(guest.data.data() + offset, &value, sizeof value);
  }
}

// Operands that seldom fault and seldom leave the code. Not every choice is an encoding of its row, or of any.
std::uint32_t encode_choice(const RowChoice& choice) {
  const auto row = static_cast<Op>(1 + choice.row % (riscv::kOpCount - 1));
  Instruction instruction{.row = row};
  const riscv::InstructionInfo& info = fuzz::info(instruction);
  const bool is_memory = (info.traits & (traits::kLoad | traits::kStore)) != 0;
  const auto five = [](std::uint8_t byte) { return static_cast<std::uint8_t>(byte & 31); };
  instruction.rd = five(choice.rd);
  instruction.rs1 = five(choice.rs1);
  instruction.rs2 = five(choice.rs2);
  instruction.rs3 = five(choice.rs3);
  const unsigned mode = choice.rd >> 5;
  instruction.rm = static_cast<std::uint8_t>(mode == 5 && (choice.rs1 & 0x80) == 0 ? 7 : mode);
  instruction.ordering = choice.rs3;
  instruction.imm = static_cast<std::int16_t>(choice.immediate);

  // x8 … x15 point at data and x5 … x7 at code, unless a byte's highest bit says otherwise.
  const bool writes_integer = info.has(traits::kWritesRd) && !info.has(traits::kFloatRd);
  if (writes_integer && !is_memory && (choice.rs2 & 0x80) == 0 && instruction.rd >= 8 && instruction.rd < 16 &&
      !info.has(traits::kCompressed))
    instruction.rd ^= 16;
  if (is_memory && (choice.rs1 & 0x80) == 0) instruction.rs1 = static_cast<std::uint8_t>(8 | (instruction.rs1 & 7));
  if (info.base == Op::kJalr && (choice.rs1 & 0x80) == 0) {
    instruction.rs1 = static_cast<std::uint8_t>(5 + instruction.rs1 % 3);
    instruction.imm = static_cast<std::int8_t>(choice.immediate) & ~1;
  }

  constexpr std::uint16_t kCsrs[] = {0x001, 0x002, 0x003, 0xC00, 0xC01, 0xC02};
  switch (info.form) {
    case riscv::Form::kB:
    case riscv::Form::kJ:
    case riscv::Form::kCBranch:
    case riscv::Form::kCJump:
      instruction.imm = static_cast<std::int8_t>(choice.immediate) * 2;
      break;
    case riscv::Form::kCsr:
    case riscv::Form::kCsrImmediate:
      instruction.imm = kCsrs[choice.immediate % std::size(kCsrs)];
      break;
    case riscv::Form::kU:
    case riscv::Form::kCLui:
      instruction.imm = static_cast<std::int32_t>(std::uint32_t{choice.immediate} << 12);
      break;
    case riscv::Form::kAtomic:
    case riscv::Form::kLoadReserved:
      instruction.ordering = choice.rs3 & 3;
      break;
    default:
      break;
  }
  return encode(instruction);
}

// Behind `code`, which is what was generated.
std::vector<std::uint8_t> code_of(const Header& header, std::span<const std::uint8_t> input,
                                  std::vector<std::uint8_t> code) {
  if (!header.chooses_rows()) {
    code.insert(code.end(), input.begin(), input.end());
  } else {
    for (; input.size() >= sizeof(RowChoice); input = input.subspan(sizeof(RowChoice))) {
      RowChoice choice;
      std::memcpy(&choice, input.data(), sizeof choice);
      const std::uint32_t bits = encode_choice(choice);
      const std::size_t length = riscv::instruction_length(static_cast<std::uint16_t>(bits));
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&bits);
      code.insert(code.end(), bytes, bytes + length);
    }
  }
  if (code.size() % 2 != 0) code.push_back(0);
  if (code.empty()) code = {0x02, 0x90};  // c.ebreak
  if (code.size() > kCodeBytes) code.resize(kCodeBytes);
  return code;
}

// Takes the first bytes of the input; what is missing is zero.
template <typename Fields>
Fields take(std::span<const std::uint8_t>& input) {
  Fields fields{};
  const std::size_t size = std::min(input.size(), sizeof fields);
  if (size != 0) std::memcpy(&fields, input.data(), size);
  input = input.subspan(size);
  return fields;
}

// Half of the places lie around a joint, if there is any: that is where the earlier and the later code meet.
std::size_t place_of(std::uint16_t place, std::size_t half_words, std::span<const std::size_t> joints) {
  if (joints.empty() || (place & 0x8000) == 0) return place % half_words;
  constexpr std::size_t kAround = 4;
  const std::size_t joint = joints[place % 4096U % joints.size()] / 2 + half_words - kAround;
  return (joint + (place >> 12 & 7U)) % half_words;
}

Entry entry_of(const Guest& guest, const EntryChoice& choice, std::span<const std::size_t> joints) {
  const std::size_t half_words = (guest.code_end - guest.code_begin) / 2;
  const std::uint64_t begin = kCodeAddress + guest.code_begin;
  const std::size_t place = place_of(choice.place, half_words, joints);
  Entry entry{.pc = begin + place * 2,
              .gas = 16 + std::uint64_t{choice.gas} * 6,
              .goes_on = (choice.before & 0x80) != 0,
              .keeps_registers = choice.seed == 0};
  if (guest.portion != 0) entry.gas = std::min(entry.gas, 50 + 16 * guest.portion);
  Random random(choice.seed);
  fill_registers(guest, random, entry.x, entry.f);
  if ((choice.before & 4) == 0) return entry;
  // What changes lies around the entry, mostly behind it; nothing straddles a page, for whose sake both would have to be made writable.
  constexpr std::size_t kMostChanged = 16;
  const auto within_page = [](std::uint64_t address) {
    return address % kPageSize > kPageSize - kMostChanged ? address - kMostChanged : address;
  };
  entry.change = static_cast<HostChange>(choice.before & 7);
  entry.change_address = within_page(begin + (place + (choice.change & 31U)) % half_words * 2);
  entry.change_from = within_page(begin + (place + (choice.change >> 5)) % half_words * 2);
  entry.change_bits = static_cast<std::uint32_t>(Random(choice.change).next());
  if (entry.change == HostChange::kWord) {
    const OverlappingCode word = overlapping_code(choice.change, sizeof entry.change_bits, choice.change & 255);
    std::memcpy(&entry.change_bits, word.bytes.data(), sizeof entry.change_bits);
  }
  return entry;
}

}  // namespace

Guest guest_of(std::span<const std::uint8_t> input) {
  Guest guest;
  Header& header = guest.header;
  header = take<Header>(input);
  std::vector<EntryChoice> choices;
  OverlappingCode generated;
  SequenceHeader sequence{};
  if (header.has_entries()) {
    sequence = take<SequenceHeader>(input);
    choices.resize(1 + sequence.entry_count % kMostEntries);
    for (EntryChoice& choice : choices) choice = take<EntryChoice>(input);
    generated = overlapping_code(header.seed, std::size_t{sequence.code_length} * 8, sequence.code_shape);
  }
  const std::vector<std::uint8_t> code = code_of(header, input, std::move(generated.bytes));

  // Half of the places lie around the end of the first page, so that instructions straddle.
  const std::size_t room = kCodeBytes - code.size();
  const std::size_t wanted = (header.place & 1) != 0 ? kPageSize - header.place / 2 % 128 : header.place / 2 % room;
  guest.code_begin = room == 0 ? 0 : std::min(wanted, room) / 2 * 2;
  guest.code_end = guest.code_begin + code.size();
  std::ranges::copy(code, guest.code.begin() + static_cast<std::ptrdiff_t>(guest.code_begin));
  for (std::size_t at = guest.code_end; header.tiles() && at < kCodeBytes; ++at)
    guest.code[at] = code[(at - guest.code_begin) % code.size()];

  constexpr memory::Permissions kChoices[] = {memory::kRead | memory::kExecute,
                                              memory::kRead | memory::kWrite | memory::kExecute,
                                              memory::kRead | memory::kExecute, memory::kRead};
  for (std::size_t page = 0; page < kCodePages; ++page)
    guest.permissions[page] = kChoices[header.pages >> 2 * page & 3];

  guest.entry = kCodeAddress + guest.code_begin + header.entry % (code.size() / 2) * 2;
  guest.gas = 500 + std::uint64_t{header.gas} * 64;
  constexpr std::uint64_t kPortions[] = {0, 0, 1, 2, 5, 13, 60, 250};
  guest.portion = kPortions[header.portion % std::size(kPortions)] * (1 + header.portion / std::size(kPortions) % 4);
  if (guest.portion != 0) guest.gas = std::min(guest.gas, 500 + 64 * guest.portion);
  // A slice that is shorter than a block may end without any progress.
  guest.slice = gas::dearest_block() + std::uint64_t{header.slice} * 4;
  fill_state(guest);
  for (const EntryChoice& choice : choices) guest.entries.push_back(entry_of(guest, choice, generated.joints));
  if ((sequence.rounds & 1) != 0) {
    const std::vector<Entry> once = guest.entries;
    guest.entries.insert(guest.entries.end(), once.begin(), once.end());
  }
  return guest;
}

std::string describe(const Guest& guest) {
  std::string text =
      fmt::format("entry {:#x} gas {} portion {} slice {} frm/fflags {:#x} mode {:#x} pages", guest.entry, guest.gas,
                  guest.portion, guest.slice, guest.header.fcsr, guest.header.mode);
  for (const memory::Permissions permissions : guest.permissions) text += fmt::format(" {}", permissions);
  text += '\n';
  for (const Entry& entry : guest.entries) {
    text += fmt::format("  run: pc {:#x} gas {}{}{} change {} {:#x} {:#x} {:#x}\n", entry.pc, entry.gas,
                        entry.goes_on ? " goes on" : "", entry.keeps_registers ? " keeps registers" : "",
                        static_cast<int>(entry.change), entry.change_address, entry.change_from, entry.change_bits);
  }
  for (unsigned i = 0; i < 32; ++i) text += fmt::format("  x{:<2} {:016x}{}", i, guest.x[i], i % 4 == 3 ? "\n" : "");
  for (std::size_t at = guest.code_begin; at < guest.code_end;) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, guest.code.data() + at, std::min<std::size_t>(4, kCodeBytes - at));
    const std::size_t length = riscv::instruction_length(static_cast<std::uint16_t>(bits));
    if (length == 2) bits &= 0xffff;
    text += fmt::format("  {:x}: {:0{}x}  {}\n", kCodeAddress + at, bits, length * 2,
                        riscv::disassemble(bits, kCodeAddress + at));
    at += length;
  }
  return text;
}

}  // namespace caisson::fuzz
