#include "generators/program_generator.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace caisson::fuzz {
namespace {

using riscv::Form;
using riscv::Op;
namespace traits = riscv::traits;

constexpr std::uint8_t kRa = 1, kSp = 2;
constexpr unsigned kMaximumSpan = 12;       // items that a branch jumps over: within the reach of c.beqz
constexpr unsigned kLoopDepth = 2;
constexpr unsigned kReservationGranule = 16;

constexpr std::uint64_t kIntegers[] = {0,
                                       1,
                                       2,
                                       3,
                                       7,
                                       31,
                                       32,
                                       63,
                                       64,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0x8000000000000001,
                                       0xffffffff80000000,
                                       0xffffffff7fffffff,
                                       0xfffffffffffffffe,
                                       0xffffffffffffffff,
                                       0x00ff00ff00ff00ff,
                                       0x8080808080808080,
                                       0x0102030405060708};
constexpr std::uint32_t kSingles[] = {0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff,
                                      0x40400000, 0x3f000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
                                      0x7f800001, 0xffbfffff, 0x7fc12345, 0x7f7fffff, 0xff7fffff, 0x00800000,
                                      0x80800000, 0x00000001, 0x807fffff, 0x33800000, 0x4effffff, 0x4f000000,
                                      0xcf000000, 0x4f800000, 0x5effffff, 0x5f000000, 0xdf000000, 0x5f800000};
constexpr std::uint64_t kDoubles[] = {
    0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x3ff0000000000001,
    0x3fefffffffffffff, 0x4008000000000000, 0x3fe0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
    0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0xfff7ffffffffffff, 0x7ff8123456789abc,
    0x7fefffffffffffff, 0xffefffffffffffff, 0x0010000000000000, 0x8010000000000000, 0x0000000000000001,
    0x800fffffffffffff, 0x3ca0000000000000, 0x41dfffffffc00000, 0x41e0000000000000, 0xc1e0000000000000,
    0x41f0000000000000, 0x43dfffffffffffff, 0x43e0000000000000, 0xc3e0000000000000, 0x43f0000000000000,
    0x47efffffe0000000, 0x47effffff0000000, 0x3690000000000000, 0x380fffffffffffff};

bool is_compressed(const riscv::InstructionInfo& row) { return row.has(traits::kCompressed); }

// Bytes that a load, store or atomic moves: funct3 of the base row, as all of them encode it.
unsigned access_width(Op row) { return 1u << (riscv::info(riscv::info(row).base).match >> 12 & 3); }

bool is_memory(const riscv::InstructionInfo& row) { return (row.traits & (traits::kLoad | traits::kStore)) != 0; }

// Rows that plain_item() may use with operands by form alone.
bool is_plain(const riscv::InstructionInfo& row) {
  if (row.op == Op::kFenceI) return true;
  if (row.op == Op::kIllegal || row.has(traits::kTerminator)) return false;
  if (row.op == Op::kLrW || row.op == Op::kLrD || row.op == Op::kScW || row.op == Op::kScD) return false;
  return row.form != Form::kCsr && row.form != Form::kCsrImmediate && row.form != Form::kCAddi16sp;
}

}  // namespace

ProgramGenerator::ProgramGenerator(std::uint64_t seed, GeneratorOptions options)
    : random_(seed), options_(std::move(options)) {
  for (const riscv::InstructionInfo& row : riscv::kInstructions) {
    if (std::ranges::find(options_.excluded, row.base) != options_.excluded.end()) continue;
    if (is_plain(row)) plain_rows_.push_back(row.op);
    if (row.form == Form::kB || row.form == Form::kJ || row.form == Form::kCBranch || row.form == Form::kCJump)
      branch_rows_.push_back(row.op);
    if (row.base == Op::kJalr) indirect_rows_.push_back(row.op);
  }
  for (std::uint8_t& favourite : favourites_) favourite = static_cast<std::uint8_t>(1 + below(31));
}

Program ProgramGenerator::next() {
  program_ = Program{};
  fill_state(program_);
  if (options_.control) {
    in_function_ = true;
    program_.functions.resize(below(3));
    for (Items& function : program_.functions) {
      for (std::uint64_t left = 1 + below(6); left > 0; --left) function.push_back(plain_item());
    }
    in_function_ = false;
  }
  Items items;
  add_items(items, options_.items, 0);
  program_.items = std::move(items);
  return program_;
}

