#include "oracles/tier_comparison.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "gas/gas_schedule.h"
#include "isa/riscv/decoder.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"
#include "oracles/tier_guest.h"
#include "support/tiers.h"

namespace caisson::fuzz {
namespace {

using memory::kPageSize;
using riscv::HartState;
using riscv::TrapKind;
namespace traits = riscv::traits;

// A trap is compared, answered and left behind this often; most of the bytes would never run otherwise.
constexpr unsigned kMostTraps = 8;
// The host changes code at so many of them: that takes system calls.
constexpr unsigned kMostCodeChanges = 3;
constexpr std::uint64_t kTime = 0x0123456789abcdef;
// As in spec_runner: an embedder's MXCSR must not reach the guest, and must be back afterwards.
constexpr std::uint32_t kForeignMxcsr = _MM_ROUND_UP | _MM_FLUSH_ZERO_ON | 0x0040 | _MM_MASK_MASK | _MM_EXCEPT_DENORM;

// --- one run ---

// What a tier left at one trap.
struct Snapshot {
  std::array<std::uint64_t, 32> x{}, f{};
  std::uint64_t pc = 0, gas_used = 0;
  std::uint32_t frm = 0, fflags = 0, reservation_width = 0;
  std::uint64_t reservation_address = 0, reservation_value = 0;
  TrapKind trap = TrapKind::kNone;
  std::uint64_t trap_address = 0;
  bool bus_error = false;
  std::uint64_t memory_digest = 0;  // in a sequence of runs

