// The machine: its name, memory, randomness and processor.
#include <linux/sysinfo.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "linux/guest_time.h"
#include "linux/linux_process.h"
#include "linux/process_calls.h"
#include "linux/system_identity.h"

namespace caisson::linux_personality {
namespace {

constexpr std::size_t kNameSize = 65;  // __NEW_UTS_LEN + 1
constexpr std::uint64_t kMemoryUnit = 1;

// struct riscv_hwprobe (Documentation/arch/riscv/hwprobe.rst).
struct ProbePair {
  std::int64_t key;
  std::uint64_t value;
};

constexpr std::uint64_t kBaseBehaviorIma = 1;
// RISCV_HWPROBE_IMA_FD, _C, _EXT_ZBA, _ZBB, _ZBS, _ZICOND, _ZIHINTPAUSE.
constexpr std::uint64_t kExtensions =
    1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | std::uint64_t{1} << 35 | std::uint64_t{1} << 36;
constexpr std::uint64_t kMisalignedFast = 3;
constexpr std::uint64_t kHighestUserAddress = memory::kWindowSize - 1;
constexpr std::uint64_t kTimeFrequency = 10'000'000;

// The value of each key that is known, in their order from 0: vendor, architecture and implementation ids, base behaviour,
// extensions, speed of misaligned accesses, cbo.zero block size, highest address, `time` frequency, the same speed anew.
constexpr std::uint64_t kProbeValues[] = {
    0, 0, 0, kBaseBehaviorIma, kExtensions, kMisalignedFast, 0, kHighestUserAddress, kTimeFrequency, kMisalignedFast};

// The set of processors that a probe asks about must hold the only one; none at all means every one.
std::int64_t check_probed_processors(LinuxProcess& process, std::uint64_t size, std::uint64_t address) {
  if (size == 0 && address == 0) return 0;
  std::uint64_t mask = 0;
  const std::size_t length = std::min<std::uint64_t>(size, sizeof mask);
  if (process.memory().read(address, &mask, length) != length) return -EFAULT;
  return (mask & 1) != 0 ? 0 : -EINVAL;
}

}  // namespace

std::int64_t sys_uname(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::array<std::string_view, 6> kNames = {kSystemName,    kNodeName, kKernelRelease,
                                                      kKernelVersion, kMachine,  kDomainName};
  std::array<std::array<char, kNameSize>, kNames.size()> names{};
  for (std::size_t index = 0; index < kNames.size(); ++index) {
    std::memcpy(names[index].data(), kNames[index].data(), std::min(kNames[index].size(), kNameSize - 1));
  }
  return process.memory().write_value(arguments[0], names) ? 0 : -EFAULT;
}

std::int64_t sys_sysinfo(LinuxProcess& process, const CallArguments& arguments) {
  const memory::AddressSpace& memory = process.memory();
  struct sysinfo info{};
  info.uptime = static_cast<__kernel_long_t>(process.monotonic_ns() / kNanosecondsPerSecond);
  info.totalram = memory.commit_limit();
  info.freeram = memory.commit_limit() - std::min(memory.commit_limit(), memory.committed_bytes());
  info.procs = 1;
  info.mem_unit = kMemoryUnit;
  return process.memory().write_value(arguments[0], info) ? 0 : -EFAULT;
}

std::int64_t sys_getrandom(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::uint32_t kNonBlocking = 1, kRandom = 2, kInsecure = 4;
  // One call stays short, since nothing can stop it; Linux as well gives less than was asked for beyond 256 bytes.
  constexpr std::uint64_t kMost = std::uint64_t{1} << 20;
  const std::uint32_t flags = arguments.unsigned32(2);
  if ((flags & ~(kNonBlocking | kRandom | kInsecure)) != 0 || (flags & (kRandom | kInsecure)) == (kRandom | kInsecure))
    return -EINVAL;
  const std::uint64_t length = std::min(arguments[1], kMost);
  std::array<std::uint8_t, 4096> bytes;
  for (std::uint64_t done = 0; done < length;) {
    const std::size_t count = std::min<std::uint64_t>(length - done, bytes.size());
    if (!process.random.fill(std::span(bytes).first(count))) return -EIO;
    const std::size_t written = process.memory().write(arguments[0] + done, bytes.data(), count);
    done += written;
    if (written != count) return done == 0 ? -EFAULT : static_cast<std::int64_t>(done);
  }
  return static_cast<std::int64_t>(length);
}

std::int64_t sys_riscv_hwprobe(LinuxProcess& process, const CallArguments& arguments) {
  constexpr std::uint64_t kMostPairs = 4096;
  if (arguments.unsigned32(4) != 0 || arguments[1] > kMostPairs) return -EINVAL;
  if (const std::int64_t status = check_probed_processors(process, arguments[2], arguments[3]); status < 0)
    return status;
  for (std::uint64_t index = 0; index < arguments[1]; ++index) {
    const std::uint64_t address = arguments[0] + index * sizeof(ProbePair);
    auto pair = process.memory().read_value<ProbePair>(address);
    if (!pair) return -EFAULT;
    const auto key = static_cast<std::uint64_t>(pair->key);
    *pair = key < std::size(kProbeValues) ? ProbePair{pair->key, kProbeValues[key]} : ProbePair{-1, 0};
    if (!process.memory().write_value(address, *pair)) return -EFAULT;
  }
  return 0;
}

// Every way to change code tells the decoder by itself: mprotect, and for pages that stay writable a comparison at each entry.
std::int64_t sys_riscv_flush_icache(LinuxProcess&, const CallArguments& arguments) {
  constexpr std::uint64_t kLocal = 1;
  return (arguments[2] & ~kLocal) == 0 ? 0 : -EINVAL;
}

}  // namespace caisson::linux_personality
