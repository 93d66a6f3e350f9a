// GuestCompiler: what a guest kind (RISC-V, EVM) plugs into the JitBackend: a compiler that turns guest code into a CodeBlob, and a loader
// that makes a blob executable.
//
//   class MyCompiler : public caisson::GuestCompiler { ... };
//   config.compilers.push_back(std::make_shared<MyCompiler>());
//
// A plug-in for the helper process (CompileProcess::kHelper) is a shared library that defines
//
//   extern "C" caisson::GuestCompiler* caisson_guest_compiler() { static MyCompiler compiler; return &compiler; }
//
// Thread safety: the backend calls every function of a GuestCompiler from any of its threads, several at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/artifact_store.h"
#include "caisson/code_blob.h"
#include "caisson/result.h"

namespace caisson {

// One unit of work: the code of a region and how it is to be compiled.
struct CompileInput {
  std::string guest_kind;  // "riscv", "evm": chooses the GuestCompiler; at most 32 bytes
  CodeKey key;  // see CodeKey; the backend never looks behind it
  CodeTier tier = CodeTier::kOptimized;
  std::uint64_t guest_address = 0;  // of bytes[0]
  std::uint64_t entry_pc = 0;  // the guest pc that asked
  std::shared_ptr<const std::vector<std::uint8_t>> bytes;  // the region's code; null means none
  std::vector<std::uint8_t> hints;  // profile and the like, in the guest kind's own form
  std::string label;  // for people: module and function; at most 255 bytes
};

// What a compilation may use. Valid during the call it was given to.
class CompileLimits {
 public:
  virtual ~CompileLimits() = default;
  // To be called every millisecond or so: waits while the backend is paused (at most RuntimeTuning::longest_pause), and answers
  // false once the compilation is cancelled or out of time: it should then end with any error.
  virtual bool yield_point() = 0;
  // When the time is up. A pause moves it.
  virtual std::chrono::steady_clock::time_point deadline() const = 0;
};

// Texts about a compilation for people (IR, assembly, block map), by name. A plain value.
class CompileDump {
 public:
  // Names are letters, digits, '-', '_' and '.'; other characters become '_'. A name given twice is replaced.
  void add(std::string_view name, std::string text) { texts_.insert_or_assign(std::string(name), std::move(text)); }
  const std::map<std::string, std::string>& texts() const { return texts_; }

 private:
  std::map<std::string, std::string> texts_;
};

// Executable code in this process. Destroyed when nobody can be in it any more; the destructor frees it and must not call the backend.
class LoadedCode {
 public:
  LoadedCode() = default;
  LoadedCode(const LoadedCode&) = delete;
  LoadedCode& operator=(const LoadedCode&) = delete;
  virtual ~LoadedCode() = default;
  // What it occupies in bytes, machine code and tables; constant over its life. Budgets count the sum.
  virtual std::size_t code_bytes() const = 0;
  virtual std::size_t data_bytes() const = 0;
};

class GuestCompiler {
 public:
  virtual ~GuestCompiler() = default;
  virtual std::string_view guest_kind() const = 0;
  // What artifacts of this compiler require of the engine that loads them. Constant.
  virtual ArtifactContext context() const = 0;
  // Whether it makes sense to compile this at all. Quick, without side effects.
  virtual bool is_eligible(const CompileInput& input) const = 0;
  // Position-independent code of the region. `dump` is null unless texts are wanted. Errors: any; the code is then interpreted and the
  // compilation tried again after a growing delay.
  virtual Result<CodeBlob> compile(const CompileInput& input, CompileLimits& limits, CompileDump* dump) = 0;
  // Makes a blob executable. The blob may come from a store or from the helper process: every offset and table is checked here.
  // Errors: kInvalidImage (a blob that breaks its form), kOutOfMemory.
  virtual Result<std::shared_ptr<const LoadedCode>> load(const CodeBlob& blob) = 0;
};

}  // namespace caisson
