// Loops that run into unmapped and read-only pages, and out of gas, at any place: every tier must stop with the same registers, memory,
// trap and gas. Bodies have many live registers, stores among loads, branches and small functions, since optimised code leaves such
// places by state that it kept for them (docs/optimized.md).
//
// CAISSON_FAULT_PROGRAMS=10000 CAISSON_FAULT_SEED=1 build/release/bin/fault_test
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "generators/encoder.h"
#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"
#include "support/tiers.h"

namespace caisson {
namespace {

using fuzz::Instruction;
using memory::kPageSize;
using riscv::HartState;
using riscv::Op;

constexpr std::uint32_t kCode = 0x10000, kData = 0x20000;
constexpr std::uint32_t kWritable = 2 * kPageSize, kReadOnly = kPageSize;
constexpr std::uint32_t kTwins = 0x40000;  // two pages that are the same memory
constexpr std::uint8_t kCounter = 5, kStill = 8, kForward = 9, kBackward = 18, kTwin = 31;
constexpr std::uint8_t kInner = 3, kLimit = 4, kStep = 2;  // of inner loops

class GuestGenerator {
 public:
  explicit GuestGenerator(std::uint64_t seed) : random_(seed) {}

  void make(std::vector<std::uint8_t>& code, HartState& hart) {
    put({.row = Op::kJal, .rd = 0, .imm = 4 + kFunctionWords * 4 * kFunctions});
    for (std::uint32_t function = 0; function < kFunctions; ++function) {
      const std::size_t end = words_.size() + kFunctionWords;
      const bool loses_link = below(4) == 0;
      if (loses_link) {
        put({.row = Op::kSd, .rs1 = kStill, .rs2 = riscv::kRa, .imm = 128});
        put({.row = Op::kLd, .rd = riscv::kRa, .rs1 = kStill, .imm = 128});
      }
      for (std::uint32_t count = 1 + below(5); count != 0; --count) put_plain();
      put({.row = Op::kJalr, .rd = 0, .rs1 = riscv::kRa});
      while (words_.size() < end) put({.row = Op::kAddi});
    }
    stores_ = below(3) != 0;
    floats_ = below(2) == 0 ? 8 : 32;
    const std::size_t loop = words_.size();
    const std::uint64_t inner_loops = below(3);
    for (std::uint64_t count = (inner_loops == 0 ? 4 : 0) + below(inner_loops == 0 ? 40 : 10); count != 0; --count)
      put_item();
    for (std::uint64_t made = 0; made < inner_loops; ++made) put_inner_loop();
    put({.row = Op::kAddi, .rd = kForward, .rs1 = kForward, .imm = static_cast<std::int32_t>(below(64))});
    put({.row = Op::kAddi, .rd = kBackward, .rs1 = kBackward, .imm = -static_cast<std::int32_t>(below(64))});
    put({.row = Op::kAddi, .rd = kCounter, .rs1 = kCounter, .imm = -1});
    const auto back = static_cast<std::int32_t>(loop - words_.size()) * 4;
    put({.row = Op::kBne, .rs1 = kCounter, .rs2 = 0, .imm = back});
    put({.row = Op::kEbreak});
    code.resize(words_.size() * 4);
    std::memcpy(code.data(), words_.data(), code.size());
    for (unsigned reg = 1; reg < 32; ++reg) hart.x[reg] = below(3) == 0 ? below(256) : random_();
    // Now and then with what sums give no number for, or none at all.
    static constexpr std::uint64_t kOdd[] = {0x7FF0'0000'0000'0000, 0xFFF0'0000'0000'0000, 0xFFF8'0000'0000'0001,
                                             0x7FF4'0000'0000'0000};
    const bool has_odd = below(2) == 0;
    for (std::uint64_t& value : hart.f) {
      value = below(2) == 0 ? random_() : std::uint64_t{0x3FF0} << 48;
      if (has_odd && below(8) == 0) value = kOdd[below(std::size(kOdd))];
    }
    hart.x[kCounter] = 1 + below(600);
    hart.x[kStill] = kData + 512;
    hart.x[kForward] = kData + 256 + below(kWritable - 512);
    hart.x[kBackward] = kData + 256 + below(kWritable - 512);
    hart.x[kTwin] = kTwins + 2048 + below(kPageSize - 16);
    hart.pc = kCode;
  }

 private:
  static constexpr std::uint32_t kFunctions = 3, kFunctionWords = 10;
  static constexpr std::uint8_t kRegisters[] = {6,  7,  10, 11, 12, 13, 14, 15, 16, 17, 19,
                                                20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  template <class Container>
  auto pick(const Container& container) {
    return container[below(std::size(container))];
  }
  void put(const Instruction& instruction) { words_.push_back(fuzz::encode(instruction)); }
  std::uint8_t base() {
    static constexpr std::uint8_t kBases[] = {kStill, kStill, kForward, kForward, kBackward};
    return pick(kBases);
  }
  std::int32_t offset() { return static_cast<std::int32_t>(below(16)) * 8 - (below(8) == 0 ? 3 : 0); }

  void put_plain() {
    static constexpr Op kTwo[] = {Op::kAdd, Op::kSub, Op::kXor, Op::kOr,  Op::kAnd,  Op::kSll,
                                  Op::kSrl, Op::kSra, Op::kMul, Op::kSlt, Op::kSltu, Op::kAddw};
    static constexpr Op kLoads[] = {Op::kLd, Op::kLd, Op::kLw, Op::kLwu, Op::kLbu, Op::kLh};
    static constexpr Op kStores[] = {Op::kSd, Op::kSd, Op::kSw, Op::kSb, Op::kSh};
    const auto reg = [&] { return pick(kRegisters); };
    const auto vector = [&] { return static_cast<std::uint8_t>(below(floats_)); };
    if (below(8) == 0) return put_twin();
    // With many of them, so often that there are more than host registers.
    switch (floats_ > 8 && below(2) == 0 ? 6 + below(3) : below(12)) {
      case 0:
      case 1:
      case 2:
        return put({.row = pick(kLoads), .rd = reg(), .rs1 = base(), .imm = offset()});
      case 3:
      case 4:
        if (!stores_) return put_plain();
        return put({.row = pick(kStores), .rs1 = base(), .rs2 = reg(), .imm = offset()});
      case 5:
        return put({.row = Op::kAddi, .rd = reg(), .rs1 = reg(), .imm = static_cast<std::int32_t>(below(4096)) - 2048});
      case 6:
        return put({.row = Op::kFld, .rd = vector(), .rs1 = base(), .imm = offset()});
      case 7:
        if (!stores_) return put_plain();
        return put({.row = below(2) == 0 ? Op::kFsd : Op::kFsw, .rs1 = base(), .rs2 = vector(), .imm = offset()});
      case 8:
        return put({.row = below(2) == 0 ? Op::kFaddD : Op::kFmulD,
                    .rd = vector(),
                    .rs1 = vector(),
                    .rs2 = vector(),
                    .rm = 7});
      default:
        return put({.row = pick(kTwo), .rd = reg(), .rs1 = reg(), .rs2 = reg()});
    }
  }

  // As far apart as offsets go, where what seems to be other memory may be the same.
  void put_twin() {
    static constexpr std::int32_t kOffsets[] = {-2048, -2044, -2041, 2040, 2044, 2047};
    if (stores_ && below(2) == 0)
      return put({.row = Op::kSd, .rs1 = kTwin, .rs2 = pick(kRegisters), .imm = pick(kOffsets)});
    put({.row = Op::kLd, .rd = pick(kRegisters), .rs1 = kTwin, .imm = pick(kOffsets)});
  }

  // By an address that is a sum, which an access may be given in parts; now and then of an index that leads anywhere.
  void put_indexed() {
    struct Scale {
      Op sum;
      std::int32_t most;
    };
    static constexpr Scale kScales[] = {{Op::kAdd, 255},   {Op::kSh1add, 127},  {Op::kSh2add, 63},   {Op::kSh3add, 31},
                                        {Op::kAddUw, 255}, {Op::kSh2addUw, 63}, {Op::kSh3addUw, 31}, {Op::kAdd, 255}};
    const auto [sum, most] = pick(kScales);
    const std::uint8_t index = pick(kRegisters), address = below(2) == 0 ? index : pick(kRegisters);
    put({.row = Op::kAndi, .rd = index, .rs1 = pick(kRegisters), .imm = below(64) == 0 ? -1 : most});
    for (std::uint64_t made = below(3); made != 0; --made) put_plain();
    if (below(4) == 0) put({.row = Op::kSlli, .rd = index, .rs1 = index, .imm = static_cast<std::int32_t>(below(4))});
    put({.row = sum, .rd = address, .rs1 = index, .rs2 = base()});
    if (below(4) == 0) put({.row = Op::kAddi, .rd = address, .rs1 = address, .imm = offset()});
    const std::uint8_t value = below(2) == 0 ? address : pick(kRegisters);
    const auto vector = static_cast<std::uint8_t>(below(floats_));
    switch (below(stores_ ? 4 : 2)) {
      case 0:
        return put({.row = Op::kLd, .rd = value, .rs1 = address, .imm = offset()});
      case 1:
        return put({.row = Op::kFld, .rd = vector, .rs1 = address, .imm = offset()});
      case 2:
        return put({.row = Op::kSw, .rs1 = address, .rs2 = value, .imm = offset()});
      default:
        return put({.row = Op::kFsd, .rs1 = address, .rs2 = vector, .imm = offset()});
    }
  }

  // One of four cases, by two bits of a register.
  void put_table_jump() {
    constexpr std::int32_t kCases = 4, kCaseWords = 4, kJumpWords = 5;
    const std::uint8_t place = pick(kRegisters);
    const std::uint8_t start = place == kRegisters[0] ? kRegisters[1] : kRegisters[0];
    put({.row = Op::kAndi, .rd = place, .rs1 = pick(kRegisters), .imm = kCases - 1});
    put({.row = Op::kSlli, .rd = place, .rs1 = place, .imm = 4});
    put({.row = Op::kAuipc, .rd = start, .imm = 0});
    put({.row = Op::kAdd, .rd = start, .rs1 = start, .rs2 = place});
    put({.row = Op::kJalr, .rd = 0, .rs1 = start, .imm = (kJumpWords - 2) * 4 + static_cast<std::int32_t>(below(2))});
    for (std::int32_t made = 1; made <= kCases; ++made) {
      for (std::int32_t plain = 1; plain < kCaseWords; ++plain) put_plain();
      // Behind all of them.
      put({.row = Op::kJal, .rd = 0, .imm = (kCases - made) * kCaseWords * 4 + 4});
    }
  }

  // From where 64 bits, or their sign, end; to what is not met; by what wraps.
  void put_odd_limits() {
    put({.row = Op::kAddi, .rd = kInner, .imm = -1});
    if (below(2) == 0) put({.row = Op::kSrli, .rd = kInner, .rs1 = kInner, .imm = 1});
    put({.row = Op::kAddi, .rd = kInner, .rs1 = kInner, .imm = -static_cast<std::int32_t>(below(64))});
    put({.row = Op::kAddi, .rd = kLimit, .rs1 = kInner, .imm = static_cast<std::int32_t>(below(256)) - 64});
    if (below(3) != 0) return;
    put({.row = Op::kAddi, .rd = kStep, .imm = static_cast<std::int32_t>(below(3)) - 1});
    put({.row = Op::kSlli, .rd = kStep, .rs1 = kStep, .imm = static_cast<std::int32_t>(below(64))});
  }

  // A small one that counts up or down, by a constant or a register; half of them are entered in the middle.
  void put_inner_loop() {
    static constexpr Op kConditions[] = {Op::kBne, Op::kBne, Op::kBlt, Op::kBltu, Op::kBge, Op::kBgeu};
    const Op condition = pick(kConditions);
    const bool counts_down = condition == Op::kBge || condition == Op::kBgeu, by_register = below(3) == 0;
    const auto step = static_cast<std::int32_t>(1 + below(3)), turns = static_cast<std::int32_t>(1 + below(60));
    put({.row = Op::kAddi, .rd = kInner, .imm = counts_down ? (turns - 1) * step : 0});
    put({.row = Op::kAddi, .rd = kLimit, .imm = counts_down ? step : turns * step});
    put({.row = Op::kAddi, .rd = kStep, .imm = counts_down ? -step : step});
    if (below(3) == 0) put_odd_limits();
    const std::uint64_t before = below(2) == 0 ? 0 : 1 + below(4);
    if (before != 0) {  // over these
      const std::size_t jump = words_.size();
      put({.row = Op::kAddi});
      for (std::uint64_t made = 0; made < before; ++made) put_plain();
      const auto over = static_cast<std::int32_t>(words_.size() - jump) * 4;
      words_[jump] = fuzz::encode({.row = Op::kJal, .rd = 0, .imm = over});
    }
    const std::size_t first = words_.size() - before;
    for (std::uint64_t made = 1 + below(6); made != 0; --made) below(6) == 0 ? put_item() : put_plain();
    for (const std::uint8_t walks : {kForward, kBackward}) {
      if (below(2) == 0) continue;
      put({.row = Op::kAddi, .rd = walks, .rs1 = walks, .imm = static_cast<std::int32_t>(below(33)) - 16});
      if (below(2) == 0) put_plain();
    }
    if (by_register) {
      put({.row = Op::kAdd, .rd = kInner, .rs1 = kInner, .rs2 = kStep});
    } else {
      const Op adds = below(3) == 0 ? Op::kAddiw : Op::kAddi;
      put({.row = adds, .rd = kInner, .rs1 = kInner, .imm = counts_down ? -step : step});
    }
    for (std::uint64_t made = below(3); made != 0; --made) put_plain();
    const auto back = static_cast<std::int32_t>(first - words_.size()) * 4;
    put({.row = condition, .rs1 = kInner, .rs2 = kLimit, .imm = back});
  }

  void put_item() {
    switch (below(16)) {
      case 0: {  // over some
        const std::uint64_t count = 1 + below(4);
        put({.row = below(2) == 0 ? Op::kBlt : Op::kBne,
             .rs1 = pick(kRegisters),
             .rs2 = pick(kRegisters),
             .imm = static_cast<std::int32_t>(count + 1) * 4});
        for (std::uint64_t made = 0; made < count; ++made) put_plain();
        return;
      }
      case 1: {
        const auto function = static_cast<std::int32_t>(below(kFunctions));
        const std::int32_t target = 4 + function * static_cast<std::int32_t>(kFunctionWords) * 4;
        return put({.row = Op::kJal, .rd = riscv::kRa, .imm = target - static_cast<std::int32_t>(words_.size()) * 4});
      }
      case 2:
        return put_table_jump();
      case 3:
      case 4:
      case 5:
        return put_indexed();
      default:
        return put_plain();
    }
  }

  std::mt19937_64 random_;
  std::vector<std::uint32_t> words_;
  bool stores_ = false;
  std::uint64_t floats_ = 8;  // registers that are used
};

struct Outcome {
  std::uint64_t pc = 0, gas = 0, trap_address = 0;
  riscv::TrapKind trap{};
  std::vector<std::uint64_t> registers;
  std::vector<std::uint8_t> data;
  bool operator==(const Outcome&) const = default;
};

using Fill = std::function<void(std::vector<std::uint8_t>& code, HartState& hart)>;

Outcome run(const tests::Tier& tier, const Fill& fill, std::uint64_t gas, std::uint64_t step) {
  static const auto windows = std::make_shared<memory::WindowPool>();
  auto space = memory::AddressSpace::create(windows, memory::kWindowSize).value();
  std::vector<std::uint8_t> code;
  HartState hart;
  fill(code, hart);
  std::vector<std::uint8_t> data(kWritable + kReadOnly);
  std::mt19937_64 random(1);
  for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
  const auto map = [&](std::uint32_t address, const std::vector<std::uint8_t>& bytes) {
    const std::uint64_t size = (bytes.size() + kPageSize - 1) / kPageSize * kPageSize;
    EXPECT_EQ(space->map_anonymous(address, size, memory::kRead | memory::kWrite), memory::MapStatus::kOk);
    EXPECT_EQ(space->write(address, bytes.data(), bytes.size()), bytes.size());
  };
  map(kCode, code);
  map(kData, data);
  EXPECT_EQ(space->protect(kCode, kPageSize, memory::kRead | memory::kExecute), memory::MapStatus::kOk);
  EXPECT_EQ(space->protect(kData + kWritable, kReadOnly, memory::kRead), memory::MapStatus::kOk);
  const int twin = ::memfd_create("twins", MFD_CLOEXEC);
  EXPECT_EQ(::ftruncate(twin, kPageSize), 0);
  for (const std::uint32_t page : {kTwins, kTwins + static_cast<std::uint32_t>(kPageSize)}) {
    EXPECT_EQ(space->map_file(page, kPageSize, memory::kRead | memory::kWrite, true, twin, 0), memory::MapStatus::kOk);
  }
  ::close(twin);
  const auto runner = tier.make(*space, [](void*) -> std::uint64_t { return 0; }, nullptr);
  hart.grant_gas(gas);
  tests::run_to_trap(*runner, hart, step);
  Outcome outcome{.pc = hart.pc, .gas = hart.gas_used(), .trap_address = hart.trap.address, .trap = hart.trap.kind};
  outcome.registers.assign(hart.x.begin(), hart.x.begin() + 32);
  outcome.registers.insert(outcome.registers.end(), hart.f.begin(), hart.f.end());
  outcome.registers.push_back(hart.fflags);
  EXPECT_EQ(space->read(kData, data.data(), data.size()), data.size());
  outcome.data = data;
  EXPECT_EQ(space->read(kTwins, data.data(), kPageSize), kPageSize);
  outcome.data.insert(outcome.data.end(), data.begin(), data.begin() + kPageSize);
  return outcome;
}

std::string difference(const Outcome& is, const Outcome& should) {
  std::string text = fmt::format("pc {:#x} for {:#x}, gas {} for {}, trap {} for {}, address {:#x} for {:#x}", is.pc,
                                 should.pc, is.gas, should.gas, static_cast<int>(is.trap),
                                 static_cast<int>(should.trap), is.trap_address, should.trap_address);
  for (std::size_t reg = 0; reg < is.registers.size(); ++reg) {
    if (is.registers[reg] != should.registers[reg])
      text += fmt::format(", {} {:#x} for {:#x}", reg, is.registers[reg], should.registers[reg]);
  }
  for (std::size_t at = 0; at < is.data.size(); ++at) {
    if (is.data[at] == should.data[at]) continue;
    text += fmt::format(", byte {} {:#x} for {:#x}", at, is.data[at], should.data[at]);
    break;
  }
  return text;
}

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Outcome run(const tests::Tier& tier, std::uint64_t seed, std::uint64_t gas, std::uint64_t step) {
  const auto fill = [seed](std::vector<std::uint8_t>& code, HartState& hart) { GuestGenerator(seed).make(code, hart); };
  return run(tier, fill, gas, step);
}

// What is loaded first is overwritten through another address before the fault.
TEST(Faults, ComeAfterAStoreToTheSameMemoryElsewhere) {
  ASSERT_TRUE(memory::install_fault_recovery().has_value());
  const auto fill = [](std::vector<std::uint8_t>& code, HartState& hart) {
    const std::uint32_t words[] = {
        fuzz::encode({.row = Op::kLd, .rd = 5, .rs1 = kTwin, .imm = -2048}),
        fuzz::encode({.row = Op::kSd, .rs1 = kTwin, .rs2 = 11, .imm = 2047}),
        fuzz::encode({.row = Op::kLd, .rd = 6, .rs1 = 7, .imm = 0}),
        fuzz::encode({.row = Op::kEbreak}),
    };
    code.resize(sizeof words);
    std::memcpy(code.data(), words, sizeof words);
    hart.x[kTwin] = kTwins + 2048 + 4;
    hart.x[11] = 0x0123456789ABCDEF;
    hart.pc = kCode;
  };
  for (const tests::Tier& tier : tests::tiers()) {
    const Outcome outcome = run(tier, fill, 1'000'000, 0);
    EXPECT_EQ(outcome.trap, riscv::TrapKind::kLoadFault) << tier.name;
    EXPECT_EQ(outcome.registers[5], 0U) << tier.name;
  }
}

TEST(Faults, LeaveTheSameStateOnEveryTier) {
  ASSERT_TRUE(memory::install_fault_recovery().has_value());
  constexpr std::uint64_t kAll = 1'000'000;
  const tests::Tier& reference = *tests::find_tier("interp");
  const std::uint64_t first = number_of("CAISSON_FAULT_SEED", 1);
  const std::uint64_t count = number_of("CAISSON_FAULT_PROGRAMS", 30);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    std::mt19937_64 random(seed);
    const Outcome whole = run(reference, seed, kAll, 0);
    const std::uint64_t part = 1 + random() % whole.gas;
    const Outcome early = run(reference, seed, part, 0);
    const std::uint64_t step = 3000 + random() % 5000;
    for (const tests::Tier& tier : tests::tiers()) {
      const Outcome outcome = run(tier, seed, kAll, 0);
      ASSERT_TRUE(outcome == whole) << tier.name << ", seed " << seed << ": " << difference(outcome, whole);
      const Outcome stopped = run(tier, seed, part, 0);
      ASSERT_TRUE(stopped == early) << tier.name << ", seed " << seed << ", gas " << part << ": "
                                    << difference(stopped, early);
      const Outcome stepped = run(tier, seed, kAll, step);
      ASSERT_TRUE(stepped == whole) << tier.name << ", seed " << seed << ", steps of " << step << ": "
                                    << difference(stepped, whole);
    }
  }
}

}  // namespace
}  // namespace caisson
