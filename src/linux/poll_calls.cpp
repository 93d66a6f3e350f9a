// ppoll and pselect6: waiting for files.
#include <poll.h>
#include <sys/select.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "linux/call_support.h"
#include "linux/file_calls.h"
#include "linux/waiting.h"

namespace caisson::linux_personality {

namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint64_t kSignalSetSize = 8;
constexpr std::uint32_t kBitsPerWord = 64;

struct GuestPoll {
  std::int32_t descriptor;
  std::int16_t events, returned;
};
static_assert(sizeof(GuestPoll) == 8);

// Gathers descriptors, waits, and says what happened on each.
class Waiter {
 public:
  explicit Waiter(LinuxProcess& process) : process_(process) {}

  void reserve(std::size_t count) { entries_.reserve(count); }

  void add(std::int32_t descriptor, short events) {
    Entry entry{process_.files.get(descriptor), events, 0};
    pollfd host{-1, events, 0};
    if (descriptor >= 0 && (!entry.file || entry.file->path_only())) {
      entry.ready = POLLNVAL;
    } else if (entry.file && entry.file->host_descriptor() >= 0) {
      host.fd = entry.file->host_descriptor();
    } else if (entry.file) {
      entry.ready = static_cast<short>(entry.file->ready_events() & events);
    }
    ready_at_once_ |= entry.ready != 0;
    entries_.push_back(std::move(entry));
    host_.push_back(host);
  }

  // 0, or the restart result.
  std::int64_t wait(std::optional<std::uint64_t> deadline_ns) {
    if (ready_at_once_) deadline_ns = 0;
    return wait_for(process_, host_, deadline_ns) == WaitOutcome::kInterrupted && !ready_at_once_
               ? kRestartUnlessHandled
               : 0;
  }

  short returned(std::size_t index) const { return static_cast<short>(entries_[index].ready | host_[index].revents); }

 private:
  struct Entry {
    std::shared_ptr<OpenFile> file;  // held, so that its host descriptor stays open
    short events, ready;
  };
  LinuxProcess& process_;
  std::vector<Entry> entries_;
  std::vector<pollfd> host_;
  bool ready_at_once_ = false;
};

// A timeout argument: a null pointer means for ever. Errors: −EFAULT, −EINVAL.
std::expected<std::optional<std::uint64_t>, std::int64_t> deadline_argument(LinuxProcess& process,
                                                                            std::uint64_t address) {
  if (address == 0) return std::nullopt;
  const auto timeout = process.memory().read_value<timespec>(address);
  if (!timeout) return std::unexpected(-EFAULT);
  if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= static_cast<long>(kNanosecondsPerSecond)) {
    return std::unexpected(-EINVAL);
  }
  // Centuries are for ever; and the sum stays in range.
  const std::uint64_t seconds = std::min<std::uint64_t>(static_cast<std::uint64_t>(timeout->tv_sec), 4'000'000'000);
  return deadline_after(process, seconds * kNanosecondsPerSecond + static_cast<std::uint64_t>(timeout->tv_nsec));
}

// Waits with `mask` for a signal mask. Where a signal ended the wait, its delivery brings the old mask back.
std::int64_t wait_with_mask(LinuxProcess& process, Waiter& waiter, std::optional<std::uint64_t> deadline_ns,
                            std::optional<SignalMask> mask) {
  if (mask) process.signals.replace_mask(*mask);
  const std::int64_t result = waiter.wait(deadline_ns);
  if (mask && result == 0) process.signals.restore_mask();
  return result;
}

// Errors: −EFAULT, −EINVAL.
std::expected<std::optional<SignalMask>, std::int64_t> mask_argument(LinuxProcess& process, std::uint64_t address,
                                                                     std::uint64_t size) {
  if (address == 0) return std::nullopt;
  if (size != kSignalSetSize) return std::unexpected(-EINVAL);
  const auto mask = process.memory().read_value<SignalMask>(address);
  if (!mask) return std::unexpected(-EFAULT);
  return *mask;
}

// What select's three sets ask of poll, and what of poll's answer they show (select(2), "Correspondence between select and
// poll notifications").
struct SetRule {
  short asks;
  short shows;
};
constexpr std::array<SetRule, 3> kSetRules = {{
    {POLLIN | POLLRDNORM | POLLRDBAND, POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR},
    {POLLOUT | POLLWRNORM | POLLWRBAND, POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR},
    {POLLPRI, POLLPRI},
}};

using BitSet = std::vector<std::uint64_t>;
bool has_bit(const BitSet& set, std::uint32_t bit) {
  return (set[bit / kBitsPerWord] >> (bit % kBitsPerWord) & 1) != 0;
}

}  // namespace

