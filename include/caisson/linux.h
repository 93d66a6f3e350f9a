// The Linux personality: answers a riscv64 Linux program's system calls inside an instance.
//
//   caisson::LinuxOptions linux_options;
//   linux_options.root = "/srv/guest";                    // the guest's "/"
//   linux_options.program = "/bin/busybox";               // a path beneath it
//   linux_options.arguments = {"busybox", "echo", "hello"};
//   auto program = caisson::find_linux_program(linux_options);          // follows `#!` lines
//   auto module = engine.load(program->bytes, program->options.program);
//   auto personality = caisson::make_linux_personality(program->options);
//   auto instance = engine.instantiate(*module, {.personality = *personality});
//   auto result = instance->start();                                    // kHalt: return_value is the exit status
//
// Thread safety: the functions may be called from any thread; a personality belongs to one instance.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caisson/program_bytes.h"
#include "caisson/result.h"

namespace caisson {

namespace runtime {
class Personality;
}

// A host directory that the guest sees at an absolute guest path, above what its root has there.
struct LinuxDirectory {
  std::string host;
  std::string guest;
  bool read_only = false;
};

struct LinuxOptions {
  // argv of the program; empty: the program's path alone. All strings of arguments and environment together, with their
  // pointers, take at most a quarter of the stack (as on Linux).
  std::vector<std::string> arguments;
  // "NAME=value" each.
  std::vector<std::string> environment;
  // Host directory that is the guest's "/"; empty: only the virtual files and `directories` exist.
  std::string root;
  std::vector<LinuxDirectory> directories;
  // The guest's first working directory, absolute.
  std::string workdir = "/";
  // The program's path as the guest sees it: AT_EXECFN and /proc/self/exe.
  std::string program;
  // The most files that the guest can hold open, at most 65 536 (its RLIMIT_NOFILE, which it cannot raise). Each may take a
  // descriptor of this process.
  std::uint32_t descriptor_limit = 1024;
  // Host descriptors that become the guest's 0, 1 and 2 (duplicated; the caller keeps its own); -1: closed in the guest.
  int standard_input = 0;
  int standard_output = 1;
  int standard_error = 2;
};

// A program as execve would find it: the file's bytes, and the options with `program` and `arguments` rewritten where the
// path led to a script (`#!interpreter argument`).
struct LinuxProgram {
  ProgramBytes bytes;
  LinuxOptions options;
};

// Reads options.program from the guest's file tree. Scripts are followed at most four deep. Errors: kNotFound, kPermission,
// kNotExecutable (not a regular file, no execute permission, too many nested scripts), kIo, kInvalidArgument (options).
Result<LinuxProgram> find_linux_program(const LinuxOptions& options);

// A personality for one instance (InstanceOptions::personality). Checks what can be checked without one: directories that
// exist, absolute guest paths, environment entries with a '='. Errors: kInvalidArgument, kNotFound, kPermission.
Result<std::shared_ptr<runtime::Personality>> make_linux_personality(LinuxOptions options);

}  // namespace caisson
