// spec_oracle: asks qemu-riscv64 about spec files.
//
//   spec_oracle --check GUEST FILE…    reports the rows that want something else than qemu-riscv64 does (a CTest entry)
//   spec_oracle --update GUEST FILE…   completes the rows that end in `-> ?` (tests/spec/update)
//
// GUEST is oracle_guest.c, compiled. Gas, cases marked `no-oracle` and rows that are not about a user-mode trap are not asked about.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "spec/spec_case.h"
#include "spec/spec_state.h"

namespace caisson::spec {
namespace {

using memory::kPageSize;
using riscv::TrapKind;

constexpr int kSkipped = 77;
// A row that loops must not hang the build.
constexpr unsigned kFileSeconds = 60;

// Mirrors oracle_guest.c.
struct GuestMachine {
  std::uint64_t x[32];  // x[0] is the pc
  std::uint64_t f[32];
  std::uint64_t fcsr;
  std::uint64_t signal, address;
  std::uint64_t page_count;
};
constexpr std::size_t kMaximumPages = 16;

// A qemu-riscv64 that runs one machine after the other.
class Oracle {
 public:
  explicit Oracle(const std::string& guest) {
    int to_guest[2], from_guest[2];
    if (::pipe(to_guest) != 0 || ::pipe(from_guest) != 0) return;
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(to_guest[0], 0);
      ::dup2(from_guest[1], 1);
      for (int fd : {to_guest[0], to_guest[1], from_guest[0], from_guest[1]}) ::close(fd);
      ::alarm(kFileSeconds);
      ::execlp("qemu-riscv64", "qemu-riscv64", guest.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to_guest[0]);
    ::close(from_guest[1]);
    write_fd_ = to_guest[1];
    read_fd_ = from_guest[0];
  }

  ~Oracle() {
    if (process_ <= 0) return;
    ::close(write_fd_);
    ::close(read_fd_);
    ::waitpid(process_, nullptr, 0);
  }

  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  struct Outcome {
    MachineState state;
    int signal = 0;
    std::uint64_t address = 0;
  };

  std::optional<Outcome> run(const MachineState& initial) {
    if (initial.pages.size() > kMaximumPages) return std::nullopt;
    GuestMachine machine{};
    std::ranges::copy(initial.x, machine.x);
    machine.x[0] = initial.pc;
    std::ranges::copy(initial.f, machine.f);
    machine.fcsr = initial.frm << 5 | initial.fflags;
    machine.page_count = initial.pages.size();
    if (!write_all(&machine, sizeof machine)) return std::nullopt;
    for (const auto& [address, page] : initial.pages) {
      const std::uint64_t header[2] = {address, page.permissions};
      if (!write_all(header, sizeof header) || !write_all(page.bytes.data(), kPageSize)) return std::nullopt;
    }

    if (!read_all(&machine, sizeof machine)) return std::nullopt;
    Outcome outcome{.state = initial, .signal = static_cast<int>(machine.signal), .address = machine.address};
    for (auto& [address, page] : outcome.state.pages) {
      std::uint64_t header[2];
      if (!read_all(header, sizeof header) || !read_all(page.bytes.data(), kPageSize)) return std::nullopt;
    }
    std::ranges::copy(machine.x, outcome.state.x.begin());
    outcome.state.x[0] = 0;
    outcome.state.pc = machine.x[0];
    std::ranges::copy(machine.f, outcome.state.f.begin());
    outcome.state.frm = static_cast<std::uint32_t>(machine.fcsr >> 5);
    outcome.state.fflags = static_cast<std::uint32_t>(machine.fcsr & 31);
    return outcome;
  }

 private:
  bool write_all(const void* from, std::size_t length) {
    const auto* next = static_cast<const char*>(from);
    while (length > 0) {
      const ssize_t count = ::write(write_fd_, next, length);
      if (count <= 0) return false;
      next += count;
      length -= static_cast<std::size_t>(count);
    }
    return true;
  }

