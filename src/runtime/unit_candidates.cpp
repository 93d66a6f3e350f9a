#include "runtime/unit_candidates.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "isa/riscv/decoder.h"
#include "isa/riscv/hart_state.h"
#include "runtime/code_places.h"

namespace caisson::runtime {
namespace {

using riscv::Decoded;
using riscv::Form;
using riscv::Op;

constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;

class CandidateFinder {
 public:
  explicit CandidateFinder(std::span<const std::uint32_t> functions) : functions_(functions.begin(), functions.end()) {}

  // Code that is mapped as one.
  void read(const optimized::GuestCode& code) {
    const auto first = functions_.lower_bound(code.base);
    const bool has_symbols = first != functions_.end() && *first - code.base < code.bytes.size();
    if (!has_symbols) add_entries(code);
    Calls calls;
    for (std::size_t offset = 0; offset + 2 <= code.bytes.size();) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, code.bytes.data() + offset, std::min<std::size_t>(sizeof bits, code.bytes.size() - offset));
      const Decoded decoded = riscv::decode(bits);
      const std::uint64_t pc = code.base + offset;
      if (const std::uint64_t target = calls.target(decoded, pc); target - code.base < code.bytes.size()) {
        functions_.insert(static_cast<std::uint32_t>(target));
        calls_.emplace_back(static_cast<std::uint32_t>(pc), static_cast<std::uint32_t>(target));
      }
      note_loop(decoded, pc, code);
      offset += decoded.length;
    }
    ends_.insert(static_cast<std::uint32_t>(code.base + code.bytes.size()));
  }

  std::vector<UnitCandidate> take(std::span<const std::uint32_t> roots) {
    std::map<std::uint32_t, UnitCandidate> found;
    for (auto function = functions_.begin(); function != functions_.end(); ++function) {
      const auto end = ends_.upper_bound(*function);
      if (end == ends_.end()) continue;  // in no code
      const auto next = std::next(function);
      const std::uint32_t behind = next == functions_.end() ? *end : std::min(*next, *end);
      const auto loop = loops_.lower_bound(*function);
      const bool has_loop = loop != loops_.end() && loop->first < behind;
      found[*function] = {
          .pc = *function, .bytes = behind - *function, .calls = UnitCandidate::kNotCalled, .has_loop = has_loop};
    }
    follow_calls(found, roots);
    for (const auto& [header, bytes] : loops_) {
      const auto behind = functions_.upper_bound(header);
      const auto function = behind == functions_.begin() ? found.end() : found.find(*std::prev(behind));
      const std::uint32_t calls = function == found.end() ? UnitCandidate::kNotCalled : function->second.calls;
      found[header] = {.pc = header, .bytes = bytes, .calls = calls, .has_loop = true};
    }
    std::vector<UnitCandidate> candidates;
    candidates.reserve(found.size());
    for (const auto& [pc, candidate] : found) candidates.push_back(candidate);
    std::ranges::sort(candidates, {}, [](const UnitCandidate& candidate) {
      return std::tuple(candidate.calls, !candidate.has_loop, candidate.bytes, candidate.pc);
    });
    return candidates;
  }

 private:
  // Follows direct calls: jal, and jalr behind the auipc of its register.
  class Calls {
   public:
    // No address of the window where it is no call.
    std::uint64_t target(const Decoded& decoded, std::uint64_t pc) {
      std::uint64_t target = ~std::uint64_t{0};
      const bool links = decoded.rd == riscv::kRa || decoded.rd == riscv::kT0;
      if (decoded.op == Op::kJal && links) target = pc + offset_of(decoded);
      if (decoded.op == Op::kJalr && links && decoded.rs1 == register_ && pc == next_)
        target = upper_ + offset_of(decoded);
      register_ = 0;
      if (decoded.op == Op::kAuipc && decoded.rd != 0) {
        register_ = decoded.rd;
        upper_ = pc + offset_of(decoded);
        next_ = pc + decoded.length;
      }
      return target;
    }

