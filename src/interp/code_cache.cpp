#include "interp/code_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "gas/gas_schedule.h"
#include "interp/decode_counter.h"
#include "interp/fusion.h"

namespace caisson::interp {
namespace {

// A run stops at the first block end after this many instructions: code behind it may never run.
constexpr std::uint32_t kRunInstructions = 32;
constexpr std::size_t kMaxPending = 32;
// Mixed blocks remembered at a time, and with them the bytes they hold (at most a page each).
constexpr std::size_t kMaxMixedBlocks = 1024;
// Records that one run may need: those of an instruction at each half-word of a page, and one to go on elsewhere.
constexpr std::uint32_t kMaxRunRecords = memory::kPageSize / 2 * kMostRecordsPerInstruction + 2;

// Arguments and temporaries, until samples tell more.
constexpr Pins kFirstPins = {
    .integers = {riscv::kA0, riscv::kA1, riscv::kA2, riscv::kA3, riscv::kA4, riscv::kA5, riscv::kSp},
    .floats = {10, 11, 14, 15},  // fa0, fa1, fa4, fa5
};

constexpr std::uint32_t page_of(std::uint32_t pc) { return pc / memory::kPageSize; }

bool is_unconditional_end(const riscv::Decoded& decoded) {
  using riscv::Op;
  switch (decoded.op) {
    case Op::kJal:
    case Op::kJalr:
      return decoded.rd == 0;  // after a call, execution comes back
    case Op::kEcall:
    case Op::kEbreak:
    case Op::kIllegal:
      return true;
    default:
      return false;
  }
}

// Reads code ahead in pieces; a page's worth for a few instructions would be waste.
class CodeReader {
 public:
  explicit CodeReader(const memory::AddressSpace& memory) : memory_(memory) {}

  // The half-word at pc, or nothing where it cannot be fetched.
  bool half(std::uint32_t pc, std::uint16_t* value) {
    if (pc < begin_ || pc + 2 > begin_ + size_) {
      if (!is_fetchable(page_of(pc))) return false;
      const std::uint32_t to_page_end = static_cast<std::uint32_t>(memory::kPageSize - pc % memory::kPageSize);
      begin_ = pc;
      size_ =
          static_cast<std::uint32_t>(memory_.read(pc, buffer_, std::min<std::uint32_t>(sizeof buffer_, to_page_end)));
      if (size_ < 2) {
        size_ = 0;
        return false;
      }
    }
    std::memcpy(value, buffer_ + (pc - begin_), 2);
    return true;
  }

 private:
  bool is_fetchable(std::uint32_t page) const { return (memory_.permissions(page) & memory::kExecute) != 0; }

