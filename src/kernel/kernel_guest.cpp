#include "kernel/kernel_guest.h"

#include <utility>

#include "kernel/clone.h"
#include "kernel/seal.h"
#include "runtime/boot_counters.h"

namespace caisson::kernel {
namespace {

constexpr std::size_t kMostArguments = 6;

}  // namespace

Result<InvocationResult> KernelGuest::invoke(std::uint64_t endpoint, std::span<const std::uint64_t> arguments,
                                             std::uint64_t gas) {
  CAISSON_PERF_SCOPE(runtime::invoke_counter);
  const runtime::RunningMark mark(run_state_);
  if (!mark) return fail(ErrorCode::kBusy, "the instance is running");
  if (has_lost_code()) return std::unexpected(memory::ExecutableMemory::lost());
  if (arguments.size() > kMostArguments) return fail(ErrorCode::kInvalidArgument, "a call takes at most six arguments");
  if (root_ == nullptr) root_ = invocation_.take_root();
  if (root_->entered_image().find_endpoint(endpoint) == nullptr)
    return fail(ErrorCode::kNotFound, "the image has no endpoint of this number", std::to_string(endpoint));
  const std::uint64_t gas_before = root_->gas_used();
  return finish(invocation_.call(std::move(root_), endpoint, arguments, gas), gas_before);
}

Result<InvocationResult> KernelGuest::resume(std::uint64_t gas) {
  CAISSON_PERF_SCOPE(runtime::invoke_counter);
  const runtime::RunningMark mark(run_state_);
  if (!mark) return fail(ErrorCode::kBusy, "the instance is running");
  if (has_lost_code()) return std::unexpected(memory::ExecutableMemory::lost());
  if (root_ != nullptr)
    return fail(ErrorCode::kInvalidArgument, "only a call that ended out of gas or interrupted can be resumed");
  const std::uint64_t gas_before = root().gas_used();
  return finish(invocation_.resume(gas), gas_before);
}

// The root is at rest again, unless the run can be resumed.
Result<InvocationResult> KernelGuest::finish(Result<InvocationResult> result, std::uint64_t gas_before) {
  const bool stopped =
      result && (result->exit_reason == ExitReason::kOutOfGas || result->exit_reason == ExitReason::kInterrupted);
  if (!stopped) root_ = invocation_.take_root();
  tree_.kernel().note_run(result, root().gas_used() - gas_before);
  tree_.rest();
  return result;
}

Result<Hash> KernelGuest::seal() {
  return root_ != nullptr ? seal_instance(tree_, *root_) : seal_frames(tree_, invocation_.frames());
}

Result<std::unique_ptr<KernelGuest>> KernelGuest::clone() {
  auto copy = std::make_unique<KernelGuest>(tree_.shared_kernel());
  if (root_ != nullptr) {
    auto root = clone_instance(*root_, copy->tree_);
    if (!root) return std::unexpected(root.error());
    copy->root_ = *std::move(root);
  } else {
    auto frames = clone_frames(invocation_.frames(), copy->tree_);
    if (!frames) return std::unexpected(frames.error());
    copy->invocation_.adopt_frames(*std::move(frames));
  }
  return copy;
}

}  // namespace caisson::kernel
