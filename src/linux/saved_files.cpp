#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "linux/directory_file.h"
#include "linux/host_file.h"
#include "linux/linux_process.h"
#include "linux/opening.h"
#include "linux/path_resolution.h"
#include "linux/saved_file.h"
#include "linux/virtual_file.h"

namespace caisson::linux_personality {
namespace {

constexpr std::array<std::string_view, 3> kStreamNames = {"standard input", "standard output", "standard error"};

constexpr std::uint32_t kAccessMode = O_ACCMODE;

std::unexpected<Error> malformed(std::string_view what, const std::string& path = {}) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("not a saved Linux process: {}", what), path);
}

// --- saving ---

std::expected<SavedFile, std::string> save_file(LinuxProcess& process, const OpenFile& file) {
  if (file.was_locked()) return std::unexpected("a file that it has locked");
  if (const auto stream = process.files.standard_stream(file)) {
    return SavedFile{
        .kind = SavedFileKind::kStandardStream, .status_flags = file.status_flags() & ~kAccessMode, .number = *stream};
  }
  return file.saved(process);
}

// What is in a pipe, without taking it out: a copy of its buffers is made in another pipe and read there.
std::expected<std::string, std::string> peek_pipe(int read_end) {
  int available = 0;
  if (::ioctl(read_end, FIONREAD, &available) != 0) return std::unexpected("a pipe that the host does not look into");
  std::string bytes(static_cast<std::size_t>(available), '\0');
  if (bytes.empty()) return bytes;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return std::unexpected("a pipe; the host has none for its copy");
  const HostDescriptor copy_reader(ends[0]), copy_writer(ends[1]);
  if (::tee(read_end, copy_writer.get(), bytes.size(), SPLICE_F_NONBLOCK) != available ||
      ::read(copy_reader.get(), bytes.data(), bytes.size()) != available) {
    return std::unexpected("a pipe that the host does not look into");
  }
  return bytes;
}

class DescriptorSaver {
 public:
  explicit DescriptorSaver(LinuxProcess& process) : process_(process) {}

  Result<SavedDescriptors> run();

 private:
  std::expected<SavedFile, std::string> save(const OpenFile& file);
  std::expected<void, std::string> join_pipe(const OpenFile& end, SavedFile& file);

  LinuxProcess& process_;
  SavedDescriptors saved_;
  std::map<const OpenFile*, std::uint32_t> files_;
  std::map<std::uint64_t, std::uint32_t> pipes_;  // by the host's inode
  std::uint64_t hashed_bytes_ = 0;
};

Result<SavedDescriptors> DescriptorSaver::run() {
  for (std::uint32_t number = 0; number < process_.files.end(); ++number) {
    const auto descriptor = static_cast<std::int32_t>(number);
    const std::shared_ptr<OpenFile>& open = process_.files.get(descriptor);
    if (!open) continue;
    const auto [known, is_new] = files_.try_emplace(open.get(), static_cast<std::uint32_t>(saved_.files.size()));
    if (is_new) {
      std::expected<SavedFile, std::string> file = save(*open);
      if (!file) {
        return fail(ErrorCode::kUnsupported,
                    fmt::format("descriptor {} of the process is {}, which cannot be saved", number, file.error()),
                    open->guest_path());
      }
      saved_.files.push_back(std::move(*file));
    }
    saved_.descriptors.push_back({number, process_.files.close_on_exec(descriptor), known->second});
  }
  return std::move(saved_);
}

std::expected<SavedFile, std::string> DescriptorSaver::save(const OpenFile& file) {
  std::expected<SavedFile, std::string> saved = save_file(process_, file);
  if (!saved) return saved;
  hashed_bytes_ += saved->size;
  if (hashed_bytes_ > kMaximumHashedBytes) return std::unexpected("one of too many bytes of open files of the host");
  if (saved->kind == SavedFileKind::kPipeReader || saved->kind == SavedFileKind::kPipeWriter) {
    if (const auto joined = join_pipe(file, *saved); !joined) return std::unexpected(joined.error());
  }
  return saved;
}

