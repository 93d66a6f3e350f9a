// caisson doctor: what this machine offers, and why not.
#include <cpuid.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baseline/baseline.h"
#include "command_line.h"
#include "exit_status.h"
#include "memory/address_space.h"
#include "memory/executable_memory.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "doctor",
    .summary =
        "Tells what this machine offers: isolation levels, tiers, limits, tools. Exit status 1 if guests cannot run.",
    .usage = "[OPTIONS]",
    .example = "caisson doctor",
};

// One line of the report.
struct Finding {
  std::string_view section;
  std::string name;
  bool available = false;
  std::string detail;
  bool is_needed = false;  // without it no guest runs
};

// Reserves windows until the host refuses or `most` are held, and gives them back.
struct WindowProbe {
  std::size_t count = 0;
  std::string refusal;
};

WindowProbe probe_windows(std::size_t most) {
  memory::WindowPool pool(/*idle_limit=*/0);
  std::vector<memory::Window> windows;
  WindowProbe probe;
  while (windows.size() < most) {
    const Result<memory::Window> window = pool.acquire();
    if (!window) {
      probe.refusal = window.error().to_string();
      break;
    }
    windows.push_back(*window);
  }
  probe.count = windows.size();
  for (const memory::Window& window : windows) pool.release(window, 0, 0);
  return probe;
}

Finding thread_isolation() {
  constexpr std::size_t kMostWindows = 40'000;  // past the 47 bits of a process's address space
  const WindowProbe probe = probe_windows(kMostWindows);
  Finding finding{"isolation", "thread", probe.count > 0, fmt::format("{} windows of 4 GiB", probe.count), true};
  if (probe.count == 0) finding.detail = probe.refusal;
  if (const Result<void> recovery = memory::install_fault_recovery(); !recovery) {
    finding.available = false;
    finding.detail = recovery.error().to_string();
  }
  return finding;
}

Finding kvm_device() {
  const int descriptor = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return {"host", "/dev/kvm", false, std::strerror(errno)};
  close(descriptor);
  return {"host", "/dev/kvm", true, "usable"};
}

// The Linux personality keeps paths beneath a root with it; without it, it walks them itself.
Finding openat2_call() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  const long descriptor = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
  if (descriptor < 0)
    return {"host", "openat2", false, fmt::format("{}; paths are walked one by one", std::strerror(errno))};
  close(static_cast<int>(descriptor));
  return {"host", "openat2", true, "keeps guests' paths beneath their root"};
}

std::string limit_text(rlim_t limit) { return limit == RLIM_INFINITY ? "unlimited" : fmt::format("{}", limit); }

Finding resource_limit(std::string_view name, int resource, rlim_t wanted) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  const bool is_enough = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted;
  std::string text = limit_text(limit.rlim_cur);
  if (limit.rlim_max != limit.rlim_cur) text += fmt::format(", may be raised to {}", limit_text(limit.rlim_max));
  return {"limits", std::string(name), is_enough, std::move(text)};
}

Finding mapping_limit() {
  constexpr std::uint64_t kUsual = 65'530;  // the kernel's default
  std::uint64_t count = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> count;
  return {"limits", "vm.max_map_count", count >= kUsual,
          fmt::format("{}, shared by all instances of a process", count)};
}

struct CpuFeature {
  std::string_view name;
  unsigned leaf;
  unsigned register_index;  // of eax, ebx, ecx, edx
  unsigned bit;
  std::string_view use;
};

// Intel SDM volume 2A, CPUID.
constexpr CpuFeature kCpuFeatures[] = {
    {"fma", 1, 2, 12, "fused multiply-add"},    {"bmi2", 7, 1, 8, "shifts without flags"},
    {"avx2", 7, 1, 5, "copies and vectors"},    {"sha_ni", 7, 1, 29, "content hashes"},
    {"pku", 7, 2, 3, "memory protection keys"},
};