// (array, count, timeout, mask, mask size)
std::int64_t sys_ppoll(LinuxProcess& process, const CallArguments& arguments) {
  const std::uint64_t count = arguments.unsigned32(1);
  if (count > std::min<std::uint64_t>(process.limits[kFileLimit].current, FileTable::kMaximum)) return -EINVAL;
  const auto deadline = deadline_argument(process, arguments[2]);
  if (!deadline) return deadline.error();
  const auto mask = mask_argument(process, arguments[3], arguments[4]);
  if (!mask) return mask.error();
  std::vector<GuestPoll> polls(count);
  const std::size_t bytes = count * sizeof(GuestPoll);
  if (process.memory().read(arguments[0], polls.data(), bytes) != bytes) return -EFAULT;

  Waiter waiter(process);
  waiter.reserve(count);
  for (const GuestPoll& poll : polls) waiter.add(poll.descriptor, poll.events);
  if (const std::int64_t result = wait_with_mask(process, waiter, *deadline, *mask); result != 0) return result;

  std::int64_t ready = 0;
  for (std::size_t index = 0; index < polls.size(); ++index) {
    polls[index].returned = waiter.returned(index);
    ready += polls[index].returned != 0 ? 1 : 0;
  }
  return process.memory().write(arguments[0], polls.data(), bytes) == bytes ? ready : -EFAULT;
}

// (count, read set, write set, exception set, timeout, {mask, mask size})
std::int64_t sys_pselect6(LinuxProcess& process, const CallArguments& arguments) {
  if (arguments.signed32(0) < 0) return -EINVAL;
  const std::uint32_t count = std::min(arguments.unsigned32(0), FileTable::kMaximum);
  const auto deadline = deadline_argument(process, arguments[4]);
  if (!deadline) return deadline.error();
  std::optional<SignalMask> mask;
  if (arguments[5] != 0) {
    const auto pair = process.memory().read_value<std::array<std::uint64_t, 2>>(arguments[5]);
    if (!pair) return -EFAULT;
    const auto given = mask_argument(process, (*pair)[0], (*pair)[1]);
    if (!given) return given.error();
    mask = *given;
  }

  const std::size_t words = (count + kBitsPerWord - 1) / kBitsPerWord;
  const std::size_t bytes = words * sizeof(std::uint64_t);
  std::array<BitSet, kSetRules.size()> asked;
  for (std::size_t set = 0; set < asked.size(); ++set) {
    asked[set].resize(words);
    const std::uint64_t address = arguments[static_cast<unsigned>(set + 1)];
    if (address != 0 && process.memory().read(address, asked[set].data(), bytes) != bytes) return -EFAULT;
  }

  Waiter waiter(process);
  std::vector<std::uint32_t> descriptors;
  for (std::uint32_t descriptor = 0; descriptor < count; ++descriptor) {
    short events = 0;
    for (std::size_t set = 0; set < asked.size(); ++set) {
      if (has_bit(asked[set], descriptor)) events |= kSetRules[set].asks;
    }
    if (events == 0) continue;
    const std::shared_ptr<OpenFile>& file = process.files.get(static_cast<std::int32_t>(descriptor));
    if (!file || file->path_only()) return -EBADF;
    waiter.add(static_cast<std::int32_t>(descriptor), events);
    descriptors.push_back(descriptor);
  }
  if (const std::int64_t result = wait_with_mask(process, waiter, *deadline, mask); result != 0) return result;

  std::array<BitSet, kSetRules.size()> shown;
  std::int64_t ready = 0;
  for (std::size_t set = 0; set < shown.size(); ++set) {
    shown[set].resize(words);
    for (std::size_t index = 0; index < descriptors.size(); ++index) {
      const std::uint32_t descriptor = descriptors[index];
      if (!has_bit(asked[set], descriptor) || (waiter.returned(index) & kSetRules[set].shows) == 0) continue;
      shown[set][descriptor / kBitsPerWord] |= std::uint64_t{1} << (descriptor % kBitsPerWord);
      ++ready;
    }
    const std::uint64_t address = arguments[static_cast<unsigned>(set + 1)];
    if (address != 0 && process.memory().write(address, shown[set].data(), bytes) != bytes) return -EFAULT;
  }
  return ready;
}

}  // namespace caisson::linux_personality
