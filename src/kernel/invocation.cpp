#include "kernel/invocation.h"

#include <algorithm>
#include <utility>

#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

using riscv::HartState;

std::unexpected<Error> nothing_to_resume() {
  return fail(ErrorCode::kInvalidArgument, "only a call that ended out of gas or interrupted can be resumed");
}

// What the caller is told of a callee that ended otherwise than by a reply.
KernelError error_of(const InvocationResult& result) {
  switch (result.exit_reason) {
    case ExitReason::kPanic:
      return KernelError::kChildPanic;
    case ExitReason::kPageFault:
      return KernelError::kChildFault;
    case ExitReason::kTrap:
      return KernelError::kChildTrap;
    case ExitReason::kEcall:
      return KernelError::kChildEcall;
    case ExitReason::kOutOfGas:
      return KernelError::kChildOutOfGas;
    default:
      return KernelError::kChildHostCall;
  }
}

std::uint64_t add_gas(std::uint64_t left, std::uint64_t more) { return more > ~left ? ~std::uint64_t{0} : left + more; }

// The gas that an instance in a frame has left, wherever its registers are.
std::uint64_t gas_left(const InstanceObject& instance) {
  return instance.cell != nullptr ? instance.cell->hart().gas : instance.registers->gas;
}

// Lets it go on with `gas`; what it used stays.
void set_gas_left(InstanceObject& instance, std::uint64_t gas) {
  if (instance.cell == nullptr) {
    instance.registers->gas = gas;
    return;
  }
  HartState& hart = instance.cell->hart();
  hart.gas_granted = hart.gas_used() + gas;
  hart.gas = gas;
}

// What its callee used.
void charge(InstanceObject& instance, std::uint64_t used) {
  if (instance.cell != nullptr) {
    instance.cell->hart().gas -= used;
  } else {
    instance.registers->gas -= used;
    instance.set_gas_used(instance.gas_used() + used);
  }
}

// An instance that leaves its frame: back in its slot in the caller's tree, and what it was given too.
void put_back(Frame& frame, CNodeObject& callers) {
  frame.instance->on_its_way = false;
  frame.instance->registers.reset();
  if (frame.given) {
    CNodeObject& own = frame.instance->root();
    replace_moved(callers, *frame.given, own.find(kGivenSlot) == nullptr ? CapabilitySlot() : own.take(kGivenSlot));
  }
  replace_moved(callers, frame.slot, std::move(frame.instance));
}

// The registers of a call as its endpoint and arguments make them.
void set_registers(InstanceObject& instance, const Endpoint& endpoint, std::span<const std::uint64_t> arguments,
                   std::uint64_t gas) {
  HartState& hart = instance.cell->hart();
  std::ranges::copy(instance.image().registers_of(endpoint), hart.x.begin());
  std::ranges::copy(arguments, &hart.x[riscv::kA0]);
  hart.f.fill(0);
  hart.frm = 0;
  hart.fflags = 0;
  hart.reservation_width = 0;
  hart.pc = endpoint.pc;
  hart.grant_gas(gas);
}

}  // namespace

Result<InvocationResult> Invocation::call(std::unique_ptr<InstanceObject> root, std::uint64_t endpoint,
                                          std::span<const std::uint64_t> arguments, std::uint64_t gas) {
  frames_.clear();
  frames_.push_back(Frame{.instance = std::move(root)});
  InstanceObject& instance = running();
  if (instance.has_next_image()) tree_.become_next_image(instance);
  const Endpoint* const entry = instance.image().find_endpoint(endpoint);
  if (entry == nullptr)
    return fail(ErrorCode::kNotFound, "the image has no endpoint of this number", std::to_string(endpoint));
  // Where a run has ended for want of room to park, the root is the only one that can give some back.
  if (Result<void> resident = tree_.make_resident(instance, Tree::Room::kOneMore); !resident)
    return std::unexpected(resident.error());
  instance.on_its_way = true;
  set_registers(instance, *entry, arguments, gas);
  return run();
}

Result<InvocationResult> Invocation::resume(std::uint64_t gas) {
  if (frames_.empty()) return nothing_to_resume();
  std::uint64_t caller_gas = 0;
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    Frame& frame = frames_[i];
    const std::uint64_t left = gas_left(*frame.instance);
    if (i == 0) {
      caller_gas = add_gas(left, gas);
    } else {
      const std::uint64_t used = frame.granted - left;
      frame.granted = std::min(caller_gas, frame.share_left);
      caller_gas = frame.granted - used;
    }
    set_gas_left(*frame.instance, caller_gas);
  }
  if (Result<void> resident = tree_.make_resident(running()); !resident) return std::unexpected(resident.error());
  return run();
}