std::expected<void, std::string> DescriptorSaver::join_pipe(const OpenFile& end, SavedFile& file) {
  struct stat status{};
  if (::fstat(end.host_descriptor(), &status) != 0) return std::unexpected("a pipe that the host does not look into");
  const auto [known, is_new] = pipes_.try_emplace(status.st_ino, static_cast<std::uint32_t>(saved_.pipes.size()));
  if (is_new) saved_.pipes.push_back({file.guest_path, {}});
  file.number = known->second;
  if (file.kind == SavedFileKind::kPipeWriter) return {};
  std::expected<std::string, std::string> bytes = peek_pipe(end.host_descriptor());
  if (!bytes) return std::unexpected(bytes.error());
  saved_.pipes[file.number].bytes = std::move(*bytes);
  return {};
}

// --- restoring ---

using Restored = Result<std::shared_ptr<OpenFile>>;

class DescriptorRestorer {
 public:
  DescriptorRestorer(LinuxProcess& process, std::uint64_t limit)
      : process_(process), limit_(std::min<std::uint64_t>(limit, FileTable::kMaximum)) {}

  Result<void> run(const SavedDescriptors& saved);

 private:
  Result<void> place_files(const SavedDescriptors& saved);
  Result<void> make_pipes(const SavedDescriptors& saved);
  Restored restore(const SavedFile& file);
  Restored standard_stream(const SavedFile& file);
  Restored text(const SavedFile& file);
  Restored device(const SavedFile& file);
  Restored directory(const SavedFile& file);
  Restored path(const SavedFile& file);
  Restored host_file(const SavedFile& file);
  Restored pipe_end(const SavedFile& file);

  std::shared_ptr<HeldDirectory> hold_virtual(const std::string& guest_path) const {
    auto held = std::make_shared<HeldDirectory>();
    held->mount = process_.file_system.governing_mount(guest_path);
    held->guest_path = guest_path;
    return held;
  }

  struct Pipe {
    std::string guest_path;
    bool has_bytes = false;
    HostDescriptor read_end, write_end;
  };

  LinuxProcess& process_;
  const std::uint64_t limit_;
  std::array<std::shared_ptr<OpenFile>, kStreamNames.size()> streams_;
  std::vector<Pipe> pipes_;
  std::uint32_t named_pipes_ = 0;  // of pipes_, by the files so far
  std::uint64_t hashed_bytes_ = 0;
};

Result<void> DescriptorRestorer::run(const SavedDescriptors& saved) {
  for (std::uint32_t number = 0; number < streams_.size(); ++number) {
    streams_[number] = process_.files.get(static_cast<std::int32_t>(number));
    process_.files.close(static_cast<std::int32_t>(number));
  }
  if (saved.pipes.size() > saved.files.size() || saved.files.size() > saved.descriptors.size() ||
      saved.descriptors.size() > limit_) {
    return malformed("more files than descriptors");
  }
  if (Result<void> made = make_pipes(saved); !made) return made;
  if (Result<void> placed = place_files(saved); !placed) return placed;
  for (const Pipe& pipe : pipes_) {
    if (pipe.read_end && (pipe.write_end || pipe.has_bytes)) return malformed("a pipe lacks its ends", pipe.guest_path);
  }
  return {};
}

Result<void> DescriptorRestorer::make_pipes(const SavedDescriptors& saved) {
  for (const SavedPipe& pipe : saved.pipes) {
    if (!pipe.guest_path.starts_with("pipe:[")) return malformed("a pipe's name", pipe.guest_path);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      return fail(ErrorCode::kIo, std::strerror(errno), pipe.guest_path);
    pipes_.push_back({pipe.guest_path, !pipe.bytes.empty(), HostDescriptor(ends[0]), HostDescriptor(ends[1])});
    if (!pipe.bytes.empty() &&
        ::write(ends[1], pipe.bytes.data(), pipe.bytes.size()) != static_cast<ssize_t>(pipe.bytes.size())) {
      return fail(ErrorCode::kIo, "the host's pipes do not hold what was in it", pipe.guest_path);
    }
  }
  return {};
}