  bool read_all(void* to, std::size_t length) {
    auto* next = static_cast<char*>(to);
    while (length > 0) {
      const ssize_t count = ::read(read_fd_, next, length);
      if (count <= 0) return false;
      next += count;
      length -= static_cast<std::size_t>(count);
    }
    return true;
  }

  pid_t process_ = -1;
  int write_fd_ = -1, read_fd_ = -1;
};

// The signal that a Linux process gets for a trap; 0 for traps that a process does not see.
int signal_of(TrapKind kind) {
  switch (kind) {
    case TrapKind::kEbreak:
      return SIGTRAP;
    case TrapKind::kIllegal:
      return SIGILL;
    case TrapKind::kLoadFault:
    case TrapKind::kStoreFault:
    case TrapKind::kFetchFault:
      return SIGSEGV;
    default:
      return 0;
  }
}

bool is_asked_about(const SpecCase& spec_case, const Row& row) {
  return spec_case.no_oracle.empty() && !row.set.gas && signal_of(row.want.trap.value_or(TrapKind::kEbreak)) != 0;
}

// 1 where a row differs.
int check_row(Oracle& oracle, const std::string& path, const SpecCase& spec_case, const Row& row) {
  const Result<MachineState> initial = initial_state(spec_case, row);
  const std::optional<Oracle::Outcome> outcome = initial ? oracle.run(*initial) : std::nullopt;
  if (!outcome) {
    fmt::print(stderr, "{}:{}: case `{}`: the oracle gives no answer\n", path, row.line, spec_case.name);
    return 1;
  }
  std::vector<std::string> differences = compare_state(spec_case, row, outcome->state);
  const int wanted_signal = signal_of(row.want.trap.value_or(TrapKind::kEbreak));
  if (outcome->signal != wanted_signal)
    differences.push_back(fmt::format("signal is {}, want {}", outcome->signal, wanted_signal));
  if (row.want.address && outcome->address != *row.want.address) {
    differences.push_back(fmt::format("address is {:#x}, want {:#x}", outcome->address, *row.want.address));
  }
  if (differences.empty()) return 0;
  fmt::print(stderr, "{}:{}: case `{}` under the oracle:\n  {}\n", path, row.line, spec_case.name,
             fmt::join(differences, "\n  "));
  return 1;
}

int check(const std::string& guest, const std::string& path) {
  const Result<std::vector<SpecCase>> cases = load_spec(path);
  if (!cases) {
    fmt::print(stderr, "{}\n", cases.error().to_string());
    return 1;
  }
  Oracle oracle(guest);
  int status = 0, rows = 0;
  for (const SpecCase& spec_case : *cases) {
    for (const Row& row : spec_case.rows) {
      if (!is_asked_about(spec_case, row)) continue;
      status |= check_row(oracle, path, spec_case, row);
      ++rows;
    }
  }
  fmt::print("{}: {} rows asked about\n", path, rows);
  return status;
}

std::string integer_text(std::uint64_t value) {
  const auto number = static_cast<std::int64_t>(value);
  return number >= -65536 && number <= 65536 ? fmt::format("{}", number) : fmt::format("{:#x}", value);
}

std::string address_text(std::uint64_t address) {
  const std::uint64_t offset = address - kDataAddress;
  return offset < kDataSize ? fmt::format("data+{}", offset) : fmt::format("{:#x}", address);
}

template <class Float, class Bits>
std::string float_text(Bits bits, Bits canonical_nan) {
  if (bits == canonical_nan) return "nan";
  const auto value = std::bit_cast<Float>(bits);
  const std::string text = fmt::format("{}", value);
  return std::isnan(value) || text.size() > 12 ? fmt::format("{:#x}", bits) : text;
}

std::string float_register_text(std::uint64_t bits) {
  if (bits >> 32 == 0xffffffff) return "s:" + float_text<float>(static_cast<std::uint32_t>(bits), 0x7fc00000u);
  return "d:" + float_text<double>(bits, std::uint64_t{0x7ff8000000000000});
}

std::string flags_text(std::uint32_t flags) {
  std::string text;
  for (const auto& [name, bit] : {std::pair{"nv", 16u}, {"dz", 8u}, {"of", 4u}, {"uf", 2u}, {"nx", 1u}}) {
    if (flags & bit) text += (text.empty() ? "" : "+") + std::string(name);
  }
  return text.empty() ? "0" : text;
}

// What a row must want so that it agrees with `outcome`.
std::string wanted_text(const SpecCase& spec_case, const MachineState& initial, const Oracle::Outcome& outcome) {
  std::vector<std::string> parts;
  const MachineState& state = outcome.state;
  for (unsigned i = 1; i < 32; ++i) {
    if (state.x[i] != initial.x[i])
      parts.push_back(fmt::format("{}={}", integer_register_name(i), integer_text(state.x[i])));
  }
  for (unsigned i = 0; i < 32; ++i) {
    if (state.f[i] != initial.f[i])
      parts.push_back(fmt::format("{}={}", float_register_name(i), float_register_text(state.f[i])));
  }
  for (const auto& [address, page] : state.pages) {
    const std::vector<std::uint8_t>& before = initial.pages.at(address).bytes;
    for (std::size_t i = 0; i < kPageSize; ++i) {
      if (page.bytes[i] == before[i]) continue;
      parts.push_back(fmt::format("bytes[{}]=", address_text(address + i)));
      for (; i < kPageSize && page.bytes[i] != before[i]; ++i) parts.back() += fmt::format("{:02x}", page.bytes[i]);
    }
  }
  if (state.frm != initial.frm) parts.push_back(fmt::format("frm={}", state.frm));
  if (state.fflags != initial.fflags) parts.push_back("fflags=" + flags_text(state.fflags));
  if (outcome.signal == SIGILL) parts.push_back("trap=illegal");
  if (outcome.signal == SIGSEGV) parts.push_back(fmt::format("trap=load-fault address={:#x}", outcome.address));
  if (state.pc != spec_case.end_address())
    parts.push_back(fmt::format("pc=code+{}", state.pc - spec_case.code_address));
  return fmt::format("{}", fmt::join(parts, " "));
}

int update(const std::string& guest, const std::string& path) {
  const Result<std::vector<SpecCase>> cases = load_spec(path);
  if (!cases) {
    fmt::print(stderr, "{}\n", cases.error().to_string());
    return 1;
  }
  std::vector<std::string> lines;
  {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
  }
  Oracle oracle(guest);
  for (const SpecCase& spec_case : *cases) {
    for (const Row& row : spec_case.rows) {
      if (!row.incomplete) continue;
      const Result<MachineState> initial = initial_state(spec_case, row);
      const std::optional<Oracle::Outcome> outcome = initial ? oracle.run(*initial) : std::nullopt;
      if (!outcome) {
        fmt::print(stderr, "{}:{}: case `{}`: the oracle gives no answer\n", path, row.line, spec_case.name);
        return 1;
      }
      std::string& line = lines[static_cast<std::size_t>(row.line) - 1];
      line = line.substr(0, line.rfind("->")) + "-> " + wanted_text(spec_case, *initial, *outcome);
      while (line.ends_with(' ')) line.pop_back();
    }
  }
  std::ofstream(path) << fmt::format("{}\n", fmt::join(lines, "\n"));
  return 0;
}

}  // namespace
}  // namespace caisson::spec

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (argc < 4 || (mode != "--check" && mode != "--update")) {
    fmt::print(stderr, "usage: spec_oracle --check|--update GUEST FILE...\n");
    return 2;
  }
  if (std::system("qemu-riscv64 --version > /dev/null 2>&1") != 0 || !std::filesystem::exists(argv[2])) {
    fmt::print("skipped: needs qemu-riscv64 and, when building, riscv64-linux-gnu-gcc\n");
    return caisson::spec::kSkipped;
  }
  ::signal(SIGPIPE, SIG_IGN);
  int status = 0;
  for (int i = 3; i < argc; ++i)
    status |= (mode == "--check" ? caisson::spec::check : caisson::spec::update)(argv[2], argv[i]);
  return status;
}