  const memory::AddressSpace& memory_;
  std::uint32_t begin_ = 1, size_ = 0;
  std::uint8_t buffer_[256];
};

struct Fetched {
  enum class Kind : std::uint8_t { kWhole, kFirstHalfOnly, kNothing } kind = Kind::kNothing;
  riscv::Decoded decoded;
};

Fetched fetch_at(CodeReader& reader, std::uint32_t pc) {
  std::uint16_t low, high = 0;
  if (!reader.half(pc, &low)) return {};
  if (riscv::instruction_length(low) == 4 && !reader.half(pc + 2, &high))
    return {.kind = Fetched::Kind::kFirstHalfOnly, .decoded = {}};
  return {.kind = Fetched::Kind::kWhole, .decoded = riscv::decode(static_cast<std::uint32_t>(high) << 16 | low)};
}

}  // namespace

CodeCache::CodeCache(memory::AddressSpace& memory, CacheMode mode)
    : memory_(memory), mode_(mode), pins_(kFirstPins), classes_(kFirstPins) {
  void* range =
      ::mmap(nullptr, kContextBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return;
  ::madvise(range, kContextBytes,
            MADV_NOHUGEPAGE);  // mostly untouched: huge pages would commit megabytes for a few records
  context_ = new (range) Context;
  context_->records()[0] = control_record(ControlRecord::kResolve);
  set_pins(kFirstPins);
}

CodeCache::~CodeCache() {
  if (context_ != nullptr) ::munmap(context_, kContextBytes);
}

void CodeCache::set_pins(const Pins& pins) {
  std::copy(pins.integers.begin(), pins.integers.end(), context_->pins.begin());
  std::copy(pins.floats.begin(), pins.floats.end(), context_->float_pins.begin());
  pins_ = pins;
  classes_ = ClassMap(pins);
  flush();
}

void CodeCache::flush() {
  for (const std::uint32_t index : used_chunks_) {
    const std::uint32_t entry = context_->chunk_table()[index];
    if (entry == 0) continue;
    std::memset(context_->chunk(entry), 0, kChunkSlots * 4);
    context_->chunk_table()[index] = 0;
  }
  used_chunks_.clear();
  free_chunks_.clear();
  pending_.clear();
  next_pending_ = 0;
  mixed_.clear();
  next_chunk_ = 1;
  next_record_ = 1;
}

void CodeCache::release() {
  flush();
  // What is given back reads as zero: nothing is decoded, but for record 0.
  ::madvise(context_->at(kChunkTableOffset), kContextBytes - kChunkTableOffset, MADV_DONTNEED);
  context_->records()[0] = control_record(ControlRecord::kResolve);
}

std::uint32_t* CodeCache::slot(std::uint32_t pc) {
  const std::uint32_t index = static_cast<std::uint32_t>(pc / kChunkBytes);
  std::uint32_t& entry = context_->chunk_table()[index];
  if (entry == 0) {
    if (!free_chunks_.empty()) {
      entry = free_chunks_.back();
      free_chunks_.pop_back();
    } else {
      entry = static_cast<std::uint32_t>(next_chunk_++ * kChunkSlots * 4);
    }
    used_chunks_.push_back(index);
  }
  return &context_->chunk(entry)[(pc / 2) % kChunkSlots];
}

std::uint32_t CodeCache::record_at(std::uint32_t pc) const {
  return static_cast<std::uint32_t>(context_->find(pc) - context_->records());
}

void CodeCache::drop_page(std::uint32_t page) {
  constexpr std::uint32_t kChunksPerPage = memory::kPageSize / kChunkBytes;
  for (std::uint32_t index = page * kChunksPerPage; index < (page + 1) * kChunksPerPage; ++index) {
    std::uint32_t& entry = context_->chunk_table()[index];
    if (entry == 0) continue;
    std::memset(context_->chunk(entry), 0, kChunkSlots * 4);
    free_chunks_.push_back(entry);
    entry = 0;
    std::erase(used_chunks_, index);
    ++stats.chunks_dropped;
  }
}

void CodeCache::drop_pages(std::uint32_t first, std::uint32_t count) {
  for (std::uint32_t page = first; page < first + count; ++page) drop_page(page);
  // The last instruction of the page before may reach into the first one.
  if (first > 0 && record_at(first * static_cast<std::uint32_t>(memory::kPageSize) - 2) != 0) drop_page(first - 1);
  const auto in_range = [&](std::uint32_t pc) { return page_of(pc) + 1 >= first && page_of(pc) < first + count; };
  std::erase_if(pending_, [&](const PendingLink& link) { return in_range(link.target); });
  next_pending_ = 0;
  std::erase_if(mixed_, [&](const auto& block) { return in_range(block.first); });
}

bool CodeCache::is_uncached(std::uint32_t pc) const {
  // A block may end in an instruction that reaches into the next page.
  return mode_ != CacheMode::kOn || memory_.is_mixed(page_of(pc)) || memory_.is_mixed(page_of(pc) + 1);
}

const Record* CodeCache::resolve(riscv::HartState& hart) {
  const std::uint64_t pc = hart.pc;
  if (pc >= memory::kHighestAddress || pc < memory::kLowestAddress ||
      (memory_.permissions(page_of(static_cast<std::uint32_t>(pc))) & memory::kExecute) == 0) {
    hart.trap = pc == riscv::kTrampolineAddress ? riscv::Trap{.kind = riscv::TrapKind::kTrampoline}
                                                : riscv::Trap{.kind = riscv::TrapKind::kFetchFault, .address = pc};
    context_->exit_kind = ExitKind::kTrap;
    return nullptr;
  }
  const auto address = static_cast<std::uint32_t>(pc);
  if (next_record_ + kMaxRunRecords > kRecordCapacity || next_chunk_ + 4 > kChunkCapacity) {
    release();
    ++stats.flushes;
  }
  if (is_uncached(address)) return resolve_mixed(address);
  std::uint32_t record = record_at(address);
  if (record == 0) {
    record = decode_run(address, true);
    link_pending();
  }
  return &context_->records()[record];
}

const Record* CodeCache::resolve_mixed(std::uint32_t pc) {
  const bool keeps = mode_ != CacheMode::kOff;
  if (keeps) {
    ++stats.mixed_checks;
    if (auto found = mixed_.find(pc); found != mixed_.end()) {
      const std::vector<std::uint8_t>& bytes = found->second.bytes;
      std::uint8_t now[memory::kPageSize + 2];
      if (bytes.size() <= sizeof now && memory_.read(pc, now, bytes.size()) == bytes.size() &&
          std::memcmp(now, bytes.data(), bytes.size()) == 0) {
        return &context_->records()[found->second.record];
      }
      if (mode_ == CacheMode::kVerify && !memory_.is_mixed(page_of(pc)) && !memory_.is_mixed(page_of(pc) + 1))
        ++stats.verify_failures;
    }
    if (mixed_.size() >= kMaxMixedBlocks) mixed_.clear();
  } else {
    next_record_ = 1;  // nothing refers to the block before
  }
  const std::uint32_t record = decode_run(pc, false);
  if (keeps) {
    // The run is one block; its last record stands for where it ends.
    MixedBlock block{.record = record, .bytes = {}};
    const std::uint32_t end = run_end_;
    block.bytes.resize(end - pc);
    if (memory_.read(pc, block.bytes.data(), block.bytes.size()) == block.bytes.size()) mixed_[pc] = std::move(block);
  }
  return &context_->records()[record];
}

// Decodes from `pc`, which can be fetched and has no record, and returns the index of its record.
std::uint32_t CodeCache::decode_run(std::uint32_t pc, bool cached) {
  CAISSON_PERF_SCOPE(decode_counter);
  const std::uint32_t first = next_record_;
  const std::uint32_t page = page_of(pc);
  std::uint32_t block_begin = first;
  std::uint32_t instructions = 0;
  CodeReader reader(memory_);
  transfers_.clear();
  // The instruction before in this block, where it is one record that could be fused with the next.
  std::optional<riscv::Decoded> previous;
  std::uint32_t previous_pc = pc;

  const auto emit = [&](const Record& record, std::uint32_t at) {
    context_->record_pcs()[next_record_] = at;
    context_->records()[next_record_] = record;
    return next_record_++;
  };
  // Block costs are sums from each instruction to the terminator; weights stand in `cost` until then.
  const auto close_block = [&](std::uint32_t cost_behind) {
    std::uint32_t cost = cost_behind;
    for (std::uint32_t index = next_record_; index-- > block_begin;) {
      cost += context_->records()[index].cost;
      context_->records()[index].cost = static_cast<std::uint16_t>(cost);
    }
    block_begin = next_record_;
  };
  const auto fall_to = [&](std::uint32_t target) {
    close_block(0);
    emit(control_record(ControlRecord::kFallFar, static_cast<std::int32_t>(target)), target);
  };

  for (;;) {
    if (page_of(pc) != page) {
      fall_to(pc);
      break;
    }
    if (cached && next_record_ != first) {
      if (const std::uint32_t existing = record_at(pc); existing != 0) {
        const std::uint16_t cost = context_->records()[existing].cost;
        const bool at_block_begin = next_record_ == block_begin;
        close_block(cost);
        Record record = control_record(ControlRecord::kLink,
                                       (static_cast<std::int32_t>(existing) - static_cast<std::int32_t>(next_record_)) *
                                           static_cast<std::int32_t>(sizeof(Record)));
        record.cost = at_block_begin ? cost : 0;
        emit(record, pc);
        break;
      }
    }
    const Fetched fetched = fetch_at(reader, pc);
    if (fetched.kind != Fetched::Kind::kWhole) {
      // Only the last half-word of a page: its page is fetchable, the next is not.
      const std::uint32_t index = emit(control_record(ControlRecord::kFetchFault), pc);
      if (cached) *slot(pc) = static_cast<std::uint32_t>(index * sizeof(Record));
      close_block(0);
      pc += 2;
      break;
    }
    const riscv::Decoded& decoded = fetched.decoded;
    Lowered lowered{&context_->records()[next_record_]};
    lower(decoded, pc, classes_, lowered);
    lowered.records[0].cost = static_cast<std::uint16_t>(gas::weight(decoded.op));
    const std::uint32_t index = next_record_;
    for (unsigned part = 0; part < lowered.count; ++part) context_->record_pcs()[next_record_++] = pc;
    const bool may_fuse = previous.has_value() && lowered.count == 1;
    const bool fused = may_fuse && fuse(*previous, previous_pc, decoded, 0, classes_, &context_->records()[index - 1]);
    if (cached) {
      *slot(pc) = static_cast<std::uint32_t>(index * sizeof(Record));
      if (is_direct_transfer(decoded, pc)) {
        const std::uint32_t target = pc + static_cast<std::uint32_t>(decoded.imm);
        if (page_of(target) == page) {
          transfers_.push_back(
              {.record = index, .target = target, .decoded = decoded, .previous = may_fuse ? previous : std::nullopt});
        }
      }
    }
    previous.reset();
    if (lowered.count == 1 && !fused) previous = decoded;
    previous_pc = pc;
    ++instructions;
    pc += decoded.length;
    const bool is_terminator =
        decoded.op == riscv::Op::kIllegal || riscv::info(decoded.op).has(riscv::traits::kTerminator);
    if (!is_terminator) continue;
    close_block(0);
    previous.reset();
    if (is_unconditional_end(decoded)) break;
    if (!cached || instructions >= kRunInstructions) {
      fall_to(pc);
      break;
    }
  }
  run_end_ = pc;
  stats.instructions_decoded += instructions;
  for (const PendingLink& transfer : transfers_) {
    if (const std::uint32_t target = record_at(transfer.target); target != 0) {
      link(transfer, target);
    } else if (pending_.size() < kMaxPending) {
      pending_.push_back(transfer);
    } else {
      pending_[next_pending_++ % kMaxPending] = transfer;
    }
  }
  return first;
}

void CodeCache::link(const PendingLink& pending, std::uint32_t target_record) {
  Record& record = context_->records()[pending.record];
  record.imm = (static_cast<std::int32_t>(target_record) - static_cast<std::int32_t>(pending.record)) *
               static_cast<std::int32_t>(sizeof(Record));
  record.handler = near_handler(pending.decoded, classes_);
  if (pending.previous.has_value()) {
    fuse(*pending.previous, 0, pending.decoded, record.imm + static_cast<std::int32_t>(sizeof(Record)), classes_,
         &record - 1);
  }
}

void CodeCache::link_pending() {
  std::erase_if(pending_, [&](const PendingLink& pending) {
    const std::uint32_t target = record_at(pending.target);
    if (target != 0) link(pending, target);
    return target != 0;
  });
  if (pending_.size() < kMaxPending) next_pending_ = 0;
}

bool CodeCache::fetch(std::uint32_t pc, riscv::Decoded* decoded) const {
  CodeReader reader(memory_);
  const Fetched fetched = fetch_at(reader, pc);
  *decoded = fetched.decoded;
  return fetched.kind == Fetched::Kind::kWhole;
}

}  // namespace caisson::interp
