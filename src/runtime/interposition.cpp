// System calls that the embedder sees first (caisson/interposer.h).
//
// With an interposer the table that the run loop reads has no system calls, so that all of them lead to answer_interposed(); those
// that a personality enters are in a table of their own behind it. Without one nothing of this is on the way of a call.
#include <algorithm>
#include <array>
#include <exception>

#include "caisson/host.h"
#include "runtime/guest_instance.h"
#include "runtime/interposer_counter.h"

namespace caisson::runtime {
namespace {

// What the interposer answers; `caller` knows where the call must not go on.
std::optional<std::int64_t> ask(const SystemCallInterposer& interposer, Caller& caller, std::uint64_t number,
                                SystemCallArguments arguments) {
  CAISSON_PERF_SCOPE(interposer_counter);
  try {
    return interposer(caller, number, arguments);
  } catch (const std::exception& exception) {
    caller.fail(exception.what());
  } catch (...) {
    caller.fail("the interposer threw something that is not a std::exception");
  }
  return std::nullopt;
}

}  // namespace

EcallOutcome GuestInstance::answer_interposed(GuestInstance& instance, riscv::HartState& hart, void* /*context*/) {
  const std::uint64_t number = hart.x[riscv::kA7];
  if (number < kKernelBase) {
    std::array<std::uint64_t, SystemCallArguments::extent> arguments;
    std::copy_n(hart.x.begin() + riscv::kA0, arguments.size(), arguments.begin());
    Caller caller(instance, &hart.x[riscv::kA0], &hart.f[riscv::kA0]);
    const std::optional<std::int64_t> answer = ask(instance.options_.interposer, caller, number, arguments);
    if (caller.outcome() == EcallOutcome::kExit) instance.finish(ExitReason::kEcall, number, 0);
    if (caller.outcome() != EcallOutcome::kContinue) return caller.outcome();
    if (answer) {
      hart.x[riscv::kA0] = static_cast<std::uint64_t>(*answer);
      return EcallOutcome::kContinue;
    }
  }
  const EcallEntry entry = instance.interposed_calls_.find(number);
  return entry.handler == nullptr ? EcallOutcome::kUnclaimed : entry.handler(instance, hart, entry.context);
}

}  // namespace caisson::runtime
