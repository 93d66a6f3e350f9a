#include "runtime/crosscheck.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "memory/window_pool.h"
#include "runtime/execution.h"

namespace caisson::runtime {
namespace {

using memory::AddressSpace;
using memory::kPageSize;
using memory::MapStatus;
using memory::Permissions;
using riscv::HartState;
using riscv::TrapKind;

constexpr std::size_t kMostChanges = 4096;
constexpr std::uint32_t kFirstPage = memory::kLowestAddress / kPageSize;
constexpr std::uint32_t kEndPage = memory::kHighestAddress / kPageSize;
constexpr Permissions kReadWrite = memory::kRead | memory::kWrite;

// Memory is compared when the guest has used so much gas for each byte of it: comparing then costs less than running twice does.
constexpr std::uint64_t kBytesPerGas = 4;

void copy_registers(const HartState& from, HartState& to) {
  to.x = from.x;
  to.f = from.f;
  to.pc = from.pc;
  to.gas = from.gas;
  to.gas_granted = from.gas_granted;
  to.frm = from.frm;
  to.fflags = from.fflags;
  to.reservation_address = from.reservation_address;
  to.reservation_value = from.reservation_value;
  to.reservation_width = from.reservation_width;
  to.trap = {};
}

// The host has no room for the second guest; instance.cpp makes that an Error.
void require(MapStatus status) {
  if (status != MapStatus::kOk) throw std::bad_alloc();
}

}  // namespace

Result<std::unique_ptr<Crosscheck>> Crosscheck::create(AddressSpace& memory,
                                                       std::shared_ptr<memory::WindowPool> windows,
                                                       const CrosscheckOptions& options) {
  // The guest's limit is the tier's to keep: here pages are writable for a moment that the guest has not committed.
  auto shadow_memory = AddressSpace::create(std::move(windows), memory::kWindowSize);
  if (!shadow_memory) return std::unexpected(shadow_memory.error());
  std::unique_ptr<Crosscheck> crosscheck(new Crosscheck(memory, *std::move(shadow_memory), options));
  auto interpreter = interp::Interpreter::create(*crosscheck->shadow_memory_, options.cache_mode,
                                                 &Crosscheck::record_time, crosscheck.get());
  if (!interpreter) return std::unexpected(interpreter.error());
  crosscheck->interpreter_ = *std::move(interpreter);
  return crosscheck;
}

Crosscheck::Crosscheck(AddressSpace& memory, std::unique_ptr<AddressSpace> shadow_memory,
                       const CrosscheckOptions& options)
    : memory_(memory), shadow_memory_(std::move(shadow_memory)), options_(options) {
  pages_.reserve(kMostChanges);
  bytes_.reserve(kMostChanges);
  memory_.set_memory_observer(this);
}

Crosscheck::~Crosscheck() { memory_.set_memory_observer(nullptr); }

// --- lockstep ---

void Crosscheck::run(Execution& execution, HartState& hart, std::uint64_t slice) {
  follow(hart);
  slice = std::clamp(slice, Execution::kLeastSlice, interp::kLongestSlice);
  for (;;) {
    hart.trap = {};
    if (hart.interrupt.load(std::memory_order_relaxed) != 0) {
      hart.trap.kind = TrapKind::kInterrupted;
      return;
    }
    blocks_ = {.first_pc = hart.pc, .last_pc = hart.pc, .gas_before = hart.gas_used()};
    run_shadow(slice);
    const std::uint64_t used = shadow_.gas_used() - blocks_.gas_before;
    if (used == 0 && shadow_.trap.kind == TrapKind::kNone) return;  // the slice does not hold the next block
    run_tier(execution, hart, used);
    times_.clear();
    if (!compare_registers(hart)) return;
    if (hart.gas_used() - memory_compared_at_ > memory_.committed_bytes() / kBytesPerGas) compare_memory(hart);
    if (hart.trap.kind != TrapKind::kNone || !difference_.empty()) return;
    slice -= std::min(slice, used);
    // What is left of a slice would have to go block by block.
    if (options_.interval >= Execution::kLeastSlice && slice < Execution::kLeastSlice) return;
  }
}

void Crosscheck::run_shadow(std::uint64_t slice) {
  const std::uint64_t wanted = std::min(options_.interval, slice);
  if (wanted >= Execution::kLeastSlice) {
    interpreter_->run(shadow_, wanted);
    return;
  }
  blocks_.last_is_known = true;
  const std::uint64_t before = shadow_.gas_used();
  for (std::uint64_t used = 0;;) {
    const std::uint64_t pc = shadow_.pc;
    interpreter_->run_block(shadow_, slice - used);
    const std::uint64_t used_now = shadow_.gas_used() - before;
    if (shadow_.trap.kind == TrapKind::kNone && used_now == used) return;
    blocks_.is_one = used == 0;
    blocks_.last_pc = pc;
    used = used_now;
    if (shadow_.trap.kind != TrapKind::kNone || used >= wanted) return;
  }
}

// Brings the tier to where the shadow is.
void Crosscheck::run_tier(Execution& execution, HartState& hart, std::uint64_t gas) {
  const bool shadow_trapped = shadow_.trap.kind != TrapKind::kNone;
  // Behind the trap of a block nothing can be paid for: a tier that does not trap there shows soon.
  const std::uint64_t limit = gas + (shadow_trapped ? Execution::kLeastSlice : 0);
  bool interrupted = false;
  for (;;) {
    const std::uint64_t used = hart.gas_used() - blocks_.gas_before;
    if (used > limit) break;
    execution.run_exactly(hart, limit - used);
    if (hart.trap.kind == TrapKind::kInterrupted) {
      // The shadow is ahead: the run is interrupted at the checkpoint.
      interrupted = true;
      hart.interrupt.store(0, std::memory_order_relaxed);
      continue;
    }
    const std::uint64_t used_now = hart.gas_used() - blocks_.gas_before;
    if (hart.trap.kind != TrapKind::kNone || used_now == used || used_now >= limit) break;
  }
  if (interrupted) hart.interrupt.store(1, std::memory_order_relaxed);
  // What traps without costing anything belongs to no slice.
  if (!shadow_trapped && hart.trap.kind != TrapKind::kNone) interpreter_->run_block(shadow_, 0);
}

bool Crosscheck::compare_registers(const HartState& hart) {
  const std::string lines = compare_harts(hart, shadow_, *shadow_memory_);
  if (lines.empty()) return true;
  difference_ = report_registers(blocks_, lines + compare_memories(memory_, *shadow_memory_), memory_, hart.gas_used());
  return false;
}

void Crosscheck::compare_memory(const HartState& hart) {
  const std::string lines = compare_memories(memory_, *shadow_memory_);
  if (!lines.empty()) difference_ = report_memory(lines, hart.pc, memory_compared_at_, hart.gas_used());
  memory_compared_at_ = hart.gas_used();
}

void Crosscheck::end_run(const HartState& hart) {
  if (!difference_.empty()) return;
  follow(hart);
  compare_memory(hart);
}

// --- the clock ---

std::uint64_t Crosscheck::record_time(void* context) {
  auto& crosscheck = *static_cast<Crosscheck*>(context);
  const std::uint64_t ticks = crosscheck.options_.clock(crosscheck.options_.context, crosscheck.shadow_);
  crosscheck.times_.push_back(ticks);
  return ticks;
}

std::uint64_t Crosscheck::replay_time() {
  if (times_.empty()) return 0;  // a read that the interpreter did not make: it shows
  const std::uint64_t ticks = times_.front();
  times_.pop_front();
  return ticks;
}

// --- what changes from outside ---

void Crosscheck::pages_replaced(std::uint32_t first_page, std::uint32_t page_count, bool read_zero) noexcept {
  note({read_zero ? PageChange::Kind::kZeroed : PageChange::Kind::kReplaced, first_page, first_page + page_count});
}

void Crosscheck::pages_protected(std::uint32_t first_page, std::uint32_t page_count) noexcept {
  note({PageChange::Kind::kProtected, first_page, first_page + page_count});
}

void Crosscheck::note(PageChange change) {
  if (pages_.size() < kMostChanges) {
    pages_.push_back(change);
  } else {
    everything_changed_ = true;
  }
}

void Crosscheck::bytes_written(std::uint64_t address, std::uint64_t length) noexcept {
  if (!bytes_.empty() && bytes_.back().end == address) {
    bytes_.back().end = address + length;
  } else if (bytes_.size() < kMostChanges) {
    bytes_.push_back({address, address + length});
  } else {
    everything_changed_ = true;
  }
}

void Crosscheck::follow(const HartState& hart) {
  copy_registers(hart, shadow_);
  const bool mappings_changed = everything_changed_ || !pages_.empty();
  if (std::exchange(everything_changed_, false)) {
    mirror(kFirstPage, kEndPage, true);
  } else {
    for (const PageChange& change : pages_) follow_pages(change);
    for (const ByteRange& range : bytes_) copy(range.begin, range.end);
  }
  pages_.clear();
  bytes_.clear();
  if (mappings_changed) find_shared_files();
  for (const ByteRange& range : shared_files_) copy(range.begin, range.end);
}

void Crosscheck::follow_pages(const PageChange& change) {
  if (change.kind != PageChange::Kind::kProtected) {
    mirror(change.first, change.end, change.kind == PageChange::Kind::kReplaced);
    return;
  }
  // Contents stay each side's own, so that a difference is not lost; what was inaccessible is not in the shadow.
  for (std::uint32_t page = change.first; page < change.end;) {
    const Permissions permissions = memory_.permissions(page);
    const Permissions before = shadow_memory_->permissions(page);
    std::uint32_t end = page + 1;
    while (end < change.end && memory_.permissions(end) == permissions && shadow_memory_->permissions(end) == before)
      ++end;
    if (before == memory::kNone || permissions == memory::kNone) {
      mirror(page, end, true);
    } else if (before != permissions) {
      require(shadow_memory_->protect(page * kPageSize, (end - page) * kPageSize, permissions));
    }
    page = end;
  }
}

// Maps what the tier has there, as memory of its own, zero or with the same contents.
void Crosscheck::mirror(std::uint32_t first, std::uint32_t end, bool copies) {
  for (std::uint32_t page = first; page < end;) {
    const Permissions permissions = memory_.permissions(page);
    std::uint32_t run_end = page + 1;
    while (run_end < end && memory_.permissions(run_end) == permissions) ++run_end;
    const std::uint64_t begin = page * kPageSize;
    const std::uint64_t length = (run_end - page) * kPageSize;
    page = run_end;
    if (permissions == memory::kNone) {
      require(shadow_memory_->unmap(begin, length));
      continue;
    }
    require(shadow_memory_->map_anonymous(begin, length, copies ? kReadWrite : permissions));
    if (!copies) continue;
    copy(begin, begin + length);
    // copy() has taken out the pages behind the end of their file.
    for (std::uint64_t address = begin; address < begin + length;) {
      std::uint64_t part_end = address;
      while (part_end < begin + length &&
             shadow_memory_->permissions(static_cast<std::uint32_t>(part_end / kPageSize)) != memory::kNone)
        part_end += kPageSize;
      if (part_end > address) require(shadow_memory_->protect(address, part_end - address, permissions));
      address = part_end + kPageSize;
    }
  }
}

// The tier's bytes, as far as they differ. A page that the tier itself cannot read becomes inaccessible.
void Crosscheck::copy(std::uint64_t begin, std::uint64_t end) {
  std::array<std::uint8_t, kPageSize> from;
  std::array<std::uint8_t, kPageSize> to;
  for (std::uint64_t address = begin; address < end;) {
    const std::size_t length = std::min(end - address, kPageSize - address % kPageSize);
    const std::size_t readable = memory_.read(address, from.data(), length);
    const std::uint64_t page = address / kPageSize * kPageSize;
    if (readable < length && memory_.permissions(static_cast<std::uint32_t>(page / kPageSize)) != memory::kNone) {
      require(shadow_memory_->unmap(page, kPageSize));
    } else if (readable == length && (shadow_memory_->read(address, to.data(), length) < length ||
                                      std::memcmp(from.data(), to.data(), length) != 0)) {
      put(address, from.data(), length);
    }
    address += length;
  }
}

// Into one page, whatever the guest may do there.
void Crosscheck::put(std::uint64_t address, const std::uint8_t* bytes, std::size_t length) {
  const std::uint64_t page = address / kPageSize * kPageSize;
  const Permissions permissions = shadow_memory_->permissions(static_cast<std::uint32_t>(page / kPageSize));
  if (permissions == memory::kNone) return;
  const bool writable = (permissions & memory::kWrite) != 0;
  if (!writable) require(shadow_memory_->protect(page, kPageSize, permissions | memory::kWrite));
  shadow_memory_->write(address, bytes, length);
  if (!writable) require(shadow_memory_->protect(page, kPageSize, permissions));
}

void Crosscheck::find_shared_files() {
  shared_files_.clear();
  for (const memory::Mapping& mapping : memory_.mappings()) {
    if (mapping.shared && mapping.file && mapping.permissions != memory::kNone)
      shared_files_.push_back({mapping.start, mapping.end});
  }
}

}  // namespace caisson::runtime
