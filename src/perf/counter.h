// Counters and the scopes that they time, as builds with CAISSON_PERF have them.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace caisson::perf {

// How enabled counters count: 0 is off. A number of the measurement stands above the flags, so that what an earlier one left behind,
// or a scope that outlives it, is told apart.
struct CountingState {
  static constexpr std::uint64_t kTsc = 1, kDetail = 2, kNested = 4;
  static constexpr unsigned kFlagBits = 3;
};

// A section of the report.
class Module {
 public:
  constexpr Module(const char* section, unsigned position) : section_(section), position_(position) {}
  const char* section() const { return section_; }
  // Sections stand in the order of their positions. 0: measures the counters themselves, and is in no report.
  unsigned position() const { return position_; }

 private:
  const char* section_;
  unsigned position_;
};

// Static objects only: a counter registers itself and is never taken back.
class Counter {
 public:
  Counter(const Module& module, const char* name, unsigned line = __builtin_LINE());
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  const Module& module() const { return module_; }
  const char* name() const { return name_; }
  unsigned line() const { return line_; }
  unsigned index() const { return index_; }

  std::uint64_t state() const { return state_.load(std::memory_order_relaxed); }
  void set_state(std::uint64_t state) { state_.store(state, std::memory_order_relaxed); }

 private:
  // First, alone on what a scope reads.
  std::atomic<std::uint64_t> state_ = 0;
  const Module& module_;
  const char* name_;
  unsigned line_;
  unsigned index_;
};

// A thread has a shard for each of so many; a further counter is never enabled, which measure() reports.
inline constexpr unsigned kMostCounters = 256;

// Those of the program, in the order of the report.
std::vector<Counter*> registered_counters();

class Scope {
 public:
  explicit Scope(const Counter& counter) noexcept : state_(counter.state()) {
    if (state_ != 0) [[unlikely]]
      begin(counter.index());
  }
  ~Scope() {
    if (state_ != 0) [[unlikely]]
      end();
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  void stop() noexcept {
    if (state_ != 0) [[unlikely]]
      end();
    state_ = 0;
  }
  // Ends it without a trace: what it began was something else.
  void drop() noexcept {
    if (state_ != 0) [[unlikely]]
      leave();
    state_ = 0;
  }

 private:
  void begin(unsigned index) noexcept;
  void end() const noexcept;
  void leave() const noexcept;
  // Nested mode: takes it out of the open scopes of its thread.
  void unlink(Scope** innermost) const noexcept;

  // What begin() alone sets is not touched where the counter is off.
  std::uint64_t state_;
  std::uint64_t start_;
  unsigned index_;
  // Nested mode: the scope of any counter around this one, and the time of those that ran inside it.
  Scope* outer_;
  mutable std::uint64_t inner_ticks_;
};

}  // namespace caisson::perf
