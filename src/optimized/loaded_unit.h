// A unit in executable memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "caisson/code_blob.h"
#include "caisson/guest_compiler.h"
#include "caisson/result.h"
#include "memory/executable_memory.h"
#include "optimized/unit_format.h"

namespace caisson::optimized {

// Told of the code of every unit that ends, where somebody lists it; null: nobody.
inline std::atomic<void (*)(const void* code)> unit_end_observer{nullptr};

// Immutable once loaded; shared by whoever runs it.
class LoadedUnit final : public LoadedCode {
 public:
  // Checks every table of `blob`, which may come from anywhere that is authenticated, and makes its code executable. Errors: kInvalidImage,
  // kOutOfMemory, kUnsupported (no executable memory here).
  static Result<std::shared_ptr<const LoadedUnit>> load(const CodeBlob& blob);
  ~LoadedUnit() override;

  std::size_t code_bytes() const override { return code_.size; }
  std::size_t data_bytes() const override { return table_bytes_; }

  std::uint32_t guest_pc() const { return guest_pc_; }
  const std::uint8_t* entry() const { return begin_ + entry_; }
  const std::uint8_t* code() const { return begin_; }
  std::size_t code_size() const { return size_; }
  const UnitTables& tables() const { return tables_; }
  // The site at a host address; null where there is none.
  const Site* site_at(const void* host) const;
  // True the first time: of several instances that run it, one lists it.
  bool take_listing() const { return !is_listed_.exchange(true, std::memory_order_relaxed); }
  bool contains(const void* host) const {
    return static_cast<std::size_t>(static_cast<const std::uint8_t*>(host) - begin_) <= size_;
  }

 private:
  LoadedUnit(memory::ExecutableMemory& memory, const memory::CodeBlock& code) : memory_(memory), code_(code) {}

  memory::ExecutableMemory& memory_;
  const memory::CodeBlock code_;
  const std::uint8_t* begin_ = nullptr;  // in it
  std::size_t size_ = 0, table_bytes_ = 0;
  std::uint32_t guest_pc_ = 0, entry_ = 0;
  UnitTables tables_;
  mutable std::atomic<bool> is_listed_{false};
};

}  // namespace caisson::optimized