// --- values ---

std::uint64_t ProgramGenerator::interesting_integer() {
  switch (below(4)) {
    case 0:
      return pick(kIntegers);
    case 1:
      return pick(kIntegers) + below(5) - 2;
    case 2:
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(random_()) >> below(64));
    default:
      return random_();
  }
}

// Numbers of similar magnitude make additions round and cancel.
std::uint32_t ProgramGenerator::interesting_single() {
  const auto random = static_cast<std::uint32_t>(random_());
  return one_in(2) ? pick(kSingles) : (random & 0x807fffff) | static_cast<std::uint32_t>(120 + below(16)) << 23;
}

std::uint64_t ProgramGenerator::interesting_double() {
  return one_in(2) ? pick(kDoubles) : (random_() & 0x800fffffffffffff) | (1015 + below(16)) << 52;
}

std::uint64_t ProgramGenerator::interesting_bits() {
  switch (below(8)) {
    case 0:
      return random_();
    case 1:
      return interesting_integer();
    case 2:
    case 3:
    case 4:
      return 0xffffffff00000000 | interesting_single();
    default:
      return interesting_double();
  }
}

void ProgramGenerator::fill_state(Program& program) {
  for (std::uint64_t& value : program.x) value = interesting_integer();
  for (std::uint64_t& value : program.f) value = interesting_bits();
  for (std::size_t offset = 0; offset < kDataBytes; offset += 8) {
    std::uint64_t value = one_in(2) ? interesting_integer() : interesting_bits();
    if (one_in(4)) value = std::uint64_t{interesting_single()} << 32 | interesting_single();
    std::memcpy(program.data.data() + offset, &value, sizeof value);
  }
  program.fcsr = static_cast<std::uint32_t>(below(5) << 5 | below(32));
  // Far enough from the end for the greatest offsets of c.ldsp and c.ld; not always aligned.
  program.sp_offset = static_cast<std::uint32_t>(one_in(4) ? below(500) : below(62) * 8);
  program.pointer_offset = static_cast<std::uint32_t>(one_in(4) ? below(760) : below(95) * 8);

  // Every register is reserved in some programs and free in most.
  program.reserved.pointer = static_cast<std::uint8_t>(8 + below(8));
  const auto unlike = [&](std::initializer_list<unsigned> taken) {
    std::uint8_t number;
    do {
      number = static_cast<std::uint8_t>(3 + below(29));
    } while (std::ranges::find(taken, number) != taken.end());
    return number;
  };
  Reservation& reserved = program.reserved;
  reserved.state = unlike({reserved.pointer});
  reserved.counters[0] = unlike({reserved.pointer, reserved.state});
  reserved.counters[1] = unlike({reserved.pointer, reserved.state, reserved.counters[0]});
}

// --- registers and immediates ---

bool ProgramGenerator::is_reserved(unsigned number) const {
  const Reservation& reserved = program_.reserved;
  return number == kSp || number == reserved.state || number == reserved.pointer || number == reserved.counters[0] ||
         number == reserved.counters[1] || (in_function_ && number == kRa);
}

std::uint8_t ProgramGenerator::destination(bool must_not_be_zero) {
  std::uint8_t number;
  do {
    number = any_register();
  } while (is_reserved(number) || (must_not_be_zero && number == 0));
  return number;
}

std::uint8_t ProgramGenerator::short_destination() {
  std::uint8_t number;
  do {
    number = static_cast<std::uint8_t>(8 + below(8));
  } while (is_reserved(number));
  return number;
}

std::int32_t ProgramGenerator::twelve_bits() {
  constexpr std::int32_t kEnds[] = {-2048, -1, 0, 1, 2047};
  return one_in(4) ? pick(kEnds) : static_cast<std::int32_t>(below(4096)) - 2048;
}

// Immediates of plain forms without memory; any that the form can express.
std::int32_t ProgramGenerator::random_immediate(Form form) {
  const auto six_bits = [&] { return static_cast<std::int32_t>(below(64)) - 32; };
  switch (form) {
    case Form::kI:
      return twelve_bits();
    case Form::kU:
      return static_cast<std::int32_t>(random_() & 0xfffff000);
    case Form::kShift:
    case Form::kCShift:
    case Form::kCShiftShort:
      return static_cast<std::int32_t>(below(64));
    case Form::kShiftW:
      return static_cast<std::int32_t>(below(32));
    case Form::kCAddi:
    case Form::kCLi:
    case Form::kCAndi:
      return six_bits();
    case Form::kCLui: {
      const std::int32_t upper = six_bits();
      return (upper == 0 ? 1 : upper) * 4096;
    }
    case Form::kCAddi4spn:
      return static_cast<std::int32_t>(1 + below(255)) * 4;
    default:
      return 0;
  }
}

