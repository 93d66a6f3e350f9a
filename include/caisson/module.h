// A Module: one validated program, shared by the instances that run it.
//
// Thread safety: immutable and cheap to copy (a shared handle); usable from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace caisson {

namespace runtime {
struct ModuleState;
}

// A function that the guest exports, by symbol.
struct ExportedFunction {
  std::string name;
  std::uint64_t address = 0;  // guest address as linked (before a PIE's base)
  std::uint64_t size = 0;     // bytes; 0 where the symbol does not say
};

// A host function that the guest declares with CAISSON_IMPORT.
struct ImportedFunction {
  std::string name;
  std::string signature;     // in C types, e.g. "int(int, const char*)"
  std::uint32_t number = 0;  // n of a7 = 0x1040 + n
};

class Module {
 public:
  // What the module exports and imports, in the order of the ELF.
  std::span<const ExportedFunction> exports() const;
  std::span<const ImportedFunction> imports() const;
  // SHA-256 of the file, 32 bytes.
  std::span<const std::uint8_t, 32> content_hash() const;
  // True for a program, which start() runs before exported functions are called; false for a collection of functions: no
  // entry point, or the one that a linker picks where there is no `_start` (the first function).
  bool has_start() const;
  // The path given to load_file, or what load_bytes was told; for messages.
  const std::string& name() const;

  explicit Module(std::shared_ptr<const runtime::ModuleState> state) : state_(std::move(state)) {}
  const std::shared_ptr<const runtime::ModuleState>& state() const { return state_; }

 private:
  std::shared_ptr<const runtime::ModuleState> state_;
};

}  // namespace caisson
