// The Engine: loads programs and makes instances of them.
//
//   caisson::Engine engine = caisson::Engine::create().value();
//   engine.host_function("add", [](int a, int b) { return a + b; });
//   caisson::Result<caisson::Module> module = engine.load_file("plugin.elf");
//   caisson::Result<caisson::Instance> instance = engine.instantiate(*module, {.memory_limit = 64 << 20});
//
// An Engine is a cheap handle: copies share the same state, which lives as long as a handle or an instance of it.
// Thread safety: every function may be called from any thread at any time. After fork() a child may not run compiled code where its parent has: start
// workers by exec, or fork before the first instance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "caisson/detail/host_binding.h"
#include "caisson/host.h"
#include "caisson/instance.h"
#include "caisson/jit_backend.h"
#include "caisson/module.h"
#include "caisson/program_bytes.h"
#include "caisson/result.h"

namespace caisson {

namespace runtime {
struct EngineState;
}

struct EngineOptions {
  // Who compiles what gets hot, shared by engines that are given the same one; its config needs a compiler of the guest kind "riscv"
  // (riscv_compiler()). Null: the engine makes one when something first gets hot.
  std::shared_ptr<const JitBackend> jit;
  // Where the engine's own backend keeps compiled code for the next process (default_artifact_directory() is a place); empty: nowhere.
  std::string artifact_directory;
  // Where it writes what it made of each unit: blocks, LLVM's code before and after, assembly; empty: nowhere.
  std::string dump_directory;
  // RuntimeTuning::hot_threshold and RuntimeConfig::blocking (jit_backend.h) of its own backend; without a number, the default.
  std::optional<std::uint64_t> hot_threshold;
  bool blocking = false;
  // Where its own backend compiles: in the process, or in caisson-compile-helper, so that a compiler that crashes, hangs or eats memory
  // costs one compilation, and the process ends without waiting for one. Without that program it compiles in the process.
  CompileProcess compile_process = CompileProcess::kInProcess;
  // Memory windows of ended instances (4 GiB of address space each, emptied) that are kept for the next ones.
  std::size_t idle_windows = 16;
  // Forks (Instance::fork()) that keep a window between their runs; further ones are parked, and take some ten microseconds to run again.
  std::size_t resident_forks = 256;
};

// The compiler of RISC-V code for RuntimeConfig::compilers. It needs libcaisson-optimized.so when it first compiles.
std::shared_ptr<GuestCompiler> riscv_compiler();

// A snapshot; see caisson/metrics.h for one that is served.
struct EngineStats {
  std::uint64_t windows_in_use = 0, windows_idle = 0;
  // Since the engine began: asked of the host; got from idle ones; given back; lost, where the host could neither empty nor take them back.
  std::uint64_t windows_reserved = 0, windows_reused = 0, windows_released = 0, windows_abandoned = 0;
  std::uint64_t host_mappings = 0;  // kernel mappings of windows in use
  std::uint64_t resident_forks = 0;
  std::optional<RuntimeStatsSnapshot> jit;  // nothing until something got hot
};

class Engine {
 public:
  // Errors: kOutOfMemory.
  static Result<Engine> create(const EngineOptions& options = {});

  // Reads and validates a program. Errors: kNotFound, kPermission, kNotExecutable (not a regular file), kIo,
  // kLimit (larger than 1 GiB), kInvalidImage, kUnsupported.
  Result<Module> load_file(const std::string& path) const;
  // The same with bytes, which are copied; `name` stands in messages.
  Result<Module> load_bytes(std::span<const std::uint8_t> bytes, std::string name = "program") const;
  // The same without a copy.
  Result<Module> load(const ProgramBytes& bytes, std::string name = "program") const;

  // Makes `callable` available to guests that import `name` and are instantiated from now on; replaces an earlier one.
  // Each call costs `gas`. Which types it may take and return: caisson/host.h.
  template <class Callable>
  void host_function(std::string name, Callable&& callable, std::uint64_t gas = 0) {
    add_host_function(detail::make_host_function(std::move(name), std::forward<Callable>(callable), gas));
  }

  // Makes a live guest. The first one takes over the process's SIGSEGV and SIGBUS to see guests' faults; faults of the host's
  // own go where they went before. Errors: kUnresolvedImport or kSignatureMismatch (one message that lists every import without a host
  // function or with one of other types), kOutOfMemory, kLimit (options.gas does not pay for the program's pages),
  // kInvalidArgument (options), kUnsupported.
  Result<Instance> instantiate(const Module& module, InstanceOptions options = {}) const;

  EngineStats stats() const;

  // For other parts of the library.
  const std::shared_ptr<runtime::EngineState>& state() const { return state_; }

 private:
  explicit Engine(std::shared_ptr<runtime::EngineState> state) : state_(std::move(state)) {}
  void add_host_function(detail::HostFunction function);

  std::shared_ptr<runtime::EngineState> state_;
};

}  // namespace caisson
