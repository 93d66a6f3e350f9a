// The caisson program: finds the verb and hands it the rest of the command line.
#include <fcntl.h>
#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string_view>

#include "exit_status.h"
#include "verb.h"

namespace {

using caisson::cli::Arguments;

struct Verb {
  std::string_view name;
  std::string_view summary;
  int (*function)(const Arguments&);
};

constexpr Verb kVerbs[] = {
    {"run", "run a riscv64 Linux program", caisson::cli::run_verb},
    {"invoke", "call an exported function of a program", caisson::cli::invoke_verb},
    {"compile", "optimise programs ahead of their runs, into the store", caisson::cli::compile_verb},
    {"image", "show what a program file holds: segments, functions, blocks and their gas", caisson::cli::image_verb},
    {"bench", "measure kernels, process start and idle memory against native code and peers", caisson::cli::bench_verb},
    {"store", "look after a directory of compiled code and capabilities", caisson::cli::store_verb},
    {"doctor", "what this machine offers: isolation levels, tiers, limits, and why not", caisson::cli::doctor_verb},
};

void print_help(std::FILE* to) {
  fmt::print(to, "Caisson runs untrusted RISC-V Linux programs, metered.\nUsage: caisson VERB [OPTIONS] …\n\n");
  for (const Verb& verb : kVerbs) fmt::print(to, "  {:<8}{}\n", verb.name, verb.summary);
  fmt::print(to, "\ncaisson VERB --help tells the options. Example: caisson run ./hello\n");
}

int dispatch(const Arguments& words) {
  const std::string_view name = words.empty() ? std::string_view() : words.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(stdout);
    return 0;
  }
  if (name == "--version") {
    fmt::print("caisson {}\n", CAISSON_VERSION);
    return 0;
  }
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return verb.function(Arguments(words.begin() + 1, words.end()));
  }
  if (words.empty()) {
    print_help(stderr);
  } else {
    fmt::print(stderr, "caisson: no verb \"{}\"; see caisson --help\n", name);
  }
  return caisson::cli::kOwnErrorStatus;
}

// A standard stream that is closed would lend its number to the next file that is opened, and a guest would get that.
void open_standard_streams() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0) ::open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a guest's file that outgrows this process's limit is the guest's error (EFBIG)
  try {
    return dispatch(Arguments(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::exception& error) {
    // Nothing of ours throws; the standard library may, where memory is short.
    std::fprintf(stderr, "caisson: %s\n", error.what());
    return caisson::cli::kOwnErrorStatus;
  }
}