void ProgramGenerator::fill_operands(Instruction& instruction) {
  const riscv::InstructionInfo& row = info(instruction);
  const bool short_registers = row.form == Form::kCShiftShort || row.form == Form::kCAndi ||
                               row.form == Form::kCArithmetic || row.form == Form::kCAddi4spn;
  if (row.has(traits::kWritesRd)) {
    instruction.rd = row.has(traits::kFloatRd) ? any_register()
                     : short_registers         ? short_destination()
                                       // Compressed forms give x0 another meaning.
                                       : destination(is_compressed(row));
  }
  if (row.has(traits::kReadsRs1)) instruction.rs1 = is_compressed(row) ? instruction.rd : any_register();
  if (row.has(traits::kReadsRs2)) {
    instruction.rs2 = short_registers ? static_cast<std::uint8_t>(8 + below(8)) : any_register();
    if (is_compressed(row) && instruction.rs2 == 0) instruction.rs2 = kSp;
  }
  if (row.has(traits::kReadsRs3)) instruction.rs3 = any_register();
  if (row.has(traits::kRoundingMode)) instruction.rm = static_cast<std::uint8_t>(one_in(2) ? 7 : below(5));
  // A predecessor at least: without, some encodings are pause.
  if (row.form == Form::kFence) instruction.ordering = static_cast<std::uint8_t>(below(256) | 0x20);
  instruction.imm = random_immediate(row.form);
}

Instruction ProgramGenerator::point_to(std::uint8_t rd, std::int32_t data_offset) {
  const bool from_sp = one_in(2);
  const std::uint32_t base_offset = from_sp ? program_.sp_offset : program_.pointer_offset;
  return {.row = Op::kAddi,
          .rd = rd,
          .rs1 = from_sp ? kSp : program_.reserved.pointer,
          .imm = data_offset - static_cast<std::int32_t>(base_offset)};
}

// --- items ---

void ProgramGenerator::add_items(Items& items, unsigned count, unsigned depth) {
  for (unsigned i = 0; i < count; ++i) {
    const std::uint64_t choice = below(100);
    if (choice < 3) {
      add_reservation_pair(items);
    } else if (choice >= 80) {
      add_dependent_pair(items);
    } else if (choice < 7) {
      items.push_back(csr_item());
    } else if (choice < 17 && options_.control) {
      items.push_back(one_in(4) ? indirect_item() : branch_item());
    } else if (choice < 19 && options_.control && !program_.functions.empty()) {
      Item call{.kind = ItemKind::kCall};
      call.span = static_cast<std::uint32_t>(below(program_.functions.size()));
      call.instruction.row = one_in(2) ? Op::kJal : Op::kJalr;
      // The call would overwrite a reserved ra.
      items.push_back(is_reserved(kRa) ? plain_item() : call);
    } else if (choice < 22 && options_.control && depth < kLoopDepth) {
      add_loop(items, depth);
    } else {
      items.push_back(plain_item());
    }
  }
}

void ProgramGenerator::add_loop(Items& items, unsigned depth) {
  Item begin{.kind = ItemKind::kLoopBegin};
  begin.counter = static_cast<std::uint8_t>(depth);
  begin.span = static_cast<std::uint32_t>(1 + below(depth == 0 ? 40 : 8));
  items.push_back(begin);
  add_items(items, static_cast<unsigned>(3 + below(12)), depth + 1);
  begin.kind = ItemKind::kLoopEnd;
  begin.span = 0;
  items.push_back(begin);
}

Item ProgramGenerator::plain_item() {
  const Op row = pick(plain_rows_);
  if (riscv::info(row).has(traits::kAtomic))
    return atomic_item(row, static_cast<std::uint32_t>(below(kDataBytes / 8) * 8));
  if (is_memory(riscv::info(row))) return memory_item(row);
  Item item;
  item.instruction.row = row;
  fill_operands(item.instruction);
  return item;
}

