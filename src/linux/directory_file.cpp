#include "linux/directory_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "linux/host_file.h"
#include "linux/host_result.h"
#include "linux/linux_process.h"
#include "linux/saved_file.h"

namespace caisson::linux_personality {

namespace {

// struct linux_dirent64: what precedes the name.
struct RecordHead {
  std::uint64_t inode;
  std::int64_t next_offset;
  std::uint16_t length;
  std::uint8_t type;
} __attribute__((packed));
constexpr std::size_t kRecordHeadSize = 19;
static_assert(sizeof(RecordHead) == kRecordHeadSize);

std::uint64_t listing_bytes(const std::vector<DirectoryEntry>& entries) {
  std::uint64_t bytes = 0;
  for (const DirectoryEntry& entry : entries) bytes += sizeof entry + entry.name.size();
  return bytes;
}

std::uint64_t parent_inode(LinuxProcess& process, const std::string& guest_path) {
  const auto node = find_virtual(&process, normalize_path(guest_path + "/.."));
  return node ? node->inode : 1;
}

}  // namespace

DirectoryFile::DirectoryFile(std::uint32_t status_flags, std::shared_ptr<const HeldDirectory> directory,
                             MemoryCharge charge)
    : OpenFile(status_flags, directory->guest_path), directory_(std::move(directory)), charge_(std::move(charge)) {}

std::int64_t DirectoryFile::read(LinuxProcess&, GuestBuffers&, std::optional<std::uint64_t>) { return -EISDIR; }

std::int64_t DirectoryFile::status(LinuxProcess& process, struct statx& status) {
  if (directory_->descriptor)
    return host_status(process, directory_->descriptor.get(), directory_->mount.get(), status);
  virtual_status(find_virtual(&process, guest_path()).value_or(synthetic_directory(guest_path())), 0, status);
  return 0;
}

std::int64_t DirectoryFile::seek(LinuxProcess&, std::int64_t offset, int whence) {
  const std::int64_t base = whence == SEEK_CUR ? static_cast<std::int64_t>(position_) : 0;
  std::int64_t target = 0;
  if ((whence != SEEK_SET && whence != SEEK_CUR) || __builtin_add_overflow(base, offset, &target) || target < 0)
    return -EINVAL;
  if (target == 0) loaded_ = false;
  position_ = static_cast<std::size_t>(target);
  return target;
}

std::int64_t DirectoryFile::load_host_entries(LinuxProcess& process) {
  const int descriptor = directory_->descriptor.get();
  if (::lseek(descriptor, 0, SEEK_SET) < 0) return guest_error(errno);
  alignas(8) std::array<std::uint8_t, 32768> records;
  std::uint64_t bytes = 0;
  for (;;) {
    const auto length = ::syscall(SYS_getdents64, descriptor, records.data(), records.size());
    if (length < 0) return guest_error(errno);
    if (length == 0) return 0;
    for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
      RecordHead head;
      std::memcpy(&head, records.data() + at, sizeof head);
      entries_.push_back({reinterpret_cast<const char*>(records.data() + at + kRecordHeadSize), head.inode, head.type});
      bytes += sizeof(DirectoryEntry) + entries_.back().name.size();
      at += head.length;
    }
    if (!charge_.resize(bytes, process.memory().commit_limit())) return -ENOMEM;
  }
}

void DirectoryFile::add_entries_the_host_lacks(LinuxProcess& process) {
  std::vector<DirectoryEntry> additions = list_virtual(process, guest_path());
  for (const auto& mount : process.file_system.mounts()) {
    if (mount->guest_path == guest_path() || !path_is_within(mount->guest_path, guest_path())) continue;
    const std::string_view rest =
        std::string_view(mount->guest_path).substr(guest_path() == "/" ? 1 : guest_path().size() + 1);
    const std::string name(rest.substr(0, rest.find('/')));
    additions.push_back({name, synthetic_directory(join_path(guest_path(), name)).inode, DT_DIR});
  }
  if (additions.empty()) return;
  std::unordered_set<std::string> present;
  for (const DirectoryEntry& entry : entries_) present.insert(entry.name);
  for (DirectoryEntry& entry : additions) {
    if (present.insert(entry.name).second) entries_.push_back(std::move(entry));
  }
}