Result<InvocationResult> Invocation::run() {
  for (;;) {
    Cell& cell = *running().cell;
    cell.invocation = this;
    cell.guest().set_deadline(deadline_);
    InvocationResult result = cell.guest().run();
    Control control = std::exchange(control_, {});
    if (control.kind == Control::kWithin) {
      result = result_within_;
      control = control_within_;
    }
    if (result.exit_reason == ExitReason::kHostCall && result.exit_arg >= runtime::kFirstHostFunction)
      host_error_ = running().cell->guest().host_error();
    Result<void> went_on;
    switch (control.kind) {
      case Control::kCall:
        went_on = call_child(*control.endpoint, control.arguments);
        break;
      case Control::kYield:
        went_on = yield_to(control.catcher, control.value);
        break;
      case Control::kResume:
        went_on = resume_child(control.value);
        break;
      case Control::kReply:
        if (frames_.size() == 1) return InvocationResult{ExitReason::kHostCall, 0, control.value, cell.hart().gas};
        went_on = return_to_caller(control.value, KernelError::kOk);
        break;
      case Control::kWithin:
      case Control::kNone:
        if (std::optional<InvocationResult> end = find_end(result)) return *end;
        went_on = result.exit_reason == ExitReason::kHostCall && result.exit_arg == 0
                      ? return_to_caller(result.return_value, KernelError::kOk)
                      : return_to_caller(result.exit_arg, error_of(result));
        break;
    }
    if (!went_on) return std::unexpected(went_on.error());
    // A guest looks at both between slices, but the runs of calls that go to and fro may all be shorter than a slice.
    const bool is_late =
        deadline_ != std::chrono::steady_clock::time_point::max() && std::chrono::steady_clock::now() >= deadline_;
    if (is_late || (stop_requested() && take_stop_request()))
      return InvocationResult{ExitReason::kInterrupted, 0, 0, running().cell->hart().gas};
  }
}

// The result of the whole where it ends here. If not, the top frame is the one that ends.
std::optional<InvocationResult> Invocation::find_end(const InvocationResult& result) {
  if (result.exit_reason == ExitReason::kInterrupted || result.exit_reason == ExitReason::kAborted) return result;
  if (result.exit_reason == ExitReason::kOutOfGas) {
    // Whose gas it is that ended: the innermost share that is no more than what its caller has.
    std::size_t limited = frames_.size() - 1;
    const auto is_share = [this](std::size_t i) {
      return frames_[i].share_left != Frame::kUnlimitedShare &&
             frames_[i].share_left <= gas_left(*frames_[i - 1].instance);
    };
    while (limited > 0 && !is_share(limited)) --limited;
    if (limited == 0) return result;
    while (frames_.size() - 1 > limited) end_top();
    // The whole share is used up: an operation that fell short may have done part of its work, and gave back what it had paid for that.
    charge(running(), gas_left(running()));
    return std::nullopt;
  }
  if (frames_.size() > 1) return std::nullopt;
  return result;
}

// What the top frame used so far; its caller pays when control goes back.
void Invocation::pay_for_top() {
  Frame& top = frames_.back();
  const std::uint64_t used = top.granted - gas_left(*top.instance);
  charge(*frames_[frames_.size() - 2].instance, used);
  if (top.share_left != Frame::kUnlimitedShare) top.share_left -= used;
}

void Invocation::end_top() {
  pay_for_top();
  Frame top = std::move(frames_.back());
  frames_.pop_back();
  put_back(top, running().root());
}

Result<void> Invocation::return_to_caller(std::uint64_t value, KernelError error) {
  end_top();
  if (Result<void> resident = tree_.make_resident(running()); !resident) return resident;
  answer(value, error);
  return {};
}

void Invocation::answer(std::uint64_t value, KernelError error) {
  HartState& hart = running().cell->hart();
  hart.x[riscv::kA0] = value;
  hart.x[riscv::kA1] = static_cast<std::uint64_t>(error);
}

