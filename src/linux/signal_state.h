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

// Bit n − 1 stands for signal n, as in the kernel's 8-byte sigset_t.
using SignalMask = std::uint64_t;
constexpr SignalMask signal_bit(unsigned signal) { return SignalMask{1} << (signal - 1); }

// The signal numbers that the engine itself names (asm-generic).
enum Signal : unsigned {
  kSigInt = 2, kSigQuit = 3, kSigIll = 4, kSigTrap = 5, kSigAbort = 6, kSigBus = 7, kSigFpe = 8, kSigKill = 9, kSigSegv = 11,
  kSigPipe = 13, kSigAlarm = 14, kSigTerm = 15, kSigChild = 17, kSigContinue = 18, kSigStop = 19, kSigTerminalStop = 20,
  kSigTerminalInput = 21, kSigTerminalOutput = 22, kSigUrgent = 23, kSigFileSize = 25, kSigVirtualAlarm = 26, kSigProfiling = 27,
  kSigWindow = 28,
};

// struct sigaction of riscv64: no restorer.
struct SignalAction {
  std::uint64_t handler = 0;  // 0 SIG_DFL, 1 SIG_IGN
  std::uint64_t flags = 0;
  SignalMask mask = 0;
};

// siginfo_t, 128 bytes as the guest sees it.
struct SignalInfo {
  std::int32_t signal = 0;
  std::int32_t error = 0;
  std::int32_t code = 0;
  std::int32_t padding = 0;
  union {
    std::uint64_t address;  // SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP
    struct {
      std::uint32_t process;
      std::uint32_t user;
      std::uint64_t value;
    } sender;
    std::uint8_t bytes[112] = {};
  };
};
static_assert(sizeof(SignalInfo) == 128 && offsetof(SignalInfo, bytes) == 16);

// stack_t.
struct AlternateStack {
  std::uint64_t address = 0;
  std::int32_t flags = 2;  // SS_DISABLE
  std::int32_t padding = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(AlternateStack) == 24);

class SignalState {
 public:
  std::array<SignalAction, kSignalCount + 1> actions;  // [0] unused
  SignalMask blocked = 0;
  AlternateStack alternate_stack;
  // The mask to return to after rt_sigsuspend or ppoll: what a frame saves instead of `blocked`.
  std::optional<SignalMask> saved_mask;

  // Queues; ignored signals vanish as on Linux. A standard signal that is already pending is merged; real-time signals queue
  // up to `queue_limit`. False: the queue is full (EAGAIN).
  bool raise(const SignalInfo& info, std::uint64_t queue_limit);

  SignalMask pending() const { return pending_; }
  // A pending signal is not blocked: a wait must end, a slice end delivers.
  bool deliverable() const { return (pending_ & ~blocked) != 0; }
  // Takes the next signal out of `from`: synchronous ones first, then the lowest number.
  std::optional<SignalInfo> take(SignalMask from);
  // Drops what became ignored (sigaction to SIG_IGN, or SIG_DFL of a signal that is ignored by default).
  void drop(unsigned signal);

  bool ignores(unsigned signal) const;

 private:
  SignalMask pending_ = 0;
  std::deque<SignalInfo> queue_;
};

// What happens without a handler.
enum class DefaultAction : std::uint8_t { kTerminate, kIgnore, kStop };
DefaultAction default_action(unsigned signal);

}  // namespace caisson::linux_personality
