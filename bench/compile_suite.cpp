// Suite `compile`: how fast the baseline tier compiles, what a compilation costs at least, where its time goes (compile_stages.h), and how
// large its code is; and what it costs to look compiled code up (lookup_cases.h) and to load a unit of the optimising tier instead of
// compiling it (artifact_cases.h).
//
// Looks inside the engine, since nothing outside tells a compilation from a run.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "baseline/baseline.h"
#include "bench/artifact_cases.h"
#include "bench/clock.h"
#include "bench/compile_stages.h"
#include "bench/kernels.h"
#include "bench/lookup_cases.h"
#include "bench/suites.h"
#include "image/elf_image.h"
#include "memory/window_pool.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "compile";
constexpr std::uint32_t kSmallFunctions = 1024;
constexpr std::uint32_t kCodeAddress = 0x10'0000;

std::vector<std::string> cases() {
  std::vector<std::string> names = {"c-library", "one-instruction"};
  std::ranges::copy(stage_cases(), std::back_inserter(names));
  std::ranges::copy(lookup_cases(), std::back_inserter(names));
  std::ranges::copy(artifact_cases(), std::back_inserter(names));
  return names;
}

// A guest memory with code, and a tier that has compiled nothing of it.
struct Fresh {
  std::unique_ptr<memory::AddressSpace> memory;
  std::unique_ptr<baseline::Baseline> tier;
};

Result<Fresh> make_fresh(const std::shared_ptr<memory::WindowPool>& windows, std::uint64_t address,
                         std::span<const std::uint8_t> code) {
  auto memory = memory::AddressSpace::create(windows, memory::kWindowSize);
  if (!memory) return std::unexpected(memory.error());
  const std::uint64_t begin = address & ~(memory::kPageSize - 1);
  const std::uint64_t length = (address + code.size() - begin + memory::kPageSize - 1) & ~(memory::kPageSize - 1);
  if ((*memory)->map_anonymous(begin, length, memory::kRead | memory::kWrite) != memory::MapStatus::kOk ||
      (*memory)->write(address, code.data(), code.size()) != code.size() ||
      (*memory)->protect(begin, length, memory::kRead | memory::kExecute) != memory::MapStatus::kOk) {
    return fail(ErrorCode::kOutOfMemory, "cannot map the code");
  }
  // The first touch of a guest page costs the same whoever touches it; here it is to be no part of a compilation.
  std::vector<std::uint8_t> touched(length);
  (*memory)->read(begin, touched.data(), length);
  auto tier = baseline::Baseline::create(**memory, {.whole_pages = true});
  if (!tier) return std::unexpected(tier.error());
  return Fresh{*std::move(memory), *std::move(tier)};
}

struct Compiled {
  double nanoseconds = 0;
  baseline::CompileStats stats;
};

// Compiles from every one of the addresses that has no code yet.
Compiled compile_all(baseline::Baseline& tier, const std::vector<std::uint32_t>& addresses) {
  const double begin = thread_nanoseconds();
  for (const std::uint32_t address : addresses) {
    if (!tier.has_code(address)) tier.compile(address);
  }
  return {thread_nanoseconds() - begin, tier.stats().compiled};
}

// A static C program: every function of its C library.
Result<Compiled> compile_library(const std::shared_ptr<memory::WindowPool>& windows) {
  const auto elf = image::parse_elf(resident_guest());
  if (!elf) return std::unexpected(elf.error());
  for (const image::Segment& segment : elf->segments) {
    if (!segment.executable) continue;
    const auto fresh =
        make_fresh(windows, segment.address, resident_guest().subspan(segment.file_offset, segment.file_size));
    if (!fresh) return std::unexpected(fresh.error());
    std::vector<std::uint32_t> addresses;
    for (const image::FunctionSymbol& function : elf->functions) {
      if (function.address - segment.address < segment.file_size)
        addresses.push_back(static_cast<std::uint32_t>(function.address));
    }
    std::ranges::sort(addresses);
    return compile_all(*fresh->tier, addresses);
  }
  return fail(ErrorCode::kInternal, "the program has no code");
}

// A page each that holds one `ret`.
Result<Compiled> compile_small(const std::shared_ptr<memory::WindowPool>& windows) {
  std::vector<std::uint8_t> code(kSmallFunctions * memory::kPageSize);
  std::vector<std::uint32_t> addresses;
  for (std::uint32_t index = 0; index < kSmallFunctions; ++index) {
    constexpr std::uint16_t kReturn = 0x8082;
    std::memcpy(code.data() + index * memory::kPageSize, &kReturn, sizeof kReturn);
    addresses.push_back(kCodeAddress + index * static_cast<std::uint32_t>(memory::kPageSize));
  }
  const auto fresh = make_fresh(windows, kCodeAddress, code);
  if (!fresh) return std::unexpected(fresh.error());
  return compile_all(*fresh->tier, addresses);
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  if (case_name == "stages") return measure_stages(kSuite, runs, report);
  if (case_name.starts_with("lookup-")) return measure_lookup(kSuite, case_name, runs, report);
  if (case_name.starts_with("unit-")) return measure_artifact(kSuite, case_name, runs, report);
  const bool is_library = case_name == "c-library";
  const auto windows = std::make_shared<memory::WindowPool>();
  std::vector<double> bytes_per_second, nanoseconds, ratios;
  Compiled last;
  for (std::size_t run = 0; run < runs; ++run) {
    const auto compiled = is_library ? compile_library(windows) : compile_small(windows);
    if (!compiled && compiled.error().code == ErrorCode::kUnsupported) {
      add_absent(report, kSuite, "baseline", compiled.error().message);
      return {};
    }
    if (!compiled) return std::unexpected(compiled.error());
    last = *compiled;
    const auto guest = static_cast<double>(last.stats.guest_bytes);
    bytes_per_second.push_back(guest / last.nanoseconds * 1e9);
    ratios.push_back(static_cast<double>(last.stats.code_bytes) / guest);
    nanoseconds.push_back(last.nanoseconds / static_cast<double>(last.stats.units));
  }
  const std::string note =
      fmt::format("{} compilations of {} bytes of guest code", last.stats.units, last.stats.guest_bytes);
  report.rows.push_back(
      {kSuite, case_name, "baseline", "time_ns", "ns", summarize(nanoseconds), "of one compilation; " + note});
  if (!is_library) return {};
  report.rows.push_back(
      {kSuite, case_name, "baseline", "bytes_per_second", "bytes/s", summarize(bytes_per_second), note});
  report.rows.push_back({kSuite, case_name, "baseline", "code_ratio", "ratio", summarize(ratios),
                         "bytes of host code a byte of guest code"});
  return {};
}

}  // namespace

Suite compile_suite() { return {kSuite, "speed of compilation, and size of its code", 15, cases, measure, nullptr}; }

}  // namespace caisson::bench
