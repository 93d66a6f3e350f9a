// Suite `programs`: Debian's Python, Lua and SQLite on scripts of their own, whole processes by the wall.
//
// The riscv64 programs come from a root that tools/debian-root filled; the native ones are the host's, where it has them, and may be of
// another version.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "bench/child_process.h"
#include "bench/kernels.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "programs";
// The runs before the first sample: of --tier=auto they compile what gets hot and keep it, until hardly anything is new. No more than
// there are samples, so that a quick look stays quick.
constexpr std::size_t kMostWarmUps = 5;

struct Program {
  std::string_view name;
  std::string_view native;  // looked up in PATH
  std::string_view guest;  // in the root
  std::span<const std::uint8_t> (*script)();
  std::string_view script_name;
  bool reads_by_command;  // sqlite3
};

constexpr Program kPrograms[] = {
    {"python", "python3", "usr/bin/python3", python_script, "objects.py", false},
    {"lua", "lua5.4", "usr/bin/lua5.4", lua_script, "tables.lua", false},
    {"sqlite", "sqlite3", "usr/bin/sqlite3", sqlite_script, "orders.sql", true},
};

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Program& program : kPrograms) names.emplace_back(program.name);
  return names;
}

// $CAISSON_DEBIAN_ROOT, or what `make test` filled beside this build.
std::filesystem::path debian_root(const std::string& self) {
  if (const char* const root = std::getenv("CAISSON_DEBIAN_ROOT"); root != nullptr) return root;
  return std::filesystem::path(self).parent_path().parent_path().parent_path() / "debian-riscv64";
}

// Version managers put a script before the program; its time is not the program's.
std::string program_behind(const std::string& native) {
  if (!native.ends_with("/python3")) return native;
  std::string path;
  const auto asked = time_process({native, "-c", "import sys; print(sys.executable, end='')"}, &path);
  return asked && !path.empty() ? path : native;
}

struct Contender {
  std::string name;
  std::vector<std::string> command;
};

Result<std::vector<Contender>> contenders(const Program& program, const ProgramFolder& folder, Report& report) {
  const auto self = own_program();
  if (!self) return std::unexpected(self.error());
  const auto script = folder.add(program.script_name, program.script());
  if (!script) return std::unexpected(script.error());
  const std::vector<std::string> words =
      program.reads_by_command ? std::vector<std::string>{":memory:", ".read " + *script} : std::vector{*script};
  const auto with_words = [&words](std::vector<std::string> command) {
    command.insert(command.end(), words.begin(), words.end());
    return command;
  };
  std::vector<Contender> list;
  if (const auto native = find_program(program.native)) {
    list.push_back({"native", with_words({program_behind(native->string())})});
  } else {
    add_absent(report, kSuite, fmt::format("native {}", program.native), needs_program(program.native));
  }

  const std::filesystem::path root = debian_root(*self), guest = root / program.guest;
  if (!std::filesystem::exists(guest)) {
    add_absent(report, kSuite, fmt::format("riscv64 {}", program.native),
               fmt::format("needs it in {}; tools/debian-root fetches it, CAISSON_DEBIAN_ROOT names another root",
                           root.string()));
    return list;
  }
  const std::string shared = fmt::format("--dir={0}::{0}:ro", folder.path().string());
  const auto caisson = [&](std::string_view tier) {
    return with_words({*self, "run", fmt::format("--tier={}", tier), "--root=" + root.string(), shared,
                       fmt::format("--artifacts={}", (folder.path() / "artifacts").string()), "--",
                       "/" + std::string(program.guest)});
  };
  list.push_back({"baseline", caisson("baseline")});
  list.push_back({"auto", caisson("auto")});
  if (const auto emulator = find_program("qemu-riscv64")) {
    list.push_back({"qemu-riscv64", with_words({emulator->string(), "-L", root.string(), guest.string()})});
  } else {
    add_absent(report, kSuite, "qemu-riscv64", needs_program("qemu-riscv64"));
  }
  return list;
}

// All must print the same.
Result<void> check(const std::vector<Contender>& list, std::size_t runs) {
  std::string expected;
  for (const Contender& contender : list) {
    const std::size_t turns = contender.name == "auto" ? std::min(kMostWarmUps, runs) : 1;
    for (std::size_t turn = 0; turn < turns; ++turn) {
      std::string output;
      const auto time = time_process(contender.command, &output);
      if (!time) return fail(time.error().code, time.error().message, contender.name);
      if (expected.empty()) expected = output;
      if (output.empty() || output != expected)
        return fail(ErrorCode::kInternal, fmt::format("printed other text than {}", list.front().name), contender.name);
    }
  }
  return {};
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  const Program& program = *std::ranges::find(kPrograms, case_name, &Program::name);
  const auto folder = ProgramFolder::create();
  if (!folder) return std::unexpected(folder.error());
  const auto list = contenders(program, *folder, report);
  if (!list) return std::unexpected(list.error());
  if (auto checked = check(*list, runs); !checked) return checked;

  std::vector<std::string> names;
  std::vector<std::vector<std::string>> commands;
  for (const Contender& contender : *list) {
    names.push_back(contender.name);
    commands.push_back(contender.command);
  }
  const auto timed = time_in_turns(commands, runs);
  if (!timed) return std::unexpected(timed.error());
  const std::vector<std::vector<double>>& samples = *timed;
  if (!names.empty() && names.front() == "native") {
    add_time_rows(report, kSuite, case_name, names, samples);
    return {};
  }
  for (std::size_t index = 0; index < names.size(); ++index)
    report.rows.push_back({kSuite, case_name, names[index], "time_ns", "ns", summarize(samples[index]), ""});
  return {};
}

}  // namespace

Suite programs_suite() {
  return {kSuite, "Debian's Python, Lua and SQLite on scripts, whole processes", 5, cases, measure, nullptr, 1};
}

}  // namespace caisson::bench