Result<void> Invocation::call_child(const Endpoint& endpoint, const std::array<std::uint64_t, 6>& arguments) {
  InstanceObject& callee = *callee_.instance;
  const std::uint64_t caller_gas = running().cell->hart().gas;
  if (callee.has_next_image()) tree_.become_next_image(callee);
  if (Result<void> resident = tree_.make_resident(callee); !resident) {
    // The caller goes on without it.
    callee_.granted = 0;
    callee.registers = std::make_unique<runtime::HartRegisters>();
    frames_.push_back(std::move(callee_));
    const bool lacks_function =
        resident.error().code == ErrorCode::kUnresolvedImport || resident.error().code == ErrorCode::kSignatureMismatch;
    return return_to_caller(0, lacks_function ? KernelError::kBadImage : KernelError::kNoMemory);
  }
  callee_.granted = std::min(caller_gas, callee_.share_left);
  callee.on_its_way = true;
  set_registers(callee, endpoint, arguments, callee_.granted);
  frames_.push_back(std::move(callee_));
  return {};
}

std::optional<std::uint64_t> Invocation::call_within(Frame callee, const Endpoint& endpoint,
                                                     const std::array<std::uint64_t, 6>& arguments,
                                                     CapabilitySlot& slot) {
  InstanceObject& instance = *callee.instance;
  HartState& caller = running().cell->hart();
  Cell& cell = *instance.cell;
  const std::uint64_t granted = std::min(caller.gas, callee.share_left);
  callee.granted = granted;
  frames_.push_back(std::move(callee));
  instance.on_its_way = true;
  cell.invocation = this;
  cell.guest().set_deadline(deadline_);
  within_ = true;
  const std::optional<InvocationResult> result =
      cell.guest().call_here(endpoint.pc, *instance.image().first_registers_of(endpoint), arguments, granted);
  within_ = false;
  const bool replied = control_.kind == Control::kReply;
  if (!replied && (result || control_.kind != Control::kNone)) {
    if (control_.kind != Control::kNone) instance.image().note_left(endpoint);
    tree_.touch(instance);
    result_within_ = result.value_or(InvocationResult());
    control_within_ = std::exchange(control_, Control{.kind = Control::kWithin});
    return std::nullopt;
  }
  const std::uint64_t value = replied ? control_.value : cell.hart().x[riscv::kA0];
  if (replied) control_.kind = Control::kNone;
  caller.gas -= granted - cell.hart().gas;
  Frame& top = frames_.back();
  if (top.given) {
    put_back(top, frames_[frames_.size() - 2].instance->root());
  } else {
    instance.on_its_way = false;
    slot = std::move(top.instance);
  }
  frames_.pop_back();
  return value;
}

Result<void> Invocation::yield_to(std::size_t catcher, std::uint64_t value) {
  auto call = std::make_unique<YieldedCall>();
  std::vector<Frame> above;
  while (frames_.size() > catcher) {
    pay_for_top();
    above.push_back(std::move(frames_.back()));
    frames_.pop_back();
    // A call that waits holds no gas; who resumes it gives it some.
    set_gas_left(*above.back().instance, 0);
    above.back().granted = 0;
  }
  std::ranges::reverse(above);
  call->frames = std::move(above);
  Frame& first = call->frames.front();
  // Its caller goes on before the call has ended: what it gave is the callee's for good.
  if (first.given) replace_moved(running().root(), *std::exchange(first.given, std::nullopt), {});
  const SlotPath slot = first.slot;
  replace_moved(running().root(), slot, std::move(call));
  if (Result<void> resident = tree_.make_resident(running()); !resident) return resident;
  answer(value, KernelError::kYielded);
  return {};
}

Result<void> Invocation::resume_child(std::uint64_t value) {
  std::unique_ptr<YieldedCall> call = std::move(yielded_);
  call->frames.front().slot = resumed_slot_;
  call->frames.front().slot_word = resumed_slot_word_;
  for (Frame& frame : call->frames) {
    frame.granted = std::min(gas_left(running()), frame.share_left);
    set_gas_left(*frame.instance, frame.granted);
    frames_.push_back(std::move(frame));
  }
  if (Result<void> resident = tree_.make_resident(running()); !resident) return resident;
  answer(value, KernelError::kOk);
  return {};
}

std::unique_ptr<InstanceObject> Invocation::take_root() {
  if (frames_.empty()) return nullptr;
  while (frames_.size() > 1) end_top();
  std::unique_ptr<InstanceObject> root = std::move(frames_.back().instance);
  frames_.clear();
  root->on_its_way = false;
  root->registers.reset();
  return root;
}

std::unique_ptr<InstanceObject> put_frames_back(YieldedCall& call) {
  std::vector<Frame>& frames = call.frames;
  for (std::size_t i = frames.size() - 1; i > 0; --i) put_back(frames[i], frames[i - 1].instance->root());
  std::unique_ptr<InstanceObject> first = std::move(frames.front().instance);
  frames.clear();
  first->on_its_way = false;
  first->registers.reset();
  return first;
}

}  // namespace caisson::kernel
