#include "image_blocks.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "gas/gas_schedule.h"
#include "isa/riscv/decoder.h"
#include "memory/address_space.h"

namespace caisson::cli {
namespace {

constexpr std::uint64_t kLongestFunction = std::uint64_t{16} << 20;

// The code of one function: bytes [begin, end) of guest addresses, and those behind them that a last instruction may need.
struct Code {
  std::uint64_t begin = 0, end = 0;
  std::span<const std::uint8_t> bytes;

  std::uint32_t bits_at(std::uint64_t address) const {
    std::uint32_t bits = 0;
    const std::size_t offset = address - begin;
    std::memcpy(&bits, bytes.data() + offset, std::min<std::size_t>(sizeof bits, bytes.size() - offset));
    return bits;
  }
};

struct DecodedAt {
  std::uint64_t address;
  riscv::Decoded decoded;

  std::uint64_t next() const { return address + decoded.length; }
  bool is_terminator() const { return riscv::info(decoded.op).has(riscv::traits::kTerminator); }
  // The last one that starts in its page ends the block as well.
  bool ends_page() const { return next() / memory::kPageSize != address / memory::kPageSize; }
};

const image::FunctionSymbol* find_function(const image::ElfImage& elf, const std::string& name) {
  const auto found = std::ranges::find(elf.functions, name, &image::FunctionSymbol::name);
  return found == elf.functions.end() ? nullptr : &*found;
}

// Where a function without a size ends: at the next one.
std::uint64_t next_function(const image::ElfImage& elf, std::uint64_t address) {
  std::uint64_t next = ~std::uint64_t{0};
  for (const image::FunctionSymbol& function : elf.functions) {
    if (function.address > address) next = std::min(next, function.address);
  }
  return next;
}

Result<Code> code_of(const image::ElfImage& elf, std::span<const std::uint8_t> file, const std::string& name) {
  const image::FunctionSymbol* function = find_function(elf, name);
  if (function == nullptr) return fail(ErrorCode::kNotFound, "no such function", name);
  for (const image::Segment& segment : elf.segments) {
    if (function->address < segment.address || function->address >= segment.address + segment.file_size) continue;
    const std::uint64_t available = segment.address + segment.file_size - function->address;
    const std::uint64_t size = std::min(
        function->size != 0 ? function->size : next_function(elf, function->address) - function->address, available);
    if (size > kLongestFunction) return fail(ErrorCode::kLimit, "the function is longer than 16 MiB", name);
    const std::uint64_t offset = segment.file_offset + (function->address - segment.address);
    return Code{function->address, function->address + size, file.subspan(offset, available)};
  }
  return fail(ErrorCode::kInvalidImage, "the function lies in no segment of the file", name);
}

std::vector<DecodedAt> decode_all(const Code& code) {
  std::vector<DecodedAt> instructions;
  for (std::uint64_t address = code.begin; address < code.end;) {
    instructions.push_back({address, riscv::decode(code.bits_at(address))});
    address = instructions.back().next();
  }
  return instructions;
}

std::set<std::uint64_t> find_entries(const Code& code, const std::vector<DecodedAt>& instructions) {
  std::set<std::uint64_t> entries = {code.begin};
  for (const DecodedAt& instruction : instructions) {
    const riscv::Form form = riscv::info(instruction.decoded.op).form;
    if (form == riscv::Form::kB || form == riscv::Form::kJ) {
      entries.insert(instruction.address + static_cast<std::uint64_t>(std::int64_t{instruction.decoded.imm}));
    }
    if (instruction.is_terminator() || instruction.ends_page()) entries.insert(instruction.next());
  }
  return entries;
}

}  // namespace

Result<std::vector<Block>> blocks_of_function(const image::ElfImage& elf, std::span<const std::uint8_t> file,
                                              const std::string& name) {
  const Result<Code> code = code_of(elf, file, name);
  if (!code) return std::unexpected(code.error());
  const std::vector<DecodedAt> instructions = decode_all(*code);
  const std::set<std::uint64_t> entries = find_entries(*code, instructions);

  std::vector<Block> blocks;
  for (const DecodedAt& instruction : instructions) {
    if (blocks.empty() || entries.contains(instruction.address)) blocks.push_back({.address = instruction.address});
    blocks.back().instructions.push_back({
        .address = instruction.address,
        .text = riscv::disassemble(code->bits_at(instruction.address), instruction.address),
        .gas = gas::weight(instruction.decoded.op),
    });
  }
  // From the end: a block that runs into the next entry without a terminator pays for that block too.
  std::uint64_t cost = 0;
  std::size_t last = instructions.size();
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    for (std::size_t left = block->instructions.size(); left > 0; --left) {
      const DecodedAt& instruction = instructions[--last];
      if (instruction.is_terminator() || instruction.ends_page()) cost = 0;
      cost += gas::weight(instruction.decoded.op);
    }
    block->gas = cost;
  }
  return blocks;
}

}  // namespace caisson::cli
