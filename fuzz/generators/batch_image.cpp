#include "generators/batch_image.h"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace caisson::fuzz {
namespace {

using riscv::Op;

constexpr std::uint64_t kCodeAddress = 0x100000;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint8_t kRa = 1, kSp = 2, kA0 = 10, kA1 = 11, kA2 = 12, kA7 = 17;
constexpr std::int32_t kWrite = 64, kExit = 93;  // Linux system calls

// Bytes of the executable part, with instructions appended at the end.
class Code {
 public:
  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size()); }

  void add(const Instruction& instruction) {
    const std::uint32_t bits = encode(instruction);
    for (unsigned i = 0; i < encoded_length(instruction.row); ++i)
      bytes_.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
  }

  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

unsigned length(const Item& item) {
  unsigned bytes = 0;
  for (const Instruction& instruction : item.setup) bytes += encoded_length(instruction.row);
  switch (item.kind) {
    case ItemKind::kPlain:
    case ItemKind::kBranch:
      return bytes + encoded_length(item.instruction.row);
    case ItemKind::kIndirect:
      return item.instruction.row == Op::kJalr ? 8 : 8 + encoded_length(item.instruction.row);
    case ItemKind::kLoopBegin:
      return 4;
    case ItemKind::kLoopEnd:
      return 8;
    case ItemKind::kCall:
      return item.instruction.row == Op::kJalr ? 8 : 4;
  }
  return 0;
}

// The item to which a branch at `index` goes: over `span` items, but not out of its loop (then to the loop's end) and not into
// another one (then to its begin). So no branch skips a counter's setting or counting.
std::size_t branch_target(const Items& items, std::size_t index) {
  std::size_t target = index + 1, outermost_begin = 0;
  unsigned depth = 0;
  for (std::uint32_t left = items[index].span; target < items.size(); ++target) {
    const ItemKind kind = items[target].kind;
    if (depth == 0 && (left == 0 || kind == ItemKind::kLoopEnd)) break;
    if (left == 0) return outermost_begin;
    if (kind == ItemKind::kLoopBegin && depth++ == 0) outermost_begin = target;
    if (kind == ItemKind::kLoopEnd) --depth;
    --left;
  }
  return target;
}

Result<void> unreachable() { return caisson::fail(ErrorCode::kInvalidArgument, "a branch does not reach its target"); }

class ProgramLayout {
 public:
  ProgramLayout(Code& code, const Program& program) : code_(code), program_(program) {}

  void add_functions() {
    std::uint32_t all = 0;
    for (const Items& function : program_.functions) {
      for (const Item& item : function) all += length(item);
      all += return_length(function_starts_.size());
      function_starts_.push_back(0);
    }
    if (all == 0) return;
    code_.add({.row = Op::kJal, .imm = static_cast<std::int32_t>(4 + all)});
    for (std::size_t i = 0; i < program_.functions.size(); ++i) {
      function_starts_[i] = code_.size();
      for (const Item& item : program_.functions[i]) add_instructions(item);
      code_.add({.row = return_length(i) == 2 ? Op::kCJr : Op::kJalr, .rs1 = kRa});
    }
  }

