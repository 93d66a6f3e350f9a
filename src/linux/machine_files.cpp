#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <span>

#include "linux/linux_process.h"
#include "linux/process_files.h"
#include "linux/system_identity.h"

namespace caisson::linux_personality::machine_files {

namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint64_t kTicksPerSecond = 100;  // USER_HZ

std::string line(std::string_view text) { return std::string(text) + "\n"; }

}  // namespace

std::string cpuinfo(LinuxProcess&) {
  return "processor\t: 0\n"
         "hart\t\t: 0\n"
         "isa\t\t: rv64imafdc_zicond_zicsr_zifencei_zihintpause_zba_zbb_zbs\n"
         "mmu\t\t: sv39\n"
         "mvendorid\t: 0x0\n"
         "marchid\t\t: 0x0\n"
         "mimpid\t\t: 0x0\n\n";
}

std::string hostname(LinuxProcess&) { return line(kNodeName); }
std::string kernel_name(LinuxProcess&) { return line(kSystemName); }
std::string kernel_release(LinuxProcess&) { return line(kKernelRelease); }
std::string kernel_version(LinuxProcess&) { return line(kKernelVersion); }

std::string loadavg(LinuxProcess& process) { return fmt::format("0.00 0.00 0.00 1/1 {}\n", process.ids.process); }

std::string meminfo(LinuxProcess& process) {
  const std::uint64_t total = process.memory().commit_limit() / 1024;
  const std::uint64_t free = total - std::min(total, process.memory().committed_bytes() / 1024);
  return fmt::format(
      "MemTotal:       {:8} kB\nMemFree:        {:8} kB\nMemAvailable:   {:8} kB\nBuffers:        {:8} kB\n"
      "Cached:         {:8} kB\nSwapTotal:      {:8} kB\nSwapFree:       {:8} kB\n",
      total, free, free, 0, 0, 0, 0);
}

// A random UUID of version 4 (RFC 4122, section 4.4).
std::string random_uuid(LinuxProcess& process) {
  std::array<std::uint8_t, 16> bytes{};
  if (!process.random.fill(bytes)) return {};
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    if (index == 4 || index == 6 || index == 8 || index == 10) text += '-';
    text += fmt::format("{:02x}", bytes[index]);
  }
  return text + "\n";
}

std::string stat(LinuxProcess& process) {
  const std::uint64_t ticks = process.monotonic_ns() / (kNanosecondsPerSecond / kTicksPerSecond);
  const std::uint64_t boot =
      (process.realtime_ns() - std::min(process.realtime_ns(), process.monotonic_ns())) / kNanosecondsPerSecond;
  return fmt::format(
      "cpu  {0} 0 0 0 0 0 0 0 0 0\ncpu0 {0} 0 0 0 0 0 0 0 0 0\nintr 0\nctxt 0\nbtime {1}\nprocesses 1\nprocs_running "
      "1\nprocs_blocked 0\n",
      ticks, boot);
}

std::string uptime(LinuxProcess& process) {
  const std::uint64_t hundredths = process.monotonic_ns() / (kNanosecondsPerSecond / 100);
  return fmt::format("{}.{:02} 0.00\n", hundredths / 100, hundredths % 100);
}

std::string version(LinuxProcess&) {
  return fmt::format("{} version {} (caisson) {}\n", kSystemName, kKernelRelease, kKernelVersion);
}

}  // namespace caisson::linux_personality::machine_files