std::int64_t DirectoryFile::load(LinuxProcess& process) {
  entries_.clear();
  if (directory_->descriptor) {
    if (const std::int64_t result = load_host_entries(process); result < 0) return result;
  } else {
    const auto node = find_virtual(&process, guest_path());
    entries_.push_back({".", node ? node->inode : synthetic_directory(guest_path()).inode, DT_DIR});
    entries_.push_back({"..", parent_inode(process, guest_path()), DT_DIR});
  }
  add_entries_the_host_lacks(process);
  if (process.deterministic()) std::ranges::sort(entries_, {}, &DirectoryEntry::name);
  loaded_ = true;
  return 0;
}

std::int64_t DirectoryFile::read_directory(LinuxProcess& process, std::uint64_t buffer, std::uint32_t length) {
  if (!loaded_) {
    if (const std::int64_t result = load(process); result < 0) return result;
  }
  std::vector<std::uint8_t> records;
  const std::size_t capacity = std::min<std::size_t>(length, std::size_t{1} << 18);
  std::size_t next = position_;
  for (; next < entries_.size(); ++next) {
    const DirectoryEntry& entry = entries_[next];
    const std::size_t size = (kRecordHeadSize + entry.name.size() + 1 + 7) & ~std::size_t{7};
    if (records.size() + size > capacity) break;
    const RecordHead head{entry.inode, static_cast<std::int64_t>(next + 1), static_cast<std::uint16_t>(size),
                          entry.type};
    const std::size_t at = records.size();
    records.resize(at + size);
    std::memcpy(records.data() + at, &head, sizeof head);
    std::memcpy(records.data() + at + kRecordHeadSize, entry.name.data(), entry.name.size());
  }
  if (records.empty()) return next < entries_.size() ? -EINVAL : 0;
  if (process.memory().write(buffer, records.data(), records.size()) != records.size()) return -EFAULT;
  position_ = next;
  return static_cast<std::int64_t>(records.size());
}

std::expected<SavedFile, std::string> DirectoryFile::saved(LinuxProcess&) const {
  if (directory_->descriptor) return std::unexpected("a directory of the host");
  return SavedFile{.kind = SavedFileKind::kDirectory,
                   .status_flags = status_flags(),
                   .guest_path = guest_path(),
                   .position = position_,
                   .is_listed = loaded_,
                   .entries = loaded_ ? entries_ : std::vector<DirectoryEntry>()};
}

bool DirectoryFile::set_listing(LinuxProcess& process, const SavedFile& saved) {
  if (!charge_.resize(listing_bytes(saved.entries), process.memory().commit_limit())) return false;
  entries_ = saved.entries;
  loaded_ = saved.is_listed;
  position_ = saved.position;
  return true;
}

PathFile::PathFile(std::uint32_t status_flags, mode_t mode, std::shared_ptr<const HeldDirectory> place,
                   std::optional<VirtualNode> node)
    : OpenFile(status_flags, place->guest_path), mode_(mode), place_(std::move(place)), node_(std::move(node)) {}

std::int64_t PathFile::status(LinuxProcess& process, struct statx& status) {
  if (node_) {
    virtual_status(*node_, 0, status);
    return 0;
  }
  return host_status(process, place_->descriptor.get(), place_->mount.get(), status);
}

// A link of /proc/self/fd may name nothing by now, and what it named is not what it would name then.
std::expected<SavedFile, std::string> PathFile::saved(LinuxProcess& process) const {
  if (!node_ || node_->descriptor >= 0 || !find_virtual(&process, guest_path()))
    return std::unexpected("a name of a file of the host (O_PATH)");
  return SavedFile{.kind = SavedFileKind::kPath, .status_flags = status_flags(), .guest_path = guest_path()};
}

}  // namespace caisson::linux_personality
