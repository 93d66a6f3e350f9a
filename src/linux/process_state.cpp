#include "linux/process_state.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "linux/linux_process.h"
#include "linux/path_resolution.h"
#include "linux/saved_file.h"
#include "linux/state_codec.h"

namespace caisson::linux_personality {
namespace {

// "CLxs" and the version of what follows: it changes with every change of it.
constexpr std::uint64_t kFormat = 0x0000'0001'7378'4c43;

constexpr std::size_t kMaximumText = std::size_t{64} << 20;  // of one virtual file
constexpr std::size_t kMaximumString = std::size_t{16} << 20;  // of one argument or variable
constexpr std::size_t kMaximumStrings = std::size_t{1} << 20;
constexpr std::size_t kMaximumAuxiliaryBytes = 4096;
constexpr std::size_t kMaximumCommandName = 15;
constexpr std::size_t kMaximumGroups = 65536;  // NGROUPS_MAX
constexpr std::size_t kMaximumPipeBytes = std::size_t{1} << 20;
constexpr std::uint32_t kHighestProcessId = 4194304;  // PID_MAX_LIMIT

// Of the instance; a process goes on only where they are the same.
struct Surroundings {
  bool deterministic = false;
  std::uint64_t stack_size = 0;

  bool operator==(const Surroundings&) const = default;
};

Surroundings surroundings_of(runtime::GuestInstance& instance) {
  return {instance.options().deterministic, instance.options().stack_size};
}

// What is not read and written in its place in a LinuxProcess.
struct Parts {
  CallCounts counts;
  std::string working_directory;
  SavedDescriptors descriptors;
  SavedClocks clocks;
  std::optional<RandomSource::Position> random;
  std::optional<SignalMask> replaced_mask;
  std::deque<SignalInfo> pending_signals;
};

// --- the encoding, in both directions ---

template <class Codec>
void exchange(Codec& codec, Surroundings& surroundings) {
  std::uint64_t format = kFormat;
  codec.number(format);
  codec.check(format == kFormat);
  codec.flag(surroundings.deterministic);
  codec.number(surroundings.stack_size);
}

template <class Codec>
void exchange(Codec& codec, Credentials& ids) {
  for (std::uint32_t Credentials::* id :
       {&Credentials::user, &Credentials::effective_user, &Credentials::saved_user, &Credentials::file_system_user,
        &Credentials::group, &Credentials::effective_group, &Credentials::saved_group,
        &Credentials::file_system_group}) {
    codec.number(ids.*id);
  }
  codec.list(ids.supplementary_groups, kMaximumGroups, [](auto& each, std::uint32_t& group) { each.number(group); });
}

template <class Codec>
void exchange(Codec& codec, ProcessIds& ids) {
  for (std::uint32_t ProcessIds::* id : {&ProcessIds::process, &ProcessIds::thread, &ProcessIds::parent,
                                         &ProcessIds::process_group, &ProcessIds::session}) {
    codec.number(ids.*id);
    codec.check(ids.*id <= kHighestProcessId);
  }
}

template <class Codec>
void exchange(Codec& codec, ResourceLimits& limits) {
  for (ResourceLimit& limit : limits.limits) {
    codec.number(limit.current);
    codec.number(limit.maximum);
    codec.check(limit.current <= limit.maximum);
  }
}

template <class Codec>
void exchange(Codec& codec, SignalInfo& info) {
  codec.number(info.signal);
  codec.number(info.error);
  codec.number(info.code);
  codec.number(info.padding);
  codec.array(info.bytes);
  codec.check(info.signal >= 1 && info.signal <= static_cast<std::int32_t>(kSignalCount));
}

template <class Codec>
void exchange(Codec& codec, SignalState& signals) {
  for (unsigned signal = 1; signal <= kSignalCount; ++signal) {
    SignalAction& action = signals.actions[signal];
    codec.number(action.handler);
    codec.number(action.flags);
    codec.number(action.mask);
    codec.check((signal_bit(signal) & kUnstoppable) == 0 || action.handler == kDefaultHandler);
  }
  codec.number(signals.blocked);
  codec.number(signals.awaited);
  codec.check(((signals.blocked | signals.awaited) & kUnstoppable) == 0);
  codec.number(signals.alternate_stack.address);
  codec.number(signals.alternate_stack.flags);
  codec.number(signals.alternate_stack.padding);
  codec.number(signals.alternate_stack.size);
}

// A standard signal is pending once at most, and real-time ones as often as the limit allows.
bool is_queue(const std::deque<SignalInfo>& queue, std::uint64_t limit) {
  SignalMask seen = 0;
  std::uint64_t real_time = 0;
  for (const SignalInfo& info : queue) {
    const auto signal = static_cast<unsigned>(info.signal);
    if (signal >= kFirstRealTimeSignal) {
      ++real_time;
    } else if ((std::exchange(seen, seen | signal_bit(signal)) & signal_bit(signal)) != 0) {
      return false;
    }
  }
  return real_time <= limit;
}

template <class Codec>
void exchange(Codec& codec, MemoryLayout& layout) {
  for (const auto& [start, end] : {
           std::pair(&MemoryLayout::break_start, &MemoryLayout::break_end),
           std::pair(&MemoryLayout::stack_low, &MemoryLayout::stack_high),
           std::pair(&MemoryLayout::arguments_start, &MemoryLayout::arguments_end),
           std::pair(&MemoryLayout::environment_start, &MemoryLayout::environment_end),
       }) {
    codec.number(layout.*start);
    codec.number(layout.*end);
    codec.check(layout.*start <= layout.*end && layout.*end <= memory::kHighestAddress);
  }
}

template <class Codec>
void exchange_strings(Codec& codec, std::vector<std::string>& strings) {
  codec.list(strings, kMaximumStrings, [](auto& each, std::string& text) { each.bytes(text, kMaximumString); });
}

template <class Codec>
void exchange(Codec& codec, SavedFile& file) {
  auto kind = static_cast<std::uint8_t>(file.kind);
  codec.number(kind);
  file.kind = static_cast<SavedFileKind>(kind);
  codec.number(file.status_flags);
  if (file.kind != SavedFileKind::kStandardStream) codec.bytes(file.guest_path, kMaximumPath);
  switch (file.kind) {
    case SavedFileKind::kStandardStream:
    case SavedFileKind::kPipeReader:
    case SavedFileKind::kPipeWriter:
      codec.number(file.number);
      break;
    case SavedFileKind::kText:
      codec.number(file.position);
      codec.bytes(file.bytes, kMaximumText);
      break;
    case SavedFileKind::kDirectory:
      codec.number(file.position);
      codec.flag(file.is_listed);
      codec.list(file.entries, kMaximumText, [](auto& each, DirectoryEntry& entry) {
        each.bytes(entry.name, kMaximumName);
        each.number(entry.inode);
        each.number(entry.type);
      });
      codec.check(file.is_listed || file.entries.empty());
      break;
    case SavedFileKind::kHostFile:
      codec.number(file.position);
      codec.number(file.size);
      for (std::uint8_t& byte : file.hash) codec.number(byte);
      break;
    case SavedFileKind::kDevice:
    case SavedFileKind::kPath:
      break;
    default:
      codec.check(false);
  }
}

template <class Codec>
void exchange(Codec& codec, SavedDescriptors& saved) {
  codec.list(saved.pipes, FileTable::kMaximum, [](auto& each, SavedPipe& pipe) {
    each.bytes(pipe.guest_path, kMaximumName);
    each.bytes(pipe.bytes, kMaximumPipeBytes);
  });
  codec.list(saved.files, FileTable::kMaximum, [](auto& each, SavedFile& file) { exchange(each, file); });
  codec.list(saved.descriptors, FileTable::kMaximum, [](auto& each, SavedDescriptor& descriptor) {
    each.number(descriptor.number);
    each.flag(descriptor.close_on_exec);
    each.number(descriptor.file);
  });
}

template <class Codec>
void exchange_counts(Codec& codec, std::map<std::uint64_t, std::uint64_t>& counts, std::size_t most) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> rows(counts.begin(), counts.end());
  codec.list(rows, most, [](auto& each, auto& row) {
    each.number(row.first);
    each.number(row.second);
    each.check(row.second != 0);
  });
  // Strictly ascending.
  codec.check(std::ranges::is_sorted(rows, std::ranges::less_equal{}, [](const auto& row) { return row.first; }));
  counts = {rows.begin(), rows.end()};
}

template <class Codec>
void exchange(Codec& codec, LinuxProcess& process, Parts& parts) {
  constexpr std::size_t kMostCalls = 4096;
  exchange_counts(codec, parts.counts.answered, kMostCalls);
  exchange_counts(codec, parts.counts.unknown, kMostUnknownNumbers);
  codec.number(parts.counts.further_unknown);

  exchange(codec, process.credentials);
  exchange(codec, process.ids);
  exchange(codec, process.limits);
  codec.number(process.umask);
  codec.check(process.umask <= 0777);

  exchange(codec, process.signals);
  codec.optional(parts.replaced_mask);
  codec.list(parts.pending_signals, process.limits[RLIMIT_SIGPENDING].current + kFirstRealTimeSignal,
             [](auto& each, SignalInfo& info) { exchange(each, info); });
  for (unsigned which = 0; which < Timers::kCount; ++which) {
    codec.number(process.timers[which].expiry_ns);
    codec.number(process.timers[which].interval_ns);
  }
  codec.number(parts.clocks.monotonic_ns);
  if (!process.deterministic()) codec.number(parts.clocks.processor_ns);
  codec.optional(process.wait_deadline_ns);
  if (process.deterministic()) {
    RandomSource::Position& position = parts.random ? *parts.random : parts.random.emplace();
    codec.number(position.seed);
    codec.number(position.next_block);
    codec.number(position.block_left);
  }

  exchange(codec, process.layout);
  codec.bytes(process.executable_path, kMaximumPath);
  exchange_strings(codec, process.arguments);
  exchange_strings(codec, process.environment);
  codec.bytes(process.auxiliary_vector, kMaximumAuxiliaryBytes);
  codec.bytes(process.command_name, kMaximumCommandName);
  codec.number(process.robust_list_head);
  codec.number(process.clear_child_tid);
  codec.number(process.personality_flags);
  codec.number(process.nice);
  codec.check(process.nice >= -20 && process.nice <= 19);
  codec.number(process.parent_death_signal);
  codec.flag(process.dumpable);
  codec.flag(process.no_new_privileges);
  codec.number(process.next_pipe_number);

  codec.bytes(parts.working_directory, kMaximumPath);
  exchange(codec, parts.descriptors);
}

// --- what is more than numbers ---

std::unexpected<Error> malformed() {
  return fail(ErrorCode::kInvalidArgument, "not a saved Linux process, or one of another version of Caisson");
}

Result<std::string> working_directory_of(LinuxProcess& process) {
  const HeldDirectory& directory = *process.file_system.working_directory();
  const auto path = current_guest_path(directory);
  if (path) return *path;
  return fail(ErrorCode::kUnsupported, "the working directory of the process was deleted, so that it cannot be saved",
              directory.guest_path);
}

Result<void> enter_working_directory(LinuxProcess& process, const std::string& path) {
  if (path != normalize_path(path)) return malformed();
  auto place = look_up(process.file_system, &process, *process.file_system.working_directory(), path);
  auto directory = place ? hold_directory(std::move(*place)) : std::unexpected(place.error());
  if (!directory) return fail(ErrorCode::kNotFound, "the working directory of the process is not there", path);
  process.file_system.set_working_directory(std::move(*directory));
  return {};
}

// What the embedder bounds, beside what the state says.
Result<void> check_limits(const ResourceLimits& fresh, const LinuxProcess& process) {
  if (process.limits[RLIMIT_NOFILE].maximum > fresh[RLIMIT_NOFILE].maximum) {
    return fail(ErrorCode::kLimit,
                fmt::format("the process may open {} files, and LinuxOptions::descriptor_limit is {}",
                            process.limits[RLIMIT_NOFILE].maximum, fresh[RLIMIT_NOFILE].maximum));
  }
  if (process.limits[RLIMIT_SIGPENDING].maximum > fresh[RLIMIT_SIGPENDING].maximum) return malformed();
  return {};
}

}  // namespace

