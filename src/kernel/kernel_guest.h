// A root instance behind caisson::KernelInstance: at rest, or with calls under way.
#pragma once

#include <atomic>
#include <memory>

#include "caisson/kernel.h"
#include "kernel/invocation.h"
#include "kernel/kernel_state.h"
#include "kernel/tree.h"
#include "memory/executable_memory.h"
#include "runtime/running_mark.h"

namespace caisson::kernel {

class KernelGuest {
 public:
  explicit KernelGuest(std::shared_ptr<KernelState> kernel)
      : tree_(std::move(kernel)), invocation_(tree_, tree_.kernel().options.max_depth) {}

  Tree& tree() { return tree_; }
  Invocation& invocation() { return invocation_; }

  // The root, wherever it is.
  InstanceObject& root() { return root_ != nullptr ? *root_ : *invocation_.frames().front().instance; }
  void set_root(std::unique_ptr<InstanceObject> root) { root_ = std::move(root); }
  void set_frames(std::vector<Frame> frames) { invocation_.adopt_frames(std::move(frames)); }

  Result<InvocationResult> invoke(std::uint64_t endpoint, std::span<const std::uint64_t> arguments, std::uint64_t gas);
  Result<InvocationResult> resume(std::uint64_t gas);
  Result<Hash> seal();
  Result<std::unique_ptr<KernelGuest>> clone();

  // Whether a run is under way: a host function asks something of the instance that called it.
  bool is_running() const { return run_state_.load(std::memory_order_relaxed) == runtime::RunState::kRunning; }

 private:
  // Whether what code of its tier would be compiled to was left behind in another process.
  bool has_lost_code() { return tree_.kernel().options.tier != Tier::kInterp && memory::ExecutableMemory::is_lost(); }
  Result<InvocationResult> finish(Result<InvocationResult> result, std::uint64_t gas_before);

  Tree tree_;
  Invocation invocation_;
  std::unique_ptr<InstanceObject> root_;  // null while calls are under way
  std::atomic<runtime::RunState> run_state_{runtime::RunState::kIdle};
};

}  // namespace caisson::kernel