  bool operator==(const Snapshot&) const = default;
};

struct Run {
  std::vector<Snapshot> traps;
  std::vector<std::uint8_t> memory;  // all mapped pages
  std::uint32_t mxcsr = 0;
  bool modified_running_block = false;  // asked for by Watch only
};

Snapshot snapshot_of(const HartState& hart) {
  Snapshot snapshot{.f = hart.f,
                    .pc = hart.pc,
                    .gas_used = hart.gas_used(),
                    .frm = hart.frm,
                    .fflags = hart.fflags,
                    .reservation_width = hart.reservation_width,
                    .trap = hart.trap.kind,
                    .trap_address = hart.trap.address,
                    .bus_error = hart.trap.bus_error};
  std::copy_n(hart.x.begin(), snapshot.x.size(), snapshot.x.begin());
  // Without a reservation they mean nothing.
  if (hart.reservation_width != 0) {
    snapshot.reservation_address = hart.reservation_address;
    snapshot.reservation_value = hart.reservation_value;
  }
  return snapshot;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "tier comparison: %s\n", what);
  std::abort();
}

// The file of one page that guests map, the same for all.
const std::array<std::uint8_t, kPageSize>& file_bytes() {
  static const auto bytes = [] {
    std::array<std::uint8_t, kPageSize> made;
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::uint8_t>(i * 7);
    return made;
  }();
  return bytes;
}

int file_descriptor() {
  static const int descriptor = [] {
    const int made = ::memfd_create("tier-fuzz", MFD_CLOEXEC);
    require(made >= 0 && ::write(made, file_bytes().data(), kPageSize) == static_cast<ssize_t>(kPageSize),
            "no file in memory");
    return made;
  }();
  return descriptor;
}

constexpr memory::Permissions kReadWrite = memory::kRead | memory::kWrite;

// Of all bytes that guests may change.
std::uint64_t digest_of(const memory::AddressSpace& space) {
  std::array<std::uint64_t, (kCodeBytes + (kDataPages + 1) * kPageSize) / 8> words;
  auto* const bytes = reinterpret_cast<std::uint8_t*>(words.data());
  space.read(kCodeAddress, bytes, kCodeBytes);
  space.read(kDataAddress, bytes + kCodeBytes, (kDataPages + 1) * kPageSize);
  std::uint64_t digest = 0;
  for (const std::uint64_t word : words) digest = (std::rotl(digest, 5) ^ word) * 0x9e3779b97f4a7c15;
  return digest;
}

void map_pages(memory::AddressSpace& space) {
  require(space.map_anonymous(kCodeAddress, kCodeBytes, kReadWrite) == memory::MapStatus::kOk &&
              space.map_anonymous(kDataAddress, kDataPages * kPageSize, kReadWrite) == memory::MapStatus::kOk &&
              space.map_file(kFileAddress, kFilePages * kPageSize, kReadWrite, false, file_descriptor(), 0) ==
                  memory::MapStatus::kOk,
          "cannot map pages");
}

// Changes permissions as seldom as it can: that is a system call, and takes longer than most guests run.
void fill_code(const Guest& guest, memory::AddressSpace& space) {
  for (std::size_t begin = 0, end = 0; begin < kCodePages; begin = end) {
    const memory::Permissions wanted = guest.permissions[begin];
    while (end < kCodePages && guest.permissions[end] == wanted) ++end;
    const std::uint64_t address = kCodeAddress + begin * kPageSize, length = (end - begin) * kPageSize;
    const auto all_pages = [&](auto holds) {
      for (std::uint64_t page = address / kPageSize; page < (address + length) / kPageSize; ++page) {
        if (!holds(space.permissions(static_cast<std::uint32_t>(page)))) return false;
      }
      return true;
    };
    if (!all_pages([](memory::Permissions now) { return (now & memory::kWrite) != 0; })) {
      require(space.protect(address, length, kReadWrite) == memory::MapStatus::kOk, "cannot make code writable");
    }
    require(space.write(address, guest.code.data() + begin * kPageSize, length) == length, "cannot fill code");
    if (!all_pages([&](memory::Permissions now) { return now == wanted; })) {
      require(space.protect(address, length, wanted) == memory::MapStatus::kOk, "cannot protect code");
    }
  }
}

void fill_pages(const Guest& guest, memory::AddressSpace& space) {
  fill_code(guest, space);
  require(space.write(kDataAddress, guest.data.data(), guest.data.size()) == guest.data.size() &&
              space.write(kFileAddress, file_bytes().data(), kPageSize) == kPageSize,
          "cannot fill pages");
}

// A tier and the memory it was made for.
struct Machine {
  std::unique_ptr<memory::AddressSpace> space;
  std::unique_ptr<tests::TierRunner> runner;
  unsigned guests = 0;
};

Machine make_machine(const tests::Tier& tier) {
  static const auto windows = std::make_shared<memory::WindowPool>();
  auto space = memory::AddressSpace::create(windows, memory::kWindowSize);
  require(space.has_value(), "no window");
  Machine machine{.space = *std::move(space)};
  map_pages(*machine.space);
  machine.runner = tier.make(*machine.space, [](void*) { return kTime; }, nullptr);
  return machine;
}

enum class Machines : std::uint8_t { kKept, kFresh };

// Making one takes far longer than a guest runs, so it serves many guests, which also tests that a tier forgets replaced code.
Machine& machine_of(const tests::Tier& tier, Machines machines) {
  constexpr unsigned kMostGuests = 1000;
  static std::vector<Machine> kept(tests::tiers().size());
  Machine& machine = kept[static_cast<std::size_t>(&tier - tests::tiers().data())];
  if (machine.space == nullptr || machines == Machines::kFresh || ++machine.guests > kMostGuests) {
    machine.runner.reset();  // before its memory
    machine = make_machine(tier);
  }
  return machine;
}

// The code as it lies in memory; pages of code are always readable.
std::array<std::uint8_t, kCodeBytes + 2> read_code(const memory::AddressSpace& space) {
  std::array<std::uint8_t, kCodeBytes + 2> code{};
  space.read(kCodeAddress, code.data(), kCodeBytes);
  return code;
}

bool is_code(std::uint64_t address) { return address - kCodeAddress < kCodeBytes; }

// Within a page, as an embedder or a system call changes code: through permissions, where the page is not writable.
void write_code(memory::AddressSpace& space, std::uint64_t address, const void* bytes, std::size_t length) {
  const std::uint64_t page = address / kPageSize * kPageSize;
  const auto before = space.permissions(static_cast<std::uint32_t>(page / kPageSize));
  const bool is_writable = (before & memory::kWrite) != 0;
  if (!is_writable) space.protect(page, kPageSize, kReadWrite);
  space.write(address, bytes, length);
  if (!is_writable) space.protect(page, kPageSize, before);
}

void change_code(const Entry& entry, memory::AddressSpace& space) {
  switch (entry.change) {
    case HostChange::kNothing:
      break;
    case HostChange::kHalfWord:
      write_code(space, entry.change_address, &entry.change_bits, 2);
      break;
    case HostChange::kWord:
      write_code(space, entry.change_address, &entry.change_bits, 4);
      break;
    case HostChange::kCopy: {
      std::array<std::uint8_t, 12> bytes{};
      space.read(entry.change_from, bytes.data(), bytes.size());
      write_code(space, entry.change_address, bytes.data(), bytes.size());
      break;
    }
    case HostChange::kPermissions: {
      const std::uint64_t page = entry.change_address / kPageSize * kPageSize;
      const auto before = space.permissions(static_cast<std::uint32_t>(page / kPageSize));
      space.protect(page, kPageSize, before ^ memory::kWrite);
      break;
    }
  }
}

// Where the guest goes on behind a trap, and what the host did meanwhile. False where the run ends.
bool answer_trap(const Guest& guest, memory::AddressSpace& space, HartState& hart, std::size_t traps) {
  if (!guest.header.answers_traps() || traps >= kMostTraps) return false;
  switch (hart.trap.kind) {
    case TrapKind::kEcall:
      hart.reservation_width = 0;
      hart.x[riscv::kA0] ^= guest.code_begin;
      [[fallthrough]];
    case TrapKind::kEbreak:
    case TrapKind::kIllegal:
    case TrapKind::kLoadFault:
    case TrapKind::kStoreFault:
    case TrapKind::kMisalignedAtomic: {
      const auto low = space.read_value<std::uint16_t>(hart.pc);
      if (!low) return false;
      hart.pc += riscv::instruction_length(*low);
      break;
    }
    case TrapKind::kFetchFault:
    case TrapKind::kTrampoline:
      hart.pc = guest.entry + traps % 3 * 2;
      break;
    default:
      return false;
  }
  if (guest.header.changes_code() && traps <= kMostCodeChanges) {
    const std::uint64_t page = kCodeAddress + (guest.code_begin + traps * 6) / kPageSize % kCodePages * kPageSize;
    const std::uint64_t address = page + (guest.code_begin + traps * 6) % kPageSize;
    const std::uint16_t kInstructions[] = {0x0505, 0x9002, 0x0001,
                                           0x8d8d};  // c.addi a0,1; c.ebreak; c.nop; c.sub a1,a1
    write_code(space, address, &kInstructions[traps % std::size(kInstructions)], sizeof *kInstructions);
  }
  return true;
}

// A tier in short slices.
class SlicedRunner final : public tests::TierRunner {
 public:
  SlicedRunner(tests::TierRunner& runner, std::uint64_t slice) : runner_(runner), slice_(slice) {}
  void run(HartState& hart, std::uint64_t slice) override { runner_.run(hart, std::min(slice, slice_)); }

