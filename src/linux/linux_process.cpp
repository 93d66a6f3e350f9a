#include "linux/linux_process.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace caisson::linux_personality {
namespace {

// 2020-01-01 00:00:00 UTC, where the calendar of --deterministic begins.
constexpr std::uint64_t kVirtualEpochNs = 1'577'836'800ull * 1'000'000'000ull;

std::uint64_t host_clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

std::optional<std::uint64_t> seed_of(const InstanceOptions& options) {
  if (!options.deterministic) return std::nullopt;
  return options.seed;
}

}  // namespace

Result<std::unique_ptr<LinuxProcess>> LinuxProcess::create(runtime::GuestInstance& instance,
                                                           const LinuxOptions& options) {
  Result<FileSystem> file_system = FileSystem::create(options);
  if (!file_system) return std::unexpected(file_system.error());
  Result<FileTable> files = FileTable::create(options);
  if (!files) return std::unexpected(files.error());
  auto process = std::make_unique<LinuxProcess>(instance, std::move(*file_system), std::move(*files));
  const std::uint64_t descriptors = std::min(options.descriptor_limit, FileTable::kMaximum);
  process->limits[RLIMIT_NOFILE] = {descriptors, descriptors};
  return process;
}

LinuxProcess::LinuxProcess(runtime::GuestInstance& instance, FileSystem own_file_system, FileTable own_files)
    : file_system(std::move(own_file_system)),
      files(std::move(own_files)),
      limits(instance.options().stack_size),
      random(seed_of(instance.options())),
      instance_(instance) {}

std::uint64_t LinuxProcess::realtime_ns() const {
  return deterministic() ? kVirtualEpochNs + monotonic_ns() : host_clock_ns(CLOCK_REALTIME);
}

std::uint64_t LinuxProcess::processor_ns() const {
  return deterministic() ? instance_.clock_ns() : host_clock_ns(CLOCK_THREAD_CPUTIME_ID) + processor_offset_ns_;
}

SavedClocks LinuxProcess::clocks() const {
  if (deterministic()) return {skipped_ns_, 0};
  return {monotonic_ns(), processor_ns()};
}

void LinuxProcess::set_clocks(const SavedClocks& clocks) {
  if (deterministic()) {
    skipped_ns_ = clocks.monotonic_ns;
    return;
  }
  skipped_ns_ = clocks.monotonic_ns - instance_.clock_ns();
  processor_offset_ns_ = clocks.processor_ns - host_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

}  // namespace caisson::linux_personality
