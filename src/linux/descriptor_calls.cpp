// Calls on descriptors and open files as such: dup, fcntl, flock, ioctl.
#include <asm/ioctls.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {

namespace {

constexpr std::uint64_t kLockRetryNs = 5'000'000;

// What F_SETFL may change; O_NONBLOCK stays virtual.
constexpr std::uint32_t kChangeableFlags = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
constexpr std::uint32_t kHostChangeableFlags = O_APPEND | O_DIRECT | O_NOATIME;

using Control = std::int64_t (*)(LinuxProcess& process, std::int32_t descriptor, const std::shared_ptr<OpenFile>& file,
                                 std::uint64_t argument);

std::int64_t duplicate(LinuxProcess& process, const std::shared_ptr<OpenFile>& file, std::uint64_t lowest,
                       bool close_on_exec) {
  const std::uint64_t limit = process.limits[kFileLimit].current;
  const auto number = static_cast<std::uint32_t>(lowest);
  if (static_cast<std::int32_t>(number) < 0 || number >= limit) return -EINVAL;
  return process.files.add(file, close_on_exec, number, limit);
}

std::int64_t set_status_flags(const std::shared_ptr<OpenFile>& file, std::uint64_t argument) {
  const auto wanted = static_cast<std::uint32_t>(argument);
  if (file->named_descriptor() >= 0 && file->host_descriptor() >= 0) {
    const int current = ::fcntl(file->host_descriptor(), F_GETFL);
    if (current < 0) return guest_error(errno);
    const std::uint32_t kept = static_cast<std::uint32_t>(current) & ~kHostChangeableFlags;
    if (::fcntl(file->host_descriptor(), F_SETFL, kept | (wanted & kHostChangeableFlags)) != 0)
      return guest_error(errno);
  }
  file->set_status_flags((file->status_flags() & ~kChangeableFlags) | (wanted & kChangeableFlags));
  return 0;
}

// Calls `attempt`, which must not block, until it does something else than fail with EAGAIN.
template <class Attempt>
std::int64_t wait_until_done(LinuxProcess& process, Attempt attempt) {
  for (;;) {
    const std::int64_t result = attempt();
    if (result != -EAGAIN) return result;
    if (wait_for(process, {}, process.monotonic_ns() + kLockRetryNs) == WaitOutcome::kInterrupted)
      return kRestartUnlessNoRestart;
  }
}

enum class LockOwner : std::uint8_t { kProcess, kDescription };
enum class LockRequest : std::uint8_t { kQuery, kTry, kWait };

std::int64_t record_lock(LinuxProcess& process, const std::shared_ptr<OpenFile>& file, std::uint64_t address,
                         LockOwner owner, LockRequest request) {
  auto lock = process.memory().read_value<struct flock>(address);
  if (!lock) return -EFAULT;
  if (!file->is_regular() || (owner == LockOwner::kDescription && lock->l_pid != 0)) return -EINVAL;
  RecordLocks& locks = process.files.record_locks();
  if (request == LockRequest::kQuery) {
    const std::int64_t result = owner == LockOwner::kProcess
                                    ? locks.query(*file, *lock)
                                    : guest_result(::fcntl(file->host_descriptor(), F_OFD_GETLK, &*lock));
    if (result < 0) return result;
    return process.memory().write_value(address, *lock) ? 0 : -EFAULT;
  }
  const auto attempt = [&] {
    return owner == LockOwner::kProcess ? locks.set(*file, *lock)
                                        : guest_result(::fcntl(file->host_descriptor(), F_OFD_SETLK, &*lock));
  };
  const std::int64_t result = request == LockRequest::kWait ? wait_until_done(process, attempt) : attempt();
  if (result == 0 && lock->l_type != F_UNLCK) file->note_lock();
  return result;
}

template <LockOwner owner, LockRequest request>
std::int64_t lock_command(LinuxProcess& process, std::int32_t, const std::shared_ptr<OpenFile>& file,
                          std::uint64_t argument) {
  return record_lock(process, file, argument, owner, request);
}

struct Command {
  std::uint32_t number;
  Control control;
};

// The allow-list of fcntl.
constexpr Command kCommands[] = {
    {F_DUPFD, [](LinuxProcess& process, std::int32_t, const std::shared_ptr<OpenFile>& file,
                 std::uint64_t argument) { return duplicate(process, file, argument, false); }},
    {F_DUPFD_CLOEXEC, [](LinuxProcess& process, std::int32_t, const std::shared_ptr<OpenFile>& file,
                         std::uint64_t argument) { return duplicate(process, file, argument, true); }},
    {F_GETFD,
     [](LinuxProcess& process, std::int32_t descriptor, const std::shared_ptr<OpenFile>&,
        std::uint64_t) -> std::int64_t { return process.files.close_on_exec(descriptor) ? FD_CLOEXEC : 0; }},
    {F_SETFD,
     [](LinuxProcess& process, std::int32_t descriptor, const std::shared_ptr<OpenFile>&,
        std::uint64_t argument) -> std::int64_t {
       process.files.set_close_on_exec(descriptor, (argument & FD_CLOEXEC) != 0);
       return 0;
     }},
    {F_GETFL,
     [](LinuxProcess&, std::int32_t, const std::shared_ptr<OpenFile>& file, std::uint64_t) -> std::int64_t {
       return file->status_flags();
     }},
    {F_SETFL, [](LinuxProcess&, std::int32_t, const std::shared_ptr<OpenFile>& file,
                 std::uint64_t argument) { return set_status_flags(file, argument); }},
    {F_GETLK, lock_command<LockOwner::kProcess, LockRequest::kQuery>},
    {F_SETLK, lock_command<LockOwner::kProcess, LockRequest::kTry>},
    {F_SETLKW, lock_command<LockOwner::kProcess, LockRequest::kWait>},
    {F_OFD_GETLK, lock_command<LockOwner::kDescription, LockRequest::kQuery>},
    {F_OFD_SETLK, lock_command<LockOwner::kDescription, LockRequest::kTry>},
    {F_OFD_SETLKW, lock_command<LockOwner::kDescription, LockRequest::kWait>},
    {F_GETPIPE_SZ, [](LinuxProcess&, std::int32_t, const std::shared_ptr<OpenFile>& file,
                      std::uint64_t) { return guest_result(::fcntl(file->host_descriptor(), F_GETPIPE_SZ)); }},
    {F_GET_SEALS, [](LinuxProcess&, std::int32_t, const std::shared_ptr<OpenFile>& file,
                     std::uint64_t) { return guest_result(::fcntl(file->host_descriptor(), F_GET_SEALS)); }},
    {F_ADD_SEALS,
     [](LinuxProcess&, std::int32_t, const std::shared_ptr<OpenFile>& file, std::uint64_t argument) {
       return guest_result(::fcntl(file->host_descriptor(), F_ADD_SEALS, static_cast<int>(argument)));
     }},
};

// Of those, what an O_PATH descriptor answers (open(2)).
bool works_on_path_only(std::uint32_t command) {
  return command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_GETFD || command == F_SETFD ||
         command == F_GETFL;
}

}  // namespace

