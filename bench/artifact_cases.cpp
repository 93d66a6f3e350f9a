#include "bench/artifact_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "bench/child_process.h"
#include "bench/clock.h"
#include "bench/kernels.h"
#include "bench/suites.h"
#include "caisson/artifact_store.h"
#include "image/elf_image.h"
#include "memory/host_memory.h"
#include "optimized/riscv_compiler.h"

namespace caisson::bench {
namespace {

constexpr char kPrefix[] = "unit-";
// Small, large, with floating point, with calls.
constexpr std::string_view kUnits[] = {"sieve", "sha256", "matrix_double", "quicksort", "lz", "json"};

class UnlimitedTime : public CompileLimits {
 public:
  bool yield_point() override { return true; }
  std::chrono::steady_clock::time_point deadline() const override {
    return std::chrono::steady_clock::now() + std::chrono::hours(1);
  }
};

// What promotion would ask for: the unit at `run`, made from the whole pages of the kernel's code.
Result<CompileInput> input_of(const Kernel& kernel) {
  const auto elf = image::parse_elf(kernel.guest);
  if (!elf) return std::unexpected(elf.error());
  const auto run = std::ranges::find(elf->functions, "run", &image::FunctionSymbol::name);
  if (run == elf->functions.end()) return fail(ErrorCode::kInternal, "the kernel has no run()");
  for (const image::Segment& segment : elf->segments) {
    if (!segment.executable || run->address - segment.address >= segment.file_size) continue;
    const std::uint64_t before = segment.address % memory::kPageSize;
    const std::uint64_t size =
        (before + segment.file_size + memory::kPageSize - 1) / memory::kPageSize * memory::kPageSize;
    std::vector<std::uint8_t> bytes(size);
    std::ranges::copy(kernel.guest.subspan(segment.file_offset, segment.file_size),
                      bytes.begin() + static_cast<std::ptrdiff_t>(before));
    return optimized::unit_input(static_cast<std::uint32_t>(segment.address - before), std::move(bytes),
                                 static_cast<std::uint32_t>(run->address), std::string(kernel.name));
  }
  return fail(ErrorCode::kInternal, "the kernel has no code");
}

}  // namespace

std::vector<std::string> artifact_cases() {
  std::vector<std::string> names;
  for (const std::string_view unit : kUnits) names.push_back(kPrefix + std::string(unit));
  return names;
}

Result<void> measure_artifact(const std::string& suite, const std::string& case_name, std::size_t runs,
                              Report& report) {
  const auto input = input_of(*std::ranges::find(kernels(), case_name.substr(sizeof kPrefix - 1), &Kernel::name));
  if (!input) return std::unexpected(input.error());
  const auto folder = ProgramFolder::create();
  if (!folder) return std::unexpected(folder.error());
  const auto store = open_artifact_store((folder->path() / "artifacts").string());
  if (!store) return std::unexpected(store.error());

  optimized::RiscvCompiler compiler;
  UnlimitedTime limits;
  const auto compile = [&] { return compiler.compile(*input, limits, nullptr); };
  auto blob = compile();  // loads the plug-in
  if (!blob) {
    add_absent(report, suite, "optimized", blob.error().to_string());
    return {};
  }
  const Artifact artifact{input->key,   input->tier,        input->guest_kind,
                          input->label, compiler.context(), *std::move(blob)};
  if (const auto stored = (*store)->store(artifact); !stored) return stored;

  std::vector<double> compile_times, load_times, ratios;
  std::size_t code_bytes = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    const double began = thread_nanoseconds();
    const auto compiled = compile();
    if (!compiled) return std::unexpected(compiled.error());
    if (const auto loaded = compiler.load(*compiled); !loaded) return std::unexpected(loaded.error());
    const double between = thread_nanoseconds();
    const auto found = (*store)->load(input->key, compiler.context(), nullptr);
    if (!found) return std::unexpected(found.error());
    if (!*found) return fail(ErrorCode::kInternal, "the artifact is not in the store", case_name);
    const auto loaded = compiler.load((*found)->blob);
    if (!loaded) return std::unexpected(loaded.error());
    const double ended = thread_nanoseconds();
    if ((*found)->blob.code != artifact.blob.code)
      return fail(ErrorCode::kInternal, "the artifact has other code", case_name);
    code_bytes = (*loaded)->code_bytes();
    compile_times.push_back(between - began);
    load_times.push_back(ended - between);
    ratios.push_back(compile_times.back() / load_times.back());
  }
  const std::string note = fmt::format("{} bytes of host code", code_bytes);
  report.rows.push_back({suite, case_name, "compiled", "time_ns", "ns", summarize(compile_times), note});
  report.rows.push_back({suite, case_name, "from store", "time_ns", "ns", summarize(load_times), note});
  report.rows.push_back({suite, case_name, "from store", "times_faster", "ratio", summarize(ratios),
                         "a compilation's time to a load's from the store, executable code in either case"});
  return {};
}

}  // namespace caisson::bench
