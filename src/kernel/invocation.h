// Calls under way: a stack of frames that one loop runs.
//
// No frame of the guests' is one of the host's: HOST_CALL ends the caller's run and the loop enters the callee, so that the depth of calls
// is bounded by memory and by the embedder's limit alone. What an operation asks the loop to do is noted in `control_` by its handler.
//
// Thread safety: one thread at a time, but request_stop(), which is looked at between slices (runtime/guest_instance.h).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "caisson/result.h"
#include "kernel/instance_object.h"
#include "kernel/kernel_error.h"
#include "kernel/tree.h"

namespace caisson::kernel {

class Invocation {
 public:
  Invocation(Tree& tree, std::uint32_t max_depth) : tree_(tree), max_depth_(max_depth) {}

  // Calls an endpoint of the root instance. Errors: kNotFound (endpoint), kOutOfMemory, kLimit.
  Result<InvocationResult> call(std::unique_ptr<InstanceObject> root, std::uint64_t endpoint,
                                std::span<const std::uint64_t> arguments, std::uint64_t gas);
  // Goes on after kOutOfGas or kInterrupted, with `gas` more.
  Result<InvocationResult> resume(std::uint64_t gas);
  // Whether calls are under way, stopped.
  bool is_stopped() const { return !frames_.empty(); }
  // Gives up what is under way and returns the root, every instance in the slot it came from. Null where nothing is.
  std::unique_ptr<InstanceObject> take_root();

  // From any thread: the run ends with kInterrupted.
  void request_stop() { stop_.store(true, std::memory_order_relaxed); }
  bool stop_requested() const { return stop_.load(std::memory_order_relaxed); }
  bool take_stop_request() { return stop_.exchange(false, std::memory_order_relaxed); }
  // Why the last host function that failed did.
  const std::string& host_error() const { return host_error_; }
  void set_deadline(std::chrono::steady_clock::time_point deadline) { deadline_ = deadline; }

  // --- for operations and sealing ---
  Tree& tree() { return tree_; }
  InstanceObject& running() { return *frames_.back().instance; }
  std::vector<Frame>& frames() { return frames_; }
  std::size_t depth() const { return frames_.size(); }
  std::uint32_t max_depth() const { return max_depth_; }
  std::chrono::steady_clock::time_point deadline() const { return deadline_; }
  void adopt_frames(std::vector<Frame> frames) { frames_ = std::move(frames); }

  // What the handler of an operation asks the loop to do, once the run has ended for it.
  void ask_reply(std::uint64_t value) { control_ = Control{.kind = Control::kReply, .value = value}; }
  void ask_call(Frame callee, const Endpoint& endpoint, const std::array<std::uint64_t, 6>& arguments) {
    control_ = Control{.kind = Control::kCall, .endpoint = &endpoint, .arguments = arguments};
    callee_ = std::move(callee);
  }
  // The call of a resident callee that is expected to return before it makes a call of its own, within the caller's run. Nothing: it did
  // otherwise, and the loop goes on from there once the caller's run has ended. At most one such call is under way.
  bool can_call_within(const InstanceObject& callee, const Endpoint& endpoint) const {
    return !within_ && callee.cell != nullptr && !callee.has_next_image() &&
           callee.image().is_called_within(endpoint) && callee.image().first_registers_of(endpoint) != nullptr;
  }
  std::optional<std::uint64_t> call_within(Frame callee, const Endpoint& endpoint,
                                           const std::array<std::uint64_t, 6>& arguments, CapabilitySlot& slot);
  void ask_yield(std::size_t catcher, std::uint64_t value) {
    control_ = Control{.kind = Control::kYield, .value = value, .catcher = catcher};
  }
  void ask_resume(std::unique_ptr<YieldedCall> call, const SlotPath& slot, std::uint64_t slot_word,
                  std::uint64_t value) {
    control_ = Control{.kind = Control::kResume, .value = value};
    yielded_ = std::move(call);
    resumed_slot_ = slot;
    resumed_slot_word_ = slot_word;
  }

 private:
  struct Control {
    enum Kind : std::uint8_t { kNone, kReply, kCall, kYield, kResume, kWithin } kind = kNone;
    const Endpoint* endpoint = nullptr;
    std::array<std::uint64_t, 6> arguments{};
    std::uint64_t value = 0;
    std::size_t catcher = 0;  // index of the frame
  };

  Result<InvocationResult> run();
  std::optional<InvocationResult> find_end(const InvocationResult& result);
  void pay_for_top();
  void end_top();
  Result<void> return_to_caller(std::uint64_t value, KernelError error);
  void answer(std::uint64_t value, KernelError error);
  Result<void> call_child(const Endpoint& endpoint, const std::array<std::uint64_t, 6>& arguments);
  Result<void> yield_to(std::size_t catcher, std::uint64_t value);
  Result<void> resume_child(std::uint64_t value);

  Tree& tree_;
  const std::uint32_t max_depth_;
  std::vector<Frame> frames_;
  Control control_;
  Frame callee_;  // of Control::kCall
  bool within_ = false;  // call_within() is under way
  // Of Control::kWithin: how the run of the callee, now the top frame, ended.
  InvocationResult result_within_;
  Control control_within_;
  std::unique_ptr<YieldedCall> yielded_;  // of Control::kResume
  SlotPath resumed_slot_;
  std::uint64_t resumed_slot_word_ = 0;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  std::atomic<bool> stop_{false};
  std::string host_error_;
};

}  // namespace caisson::kernel
