// Who is running an instance.
#pragma once

#include <atomic>

namespace caisson::runtime {

// Marks an instance as running; false where it is already. One thread uses an instance at a time, so what the mark is for is a host
// function that calls into the instance that called it: no exchange is needed.
class RunningMark {
 public:
  explicit RunningMark(std::atomic<bool>& running)
      : running_(running), taken_(!running.load(std::memory_order_relaxed)) {
    running.store(true, std::memory_order_relaxed);
  }
  ~RunningMark() {
    if (taken_) running_.store(false, std::memory_order_relaxed);
  }
  RunningMark(const RunningMark&) = delete;
  RunningMark& operator=(const RunningMark&) = delete;
  explicit operator bool() const { return taken_; }

 private:
  std::atomic<bool>& running_;
  const bool taken_;
};

}  // namespace caisson::runtime