 private:
  tests::TierRunner& runner_;
  std::uint64_t slice_;
};

// Gives each block exactly its price, so that it looks at memory between any two.
class BlockwiseRunner final : public tests::TierRunner {
 public:
  BlockwiseRunner(tests::TierRunner& runner, const memory::AddressSpace& space) : runner_(runner), space_(space) {}

  void run(HartState& hart, std::uint64_t slice) override {
    const auto before = read_code(space_);
    std::uint64_t end = hart.pc;
    const std::uint64_t price = price_block(before, hart.pc, end);
    const std::uint64_t left = hart.gas;
    const std::uint64_t begin = hart.pc;
    const bool affordable = price <= left;
    if (affordable) hart.grant_gas(price);
    do {
      runner_.run(hart, slice);
    } while (hart.trap.kind == TrapKind::kNone);
    if (!affordable) return;
    const std::uint64_t used = price - hart.gas;
    hart.grant_gas(left - used);
    if (hart.trap.kind == TrapKind::kOutOfGas) hart.trap = {};
    if (!is_code(begin)) return;
    const auto after = read_code(space_);
    const std::size_t from = begin - kCodeAddress;
    const std::size_t length = std::min<std::size_t>(end - begin, after.size() - from);
    modified_ |= std::memcmp(before.data() + from, after.data() + from, length) != 0;
  }

  bool modified_running_block() const { return modified_; }

