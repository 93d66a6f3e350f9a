#include "perf/enabled/thread_shards.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "perf/enabled/timer.h"

namespace caisson::perf {
namespace {

// Only the owner writes, so a sum needs no atomic addition; the collector reads.
class OwnedNumber {
 public:
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::uint64_t value) { set(get() + value); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// The start of a scope within another of the same counter, which only counts.
constexpr std::uint64_t kInner = ~std::uint64_t{0};

struct alignas(64) Shard {
  std::atomic<std::uint64_t> state = 0;  // of the numbers; those of an older state are void
  std::uint64_t depth = 0;               // open scopes of this state, but for nested mode
  OwnedNumber calls, timed, ticks, shortest, longest;
  std::array<OwnedNumber, 64> histogram;

  void restart(std::uint64_t new_state) {
    depth = 0;
    for (OwnedNumber* number : {&calls, &timed, &ticks, &longest}) number->set(0);
    shortest.set(~std::uint64_t{0});
    for (OwnedNumber& number : histogram) number.set(0);
    state.store(new_state, std::memory_order_release);
  }

  void record(std::uint64_t elapsed, bool detail) {
    calls.add(1);
    timed.add(1);
    ticks.add(elapsed);
    if (!detail) return;
    shortest.set(std::min(shortest.get(), elapsed));
    longest.set(std::max(longest.get(), elapsed));
    histogram[std::min<unsigned>(static_cast<unsigned>(std::bit_width(elapsed)), 63)].add(1);
  }

  Totals totals() const {
    Totals totals{.calls = calls.get(),
                  .timed = timed.get(),
                  .ticks = ticks.get(),
                  .shortest = shortest.get(),
                  .longest = longest.get()};
    for (std::size_t index = 0; index < histogram.size(); ++index) totals.histogram[index] = histogram[index].get();
    return totals;
  }
};

struct ThreadShards {
  std::array<Shard, kMostCounters> shards;
  Scope* innermost = nullptr;  // nested mode
};

// What threads that have ended leave of each counter.
struct LeftBehind {
  std::uint64_t state = 0;
  Totals totals;
};

// Never destroyed: threads may end after the static objects have.
struct AllShards {
  std::mutex mutex;
  std::vector<ThreadShards*> threads;
  std::array<LeftBehind, kMostCounters> left_behind;

  void add(ThreadShards* shards) {
    const std::scoped_lock lock(mutex);
    threads.push_back(shards);
  }

  void remove(ThreadShards* shards) {
    const std::scoped_lock lock(mutex);
    std::erase(threads, shards);
    for (std::size_t index = 0; index < kMostCounters; ++index) {
      const Shard& shard = shards->shards[index];
      const std::uint64_t state = shard.state.load(std::memory_order_relaxed);
      LeftBehind& left = left_behind[index];
      if (state == 0 || state < left.state) continue;
      if (state > left.state) left = {.state = state, .totals = {}};
      left.totals.add(shard.totals());
    }
  }
};

AllShards& all_shards() {
  static AllShards* const shards = new AllShards;
  return *shards;
}

constinit thread_local ThreadShards* thread_shards = nullptr;
constinit thread_local bool thread_ends = false;
constinit std::atomic<std::uint64_t> nested_overhead = 0;

struct ThreadEnd {
  ~ThreadEnd() {
    thread_ends = true;
    const std::unique_ptr<ThreadShards> shards(std::exchange(thread_shards, nullptr));
    if (shards != nullptr) all_shards().remove(shards.get());
  }
};

// Null where the thread is about to end or the host has no memory: such scopes are not counted.
[[gnu::noinline]] ThreadShards* make_thread_shards() noexcept {
  if (thread_ends) return nullptr;
  static thread_local ThreadEnd at_thread_end;
  std::unique_ptr<ThreadShards> shards(new (std::nothrow) ThreadShards);
  if (shards == nullptr) return nullptr;
  try {
    all_shards().add(shards.get());
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return thread_shards = shards.release();
}

}  // namespace

void Totals::add(const Totals& other) {
  calls += other.calls;
  timed += other.timed;
  ticks += other.ticks;
  shortest = std::min(shortest, other.shortest);
  longest = std::max(longest, other.longest);
  for (std::size_t index = 0; index < histogram.size(); ++index) histogram[index] += other.histogram[index];
}

Totals collect(const Counter& counter, std::uint64_t state) {
  AllShards& all = all_shards();
  const std::scoped_lock lock(all.mutex);
  Totals totals;
  if (all.left_behind[counter.index()].state == state) totals.add(all.left_behind[counter.index()].totals);
  for (const ThreadShards* thread : all.threads) {
    const Shard& shard = thread->shards[counter.index()];
    if (shard.state.load(std::memory_order_acquire) == state) totals.add(shard.totals());
  }
  return totals;
}

void set_nested_overhead(std::uint64_t ticks) { nested_overhead.store(ticks, std::memory_order_relaxed); }

void Scope::begin(unsigned index) noexcept {
  ThreadShards* thread = thread_shards;
  if (thread == nullptr) [[unlikely]]
    thread = make_thread_shards();
  if (thread == nullptr) [[unlikely]] {
    state_ = 0;
    return;
  }
  index_ = index;
  Shard& shard = thread->shards[index];
  if (shard.state.load(std::memory_order_relaxed) != state_) [[unlikely]]
    shard.restart(state_);
  if ((state_ & CountingState::kNested) != 0) {
    outer_ = std::exchange(thread->innermost, this);
    inner_ticks_ = 0;
  } else if (shard.depth++ != 0) {
    start_ = kInner;
    return;
  }
  start_ = (state_ & CountingState::kTsc) != 0 ? tsc_ticks() : clock_ticks();
}

// A scope that is stopped by hand may not be the innermost one.
void Scope::unlink(Scope** innermost) const noexcept {
  Scope** link = innermost;
  while (*link != nullptr && *link != this) link = &(*link)->outer_;
  if (*link == this) *link = outer_;
}

void Scope::leave() const noexcept {
  ThreadShards* const thread = thread_shards;
  if (thread == nullptr) return;
  if ((state_ & CountingState::kNested) != 0) {
    unlink(&thread->innermost);
    // The time is that of the scope around it, but for what others inside have counted.
    if (outer_ != nullptr) outer_->inner_ticks_ += inner_ticks_;
    return;
  }
  Shard& shard = thread->shards[index_];
  if (shard.state.load(std::memory_order_relaxed) == state_) --shard.depth;
}

void Scope::end() const noexcept {
  if (start_ == kInner && (state_ & CountingState::kNested) == 0) {
    if (thread_shards == nullptr) return;
    Shard& shard = thread_shards->shards[index_];
    if (shard.state.load(std::memory_order_relaxed) != state_) return;
    --shard.depth;
    shard.calls.add(1);
    return;
  }
  const std::uint64_t now = (state_ & CountingState::kTsc) != 0 ? tsc_ticks() : clock_ticks();
  // A counter that two processors read may step back by a tick or two.
  std::uint64_t elapsed = now > start_ ? now - start_ : 0;
  ThreadShards* const thread = thread_shards;
  if (thread == nullptr) return;
  if ((state_ & CountingState::kNested) != 0) {
    unlink(&thread->innermost);
    if (outer_ != nullptr) outer_->inner_ticks_ += elapsed + nested_overhead.load(std::memory_order_relaxed);
    elapsed -= std::min(elapsed, inner_ticks_);
  }
  Shard& shard = thread->shards[index_];
  if (shard.state.load(std::memory_order_relaxed) != state_) [[unlikely]]
    return;
  if ((state_ & CountingState::kNested) == 0) --shard.depth;
  shard.record(elapsed, (state_ & CountingState::kDetail) != 0);
}

}  // namespace caisson::perf
