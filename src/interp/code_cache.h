// The decode cache: from guest code to records, block by block, and back when code changes.
//
// Code is decoded when execution first enters it, in runs that go on past calls and not-taken branches. A run's records are
// neighbours; transfers within a page are linked record to record, others find their target through the code map, so that a
// page is the unit of invalidation and needs no list of who jumps into it.
//
// A *mixed* page (it may change without notice: writable and executable, or shared) never enters the code map: each block
// entry comes here and compares the bytes with those that were decoded. The cache modes off and verify treat every page so.
//
// Budget: 4 M records, 16 MiB of distinct code; past either the cache starts anew. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "caisson/result.h"
#include "interp/interpreter.h"
#include "interp/lowering.h"
#include "interp/record.h"
#include "memory/address_space.h"

namespace caisson::interp {

class CodeCache {
 public:
  CodeCache(memory::AddressSpace& memory, CacheMode mode);
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  // Null where the host could not reserve the cache's address range.
  Context* context() { return context_; }

  // Chooses other pins; everything is decoded anew.
  void set_pins(const Pins& pins);
  const Pins& pins() const { return pins_; }

  // See resolve.h.
  const Record* resolve(riscv::HartState& hart);

  // The bytes of the pages may have changed, or become fetchable: forgets them.
  void drop_pages(std::uint32_t first, std::uint32_t count);

  // Forgets everything and gives its memory back.
  void release();

  // Decodes without caching, for those who want to look at code: false where pc cannot be fetched.
  bool fetch(std::uint32_t pc, riscv::Decoded* decoded) const;

  InterpreterStats stats;

 private:
  struct MixedBlock {
    std::uint32_t record = 0;  // index
    std::vector<std::uint8_t> bytes;  // from its pc to the end of its last instruction
  };
  // A direct transfer within a page whose target was not decoded when it was lowered.
  struct PendingLink {
    std::uint32_t record = 0;
    std::uint32_t target = 0;
    riscv::Decoded decoded;
    std::optional<riscv::Decoded> previous;  // the instruction of the record before, where both may be fused
  };

  void flush();
  bool is_uncached(std::uint32_t pc) const;
  const Record* resolve_mixed(std::uint32_t pc);
  std::uint32_t decode_run(std::uint32_t pc, bool cached);
  std::uint32_t* slot(std::uint32_t pc);  // allocates the chunk
  std::uint32_t record_at(std::uint32_t pc) const;  // index, 0 where none
  void link(const PendingLink& pending, std::uint32_t target_record);
  void link_pending();
  void drop_page(std::uint32_t page);

  memory::AddressSpace& memory_;
  const CacheMode mode_;
  Context* context_ = nullptr;
  Pins pins_;
  ClassMap classes_;
  std::uint32_t next_record_ = 1;
  std::uint32_t next_chunk_ = 1;
  std::vector<std::uint32_t> used_chunks_;  // indexes of the chunk table that are in use
  std::vector<std::uint32_t> free_chunks_;  // offsets in the pool
  std::vector<PendingLink> pending_;  // at most kMaxPending, the oldest give way
  std::size_t next_pending_ = 0;
  std::vector<PendingLink> transfers_;  // those of the run that is being decoded
  std::unordered_map<std::uint32_t, MixedBlock> mixed_;
  std::uint32_t run_end_ = 0;  // pc behind the last instruction of the last run
};

}  // namespace caisson::interp
