// futex of a single thread: nobody else can wake it, so a wait ends by its timeout or a signal, and a wake finds no one.
#include <linux/futex.h>

#include <cerrno>
#include <optional>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/process_calls.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {
namespace {

// Arguments by their names in futex(2).
struct FutexCall {
  std::uint64_t address;  // uaddr
  std::uint32_t value;  // val
  std::uint64_t timeout;  // a timespec's address, or val2
  std::uint64_t address2;  // uaddr2
  std::uint32_t value3;  // val3
  bool real_time_clock;
};

std::int64_t read_word(LinuxProcess& process, std::uint64_t address, std::uint32_t& word) {
  if (address % sizeof word != 0) return -EINVAL;
  const auto value = process.memory().read_value<std::uint32_t>(address);
  if (!value) return -EFAULT;
  word = *value;
  return 0;
}

// The deadline on the monotonic clock; `relative` says what the timespec means.
std::int64_t read_deadline(LinuxProcess& process, const FutexCall& call, bool relative,
                           std::optional<std::uint64_t>& deadline) {
  if (call.timeout == 0) return 0;
  const auto time = process.memory().read_value<GuestTimespec>(call.timeout);
  if (!time) return -EFAULT;
  const std::optional<std::uint64_t> nanoseconds = to_nanoseconds(*time);
  if (!nanoseconds) return -EINVAL;
  if (relative) {
    deadline = deadline_after(process, *nanoseconds);
  } else {
    deadline = call.real_time_clock ? monotonic_of_realtime(process, *nanoseconds) : *nanoseconds;
  }
  return 0;
}

std::int64_t wait(LinuxProcess& process, const FutexCall& call, bool relative) {
  std::optional<std::uint64_t> deadline;
  if (const std::int64_t status = read_deadline(process, call, relative, deadline); status < 0) return status;
  std::uint32_t word = 0;
  if (const std::int64_t status = read_word(process, call.address, word); status < 0) return status;
  if (word != call.value) return -EAGAIN;
  if (wait_for(process, {}, deadline) == WaitOutcome::kTimedOut) return -ETIMEDOUT;
  return deadline ? kRestartUnlessHandled : kRestartUnlessNoRestart;
}

std::int64_t wait_relative(LinuxProcess& process, const FutexCall& call) { return wait(process, call, true); }

std::int64_t wait_bitset(LinuxProcess& process, const FutexCall& call) {
  return call.value3 == 0 ? -EINVAL : wait(process, call, false);
}

std::int64_t wake(LinuxProcess& process, const FutexCall& call) {
  std::uint32_t word = 0;
  return read_word(process, call.address, word) == -EINVAL ? -EINVAL : 0;  // an unmapped futex has no waiters either
}

std::int64_t wake_bitset(LinuxProcess& process, const FutexCall& call) {
  return call.value3 == 0 ? -EINVAL : wake(process, call);
}

std::int64_t requeue(LinuxProcess& process, const FutexCall& call) {
  std::uint32_t word = 0;
  if (const std::int64_t status = read_word(process, call.address, word); status < 0) return status;
  return read_word(process, call.address2, word);
}

std::int64_t compare_and_requeue(LinuxProcess& process, const FutexCall& call) {
  if (const std::int64_t status = requeue(process, call); status < 0) return status;
  const auto word = process.memory().read_value<std::uint32_t>(call.address);
  if (!word) return -EFAULT;
  return *word == call.value3 ? 0 : -EAGAIN;
}

// value3 = operation (4 bits, the highest: the operand is a shift), comparison (4), operand (12), comparand (12).
std::int64_t wake_op(LinuxProcess& process, const FutexCall& call) {
  std::uint32_t word = 0;
  if (const std::int64_t status = wake(process, call); status < 0) return status;
  if (const std::int64_t status = read_word(process, call.address2, word); status < 0) return status;
  const std::uint32_t operation = call.value3 >> 28 & 7;
  const std::uint32_t comparison = call.value3 >> 24 & 15;
  auto operand = static_cast<std::uint32_t>(static_cast<std::int32_t>(call.value3 << 8) >> 20);
  if ((call.value3 >> 28 & FUTEX_OP_OPARG_SHIFT) != 0) operand = std::uint32_t{1} << (operand & 31);
  switch (operation) {
    case FUTEX_OP_SET:
      word = operand;
      break;
    case FUTEX_OP_ADD:
      word += operand;
      break;
    case FUTEX_OP_OR:
      word |= operand;
      break;
    case FUTEX_OP_ANDN:
      word &= ~operand;
      break;
    case FUTEX_OP_XOR:
      word ^= operand;
      break;
    default:
      return -ENOSYS;
  }
  if (comparison > FUTEX_OP_CMP_GE) return -ENOSYS;
  return process.memory().write_value(call.address2, word) ? 0 : -EFAULT;
}

// A lock that is held by another thread was left by one that does not exist: ESRCH, as for a dead owner.
std::int64_t lock_pi(LinuxProcess& process, const FutexCall& call) {
  std::uint32_t word = 0;
  if (const std::int64_t status = read_word(process, call.address, word); status < 0) return status;
  const std::uint32_t owner = word & FUTEX_TID_MASK;
  if (owner == process.ids.thread) return -EDEADLK;
  if (owner != 0) return -ESRCH;
  return process.memory().write_value(call.address, process.ids.thread | (word & FUTEX_OWNER_DIED)) ? 0 : -EFAULT;
}

std::int64_t unlock_pi(LinuxProcess& process, const FutexCall& call) {
  std::uint32_t word = 0;
  if (const std::int64_t status = read_word(process, call.address, word); status < 0) return status;
  if ((word & FUTEX_TID_MASK) != process.ids.thread) return -EPERM;
  return process.memory().write_value(call.address, std::uint32_t{0}) ? 0 : -EFAULT;
}

struct OperationRow {
  bool takes_real_time_clock;
  std::int64_t (*operation)(LinuxProcess& process, const FutexCall& call);
};

// Indexed by FUTEX_*; the rest is ENOSYS.
constexpr OperationRow kOperations[] = {
    /* FUTEX_WAIT */ {false, wait_relative},
    /* FUTEX_WAKE */ {false, wake},
    /* FUTEX_FD */ {false, nullptr},
    /* FUTEX_REQUEUE */ {false, requeue},
    /* FUTEX_CMP_REQUEUE */ {false, compare_and_requeue},
    /* FUTEX_WAKE_OP */ {false, wake_op},
    /* FUTEX_LOCK_PI */ {false, lock_pi},
    /* FUTEX_UNLOCK_PI */ {false, unlock_pi},
    /* FUTEX_TRYLOCK_PI */ {false, lock_pi},
    /* FUTEX_WAIT_BITSET */ {true, wait_bitset},
    /* FUTEX_WAKE_BITSET */ {false, wake_bitset},
    /* FUTEX_WAIT_REQUEUE_PI */ {true, nullptr},
    /* FUTEX_CMP_REQUEUE_PI */ {false, nullptr},
    /* FUTEX_LOCK_PI2 */ {true, lock_pi},
};
static_assert(std::size(kOperations) == FUTEX_LOCK_PI2 + 1);

}  // namespace

std::int64_t sys_futex(LinuxProcess& process, const CallArguments& arguments) {
  const auto number = static_cast<std::uint32_t>(arguments.signed32(1) & FUTEX_CMD_MASK);
  const bool real_time_clock = (arguments.signed32(1) & FUTEX_CLOCK_REALTIME) != 0;
  if (number >= std::size(kOperations) || kOperations[number].operation == nullptr) return -ENOSYS;
  if (real_time_clock && !kOperations[number].takes_real_time_clock) return -ENOSYS;
  return kOperations[number].operation(process, {arguments[0], arguments.unsigned32(2), arguments[3], arguments[4],
                                                 arguments.unsigned32(5), real_time_clock});
}

}  // namespace caisson::linux_personality