 private:
  std::uint64_t price_block(const std::array<std::uint8_t, kCodeBytes + 2>& code, std::uint64_t pc,
                            std::uint64_t& end) const {
    std::uint64_t price = 0;
    for (const std::uint64_t page = pc / kPageSize; pc / kPageSize == page && is_code(pc);) {
      if ((space_.permissions(static_cast<std::uint32_t>(page)) & memory::kExecute) == 0) break;
      std::uint32_t bits = 0;
      std::memcpy(&bits, code.data() + (pc - kCodeAddress), std::min<std::size_t>(4, kCodeAddress + code.size() - pc));
      const riscv::Decoded decoded = riscv::decode(bits);
      const std::uint64_t last_page = (pc + decoded.length - 1) / kPageSize;
      if ((space_.permissions(static_cast<std::uint32_t>(last_page)) & memory::kExecute) == 0) break;
      price += gas::weight(decoded.op);
      pc += decoded.length;
      end = pc;
      if (riscv::info(decoded.op).has(traits::kTerminator)) break;
    }
    return price;
  }

  tests::TierRunner& runner_;
  const memory::AddressSpace& space_;
  bool modified_ = false;
};

enum class Watch : std::uint8_t { kNo, kBlocks };

Run run_guest(const Guest& guest, const tests::Tier& tier, Machines machines, std::uint64_t portion,
              std::uint64_t slice, Watch watch = Watch::kNo) {
  Run run;
  Machine& machine = machine_of(tier, machines);
  memory::AddressSpace& space = *machine.space;
  fill_pages(guest, space);
  SlicedRunner sliced(*machine.runner, slice);
  BlockwiseRunner blockwise(*machine.runner, space);
  tests::TierRunner& runner = watch == Watch::kBlocks ? static_cast<tests::TierRunner&>(blockwise) : sliced;

  HartState hart;
  std::ranges::copy(guest.x, hart.x.begin());
  hart.f = guest.f;
  hart.pc = guest.entry;
  hart.frm = guest.header.has_odd_rounding() ? 4 + (guest.header.fcsr >> 5 & 3) : guest.header.fcsr >> 5 & 3;
  hart.fflags = guest.header.fcsr & 31;
  hart.grant_gas(guest.gas);
  const std::uint32_t host_mxcsr = _mm_getcsr();
  _mm_setcsr(kForeignMxcsr);
  const auto run_once = [&] {
    tests::run_to_trap(runner, hart, portion);
    run.traps.push_back(snapshot_of(hart));
  };
  if (guest.entries.empty()) {
    do run_once();
    while (answer_trap(guest, space, hart, run.traps.size()));
  }
  for (const Entry& entry : guest.entries) {
    change_code(entry, space);
    const bool goes_on = entry.goes_on && !run.traps.empty() && answer_trap(guest, space, hart, 1);
    if (!goes_on) hart.pc = entry.pc;
    if (!goes_on && !entry.keeps_registers) {
      std::ranges::copy(entry.x, hart.x.begin());
      hart.f = entry.f;
    }
    hart.grant_gas(entry.gas);
    run_once();
    run.traps.back().memory_digest = digest_of(space);
  }
  run.mxcsr = _mm_getcsr();
  _mm_setcsr(host_mxcsr);

  for (const memory::Mapping& mapping : space.mappings()) {
    const std::size_t before = run.memory.size();
    run.memory.resize(before + (mapping.end - mapping.start));
    space.read(mapping.start, run.memory.data() + before, mapping.end - mapping.start);
  }
  run.modified_running_block = blockwise.modified_running_block();
  return run;
}

// --- comparison ---

std::string describe_snapshot(const Snapshot& one) {
  std::string text =
      fmt::format("  pc {:#x} trap {} address {:#x} bus_error {} gas used {} frm {} fflags {:#x} ", one.pc,
                  static_cast<int>(one.trap), one.trap_address, one.bus_error, one.gas_used, one.frm, one.fflags);
  text += fmt::format("reservation {} {:#x} {:#x}\n", one.reservation_width, one.reservation_address,
                      one.reservation_value);
  for (unsigned i = 0; i < 32; ++i) text += fmt::format("  x{:<2} {:016x}{}", i, one.x[i], i % 4 == 3 ? "\n" : "");
  for (unsigned i = 0; i < 32; ++i) text += fmt::format("  f{:<2} {:016x}{}", i, one.f[i], i % 4 == 3 ? "\n" : "");
  return text;
}

// The names of what differs; empty where nothing does.
std::string differing_parts(const Snapshot& left, const Snapshot& right) {
  std::string parts;
  const auto compare = [&](std::string_view name, const auto& one, const auto& other) {
    if (one != other) parts += fmt::format(" {}", name);
  };
  for (unsigned i = 0; i < 32; ++i) compare(fmt::format("x{}", i), left.x[i], right.x[i]);
  for (unsigned i = 0; i < 32; ++i) compare(fmt::format("f{}", i), left.f[i], right.f[i]);
  compare("pc", left.pc, right.pc);
  compare("gas", left.gas_used, right.gas_used);
  compare("frm", left.frm, right.frm);
  compare("fflags", left.fflags, right.fflags);
  compare("reservation-width", left.reservation_width, right.reservation_width);
  compare("reservation-address", left.reservation_address, right.reservation_address);
  compare("reservation-value", left.reservation_value, right.reservation_value);
  compare("trap", left.trap, right.trap);
  compare("trap-address", left.trap_address, right.trap_address);
  compare("bus_error", left.bus_error, right.bus_error);
  compare("memory", left.memory_digest, right.memory_digest);
  return parts;
}

std::optional<std::string> difference_of(const Run& correct, const Run& other) {
  const std::size_t count = std::min(correct.traps.size(), other.traps.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (correct.traps[i] == other.traps[i]) continue;
    const std::string parts = differing_parts(correct.traps[i], other.traps[i]);
    return fmt::format("at trap {}:{}\nthe interpreter has\n{}the other has\n{}", i + 1, parts,
                       describe_snapshot(correct.traps[i]), describe_snapshot(other.traps[i]));
  }
  if (correct.traps.size() != other.traps.size())
    return fmt::format("{} traps, not {}\n", other.traps.size(), correct.traps.size());
  if (correct.memory.size() != other.memory.size()) return "the mappings differ\n";
  if (correct.memory != other.memory) {
    const auto [left, right] = std::ranges::mismatch(correct.memory, other.memory);
    return fmt::format("byte {:#x} of the mapped pages is {:#x}, not {:#x}\n", left - correct.memory.begin(), *right,
                       *left);
  }
  if (other.mxcsr != kForeignMxcsr) return fmt::format("the host's MXCSR is {:#x}\n", other.mxcsr);
  return std::nullopt;
}

// Interpreters that check the other one's cache: they decode again and again, and what they would find is rare.
bool is_slow(const tests::Tier& tier) { return tier.name.starts_with("interp-"); }

// A compilation of the optimising tier takes as long as a thousand guests on the others.
constexpr unsigned kGuestsForEachOptimised = 32;

std::optional<std::string> difference_between_tiers(const Guest& guest, Machines machines) {
  const tests::Tier& interpreter = *tests::find_tier("interp");
  constexpr std::uint64_t kWhole = std::uint64_t{1} << 32;
  const Run correct = run_guest(guest, interpreter, machines, 0, kWhole);
  for (const tests::Tier& tier : tests::tiers()) {
    for (const bool divided : {false, true}) {
      if (divided ? guest.portion == 0 : &tier == &interpreter) continue;
      if (tier.compiles_slowly() && guest.header.seed % kGuestsForEachOptimised != 0) continue;
      if (is_slow(tier) && (divided || guest.header.seed % 8 != 0)) continue;
      const Run run = run_guest(guest, tier, machines, divided ? guest.portion : 0, divided ? guest.slice : kWhole);
      const std::optional<std::string> difference = difference_of(correct, run);
      if (!difference) continue;
      // A block that changes what stands behind the changing instruction runs on as it was or as it is; nobody promises which.
      if (guest.has_mixed_pages() &&
          run_guest(guest, interpreter, machines, 0, kWhole, Watch::kBlocks).modified_running_block)
        return std::nullopt;
      return fmt::format("{}{}: {}\n{}", tier.name, divided ? ", in portions" : "", *difference, describe(guest));
    }
  }
  return std::nullopt;
}

}  // namespace

void prepare_tier_comparison() {
  const Result<void> installed = memory::install_fault_recovery();
  require(installed.has_value(), "no fault recovery");
}

std::string describe_tier_input(std::span<const std::uint8_t> input) { return describe(guest_of(input)); }

std::optional<std::string> tier_difference(std::span<const std::uint8_t> input) {
  const Guest guest = guest_of(input);
  std::optional<std::string> difference = difference_between_tiers(guest, Machines::kKept);
  if (!difference) return std::nullopt;
  if (auto alone = difference_between_tiers(guest, Machines::kFresh)) return alone;
  return "only behind other guests on the same tier: " + *difference;
}

}  // namespace caisson::fuzz
