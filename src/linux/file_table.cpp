#include "linux/file_table.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "linux/descriptor_counters.h"
#include "linux/host_file.h"

namespace caisson::linux_personality {

Result<FileTable> FileTable::create(const LinuxOptions& options) {
  struct Stream {
    int host_descriptor;
    std::string_view name;
  };
  const std::array<Stream, 3> streams = {{
      {options.standard_input, "standard input"},
      {options.standard_output, "standard output"},
      {options.standard_error, "standard error"},
  }};
  FileTable table;
  for (std::size_t number = 0; number < streams.size(); ++number) {
    if (streams[number].host_descriptor < 0) continue;
    HostDescriptor duplicate(::fcntl(streams[number].host_descriptor, F_DUPFD_CLOEXEC, 0));
    if (!duplicate) {
      return fail(ErrorCode::kInvalidArgument, std::string("cannot be used: ") + std::strerror(errno),
                  std::string(streams[number].name));
    }
    std::shared_ptr<OpenFile> file = adopt_host_descriptor(std::move(duplicate));
    table.standard_streams_[number] = file;
    table.add(std::move(file), false, static_cast<std::uint32_t>(number), kMaximum);
  }
  return table;
}

std::optional<std::uint32_t> FileTable::standard_stream(const OpenFile& file) const {
  for (std::uint32_t number = 0; number < standard_streams_.size(); ++number) {
    if (standard_streams_[number].lock().get() == &file) return number;
  }
  return std::nullopt;
}

bool FileTable::is_open(std::int32_t descriptor) const {
  return descriptor >= 0 && static_cast<std::size_t>(descriptor) < slots_.size() &&
         slots_[static_cast<std::size_t>(descriptor)].file;
}

const std::shared_ptr<OpenFile>& FileTable::get(std::int32_t descriptor) const {
  CAISSON_PERF_SCOPE(translate_counter);
  static const std::shared_ptr<OpenFile> kNotOpen;
  return is_open(descriptor) ? slots_[static_cast<std::size_t>(descriptor)].file : kNotOpen;
}

std::int64_t FileTable::add(std::shared_ptr<OpenFile> file, bool close_on_exec, std::uint32_t lowest,
                            std::uint64_t limit) {
  CAISSON_PERF_SCOPE(alloc_counter);
  std::size_t number = std::max(lowest, lowest_free_);
  while (number < slots_.size() && slots_[number].file) ++number;
  if (number >= std::min<std::uint64_t>(limit, kMaximum)) return -EMFILE;
  if (number >= slots_.size()) slots_.resize(number + 1);
  slots_[number] = {std::move(file), close_on_exec};
  if (lowest <= lowest_free_) lowest_free_ = static_cast<std::uint32_t>(number + 1);
  return static_cast<std::int64_t>(number);
}

std::int64_t FileTable::replace(std::int32_t descriptor, std::shared_ptr<OpenFile> file, bool close_on_exec,
                                std::uint64_t limit) {
  CAISSON_PERF_SCOPE(dup_counter);
  if (descriptor < 0 || static_cast<std::uint64_t>(descriptor) >= std::min<std::uint64_t>(limit, kMaximum))
    return -EBADF;
  const auto number = static_cast<std::size_t>(descriptor);
  if (number >= slots_.size()) slots_.resize(number + 1);
  assign(number, {std::move(file), close_on_exec});
  return descriptor;
}

void FileTable::assign(std::size_t number, Slot slot) {
  std::swap(slots_[number], slot);
  if (slot.file) record_locks_.closed(*slot.file);
}

std::int64_t FileTable::close(std::int32_t descriptor) {
  CAISSON_PERF_SCOPE(close_counter);
  if (!is_open(descriptor)) return -EBADF;
  assign(static_cast<std::size_t>(descriptor), {});
  lowest_free_ = std::min(lowest_free_, static_cast<std::uint32_t>(descriptor));
  trim();
  return 0;
}

void FileTable::trim() {
  while (!slots_.empty() && !slots_.back().file) slots_.pop_back();
}

bool FileTable::close_on_exec(std::int32_t descriptor) const {
  return is_open(descriptor) && slots_[static_cast<std::size_t>(descriptor)].close_on_exec;
}

void FileTable::set_close_on_exec(std::int32_t descriptor, bool value) {
  if (is_open(descriptor)) slots_[static_cast<std::size_t>(descriptor)].close_on_exec = value;
}

void FileTable::close_for_exec() {
  for (std::int32_t descriptor = static_cast<std::int32_t>(slots_.size()) - 1; descriptor >= 0; --descriptor) {
    if (close_on_exec(descriptor)) close(descriptor);
  }
}

std::int64_t FileTable::mappable(std::int32_t descriptor, MappableFile* file) const {
  const std::shared_ptr<OpenFile>& open = get(descriptor);
  if (!open || open->path_only()) return -EBADF;
  if (!open->readable()) return -EACCES;
  if (open->host_descriptor() < 0 || !open->is_regular()) return -ENODEV;
  *file = {open->host_descriptor(), true, open->writable(), open->guest_path()};
  return 0;
}

}  // namespace caisson::linux_personality
