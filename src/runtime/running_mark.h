// Who is running an instance.
#pragma once

#include <atomic>
#include <cstdint>

namespace caisson::runtime {

enum class RunState : std::uint8_t {
  kIdle,
  // Idle, and the last run was a prepared call that returned: the instance is callable, nothing of an earlier run is to be forgotten.
  // So a prepared call asks once instead of looking at everything that a run may leave behind.
  kReturned,
  kRunning,
};

// Marks an instance as running; false where it is already. One thread uses an instance at a time, so what the mark is for is a host
// function that calls into the instance that called it: no exchange is needed.
class RunningMark {
 public:
  explicit RunningMark(std::atomic<RunState>& state)
      : state_(state), taken_(state.load(std::memory_order_relaxed) != RunState::kRunning) {
    state.store(RunState::kRunning, std::memory_order_relaxed);
  }
  // For who has asked already.
  enum Free { kFree };
  RunningMark(std::atomic<RunState>& state, Free) : state_(state), taken_(true) {
    state.store(RunState::kRunning, std::memory_order_relaxed);
  }
  ~RunningMark() {
    if (taken_) state_.store(end_, std::memory_order_relaxed);
  }
  RunningMark(const RunningMark&) = delete;
  RunningMark& operator=(const RunningMark&) = delete;
  explicit operator bool() const { return taken_; }

  // What the instance is behind this run, if not kIdle.
  void set_end(RunState state) { end_ = state; }

 private:
  std::atomic<RunState>& state_;
  const bool taken_;
  RunState end_ = RunState::kIdle;
};

}  // namespace caisson::runtime