  Result<void> add_items() {
    const Items& items = program_.items;
    std::vector<std::int64_t> starts{code_.size()};
    for (const Item& item : items) starts.push_back(starts.back() + length(item));
    std::vector<std::size_t> loops;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Item& item = items[i];
      const auto forward = [&] { return static_cast<std::int32_t>(starts[branch_target(items, i)] - starts[i]); };
      switch (item.kind) {
        case ItemKind::kPlain:
          add_instructions(item);
          break;
        case ItemKind::kBranch:
          if (!reaches(item.instruction.row, forward())) return unreachable();
          add_with_immediate(item.instruction, forward());
          break;
        case ItemKind::kIndirect:
          add_indirect(item.instruction, forward());
          break;
        case ItemKind::kLoopBegin:
          loops.push_back(i + 1);
          code_.add({.row = Op::kAddi, .rd = counter(item), .imm = static_cast<std::int32_t>(item.span)});
          break;
        case ItemKind::kLoopEnd: {
          if (loops.empty()) return caisson::fail(ErrorCode::kInvalidArgument, "a loop ends that did not begin");
          const auto back = static_cast<std::int32_t>(starts[loops.back()] - starts[i] - 4);
          if (!reaches(Op::kBne, back)) return unreachable();
          loops.pop_back();
          code_.add({.row = Op::kAddi, .rd = counter(item), .rs1 = counter(item), .imm = -1});
          code_.add({.row = Op::kBne, .rs1 = counter(item), .imm = back});
          break;
        }
        case ItemKind::kCall:
          if (item.span >= function_starts_.size())
            return caisson::fail(ErrorCode::kInvalidArgument, "a call without a function");
          add_call(item.instruction.row, static_cast<std::int32_t>(function_starts_[item.span] - starts[i]));
          break;
      }
    }
    return {};
  }

 private:
  static unsigned return_length(std::size_t function) { return function % 2 == 0 ? 4 : 2; }

  static bool reaches(Op row, std::int32_t distance) {
    const std::int32_t reach = row == Op::kJal                                    ? 1 << 20
                               : row == Op::kCJ                                   ? 2048
                               : riscv::info(row).has(riscv::traits::kCompressed) ? 256
                                                                                  : 4096;
    return distance >= -reach && distance < reach;
  }

  std::uint8_t counter(const Item& item) const { return program_.reserved.counters[item.counter]; }

  void add_instructions(const Item& item) {
    for (const Instruction& instruction : item.setup) code_.add(instruction);
    code_.add(item.instruction);
  }

  void add_with_immediate(Instruction instruction, std::int32_t immediate) {
    instruction.imm = immediate;
    code_.add(instruction);
  }

  // auipc is the item's first instruction, so its value is what distances count from.
  void add_indirect(const Instruction& jump, std::int32_t distance) {
    code_.add({.row = Op::kAuipc, .rd = jump.rs1});
    if (jump.row == Op::kJalr) {
      add_with_immediate(jump, distance | (jump.imm & 1));
    } else {
      code_.add({.row = Op::kAddi, .rd = jump.rs1, .rs1 = jump.rs1, .imm = distance | (jump.imm & 1)});
      code_.add(jump);
    }
  }

  void add_call(Op row, std::int32_t distance) {
    if (row == Op::kJal) return code_.add({.row = Op::kJal, .rd = kRa, .imm = distance});
    const auto upper = static_cast<std::int32_t>(static_cast<std::uint32_t>(distance + 0x800) & 0xfffff000);
    code_.add({.row = Op::kAuipc, .rd = kRa, .imm = upper});
    code_.add({.row = Op::kJalr, .rd = kRa, .rs1 = kRa, .imm = distance - upper});
  }

  Code& code_;
  const Program& program_;
  std::vector<std::int64_t> function_starts_;
};

std::int32_t slot(unsigned number) { return static_cast<std::int32_t>(number * 8); }
constexpr std::int32_t kFloats = offsetof(Record, f), kFcsr = offsetof(Record, fcsr);

// state = address of the record; then all of it into the registers, the integer ones last.
void add_prologue(Code& code, std::uint8_t state, std::uint64_t record) {
  const auto upper = static_cast<std::int32_t>((record + 0x800) & 0xfffff000);
  code.add({.row = Op::kLui, .rd = state, .imm = upper});
  code.add({.row = Op::kAddi, .rd = state, .rs1 = state, .imm = static_cast<std::int32_t>(record) - upper});
  for (std::uint8_t i = 0; i < 32; ++i) code.add({.row = Op::kFld, .rd = i, .rs1 = state, .imm = kFloats + slot(i)});
  const std::uint8_t temporary = state == kRa ? kSp : kRa;
  code.add({.row = Op::kLd, .rd = temporary, .rs1 = state, .imm = kFcsr});
  code.add({.row = Op::kCsrrw, .rs1 = temporary, .imm = static_cast<std::int32_t>(riscv::Csr::kFcsr)});
  for (std::uint8_t i = 1; i < 32; ++i) {
    if (i != state) code.add({.row = Op::kLd, .rd = i, .rs1 = state, .imm = slot(i)});
  }
}

