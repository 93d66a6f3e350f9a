// Compiled code of one contiguous range of guest pages, and the entry table through which code finds code.
//
// The table has a slot for each half-word of the range: 0, or where the code of the block is that begins there. Compiled code reads
// slots without a lock; they are published when the code behind them is complete. Dropping a page clears its slots; the code stays until
// the region goes, so that whoever is inside it can leave.
//
// A region may serve several instances whose bytes in the range are the same (shared_code.h); then no page of it is ever dropped.
// Thread-safe: one compilation at a time, any number of threads executing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "baseline/code_listing.h"
#include "baseline/code_sources.h"
#include "baseline/page_scan.h"
#include "baseline/thunks.h"
#include "baseline/unit_emitter.h"
#include "caisson/result.h"
#include "memory/executable_memory.h"

namespace caisson::baseline {

struct CompileStats {
  std::uint64_t units = 0;  // compilations
  std::uint64_t guest_bytes = 0;  // that were compiled, those compiled again included
  std::uint64_t code_bytes = 0;  // made of them
  std::uint64_t pages_dropped = 0;
};

class CodeRegion {
 public:
  // At most so many bytes of guest code; larger ranges are several regions.
  static constexpr std::uint32_t kLargestSize = std::uint32_t{64} << 20;
  // Code of one region. A region that has used it up is replaced by a new one.
  static constexpr std::size_t kCodeLimit = std::size_t{128} << 20;

  // For the guest addresses [base, base + size), whole pages. Error: kOutOfMemory.
  static Result<std::shared_ptr<CodeRegion>> create(std::shared_ptr<const Thunks> thunks, std::uint32_t base,
                                                    std::uint32_t size);
  ~CodeRegion();
  CodeRegion(const CodeRegion&) = delete;
  CodeRegion& operator=(const CodeRegion&) = delete;

  std::uint32_t base() const { return layout_.base; }
  std::uint32_t size() const { return layout_.size; }
  bool contains(std::uint32_t pc) const { return pc - layout_.base < layout_.size; }
  const Thunks& thunks() const { return *thunks_; }

  // The code of the block at `pc`, which lies in the region; null where there is none.
  const void* entry(std::uint32_t pc) const {
    const EntrySlot distance = slot(pc).load(std::memory_order_acquire);
    return distance == 0 ? nullptr : memory_.code_begin() + distance;
  }
  RegionTable table() const {
    return {reinterpret_cast<std::uint64_t>(layout_.table) - std::uint64_t{layout_.base} / 2 * sizeof(EntrySlot)};
  }

  // Compiles code of the page whose bytes are given, the block at `pc` in any case; of a mixed page only that. False where there is no
  // memory for code.
  bool compile(const PageBytes& bytes, std::uint32_t pc, Reach reach, const CodeSources& sources);

  // Forgets the code of pages, given by number; returns how many had any.
  std::size_t drop_pages(std::uint32_t first, std::uint32_t end);
  // Whether code of the page depends on the first bytes of the next one.
  bool straddles(std::uint32_t page) const;

  // The guest instruction whose code contains a host address.
  struct FoundPlace {
    std::uint32_t pc = 0;
    bool faults_as_store = false;
    bool is_entry_check = false;  // the bytes of the block at pc were being compared
    UnsettledFloats unsettled;
    // The guest register in each host register of kIntegerHosts; 0: none.
    std::array<std::uint8_t, kIntegerHosts.size()> integers;
  };
  std::optional<FoundPlace> find(const void* host_pc) const;
  // Why compiled code left, from Context::left_from and Context::pushes.
  struct FoundDeparture {
    std::uint32_t pc = 0;
    std::uint32_t cost = 0;
    bool is_slice_end = true;
  };
  std::optional<FoundDeparture> find_departure(const void* left_from, std::uint32_t pushes) const;

  CompileStats stats() const;
  bool is_full() const { return code_size_ >= kCodeLimit; }

 private:
  struct Unit {
    std::uint32_t page_address = 0;
    std::uint32_t size = 0;  // of the code
    std::uint32_t entry_pc = 0;
    bool is_mixed = false;  // begins with a comparison of its bytes, which may fault
    std::span<const InstructionPlace> places;  // by native offset
    std::vector<UnsettledFloats> unsettled;  // the same
    Departures departures;
    std::vector<HostChange> host_changes;  // by native offset
  };
  struct Page;

  CodeRegion(std::shared_ptr<const Thunks> thunks, ExecutableMemory& memory, TableBlock table,
             const RegionLayout& layout);

  std::atomic<EntrySlot>& slot(std::uint32_t pc) const {
    return static_cast<std::atomic<EntrySlot>*>(layout_.table)[(pc - layout_.base) / 2];
  }
  const Unit* unit_of(const void* host_pc, std::uint32_t* offset) const;
  bool reserve(std::size_t bytes);
  InstructionPlace* reserve_places(std::size_t count);
  void list(const Unit& unit, const std::uint8_t* code, NameSource names, void* names_context) const;

  const std::shared_ptr<const Thunks> thunks_;
  ExecutableMemory& memory_;
  const RegionLayout layout_;

  mutable std::mutex mutex_;
  // All below is guarded by mutex_; the sizes are read without it as well.
  UnitEmitter emitter_;
  std::vector<CodeBlock> blocks_;
  std::size_t used_ = 0;  // of the last block
  std::atomic<std::size_t> code_size_{0};
  std::vector<std::unique_ptr<InstructionPlace[]>> place_blocks_;  // of all units
  std::span<InstructionPlace> free_places_;  // of the last block
  std::map<const std::uint8_t*, Unit> units_;  // by the begin of their code
  std::map<std::uint32_t, std::unique_ptr<Page>> pages_;  // by number
  TableBlock table_;
  CompileStats stats_;
};

}  // namespace caisson::baseline
