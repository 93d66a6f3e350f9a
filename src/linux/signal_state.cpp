#include "linux/signal_state.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace caisson::linux_personality {
namespace {

// Caused by the instruction at pc: delivered before any other (signal(7), "Execution of signal handlers").
constexpr SignalMask kSynchronous = signal_bit(kSigSegv) | signal_bit(kSigBus) | signal_bit(kSigIll) |
                                    signal_bit(kSigTrap) | signal_bit(kSigFpe) | signal_bit(kSigSystemCall);
constexpr SignalMask kIgnoredByDefault =
    signal_bit(kSigChild) | signal_bit(kSigContinue) | signal_bit(kSigUrgent) | signal_bit(kSigWindow);
constexpr SignalMask kStopping = signal_bit(kSigStop) | signal_bit(kSigTerminalStop) | signal_bit(kSigTerminalInput) |
                                 signal_bit(kSigTerminalOutput);

}  // namespace

DefaultAction default_action(unsigned signal) {
  if (kIgnoredByDefault & signal_bit(signal)) return DefaultAction::kIgnore;
  if (kStopping & signal_bit(signal)) return DefaultAction::kStop;
  return DefaultAction::kTerminate;
}

void SignalState::replace_mask(SignalMask mask) {
  if (!replaced_mask_) replaced_mask_ = blocked;
  blocked = mask & ~kUnstoppable;
}

void SignalState::restore_mask() {
  blocked = mask_to_restore();
  forget_replaced_mask();
}

bool SignalState::ignores(unsigned signal) const {
  const std::uint64_t handler = actions[signal].handler;
  return handler == kIgnoreHandler || (handler == kDefaultHandler && default_action(signal) == DefaultAction::kIgnore);
}

bool SignalState::raise(const SignalInfo& info, std::uint64_t queue_limit) {
  const unsigned signal = static_cast<unsigned>(info.signal);
  const SignalMask bit = signal_bit(signal);
  if (ignores(signal) && ((blocked | awaited) & bit) == 0) return true;
  if (signal < kFirstRealTimeSignal) {
    if (pending_ & bit) return true;
  } else if (queue_.size() >= queue_limit) {
    return false;
  }
  queue_.push_back(info);
  pending_ |= bit;
  return true;
}

std::optional<SignalInfo> SignalState::take(SignalMask from) {
  const SignalMask candidates = pending_ & from;
  if (candidates == 0) return std::nullopt;
  const SignalMask preferred = (candidates & kSynchronous) != 0 ? candidates & kSynchronous : candidates;
  const auto number = static_cast<std::int32_t>(std::countr_zero(preferred) + 1);
  const auto first = std::ranges::find(queue_, number, &SignalInfo::signal);
  const SignalInfo info = *first;
  const auto behind = queue_.erase(first);
  if (std::find_if(behind, queue_.end(), [&](const SignalInfo& other) { return other.signal == number; }) ==
      queue_.end()) {
    pending_ &= ~signal_bit(static_cast<unsigned>(number));
  }
  return info;
}

void SignalState::set_pending(std::optional<SignalMask> replaced_mask, std::deque<SignalInfo> queue) {
  replaced_mask_ = replaced_mask;
  queue_ = std::move(queue);
  pending_ = 0;
  for (const SignalInfo& info : queue_) pending_ |= signal_bit(static_cast<unsigned>(info.signal));
}

void SignalState::drop(unsigned signal) {
  std::erase_if(queue_, [&](const SignalInfo& info) { return info.signal == static_cast<std::int32_t>(signal); });
  pending_ &= ~signal_bit(signal);
}

}  // namespace caisson::linux_personality
