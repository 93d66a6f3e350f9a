#include "differential/batch_runs.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "gas/gas_schedule.h"
#include "isa/riscv/decoder.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"

namespace caisson::differential {
namespace {

using memory::kPageSize;
using riscv::HartState;
using riscv::TrapKind;

constexpr std::uint64_t kWrite = 64, kExit = 93;  // Linux system calls
constexpr unsigned kProcessSeconds = 60;

std::uint64_t rounded_to_pages(std::uint64_t size) { return (size + kPageSize - 1) / kPageSize * kPageSize; }

Result<std::unique_ptr<memory::AddressSpace>> map_image(const fuzz::BatchImage& image) {
  if (Result<void> installed = memory::install_fault_recovery(); !installed) return std::unexpected(installed.error());
  static const auto windows = std::make_shared<memory::WindowPool>();
  auto space = memory::AddressSpace::create(windows, memory::kWindowSize);
  if (!space) return space;
  const auto map = [&](std::uint64_t address, const std::vector<std::uint8_t>& bytes, memory::Permissions permissions) {
    const std::uint64_t size = rounded_to_pages(bytes.size());
    return (*space)->map_anonymous(address, size, memory::kRead | memory::kWrite) == memory::MapStatus::kOk &&
           (*space)->write(address, bytes.data(), bytes.size()) == bytes.size() &&
           (*space)->protect(address, size, permissions) == memory::MapStatus::kOk;
  };
  if (!map(image.code_address, image.code, memory::kRead | memory::kExecute) ||
      !map(image.data_address, image.records, memory::kRead | memory::kWrite)) {
    return caisson::fail(ErrorCode::kOutOfMemory, "cannot map a batch");
  }
  return space;
}

TierRun failed(std::string why) {
  TierRun run;
  run.failure = std::move(why);
  return run;
}

// What entering a batch's code costs at each pc: the gas rules read from the code bytes and the instruction table alone.
class BlockMap {
 public:
  struct Block {
    std::uint32_t instructions = 0, cost = 0;
  };

  explicit BlockMap(const fuzz::BatchImage& image) : image_(image), blocks_(image.code.size() / 2) {}

  Block at(std::uint64_t pc) {
    Block& block = blocks_.at((pc - image_.code_address) / 2);
    if (block.instructions == 0) block = read(pc);
    return block;
  }

 private:
  Block read(std::uint64_t pc) const {
    Block block;
    const std::uint64_t page = pc / kPageSize;
    while (pc / kPageSize == page && pc + 2 <= image_.code_address + image_.code.size()) {
      std::uint32_t bits = 0;
      const std::size_t offset = pc - image_.code_address;
      std::memcpy(&bits, image_.code.data() + offset, std::min(sizeof bits, image_.code.size() - offset));
      const riscv::Decoded decoded = riscv::decode(bits);
      ++block.instructions;
      block.cost += gas::weight(decoded.op);
      if (riscv::info(decoded.op).has(riscv::traits::kTerminator)) break;
      pc += decoded.length;
    }
    return block;
  }