void add_epilogue(Code& code, std::uint8_t state) {
  for (std::uint8_t i = 1; i < 32; ++i) {
    if (i != state) code.add({.row = Op::kSd, .rs1 = state, .rs2 = i, .imm = slot(i)});
  }
  for (std::uint8_t i = 0; i < 32; ++i) code.add({.row = Op::kFsd, .rs1 = state, .rs2 = i, .imm = kFloats + slot(i)});
  const std::uint8_t temporary = state == kRa ? kSp : kRa;
  code.add({.row = Op::kCsrrs, .rd = temporary, .imm = static_cast<std::int32_t>(riscv::Csr::kFcsr)});
  code.add({.row = Op::kSd, .rs1 = state, .rs2 = temporary, .imm = kFcsr});
  code.add({.row = Op::kAddi, .rd = kA1, .rs1 = state});
  code.add({.row = Op::kAddi, .rd = kA0, .imm = 1});
  code.add({.row = Op::kAddi, .rd = kA2, .imm = sizeof(Record)});
  code.add({.row = Op::kAddi, .rd = kA7, .imm = kWrite});
  code.add({.row = Op::kEcall});
}

Record initial_record(const Program& program, std::uint64_t number, std::uint64_t address) {
  Record record{};
  std::ranges::copy(program.x, record.x);
  record.x[0] = 0;
  std::ranges::copy(program.f, record.f);
  record.x[kSp] = address + offsetof(Record, data) + program.sp_offset;
  record.x[program.reserved.pointer] = address + offsetof(Record, data) + program.pointer_offset;
  record.x[program.reserved.state] = address;
  record.fcsr = program.fcsr;
  record.number = number;
  std::ranges::copy(program.data, record.data);
  return record;
}

// The size of code is not known before it is made, and the records' address is part of it: room for the largest batch.
constexpr std::uint64_t kDataAddress = 0x4000000;

}  // namespace

Result<BatchImage> make_batch(std::span<const Program> programs) {
  BatchImage image;
  image.code_address = kCodeAddress;
  image.data_address = kDataAddress;
  Code code;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    const Program& program = programs[i];
    const std::uint64_t address = kDataAddress + i * sizeof(Record);
    const Record record = initial_record(program, i, address);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&record);
    image.records.insert(image.records.end(), bytes, bytes + sizeof record);

    ProgramLayout layout(code, program);
    layout.add_functions();
    add_prologue(code, program.reserved.state, address);
    if (Result<void> added = layout.add_items(); !added) return std::unexpected(added.error());
    add_epilogue(code, program.reserved.state);
  }
  code.add({.row = Op::kAddi, .rd = kA0});
  code.add({.row = Op::kAddi, .rd = kA7, .imm = kExit});
  code.add({.row = Op::kEcall});
  image.code = code.take();
  if (kCodeAddress + image.code.size() > kDataAddress)
    return caisson::fail(ErrorCode::kLimit, "a batch of more code than there is room for");
  return image;
}

std::vector<std::uint8_t> BatchImage::to_elf() const {
  const std::uint64_t code_offset = kPage, data_offset = code_offset + (code.size() + kPage - 1) / kPage * kPage;
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_RISCV;
  header.e_version = EV_CURRENT;
  header.e_entry = code_address;
  header.e_phoff = sizeof header;
  header.e_flags = EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  const auto segment = [](std::uint32_t flags, std::uint64_t offset, std::uint64_t address, std::uint64_t size) {
    return Elf64_Phdr{.p_type = PT_LOAD,
                      .p_flags = flags,
                      .p_offset = offset,
                      .p_vaddr = address,
                      .p_paddr = address,
                      .p_filesz = size,
                      .p_memsz = size,
                      .p_align = kPage};
  };
  const Elf64_Phdr segments[] = {segment(PF_R | PF_X, code_offset, code_address, code.size()),
                                 segment(PF_R | PF_W, data_offset, data_address, records.size())};

  std::vector<std::uint8_t> file(data_offset + records.size());
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header, segments, sizeof segments);
  std::ranges::copy(code, file.begin() + static_cast<std::ptrdiff_t>(code_offset));
  std::ranges::copy(records, file.begin() + static_cast<std::ptrdiff_t>(data_offset));
  return file;
}

}  // namespace caisson::fuzz