Item ProgramGenerator::branch_item() {
  Item item{.kind = ItemKind::kBranch};
  item.span = static_cast<std::uint32_t>(below(kMaximumSpan));
  item.instruction.row = pick(branch_rows_);
  const bool compressed = is_compressed(info(item.instruction));
  if (info(item.instruction).has(traits::kWritesRd) && !compressed) item.instruction.rd = destination(false);
  if (info(item.instruction).has(traits::kReadsRs1)) {
    item.instruction.rs1 = compressed ? static_cast<std::uint8_t>(8 + below(8)) : any_register();
    if (!compressed) item.instruction.rs2 = any_register();
  }
  return item;
}

Item ProgramGenerator::indirect_item() {
  Item item{.kind = ItemKind::kIndirect};
  item.span = static_cast<std::uint32_t>(below(kMaximumSpan));
  item.instruction.row = pick(indirect_rows_);
  // c.jalr links to ra whatever that is reserved for.
  if (item.instruction.row == Op::kCJalr && is_reserved(kRa)) item.instruction.row = Op::kCJr;
  item.instruction.rs1 = destination(true);
  item.instruction.rd = one_in(3) ? item.instruction.rs1 : destination(false);
  item.instruction.imm = static_cast<std::int32_t>(below(2));  // bit 0 of the target, to be ignored
  return item;
}

// Accesses that leave frm at 0 … 4; what reserved modes do is a matter of the spec cases.
Item ProgramGenerator::csr_item() {
  constexpr Op kRegisterForms[] = {Op::kCsrrw, Op::kCsrrs, Op::kCsrrc};
  constexpr Op kImmediateForms[] = {Op::kCsrrwi, Op::kCsrrsi, Op::kCsrrci};
  Item item;
  Instruction& instruction = item.instruction;
  instruction.rd = destination(false);
  instruction.rs1 = any_register();
  switch (below(5)) {
    case 0:  // any access to the flags
      instruction.row = one_in(2) ? pick(kRegisterForms) : pick(kImmediateForms);
      instruction.imm = static_cast<std::int32_t>(riscv::Csr::kFflags);
      break;
    case 1:
      instruction.row = Op::kCsrrwi;
      instruction.imm = static_cast<std::int32_t>(riscv::Csr::kFrm);
      instruction.rs1 = static_cast<std::uint8_t>(below(5));
      break;
    case 2: {  // a register with nothing but flags and a mode of 0 … 3, or of 0 and 4
      const std::uint8_t source = destination(true);
      item.setup.push_back({.row = Op::kAndi, .rd = source, .rs1 = any_register(), .imm = one_in(2) ? 0x7f : 0x9f});
      instruction.row = Op::kCsrrw;
      instruction.rs1 = source;
      instruction.imm = static_cast<std::int32_t>(riscv::Csr::kFcsr);
      break;
    }
    case 3:  // clearing bits of the mode leaves a valid one
      instruction.row = one_in(2) ? Op::kCsrrc : Op::kCsrrci;
      instruction.imm = static_cast<std::int32_t>(one_in(2) ? riscv::Csr::kFcsr : riscv::Csr::kFrm);
      break;
    default:  // reads
      instruction.row = Op::kCsrrs;
      instruction.rs1 = 0;
      instruction.imm = static_cast<std::int32_t>(1 + below(3));
      break;
  }
  return item;
}

// Loads and stores that hit the data: from sp or the pointer, directly or by way of a register.
Item ProgramGenerator::memory_item(Op row) {
  Item item;
  Instruction& instruction = item.instruction;
  instruction.row = row;
  const riscv::InstructionInfo& described = riscv::info(row);
  const unsigned width = access_width(row);
  const bool short_registers = described.form == Form::kCLoadWord || described.form == Form::kCLoadDouble ||
                               described.form == Form::kCStoreWord || described.form == Form::kCStoreDouble;
  const bool float_rd = described.has(traits::kFloatRd);
  if (short_registers) {
    instruction.rd = float_rd ? static_cast<std::uint8_t>(8 + below(8)) : short_destination();
    instruction.rs2 = static_cast<std::uint8_t>(8 + below(8));
  } else {
    instruction.rd = float_rd ? any_register() : destination(is_compressed(described));
    instruction.rs2 = any_register();
  }

  if (is_compressed(described)) {
    instruction.rs1 = short_registers ? program_.reserved.pointer : kSp;
    const unsigned offsets = short_registers ? 32 : 64;  // that the form can express, in units of the width
    instruction.imm = static_cast<std::int32_t>(below(offsets) * width);
    return item;
  }
  const std::uint64_t last = kDataBytes - width;
  const auto target = static_cast<std::int32_t>(one_in(3) ? below(last + 1) : below(last / width + 1) * width);
  if (one_in(2)) {
    const Instruction pointer = point_to(0, target);
    instruction.rs1 = pointer.rs1;
    instruction.imm = pointer.imm;
  } else {
    instruction.rs1 = destination(true);
    instruction.imm = static_cast<std::int32_t>(below(1024)) - 512;
    item.setup.push_back(point_to(instruction.rs1, target - instruction.imm));
  }
  return item;
}

