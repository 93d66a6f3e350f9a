// REPLY, HOST_CALL, HOST_YIELD, CALL_RESUME, DROP_RESUME: who runs next.
#include <algorithm>
#include <utility>

#include "kernel/kernel_counters.h"
#include "kernel/operations.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

constexpr std::uint64_t kNoSlot = ~std::uint64_t{0};
constexpr unsigned kFirstArguments[] = {5, 6, 7, 28, 29, 30};  // t0 … t5

template <class T>
std::expected<T*, KernelError> find_kind(OperationContext& context, std::uint64_t word) {
  const auto slot = find_capability(context.root(), word);
  if (!slot) return std::unexpected(slot.error());
  T* const held = std::get_if<T>(*slot);
  if (held == nullptr) return std::unexpected(KernelError::kWrongKind);
  return held;
}

}  // namespace

KernelError op_reply(OperationContext& context) {
  CAISSON_PERF_SCOPE(reply_counter);
  context.invocation().ask_reply(context.operand(0));
  context.end_run();
  return KernelError::kOk;
}

KernelError op_host_call(OperationContext& context) {
  CAISSON_PERF_SCOPE(host_call_counter);
  const std::uint64_t word = context.operand(0), number = context.operand(1), share = context.operand(2),
                      given_word = context.operand(3), key = context.operand(4);
  const auto found = find_capability(context.root(), word);
  if (!found) return found.error();
  CapabilitySlot& slot = **found;
  auto* const held = std::get_if<std::unique_ptr<InstanceObject>>(&slot);
  if (held == nullptr) return KernelError::kWrongKind;
  InstanceObject& callee = **held;
  LoadedImage& image = callee.entered_image();
  const Endpoint* const endpoint = image.find_endpoint(number);
  if (endpoint == nullptr) return KernelError::kNoEndpoint;
  if (context.invocation().depth() >= context.invocation().max_depth()) return KernelError::kDepth;
  std::optional<SlotPath> given;
  if (given_word != kNoSlot) {
    const auto capability = find_capability(context.root(), given_word);
    if (!capability) return capability.error();
    given = parse_slot_path(given_word);
    if (leads_through(*parse_slot_path(word), *given)) return KernelError::kMoved;
    if (callee.root().find(kGivenSlot) != nullptr) return KernelError::kSlotTaken;
  }
  // What the callee has mapped beside its image is put into a window as well.
  const std::uint64_t mapped = callee.has_next_image() ? 0 : callee.mapped_pages();
  if (!context.charge_pages(std::max(image.page_count(), mapped), image.code_page_count())) return KernelError::kOk;

  Frame frame{.slot = *parse_slot_path(word),
              .slot_word = word,
              .given = given,
              .given_word = given_word,
              .share_left = share,
              .catch_key = key};
  // From here on nothing is allocated until the callee is in its frame.
  if (given) callee.root().make_room();
  frame.instance = std::move(*held);
  slot = MovedMark{};
  if (given) {
    const SlotPlace place = *find_place(context.root(), given_word);
    frame.instance->root().put(kGivenSlot, std::exchange(*place.find(), MovedMark{}));
  }
  std::array<std::uint64_t, 6> arguments;
  for (std::size_t i = 0; i < arguments.size(); ++i) arguments[i] = context.hart().x[kFirstArguments[i]];
  Invocation& invocation = context.invocation();
  if (!invocation.can_call_within(*frame.instance, *endpoint)) {
    invocation.ask_call(std::move(frame), *endpoint, arguments);
  } else if (const auto value = invocation.call_within(std::move(frame), *endpoint, arguments, slot)) {
    context.set_value(*value);
    return KernelError::kOk;
  }
  context.end_run();
  return KernelError::kOk;
}

KernelError op_host_yield(OperationContext& context) {
  const std::uint64_t value = context.operand(0), key = context.operand(1);
  if (key == 0) return KernelError::kBadArgument;
  const std::vector<Frame>& frames = context.invocation().frames();
  for (std::size_t i = frames.size() - 1; i > 0; --i) {
    if (!context.charge_pages(1)) return KernelError::kOk;
    if (frames[i].catch_key != key) continue;
    context.invocation().ask_yield(i, value);
    context.end_run();
    return KernelError::kOk;
  }
  return KernelError::kNoCatcher;
}

KernelError op_call_resume(OperationContext& context) {
  const std::uint64_t word = context.operand(0), value = context.operand(1);
  const auto held = find_kind<std::unique_ptr<YieldedCall>>(context, word);
  if (!held) return held.error();
  std::unique_ptr<YieldedCall>& call = **held;
  if (context.invocation().depth() + call->frames.size() > context.invocation().max_depth()) return KernelError::kDepth;
  if (!context.charge_pages(call->frames.size() + call->frames.back().instance->mapped_pages()))
    return KernelError::kOk;
  std::unique_ptr<YieldedCall> taken = std::move(call);
  **find_capability(context.root(), word) = MovedMark{};
  context.invocation().ask_resume(std::move(taken), *parse_slot_path(word), word, value);
  context.end_run();
  return KernelError::kOk;
}

KernelError op_drop_resume(OperationContext& context) {
  const auto held = find_kind<std::unique_ptr<YieldedCall>>(context, context.operand(0));
  if (!held) return held.error();
  std::unique_ptr<YieldedCall> call = std::move(**held);
  **find_capability(context.root(), context.operand(0)) = put_frames_back(*call);
  return KernelError::kOk;
}

}  // namespace caisson::kernel