Result<void> DescriptorRestorer::place_files(const SavedDescriptors& saved) {
  std::vector<std::shared_ptr<OpenFile>> files;
  for (const SavedDescriptor& descriptor : saved.descriptors) {
    if (descriptor.number < process_.files.end() || descriptor.number >= limit_)
      return malformed("its descriptors are not in order, or too many");
    if (descriptor.file > files.size() || descriptor.file >= saved.files.size())
      return malformed("a descriptor names no file of it");
    if (descriptor.file == files.size()) {
      Restored file = restore(saved.files[descriptor.file]);
      if (!file) return std::unexpected(file.error());
      files.push_back(std::move(*file));
    }
    process_.files.replace(static_cast<std::int32_t>(descriptor.number), files[descriptor.file],
                           descriptor.close_on_exec, FileTable::kMaximum);
  }
  if (files.size() != saved.files.size()) return malformed("it has files without a descriptor");
  return {};
}

Restored DescriptorRestorer::restore(const SavedFile& file) {
  static constexpr std::array<Restored (DescriptorRestorer::*)(const SavedFile&), 8> kByKind = {
      &DescriptorRestorer::standard_stream, &DescriptorRestorer::text,     &DescriptorRestorer::device,
      &DescriptorRestorer::directory,       &DescriptorRestorer::path,     &DescriptorRestorer::host_file,
      &DescriptorRestorer::pipe_end,        &DescriptorRestorer::pipe_end,
  };
  const auto kind = static_cast<std::size_t>(file.kind);
  if (kind >= kByKind.size()) return malformed("a kind of file that is not known");
  if (file.kind != SavedFileKind::kStandardStream && file.kind != SavedFileKind::kPath &&
      (file.status_flags & O_PATH) != 0) {
    return malformed("flags that do not fit the file", file.guest_path);
  }
  return (this->*kByKind[kind])(file);
}

// Whether it may be read and written is the new stream's; what else the guest has set stays.
Restored DescriptorRestorer::standard_stream(const SavedFile& file) {
  if (file.number >= streams_.size() || (file.status_flags & (O_PATH | kAccessMode)) != 0)
    return malformed("no such standard stream");
  std::shared_ptr<OpenFile> stream = std::exchange(streams_[file.number], nullptr);
  if (stream == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "the process has it open, and LinuxOptions give none (or it is named twice)",
                std::string(kStreamNames[file.number]));
  }
  stream->set_status_flags((stream->status_flags() & kAccessMode) | file.status_flags);
  return stream;
}

