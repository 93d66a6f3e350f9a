// Signals: what is blocked, pending and handled. Delivery (the frame on the guest's stack) is in signal_delivery.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace caisson::linux_personality {

inline constexpr unsigned kSignalCount = 64;
inline constexpr unsigned kFirstRealTimeSignal = 32;

// Values of SignalAction::handler that are no addresses.
inline constexpr std::uint64_t kDefaultHandler = 0, kIgnoreHandler = 1;

// si_code (asm-generic/siginfo.h).
enum SignalCode : std::int32_t {
  kSentByUser = 0,
  kSentByKernel = 0x80,
  kSentByQueue = -1,
  kSentByThreadKill = -6,
  kIllegalOpcode = 1,              // SIGILL
  kAddressNotMapped = 1,
  kAccessNotPermitted = 2,  // SIGSEGV
  kAddressMisaligned = 1,
  kAddressDoesNotExist = 2,  // SIGBUS
  kBreakpoint = 1,                 // SIGTRAP
};

// Bit n - 1 stands for signal n, as in the kernel's 8-byte sigset_t.
using SignalMask = std::uint64_t;
constexpr SignalMask signal_bit(unsigned signal) { return SignalMask{1} << (signal - 1); }

// The signal numbers that the engine itself names (asm-generic).
enum Signal : unsigned {
  kSigInt = 2,
  kSigQuit = 3,
  kSigIll = 4,
  kSigTrap = 5,
  kSigAbort = 6,
  kSigBus = 7,
  kSigFpe = 8,
  kSigKill = 9,
  kSigSegv = 11,
  kSigPipe = 13,
  kSigAlarm = 14,
  kSigTerm = 15,
  kSigChild = 17,
  kSigContinue = 18,
  kSigStop = 19,
  kSigTerminalStop = 20,
  kSigTerminalInput = 21,
  kSigTerminalOutput = 22,
  kSigUrgent = 23,
  kSigFileSize = 25,
  kSigVirtualAlarm = 26,
  kSigProfiling = 27,
  kSigWindow = 28,
  kSigSystemCall = 31,
};

// Never blocked, handled or ignored.
inline constexpr SignalMask kUnstoppable = signal_bit(kSigKill) | signal_bit(kSigStop);

// struct sigaction of riscv64: no restorer.
struct SignalAction {
  std::uint64_t handler = kDefaultHandler;
  std::uint64_t flags = 0;
  SignalMask mask = 0;
};

// Who sent a signal, in siginfo_t.
struct SignalSender {
  std::uint32_t process = 0;
  std::uint32_t user = 0;
  std::uint64_t value = 0;
};

// siginfo_t, 128 bytes as the guest sees it.
struct SignalInfo {
  std::int32_t signal = 0;
  std::int32_t error = 0;
  std::int32_t code = 0;
  std::int32_t padding = 0;
  union {
    std::uint64_t address;  // SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP
    SignalSender sender;
    std::uint8_t bytes[112] = {};
  };
};
static_assert(sizeof(SignalInfo) == 128 && offsetof(SignalInfo, bytes) == 16);

// ss_flags (asm-generic/signal.h: SS_ONSTACK, SS_DISABLE, SS_AUTODISARM).
inline constexpr std::int32_t kStackInUse = 1, kStackDisabled = 2;
inline constexpr std::int32_t kStackAutoDisarm = static_cast<std::int32_t>(0x8000'0000u);

// stack_t.
struct AlternateStack {
  std::uint64_t address = 0;
  std::int32_t flags = kStackDisabled;
  std::int32_t padding = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(AlternateStack) == 24);

class SignalState {
 public:
  std::array<SignalAction, kSignalCount + 1> actions;  // [0] unused
  SignalMask blocked = 0;
  AlternateStack alternate_stack;
  // Signals that rt_sigtimedwait waits for: they end a wait although blocked, and are not dropped although ignored.
  SignalMask awaited = 0;

  // rt_sigsuspend, ppoll, pselect6: blocks `mask` for the length of the call. When the call returns because of a signal, the
  // old mask comes back only behind its handler (the frame saves it); else restore_mask() at once.
  void replace_mask(SignalMask mask);
  void restore_mask();
  // What a frame saves. Once it is written, the replaced mask is forgotten: rt_sigreturn brings it back.
  SignalMask mask_to_restore() const { return replaced_mask_.value_or(blocked); }
  void forget_replaced_mask() { replaced_mask_.reset(); }

  // Queues; ignored signals vanish as on Linux. A standard signal that is already pending is merged; real-time signals queue
  // up to `queue_limit`. False: the queue is full (EAGAIN).
  bool raise(const SignalInfo& info, std::uint64_t queue_limit);

  SignalMask pending() const { return pending_; }
  // A pending signal is not blocked: a wait must end, a slice end delivers.
  bool deliverable() const { return (pending_ & (~blocked | awaited)) != 0; }
  // Takes the next signal out of `from`: synchronous ones first, then the lowest number.
  std::optional<SignalInfo> take(SignalMask from);
  // Drops what became ignored (sigaction to SIG_IGN, or SIG_DFL of a signal that is ignored by default).
  void drop(unsigned signal);

  bool ignores(unsigned signal) const;

  // For a process that is saved: the mask that replace_mask() put aside, and the pending signals in the order of their coming.
  const std::optional<SignalMask>& replaced_mask() const { return replaced_mask_; }
  const std::deque<SignalInfo>& queue() const { return queue_; }
  void set_pending(std::optional<SignalMask> replaced_mask, std::deque<SignalInfo> queue);

 private:
  std::optional<SignalMask> replaced_mask_;
  SignalMask pending_ = 0;
  std::deque<SignalInfo> queue_;
};

// What happens without a handler.
enum class DefaultAction : std::uint8_t { kTerminate, kIgnore, kStop };
DefaultAction default_action(unsigned signal);

}  // namespace caisson::linux_personality