bool has_feature(const CpuFeature& feature) {
  std::array<unsigned, 4> registers{};
  if (__get_cpuid_count(feature.leaf, 0, &registers[0], &registers[1], &registers[2], &registers[3]) == 0) return false;
  return (registers[feature.register_index] >> feature.bit & 1) != 0;
}

// The processor may have it, and the kernel not let user code use it: Linux, Documentation/arch/x86/x86_64/fsgs.rst.
Finding segment_instructions() {
  const bool is_usable = (getauxval(AT_HWCAP2) & 2) != 0;
  return {"cpu", "fsgsbase", is_usable, "optimised code switches guests' windows without a system call (Linux 5.9)"};
}

struct Tool {
  std::string_view name;
  std::string_view use;
};

constexpr Tool kTools[] = {
    {"riscv64-linux-gnu-gcc", "compiles C for guests"},
    {"riscv64-linux-gnu-g++", "compiles C++ for guests"},
    {"clang-19", "compiles for guests, --target=riscv64"},
    {"qemu-riscv64", "the oracle of differential tests"},
};

std::optional<std::string> find_in_path(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string candidate = fmt::format("{}/{}", rest.substr(0, end), name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

Finding baseline_tier() {
  const char* missing = nullptr;
  if (!baseline::Baseline::is_supported(&missing))
    return {"tiers", "baseline", false, fmt::format("the processor lacks {} (x86-64-v3 is needed)", missing)};
  if (const auto memory = memory::ExecutableMemory::process(); !memory)
    return {"tiers", "baseline", false, memory.error().to_string()};
  return {"tiers", "baseline", true, "compiles what runs"};
}

std::vector<Finding> examine() {
  constexpr std::string_view kNotBuilt = "not in this build";
  constexpr rlim_t kUsualDescriptors = 1024;  // what a guest may open by default
  std::vector<Finding> findings = {
      thread_isolation(),
      {"isolation", "process", false, std::string(kNotBuilt)},
      {"isolation", "kvm", false, std::string(kNotBuilt)},
      {"tiers", "interp", true, "the reference", true},
      baseline_tier(),
      {"tiers", "optimized", false, std::string(kNotBuilt)},
      kvm_device(),
      openat2_call(),
      resource_limit("RLIMIT_AS", RLIMIT_AS, 2 * memory::kWindowSize),
      resource_limit("RLIMIT_NOFILE", RLIMIT_NOFILE, kUsualDescriptors),
      mapping_limit(),
  };
  for (const CpuFeature& feature : kCpuFeatures) {
    findings.push_back({"cpu", std::string(feature.name), has_feature(feature), std::string(feature.use)});
  }
  findings.push_back(segment_instructions());
  for (const Tool& tool : kTools) {
    const std::optional<std::string> path = find_in_path(tool.name);
    findings.push_back(
        {"tools", std::string(tool.name), path.has_value(), path ? *path : fmt::format("not found: {}", tool.use)});
  }
  return findings;
}

void print_text(const std::vector<Finding>& findings) {
  std::string_view section;
  for (const Finding& finding : findings) {
    if (finding.section != section) fmt::print("{}\n", finding.section);
    section = finding.section;
    fmt::print("  {:<22} {:<4} {}\n", finding.name, finding.available ? "yes" : "no", finding.detail);
  }
}

void print_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json json;
  for (const Finding& finding : findings) {
    json[std::string(finding.section)][finding.name] = {{"available", finding.available}, {"detail", finding.detail}};
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

int doctor_verb(const Arguments& arguments) {
  CommandLine command_line(kText, CommandLine::Operands::kMixed);
  bool as_json = false;
  command_line.app().add_flag("--json", as_json, "print one JSON object");
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (!command_line.operands().empty()) return command_line.report_misuse("nothing stands behind doctor");

  const std::vector<Finding> findings = examine();
  if (as_json) {
    print_json(findings);
  } else {
    print_text(findings);
  }
  for (const Finding& finding : findings) {
    if (finding.is_needed && !finding.available) return 1;
  }
  return 0;
}

}  // namespace caisson::cli