Restored DescriptorRestorer::text(const SavedFile& file) {
  std::optional<VirtualNode> node = find_virtual(&process_, file.guest_path);
  if (!node || !S_ISREG(node->mode) || file.position > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
    return malformed("no such virtual file", file.guest_path);
  MemoryCharge charge(process_.files.memory_budget());
  if (!charge.resize(file.bytes.size(), process_.memory().commit_limit()))
    return fail(ErrorCode::kOutOfMemory, "the memory limit does not hold the open virtual files", file.guest_path);
  auto text =
      std::make_shared<TextFile>(file.status_flags, file.guest_path, std::move(*node), file.bytes, std::move(charge));
  text->set_position(file.position);
  return text;
}

Restored DescriptorRestorer::device(const SavedFile& file) {
  std::optional<VirtualNode> node = find_virtual(&process_, file.guest_path);
  if (!node || node->device == DeviceKind::kNone || node->device == DeviceKind::kTerminal)
    return malformed("no such device", file.guest_path);
  return std::make_shared<DeviceFile>(file.status_flags, file.guest_path, std::move(*node));
}

// Any path will do: one that leads nowhere is a directory with nothing in it.
Restored DescriptorRestorer::directory(const SavedFile& file) {
  if (file.guest_path != normalize_path(file.guest_path) ||
      file.position > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return malformed("no such virtual directory", file.guest_path);
  }
  auto directory = std::make_shared<DirectoryFile>(file.status_flags, hold_virtual(file.guest_path),
                                                   MemoryCharge(process_.files.memory_budget()));
  if (!directory->set_listing(process_, file))
    return fail(ErrorCode::kOutOfMemory, "the memory limit does not hold the open directories", file.guest_path);
  return directory;
}

Restored DescriptorRestorer::path(const SavedFile& file) {
  std::optional<VirtualNode> node = find_virtual(&process_, file.guest_path);
  if (!node || (file.status_flags & O_PATH) == 0) return malformed("no such virtual file", file.guest_path);
  const mode_t mode = node->mode;
  return std::make_shared<PathFile>(file.status_flags, mode, hold_virtual(file.guest_path), std::move(node));
}

Restored DescriptorRestorer::host_file(const SavedFile& file) {
  if ((file.status_flags & O_ACCMODE) != O_RDONLY) return malformed("flags that do not fit the file", file.guest_path);
  auto place = look_up(process_.file_system, &process_, *process_.file_system.working_directory(), file.guest_path);
  if (!place || !place->descriptor || !S_ISREG(place->mode) || place->guest_path != file.guest_path)
    return fail(ErrorCode::kNotFound, "the process has this file open, and it is not there", file.guest_path);
  HostDescriptor descriptor(open_held(place->descriptor.get(), O_RDONLY));
  if (!descriptor) return fail(ErrorCode::kPermission, std::strerror(errno), file.guest_path);
  SavedFile found;
  const auto identified = identify_host_file(descriptor.get(), found);
  hashed_bytes_ += found.size;
  if (!identified || hashed_bytes_ > kMaximumHashedBytes || found.size != file.size || found.hash != file.hash) {
    return fail(ErrorCode::kIo, "the process has this file open, and it holds something else now", file.guest_path);
  }
  if (file.position > std::uint64_t{std::numeric_limits<off_t>::max()} ||
      ::lseek(descriptor.get(), static_cast<off_t>(file.position), SEEK_SET) < 0) {
    return malformed("a position that the file does not have", file.guest_path);
  }
  return std::make_shared<RegularFile>(std::move(descriptor), file.status_flags, file.guest_path,
                                       std::move(place->mount), true);
}

// The end that no file has at last is closed with pipes_.
Restored DescriptorRestorer::pipe_end(const SavedFile& file) {
  if (file.number >= pipes_.size() || file.number > named_pipes_) return malformed("no such pipe", file.guest_path);
  if (file.number == named_pipes_) ++named_pipes_;
  Pipe& pipe = pipes_[file.number];
  const bool reads = file.kind == SavedFileKind::kPipeReader;
  HostDescriptor& end = reads ? pipe.read_end : pipe.write_end;
  if (!end || pipe.guest_path != file.guest_path ||
      (file.status_flags & O_ACCMODE) != static_cast<std::uint32_t>(reads ? O_RDONLY : O_WRONLY)) {
    return malformed("the ends of a pipe do not fit each other", file.guest_path);
  }
  return std::make_shared<StreamFile>(std::move(end), file.status_flags, file.guest_path, true);
}

}  // namespace

std::expected<void, std::string> identify_host_file(int host_descriptor, SavedFile& file) {
  struct stat status{};
  if (::fstat(host_descriptor, &status) != 0) return std::unexpected("a file that the host does not look into");
  if (static_cast<std::uint64_t>(status.st_size) > kMaximumHashedBytes)
    return std::unexpected(fmt::format("a file of more than {} MiB", kMaximumHashedBytes >> 20));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t count = ::pread(host_descriptor, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::unexpected("a file that cannot be read");
    at += static_cast<std::size_t>(count);
  }
  file.size = bytes.size();
  file.hash = base::sha256(bytes);
  return {};
}

Result<SavedDescriptors> save_descriptors(LinuxProcess& process) { return DescriptorSaver(process).run(); }

Result<void> restore_descriptors(LinuxProcess& process, const SavedDescriptors& saved, std::uint64_t limit) {
  return DescriptorRestorer(process, limit).run(saved);
}

}  // namespace caisson::linux_personality
