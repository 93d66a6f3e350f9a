// spec_runner: runs spec files on one tier, or checks that they cover the instruction table.
//
//   spec_runner --tier NAME FILE…    each row of each case, with all gas at once and unit by unit
//   spec_runner --coverage FILE…     every row of the instruction table occurs in the code of some case
//
// Prints what differs and exits with 1, or 0.
#include <fmt/format.h>
#include <xmmintrin.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "isa/riscv/decoder.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"
#include "spec/gas_prediction.h"
#include "spec/spec_case.h"
#include "spec/spec_state.h"
#include "support/tiers.h"

namespace caisson::spec {
namespace {

using memory::kPageSize;

// What the `time` CSR reads.
constexpr std::uint64_t kTime = 0x0123456789abcdef;
// Bounds a case that runs away.
constexpr std::uint64_t kDefaultGas = 1'000'000;
// What an embedder may have in MXCSR when it calls: rounding upwards, denormals flushed and read as zero, old flags, and no
// exception unmasked. It must not reach the guest, and must be back afterwards.
constexpr std::uint32_t kForeignMxcsr = _MM_ROUND_UP | _MM_FLUSH_ZERO_ON | 0x0040 | _MM_MASK_MASK | _MM_EXCEPT_DENORM;
// All gas at once, or unit by unit: each block is then refused until it can be paid exactly.
constexpr std::uint64_t kGasSteps[] = {0, 1};

std::uint64_t read_time(void*) { return kTime; }

// What differs from what the row wants; empty where all is right.
std::vector<std::string> run_row(const SpecCase& spec_case, const Row& row,
                                 const std::shared_ptr<memory::WindowPool>& windows, const tests::Tier& tier,
                                 std::uint64_t gas_step) {
  if (row.incomplete) return {"the row does not say what it wants; tests/spec/update asks the oracle"};
  const Result<MachineState> initial = initial_state(spec_case, row);
  if (!initial) return {initial.error().to_string()};
  Result<std::unique_ptr<memory::AddressSpace>> space = memory::AddressSpace::create(windows, memory::kWindowSize);
  if (!space) return {space.error().to_string()};
  for (const auto& [address, page] : initial->pages) {
    if ((*space)->map_anonymous(address, kPageSize, memory::kRead | memory::kWrite) != memory::MapStatus::kOk ||
        (*space)->write(address, page.bytes.data(), kPageSize) != kPageSize ||
        (*space)->protect(address, kPageSize, page.permissions) != memory::MapStatus::kOk) {
      return {fmt::format("cannot map a page at {:#x}", address)};
    }
  }

  riscv::HartState hart;
  std::ranges::copy(initial->x, hart.x.begin());
  hart.f = initial->f;
  hart.pc = initial->pc;
  hart.frm = initial->frm;
  hart.fflags = initial->fflags;
  hart.grant_gas(row.set.gas.value_or(kDefaultGas));
  const std::unique_ptr<tests::TierRunner> runner = tier.make(**space, read_time, nullptr);
  const std::uint32_t host_mxcsr = _mm_getcsr();
  _mm_setcsr(kForeignMxcsr);
  tests::run_to_trap(*runner, hart, gas_step);
  const std::uint32_t left_mxcsr = _mm_getcsr();
  _mm_setcsr(host_mxcsr);

  MachineState final = *initial;
  std::copy_n(hart.x.begin(), final.x.size(), final.x.begin());
  final.f = hart.f;
  final.pc = hart.pc;
  final.frm = hart.frm;
  final.fflags = hart.fflags;
  for (auto& [address, page] : final.pages) (*space)->read(address, page.bytes.data(), kPageSize);

  std::vector<std::string> differences = compare_state(spec_case, row, final);
  if (left_mxcsr != kForeignMxcsr) {
    differences.push_back(fmt::format("the host's MXCSR is {:#x}, was {:#x}", left_mxcsr, kForeignMxcsr));
  }
  const riscv::TrapKind wanted_trap = row.want.trap.value_or(riscv::TrapKind::kEbreak);
  if (hart.trap.kind != wanted_trap) {
    differences.push_back(fmt::format("trap is {}, want {}", trap_name(hart.trap.kind), trap_name(wanted_trap)));
  }
  if (row.want.address && hart.trap.address != *row.want.address) {
    differences.push_back(fmt::format("address is {:#x}, want {:#x}", hart.trap.address, *row.want.address));
  }
  const std::optional<std::uint64_t> wanted_gas =
      row.want.gas ? row.want.gas
                   : predict_straight_line_gas(spec_case.bytes(), spec_case.code_address, initial->pc, final.pc);
  if (wanted_gas && hart.gas_used() != *wanted_gas) {
    differences.push_back(fmt::format("gas used is {}, want {}", hart.gas_used(), *wanted_gas));
  }
  return differences;
}

int run_files(const tests::Tier& tier, const std::vector<std::string>& paths) {
  if (const Result<void> installed = memory::install_fault_recovery(); !installed) {
    fmt::print(stderr, "{}\n", installed.error().to_string());
    return 1;
  }
  const auto windows = std::make_shared<memory::WindowPool>();
  std::size_t rows = 0, failures = 0;
  for (const std::string& path : paths) {
    const Result<std::vector<SpecCase>> cases = load_spec(path);
    if (!cases) {
      fmt::print(stderr, "{}\n", cases.error().to_string());
      return 1;
    }
    for (const SpecCase& spec_case : *cases) {
      for (const Row& row : spec_case.rows) {
        for (std::uint64_t gas_step : kGasSteps) {
          const std::vector<std::string> differences = run_row(spec_case, row, windows, tier, gas_step);
          ++rows;
          if (differences.empty()) continue;
          ++failures;
          fmt::print(stderr, "{}:{}: case `{}` on {}{}:\n  {}\n", path, row.line, spec_case.name, tier.name,
                     gas_step == 0 ? "" : ", gas unit by unit",
                     fmt::join(differences.begin(),
                               differences.begin() + std::min<std::ptrdiff_t>(std::ssize(differences), 12), "\n  "));
        }
      }
    }
  }
  fmt::print("{} runs, {} failures\n", rows, failures);
  return failures == 0 ? 0 : 1;
}

int check_coverage(const std::vector<std::string>& paths) {
  std::set<riscv::Op> covered;
  for (const std::string& path : paths) {
    const Result<std::vector<SpecCase>> cases = load_spec(path);
    if (!cases) {
      fmt::print(stderr, "{}\n", cases.error().to_string());
      return 1;
    }
    for (const SpecCase& spec_case : *cases) {
      std::vector<std::uint8_t> code = spec_case.bytes();
      code.resize(code.size() + 2);  // decode() may look at four bytes of a last compressed instruction
      for (std::size_t offset = 0; offset + 4 <= code.size();) {
        std::uint32_t bits;
        std::memcpy(&bits, code.data() + offset, sizeof bits);
        const riscv::Decoded decoded = riscv::decode(bits);
        covered.insert(decoded.row);
        offset += decoded.length;
      }
    }
  }
  int missing = 0;
  for (const riscv::InstructionInfo& row : riscv::kInstructions) {
    if (row.op == riscv::Op::kIllegal || covered.contains(row.op)) continue;
    fmt::print(stderr, "no case executes {}\n", row.mnemonic);
    ++missing;
  }
  return missing == 0 ? 0 : 1;
}

int usage() {
  fmt::print(stderr, "usage: spec_runner --tier NAME FILE... | --coverage FILE...\ntiers:");
  for (const tests::Tier& tier : tests::tiers()) fmt::print(stderr, " {}", tier.name);
  fmt::print(stderr, "\n");
  return 2;
}

}  // namespace
}  // namespace caisson::spec

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() >= 2 && arguments[0] == "--coverage")
    return caisson::spec::check_coverage({arguments.begin() + 1, arguments.end()});
  if (arguments.size() < 3 || arguments[0] != "--tier") return caisson::spec::usage();
  const caisson::tests::Tier* tier = caisson::tests::find_tier(arguments[1]);
  return tier == nullptr ? caisson::spec::usage()
                         : caisson::spec::run_files(*tier, {arguments.begin() + 2, arguments.end()});
}
