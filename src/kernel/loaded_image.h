// An image as it runs: its memory as a base that instances share, its compiled code, and the cells that wait for its next instance.
//
// Thread safety: immutable but for the idle cells, which have their own lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "caisson/capability.h"
#include "caisson/result.h"
#include "caisson/store.h"
#include "kernel/sealed_memory.h"
#include "memory/memory_base.h"
#include "memory/memory_state.h"
#include "runtime/engine_state.h"
#include "runtime/module_state.h"

namespace caisson::kernel {

class Cell;

// How many cells of all images wait without an instance, and how many may.
struct IdleCells {
  explicit IdleCells(std::size_t limit) : limit(limit) {}
  const std::size_t limit;
  std::atomic<std::size_t> count{0};
};

using HostFunctions = std::vector<runtime::BoundHostFunction>;

class LoadedImage {
 public:
  // Reads what the image refers to. Errors: kNotFound (data that is not in the store), kInvalidImage, kUnsupported (another gas schedule, a
  // personality that is not the kernel's), kOutOfMemory, and the store's.
  static Result<std::shared_ptr<LoadedImage>> load(const Hash& hash, const Image& image, CapabilityStore& store,
                                                   std::shared_ptr<IdleCells> idle, runtime::EngineState& engine);
  // The same with the data at hand, in the order of the image's mappings (empty where a mapping has none).
  static Result<std::shared_ptr<LoadedImage>> make(const Hash& hash, const Image& image, std::vector<Data> contents,
                                                   std::shared_ptr<IdleCells> idle, runtime::EngineState& engine);
  ~LoadedImage();

  const Hash& hash() const { return hash_; }
  // Of an instance that was never anything else (lineage.h).
  const Hash& first_lineage() const { return first_lineage_; }
  const Image& image() const { return image_; }
  const std::shared_ptr<const runtime::ModuleState>& module() const { return module_; }
  // The data that the mappings refer to, each once, for who stores the image.
  const std::vector<Data>& contents() const { return contents_; }

  // What the image imports, as the engine had it when the image was loaded. Errors: kUnresolvedImport, kSignatureMismatch; an instance can be sealed
  // and opened all the same, but not run.
  const Result<HostFunctions>& host_functions() const { return host_functions_; }

  // Memory as a new instance has it.
  const memory::MemoryState& fresh_memory() const { return fresh_; }

  // The same as Data, for sealing.
  const SealedMemory& sealed_base() const { return sealed_base_; }

  // What operations are charged by.
  std::uint64_t page_count() const { return page_count_; }
  std::uint64_t code_page_count() const { return code_page_count_; }

  const Endpoint* find_endpoint(std::uint64_t number) const;
  // The registers of a call, x0…x31, without arguments; `endpoint` is one of image().endpoints.
  const std::array<std::uint64_t, 32>& registers_of(const Endpoint& endpoint) const {
    return registers_[index_of(endpoint)];
  }

  // How often calls of an endpoint that were made within the caller's run had to leave it, because they made calls of their own.
  bool is_called_within(const Endpoint& endpoint) const {
    return within_[index_of(endpoint)].load(std::memory_order_relaxed) < kMostFailures;
  }
  void note_left(const Endpoint& endpoint) const {
    within_[index_of(endpoint)].fetch_add(1, std::memory_order_relaxed);
  }
  // x0…x5 of a call where no other registers are set; null where others are.
  const std::array<std::uint64_t, 6>* first_registers_of(const Endpoint& endpoint) const {
    const FirstRegisters& first = first_registers_[index_of(endpoint)];
    return first.are_all ? &first.x : nullptr;
  }

  // The only stretch of pages that hold code and cannot be written; size 0 where there is none, or several.
  struct CodeRange {
    std::uint32_t base = 0, size = 0;
  };
  CodeRange code_range() const { return code_range_; }

  // A cell that waits for an instance of this image; null where there is none.
  std::unique_ptr<Cell> take_idle_cell();
  // Ends it where enough wait.
  void keep_idle_cell(std::unique_ptr<Cell> cell);

 private:
  LoadedImage(const Hash& hash, const Image& image, std::shared_ptr<IdleCells> idle);
  Result<void> prepare(std::vector<Data> contents, runtime::EngineState& engine);
  void prepare_endpoints();
  std::size_t index_of(const Endpoint& endpoint) const {
    return static_cast<std::size_t>(&endpoint - image_.endpoints.data());
  }

  const Hash hash_, first_lineage_;
  const Image image_;
  std::shared_ptr<const runtime::ModuleState> module_;
  Result<HostFunctions> host_functions_;
  memory::MemoryState fresh_;
  SealedMemory sealed_base_;
  std::vector<Data> contents_;
  std::vector<std::array<std::uint64_t, 32>> registers_;  // by index of endpoint
  struct FirstRegisters {
    std::array<std::uint64_t, 6> x{};
    bool are_all = false;
  };
  std::vector<FirstRegisters> first_registers_;  // by index of endpoint
  static constexpr std::uint32_t kMostFailures = 4;
  std::unique_ptr<std::atomic<std::uint32_t>[]> within_;  // by index of endpoint
  std::uint64_t page_count_ = 0, code_page_count_ = 0;
  CodeRange code_range_;

  const std::shared_ptr<IdleCells> idle_cells_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Cell>> idle_;  // guarded by mutex_
};

}  // namespace caisson::kernel
