#include "linux/terminal.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "linux/host_result.h"
#include "linux/linux_process.h"

namespace caisson::linux_personality {

namespace {

struct WindowSize {
  std::uint16_t rows, columns, x_pixels, y_pixels;
};
static_assert(sizeof(struct termios) == 36 && sizeof(struct termios2) == 44);

// How a request's argument is used. Layouts and numbers are asm-generic on both sides.
enum class Argument : std::uint8_t { kRead, kWritten, kNumber };

struct Request {
  std::uint32_t number;
  Argument argument;
  std::uint32_t size;  // bytes behind the pointer
};

constexpr Request kRequests[] = {
    {TCGETS, Argument::kWritten, sizeof(struct termios)},
    {TCSETS, Argument::kRead, sizeof(struct termios)},
    {TCSETSW, Argument::kRead, sizeof(struct termios)},
    {TCSETSF, Argument::kRead, sizeof(struct termios)},
    {TCGETS2, Argument::kWritten, sizeof(struct termios2)},
    {TCSETS2, Argument::kRead, sizeof(struct termios2)},
    {TCSETSW2, Argument::kRead, sizeof(struct termios2)},
    {TCSETSF2, Argument::kRead, sizeof(struct termios2)},
    {TCFLSH, Argument::kNumber, 0},
    {TIOCGWINSZ, Argument::kWritten, sizeof(WindowSize)},
    {FIONREAD, Argument::kWritten, sizeof(std::int32_t)},
    {TIOCOUTQ, Argument::kWritten, sizeof(std::int32_t)},
};

std::int64_t host_ioctl(int descriptor, std::uint32_t request, std::uint64_t argument) {
  // glibc's ioctl() would do as well; the raw call keeps the kernel's own struct termios.
  return guest_result(::syscall(SYS_ioctl, descriptor, request, argument));
}

bool is_terminal(int descriptor) {
  struct termios settings;
  return host_ioctl(descriptor, TCGETS, reinterpret_cast<std::uint64_t>(&settings)) == 0;
}

}  // namespace

std::int64_t terminal_control(LinuxProcess& process, int host_descriptor, std::uint32_t request,
                              std::uint64_t argument) {
  // Job control shows guest numbers: the guest's only process group is always in the foreground.
  if (request == TIOCGPGRP || request == TIOCGSID || request == TIOCSPGRP) {
    if (!is_terminal(host_descriptor)) return -ENOTTY;
    if (request == TIOCSPGRP) {
      const auto group = process.memory().read_value<std::uint32_t>(argument);
      if (!group) return -EFAULT;
      return *group == process.ids.process_group ? 0 : -ESRCH;
    }
    const std::uint32_t number = request == TIOCGPGRP ? process.ids.process_group : process.ids.session;
    return process.memory().write_value(argument, number) ? 0 : -EFAULT;
  }

  const auto* known = std::ranges::find(kRequests, request, &Request::number);
  if (known == std::end(kRequests)) return -ENOTTY;
  if (known->argument == Argument::kNumber) return host_ioctl(host_descriptor, request, argument);

  std::array<std::uint8_t, sizeof(struct termios2)> bytes{};
  if (known->argument == Argument::kRead && process.memory().read(argument, bytes.data(), known->size) != known->size)
    return -EFAULT;
  const std::int64_t result = host_ioctl(host_descriptor, request, reinterpret_cast<std::uint64_t>(bytes.data()));
  if (result < 0 || known->argument == Argument::kRead) return result;
  return process.memory().write(argument, bytes.data(), known->size) == known->size ? result : -EFAULT;
}

}  // namespace caisson::linux_personality