  const fuzz::BatchImage& image_;
  std::vector<Block> blocks_;
};

// Where a body's registers stand in a record, for messages.
std::string describe(const fuzz::Record& tier, const fuzz::Record& oracle) {
  for (unsigned i = 0; i < 32; ++i) {
    if (tier.x[i] != oracle.x[i]) return fmt::format("x{} is {:#x}, the oracle has {:#x}", i, tier.x[i], oracle.x[i]);
  }
  for (unsigned i = 0; i < 32; ++i) {
    if (tier.f[i] != oracle.f[i]) return fmt::format("f{} is {:#x}, the oracle has {:#x}", i, tier.f[i], oracle.f[i]);
  }
  if (tier.fcsr != oracle.fcsr) return fmt::format("fcsr is {:#x}, the oracle has {:#x}", tier.fcsr, oracle.fcsr);
  for (std::size_t i = 0; i < sizeof tier.data; ++i) {
    if (tier.data[i] != oracle.data[i])
      return fmt::format("data byte {} is {:#x}, the oracle has {:#x}", i, tier.data[i], oracle.data[i]);
  }
  return "its number differs";
}

}  // namespace

Result<std::unique_ptr<BatchProcess>> BatchProcess::start(const fuzz::BatchImage& image, const tests::Tier& tier) {
  auto space = map_image(image);
  if (!space) return std::unexpected(space.error());
  std::unique_ptr<BatchProcess> process(new BatchProcess());
  process->space_ = std::move(*space);
  process->runner_ = tier.make(*process->space_, [](void*) -> std::uint64_t { return 0; }, nullptr);
  process->hart_.pc = image.code_address;
  return process;
}

bool BatchProcess::run(std::uint64_t gas) {
  hart_.grant_gas(hart_.gas + gas);
  do {
    runner_->run_whole(hart_);
  } while (hart_.trap.kind == TrapKind::kEcall && answer_ecall());
  run_.gas_used = hart_.gas_used();
  if (hart_.trap.kind == TrapKind::kOutOfGas) return false;
  if (hart_.trap.kind != TrapKind::kEcall)
    run_.failure = fmt::format("trap {} at pc {:#x}", static_cast<int>(hart_.trap.kind), hart_.pc);
  return true;
}

// False at the end of the process.
bool BatchProcess::answer_ecall() {
  if (hart_.x[0] != 0) {
    run_.failure = fmt::format("x0 is {:#x}", hart_.x[0]);
    return false;
  }
  if (hart_.x[riscv::kA7] == kExit) return false;
  if (hart_.x[riscv::kA7] != kWrite) {
    run_.failure = fmt::format("an unknown system call {}", hart_.x[riscv::kA7]);
    return false;
  }
  const std::size_t before = run_.output.size();
  run_.output.resize(before + sizeof(fuzz::Record));
  space_->read(hart_.x[riscv::kA1], run_.output.data() + before, sizeof(fuzz::Record));
  run_.gas.push_back(hart_.gas_used());
  hart_.x[riscv::kA0] = sizeof(fuzz::Record);
  hart_.reservation_width = 0;
  hart_.pc += 4;
  return true;
}

TierRun run_on_tier(const fuzz::BatchImage& image, const tests::Tier& tier) {
  const auto process = BatchProcess::start(image, tier);
  if (!process) return failed(process.error().to_string());
  if (!(*process)->run(kAmpleGas)) return failed("it does not end");
  return (*process)->result();
}

TierRun run_on_tier_in_portions(const fuzz::BatchImage& image, const tests::Tier& tier, std::uint64_t largest,
                                std::uint64_t seed) {
  const auto process = BatchProcess::start(image, tier);
  if (!process) return failed(process.error().to_string());
  std::mt19937_64 random(seed);
  while (!(*process)->run(1 + random() % largest)) {
    if ((*process)->hart().gas_used() > kAmpleGas) return failed("it does not end");
  }
  return (*process)->result();
}

bool has_oracle() {
  static const bool found = std::system("qemu-riscv64 --version > /dev/null 2>&1") == 0;
  return found;
}

std::vector<std::uint8_t> run_on_oracle(const fuzz::BatchImage& image) { return run_as_file(image, {"qemu-riscv64"}); }

std::vector<std::uint8_t> run_as_file(const fuzz::BatchImage& image, std::vector<std::string> command) {
  static std::atomic<unsigned> count{0};
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("caisson-differential-{}-{}", ::getpid(), count++);
  const std::vector<std::uint8_t> elf = image.to_elf();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(elf.data()), static_cast<std::streamsize>(elf.size()));
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);

  command.push_back(path.string());
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);

  std::vector<std::uint8_t> output;
  int output_pipe[2];
  if (::pipe(output_pipe) == 0) {
    const pid_t process = ::fork();
    if (process == 0) {
      ::dup2(output_pipe[1], 1);
      ::close(output_pipe[0]);
      ::close(output_pipe[1]);
      ::alarm(kProcessSeconds);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(output_pipe[1]);
    std::uint8_t buffer[65536];
    for (ssize_t length; (length = ::read(output_pipe[0], buffer, sizeof buffer)) > 0;)
      output.insert(output.end(), buffer, buffer + length);
    ::close(output_pipe[0]);
    ::waitpid(process, nullptr, 0);
  }
  std::filesystem::remove(path);
  return output;
}

BlockRun run_block_by_block(const fuzz::BatchImage& image, const tests::Tier& tier) {
  BlockRun run;
  const auto process = BatchProcess::start(image, tier);
  if (!process) {
    run.result = failed(process.error().to_string());
    return run;
  }
  const HartState& hart = (*process)->hart();
  BlockMap blocks(image);
  for (bool ended = false; !ended;) {
    const BlockMap::Block block = blocks.at(hart.pc);
    run.entries.push_back({hart.pc, hart.gas_used()});
    ended = (*process)->run(block.cost);
    run.instructions += block.instructions;
    if (hart.gas_used() - run.entries.back().gas_used != block.cost) {
      run.result = failed(fmt::format("the block at {:#x} costs {}, not {}", run.entries.back().pc,
                                      hart.gas_used() - run.entries.back().gas_used, block.cost));
      return run;
    }
  }
  run.result = (*process)->result();
  return run;
}

std::optional<Difference> first_difference(std::span<const std::uint8_t> tier, std::span<const std::uint8_t> oracle) {
  constexpr std::size_t kSize = sizeof(fuzz::Record);
  for (std::size_t program = 0; program * kSize < std::max(tier.size(), oracle.size()); ++program) {
    if ((program + 1) * kSize > tier.size()) return Difference{program, "the tier did not finish it"};
    if ((program + 1) * kSize > oracle.size()) return Difference{program, "the oracle did not finish it"};
    const std::uint8_t* mine = tier.data() + program * kSize;
    const std::uint8_t* its = oracle.data() + program * kSize;
    if (std::memcmp(mine, its, kSize) == 0) continue;
    fuzz::Record tier_record, oracle_record;
    std::memcpy(&tier_record, mine, kSize);
    std::memcpy(&oracle_record, its, kSize);
    return Difference{program, describe(tier_record, oracle_record)};
  }
  return std::nullopt;
}

}  // namespace caisson::differential