   private:
    static std::uint64_t offset_of(const Decoded& decoded) {
      return static_cast<std::uint64_t>(std::int64_t{decoded.imm});
    }
    std::uint8_t register_ = 0;
    std::uint64_t upper_ = 0, next_ = 0;
  };

  void note_loop(const Decoded& decoded, std::uint64_t pc, const optimized::GuestCode& code) {
    const bool is_jump = decoded.op == Op::kJal && decoded.rd == 0;
    if (riscv::info(decoded.op).form != Form::kB && !is_jump) return;
    if (decoded.imm > 0 || decoded.imm < -static_cast<std::int32_t>(CodePlaces::kLongestJump)) return;
    const std::uint64_t first = pc + static_cast<std::uint64_t>(std::int64_t{decoded.imm});
    if (first < code.base || first > pc) return;
    const auto bytes = static_cast<std::uint32_t>(pc + decoded.length - first);
    const std::uint32_t header =
        find_loop_entry(code, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(pc));
    const auto [loop, is_new] = loops_.emplace(header, bytes);
    loop->second = std::max(loop->second, bytes);
  }

  void add_entries(const optimized::GuestCode& code) {
    for (std::size_t offset = 0; offset < code.bytes.size(); offset += memory::kPageSize) {
      const std::size_t size = std::min<std::size_t>(memory::kPageSize, code.bytes.size() - offset);
      const auto base = static_cast<std::uint32_t>(code.base + offset);
      const auto entries = find_entries({.base = base, .bytes = code.bytes.subspan(offset, size)});
      functions_.insert(entries.begin(), entries.end());
    }
  }

  // Breadth first.
  void follow_calls(std::map<std::uint32_t, UnitCandidate>& found, std::span<const std::uint32_t> roots) {
    std::ranges::sort(calls_);
    std::vector<std::uint32_t> reached(roots.begin(), roots.end());
    for (const std::uint32_t root : roots) {
      if (const auto function = found.find(root); function != found.end()) function->second.calls = 0;
    }
    for (std::size_t index = 0; index < reached.size(); ++index) {
      const auto caller = found.find(reached[index]);
      if (caller == found.end()) continue;
      const std::uint64_t end = std::uint64_t{caller->first} + caller->second.bytes;
      auto call = std::ranges::lower_bound(calls_, caller->first, {}, &Call::first);
      for (; call != calls_.end() && call->first < end; ++call) {
        const auto callee = found.find(call->second);
        if (callee == found.end() || callee->second.calls != UnitCandidate::kNotCalled) continue;
        callee->second.calls = caller->second.calls + 1;
        reached.push_back(call->second);
      }
    }
  }

  using Call = std::pair<std::uint32_t, std::uint32_t>;  // from where, to where
  std::vector<Call> calls_;
  std::set<std::uint32_t> functions_;
  std::set<std::uint32_t> ends_;  // of code
  std::map<std::uint32_t, std::uint32_t> loops_;  // bytes by header
};

}  // namespace

std::vector<UnitCandidate> find_unit_candidates(const memory::AddressSpace& memory,
                                                std::span<const std::uint32_t> functions,
                                                std::span<const std::uint32_t> roots) {
  CandidateFinder finder(functions);
  std::uint64_t left = kMostBytes;
  for (const memory::Mapping& mapping : memory.mappings()) {
    const bool is_code =
        (mapping.permissions & memory::kExecute) != 0 && (mapping.permissions & memory::kWrite) == 0 && !mapping.shared;
    if (!is_code) continue;
    std::vector<std::uint8_t> bytes(std::min(mapping.end - mapping.start, left));
    bytes.resize(memory.read(mapping.start, bytes.data(), bytes.size()));
    left -= bytes.size();
    finder.read({.base = static_cast<std::uint32_t>(mapping.start), .bytes = bytes});
  }
  return finder.take(roots);
}

}  // namespace caisson::runtime