Item ProgramGenerator::atomic_item(Op row, std::uint32_t data_offset) {
  Item item;
  item.instruction.row = row;
  item.instruction.rd = destination(false);
  item.instruction.rs1 = destination(true);
  item.instruction.rs2 = any_register();
  item.instruction.ordering = static_cast<std::uint8_t>(below(4));
  item.setup.push_back(point_to(item.instruction.rs1, static_cast<std::int32_t>(data_offset)));
  return item;
}

// LR and, some items later, SC of the same width, mostly to the same address. The two widths have places of their own, since
// qemu-riscv64 7.2 lets an SC succeed whose width is not that of the LR.
void ProgramGenerator::add_reservation_pair(Items& items) {
  const bool wide = one_in(2);
  const auto place = [&] {
    return static_cast<std::uint32_t>(below(kDataBytes / kReservationGranule) * kReservationGranule + (wide ? 8 : 0));
  };
  const std::uint32_t reserved = place();
  items.push_back(atomic_item(wide ? Op::kLrD : Op::kLrW, reserved));
  for (std::uint64_t left = below(4); left > 0; --left) items.push_back(plain_item());
  items.push_back(atomic_item(wide ? Op::kScD : Op::kScW, one_in(5) ? place() : reserved));
}

// Two instructions of which the second uses what the first computes, often in place: the pairs that compilers emit and that
// tiers like to treat as one. They are items of their own, so that branches go between them, too.
void ProgramGenerator::add_dependent_pair(Items& items) {
  constexpr Op kFirst[] = {Op::kLui,   Op::kAuipc, Op::kSlli, Op::kAddi, Op::kAddiw, Op::kAndi, Op::kSltu,
                           Op::kCAddi, Op::kCSlli, Op::kCLi,  Op::kCMv,  Op::kAdd,   Op::kMul};
  constexpr Op kFirstLoads[] = {Op::kLd, Op::kLw, Op::kLbu, Op::kCLdsp};
  constexpr Op kSecond[] = {Op::kAddi, Op::kAddiw, Op::kAdd,   Op::kSrli,   Op::kSrai, Op::kSlli,
                            Op::kAnd,  Op::kSub,   Op::kCAddi, Op::kCAddiw, Op::kCAdd, Op::kCSlli};
  Item first;
  do {
    first = one_in(5) ? memory_item(pick(kFirstLoads)) : Item{.instruction = {.row = pick(kFirst)}};
    if (first.setup.empty() && !is_memory(info(first.instruction))) fill_operands(first.instruction);
  } while (first.instruction.rd == 0);
  const std::uint8_t result = first.instruction.rd;
  if (first.setup.empty() && !is_memory(info(first.instruction)) && one_in(2)) first.instruction.rs1 = result;
  items.push_back(first);

  if (options_.control && one_in(3)) {
    Item branch = branch_item();
    if (info(branch.instruction).form == Form::kB) {
      branch.instruction.rs1 = result;
      if (one_in(2)) branch.instruction.rs2 = 0;
      if (one_in(3)) std::swap(branch.instruction.rs1, branch.instruction.rs2);
    }
    items.push_back(branch);
    return;
  }
  Item second{.instruction = {.row = pick(kSecond)}};
  fill_operands(second.instruction);
  const bool in_place = is_compressed(info(second.instruction)) || !one_in(4);
  if (in_place) second.instruction.rd = result;
  second.instruction.rs1 = result;
  if (!is_compressed(info(second.instruction)) && one_in(3)) std::swap(second.instruction.rs1, second.instruction.rs2);
  items.push_back(second);
}

}  // namespace caisson::fuzz