std::int64_t sys_dup(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file) return -EBADF;
  return install(process, file, false);
}

std::int64_t sys_dup3(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t from = arguments.signed32(0), to = arguments.signed32(1);
  const std::uint32_t flags = arguments.unsigned32(2);
  if ((flags & ~static_cast<std::uint32_t>(O_CLOEXEC)) != 0 || from == to) return -EINVAL;
  const std::shared_ptr<OpenFile> file = process.files.get(from);
  if (!file) return -EBADF;
  return process.files.replace(to, file, (flags & O_CLOEXEC) != 0, process.limits[kFileLimit].current);
}

std::int64_t sys_fcntl(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t descriptor = arguments.signed32(0);
  const std::uint32_t number = arguments.unsigned32(1);
  const std::shared_ptr<OpenFile> file = process.files.get(descriptor);
  if (!file || (file->path_only() && !works_on_path_only(number))) return -EBADF;
  for (const Command& command : kCommands) {
    if (command.number == number) return command.control(process, descriptor, file, arguments[2]);
  }
  return -EINVAL;
}

std::int64_t sys_flock(LinuxProcess& process, const CallArguments& arguments) {
  const std::shared_ptr<OpenFile> file = process.files.get(arguments.signed32(0));
  if (!file || file->path_only()) return -EBADF;
  const std::int32_t operation = arguments.signed32(1);
  const std::int32_t kind = operation & ~LOCK_NB;
  if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) return -EINVAL;
  if (file->host_descriptor() < 0) return 0;  // a virtual file: nobody else can see the lock
  const auto attempt = [&] { return guest_result(::flock(file->host_descriptor(), kind | LOCK_NB)); };
  const std::int64_t result = (operation & LOCK_NB) != 0 ? attempt() : wait_until_done(process, attempt);
  if (result == 0 && kind != LOCK_UN) file->note_lock();
  return result;
}

std::int64_t sys_ioctl(LinuxProcess& process, const CallArguments& arguments) {
  const std::int32_t descriptor = arguments.signed32(0);
  const std::uint32_t request = arguments.unsigned32(1);
  const std::shared_ptr<OpenFile> file = process.files.get(descriptor);
  if (!file || file->path_only()) return -EBADF;
  if (request == FIOCLEX || request == FIONCLEX) {
    process.files.set_close_on_exec(descriptor, request == FIOCLEX);
    return 0;
  }
  if (request == FIONBIO) {
    const auto value = process.memory().read_value<std::int32_t>(arguments[2]);
    if (!value) return -EFAULT;
    const std::uint32_t others = file->status_flags() & ~static_cast<std::uint32_t>(O_NONBLOCK);
    file->set_status_flags(others | (*value != 0 ? static_cast<std::uint32_t>(O_NONBLOCK) : 0));
    return 0;
  }
  return file->control(process, request, arguments[2]);
}

}  // namespace caisson::linux_personality
