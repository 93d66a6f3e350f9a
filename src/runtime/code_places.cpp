#include "runtime/code_places.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "isa/riscv/decoder.h"

namespace caisson::runtime {

using memory::kPageSize;
using optimized::GuestCode;
using riscv::Decoded;
using riscv::Form;
using riscv::Op;

namespace {

// The instruction at `pc`; nothing where the code does not hold all of it.
std::optional<Decoded> instruction_at(const GuestCode& code, std::uint64_t pc) {
  const std::uint64_t offset = pc - code.base;
  if (pc < code.base || offset >= code.bytes.size()) return std::nullopt;
  std::uint32_t bits = 0;
  const std::size_t available = std::min<std::size_t>(sizeof bits, code.bytes.size() - offset);
  std::memcpy(&bits, code.bytes.data() + offset, available);
  if (available < 2 || available < riscv::instruction_length(static_cast<std::uint16_t>(bits))) return std::nullopt;
  return riscv::decode(bits);
}

bool is_branch(const Decoded& decoded) { return riscv::info(decoded.op).form == Form::kB; }
bool is_jump(const Decoded& decoded) { return decoded.op == Op::kJal && decoded.rd == 0; }
bool is_indirect_jump(const Decoded& decoded) { return decoded.op == Op::kJalr && decoded.rd == 0; }

// May lie outside the window.
std::uint64_t target_of(const Decoded& decoded, std::uint64_t pc) {
  return pc + static_cast<std::uint64_t>(std::int64_t{decoded.imm});
}

// What linkers and compilers fill up with.
bool is_padding(const Decoded& decoded) {
  return decoded.op == Op::kIllegal ||
         (decoded.op == Op::kAddi && decoded.rd == 0 && decoded.rs1 == 0 && decoded.imm == 0);
}

}  // namespace

std::optional<std::uint32_t> find_loop_header(const GuestCode& code, std::uint32_t pc, std::uint32_t lowest) {
  const std::uint64_t nearest = pc > CodePlaces::kLongestJump ? pc - CodePlaces::kLongestJump : 0;
  const std::uint64_t low = std::max<std::uint64_t>(lowest, nearest);
  std::uint64_t at = pc;
  for (std::size_t count = 0; count < CodePlaces::kLongestLoop; ++count) {
    const std::optional<Decoded> decoded = instruction_at(code, at);
    if (!decoded || decoded->op == Op::kIllegal) return std::nullopt;
    if (is_branch(*decoded) || is_jump(*decoded)) {
      const std::uint64_t target = target_of(*decoded, at);
      if (target <= pc && target >= low && target % 2 == 0)
        return find_loop_entry(code, static_cast<std::uint32_t>(target), static_cast<std::uint32_t>(at));
    }
    at += decoded->length;
  }
  return std::nullopt;
}

std::uint32_t find_loop_entry(const GuestCode& code, std::uint32_t first, std::uint32_t last) {
  for (const std::uint32_t length : {2U, 4U}) {
    const std::uint64_t before = std::uint64_t{first} - length;
    const std::optional<Decoded> decoded = instruction_at(code, before);
    if (!decoded || decoded->length != length || !is_jump(*decoded)) continue;
    const std::uint64_t target = target_of(*decoded, before);
    if (target > first && target <= last) return static_cast<std::uint32_t>(target);
  }
  return first;
}

std::vector<std::uint32_t> find_entries(const GuestCode& code) {
  std::vector<std::uint32_t> entries;
  std::unordered_set<std::uint64_t> targets;
  bool is_behind_jump = false;
  for (std::uint64_t at = code.base;;) {
    const std::optional<Decoded> decoded = instruction_at(code, at);
    if (!decoded) break;
    if (is_behind_jump && !is_padding(*decoded)) {
      entries.push_back(static_cast<std::uint32_t>(at));
      is_behind_jump = false;
    }
    if (is_branch(*decoded) || is_jump(*decoded)) targets.insert(target_of(*decoded, at));
    if (is_jump(*decoded) || is_indirect_jump(*decoded)) is_behind_jump = true;
    at += decoded->length;
  }
  std::erase_if(entries, [&](std::uint32_t entry) { return targets.contains(entry); });
  return entries;
}

std::vector<std::uint8_t> CodePlaces::read(std::uint32_t address, std::size_t most_bytes) const {
  const std::uint64_t wanted = std::min<std::uint64_t>(std::uint64_t{address} + most_bytes, memory::kWindowSize);
  std::uint64_t end = address;
  while (end < wanted && is_code(static_cast<std::uint32_t>(end / kPageSize)))
    end = std::min(wanted, (end / kPageSize + 1) * kPageSize);
  std::vector<std::uint8_t> bytes(end - address);
  bytes.resize(memory_.read(address, bytes.data(), bytes.size()));
  return bytes;
}

// From where all is code up to `pc`, at most so far before it; an even address.
std::uint32_t CodePlaces::first_code_before(std::uint32_t pc, std::uint32_t most_bytes) const {
  const std::uint32_t lowest = pc > most_bytes ? (pc - most_bytes) & ~1U : 0;
  std::uint32_t first = pc;
  while (first > lowest && is_code(static_cast<std::uint32_t>((first - 1) / kPageSize)))
    first = std::max(lowest, static_cast<std::uint32_t>((first - 1) / kPageSize * kPageSize));
  return first;
}

std::optional<std::uint32_t> CodePlaces::loop_header(std::uint32_t pc, std::uint32_t lowest) {
  if (const auto found = headers_.find(pc); found != headers_.end()) return found->second;
  if (headers_.size() >= kMostLoops) headers_.clear();
  const std::uint32_t begin = first_code_before(pc, kLongestJump + 4);
  const std::vector<std::uint8_t> bytes = read(begin, pc - begin + kLongestLoop * 4);
  std::optional<std::uint32_t> header = find_loop_header({.base = begin, .bytes = bytes}, pc, lowest);
  if (header && !is_code(static_cast<std::uint32_t>(*header / kPageSize))) header = std::nullopt;
  headers_.emplace(pc, header);
  return header;
}

const std::vector<std::uint32_t>& CodePlaces::entries_of(std::uint32_t page) {
  if (const auto found = entries_.find(page); found != entries_.end()) return found->second;
  if (entries_.size() >= kMostPages) entries_.clear();
  const auto base = page * static_cast<std::uint32_t>(kPageSize);
  const std::vector<std::uint8_t> bytes = read(base, kPageSize);
  return entries_.emplace(page, find_entries({.base = base, .bytes = bytes})).first->second;
}

std::optional<std::uint32_t> CodePlaces::entry_before(std::uint32_t pc) {
  const auto last = static_cast<std::uint32_t>(pc / kPageSize);
  for (std::uint32_t page = last; last - page < kPagesBack && is_code(page); --page) {
    const std::vector<std::uint32_t>& entries = entries_of(page);
    const auto behind = std::ranges::upper_bound(entries, pc);
    if (behind != entries.begin()) return *std::prev(behind);
    if (page == 0) break;
  }
  return std::nullopt;
}

void CodePlaces::forget() {
  headers_.clear();
  entries_.clear();
}

}  // namespace caisson::runtime