Result<std::vector<std::uint8_t>> save_process(LinuxProcess& process, const CallCounts& counts) {
  Parts parts;
  parts.counts = counts;
  parts.clocks = process.clocks();
  parts.random = process.random.position();
  parts.replaced_mask = process.signals.replaced_mask();
  parts.pending_signals = process.signals.queue();
  Result<std::string> working_directory = working_directory_of(process);
  if (!working_directory) return std::unexpected(working_directory.error());
  parts.working_directory = std::move(*working_directory);
  Result<SavedDescriptors> descriptors = save_descriptors(process);
  if (!descriptors) return std::unexpected(descriptors.error());
  parts.descriptors = std::move(*descriptors);

  StateWriter writer;
  Surroundings surroundings = surroundings_of(process.instance());
  exchange(writer, surroundings);
  exchange(writer, process, parts);
  if (!writer.is_valid()) return fail(ErrorCode::kLimit, "the process holds more than a saved one can");
  return writer.take();
}

Result<RestoredProcess> restore_process(runtime::GuestInstance& instance, const LinuxOptions& options,
                                        std::span<const std::uint8_t> state) {
  StateReader reader(state);
  Surroundings surroundings;
  exchange(reader, surroundings);
  if (reader.failed()) return malformed();
  if (surroundings != surroundings_of(instance)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the process was saved in an instance with a stack of {} bytes, {}deterministic",
                            surroundings.stack_size, surroundings.deterministic ? "" : "not "));
  }
  Result<std::unique_ptr<LinuxProcess>> created = LinuxProcess::create(instance, options);
  if (!created) return std::unexpected(created.error());
  LinuxProcess& process = **created;
  const ResourceLimits fresh_limits = process.limits;

  Parts parts;
  exchange(reader, process, parts);
  if (!reader.finished() || !is_queue(parts.pending_signals, process.limits[RLIMIT_SIGPENDING].maximum))
    return malformed();
  if (Result<void> checked = check_limits(fresh_limits, process); !checked) return std::unexpected(checked.error());
  if (parts.random && !process.random.set_position(*parts.random)) return malformed();
  process.set_clocks(parts.clocks);
  process.signals.set_pending(parts.replaced_mask, std::move(parts.pending_signals));
  if (Result<void> entered = enter_working_directory(process, parts.working_directory); !entered)
    return std::unexpected(entered.error());
  if (Result<void> opened = restore_descriptors(process, parts.descriptors, fresh_limits[RLIMIT_NOFILE].maximum);
      !opened)
    return std::unexpected(opened.error());
  return RestoredProcess{std::move(*created), std::move(parts.counts)};
}

}  // namespace caisson::linux_personality
