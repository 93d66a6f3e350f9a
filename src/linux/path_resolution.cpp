#include "linux/path_resolution.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <variant>

#include "linux/file_table.h"
#include "linux/host_file.h"
#include "linux/host_result.h"
#include "linux/linux_process.h"

namespace caisson::linux_personality {

namespace {

// A path that must be followed anew because a link stood in the way.
struct Redirection {
  std::string path;
};

using Step = std::expected<std::variant<Place, Redirection>, std::int64_t>;

std::unexpected<std::int64_t> error(int host_error) { return std::unexpected(guest_error(host_error)); }

struct SplitPath {
  std::string directory;  // all but the last component
  std::string_view last;
};

// The last component and what precedes it; trailing slashes are ignored.
SplitPath split_last(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {std::string(), path};
  return {std::string(path.substr(0, slash + 1)), path.substr(slash + 1)};
}

bool has_dot_dot(std::string_view path) {
  for (std::size_t at = path.find(".."); at != std::string_view::npos; at = path.find("..", at + 1)) {
    const bool begins = at == 0 || path[at - 1] == '/';
    const bool ends = at + 2 == path.size() || path[at + 2] == '/';
    if (begins && ends) return true;
  }
  return false;
}

bool ends_in_directory_name(std::string_view path) {
  const std::string_view last = split_last(path).last;
  return last.empty() || last == "." || last == "..";
}

std::expected<std::string, std::int64_t> read_link(int directory, const char* name) {
  std::array<char, kMaximumPath> text;
  const ssize_t length = ::readlinkat(directory, name, text.data(), text.size());
  if (length < 0) return error(errno);
  if (length == 0) return error(ENOENT);
  if (static_cast<std::size_t>(length) == text.size()) return error(ENAMETOOLONG);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

// Opens `path` beneath `directory` with every link on the way refused (ELOOP).
int open_beneath(int directory, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: the kernel could not prove that a concurrent rename kept ".." beneath; paths here have none, so few tries do.
  for (int attempt = 0;; ++attempt) {
    const int descriptor =
        static_cast<int>(::syscall(SYS_openat2, directory, path.empty() ? "." : path.c_str(), &how, sizeof how));
    if (descriptor >= 0 || errno != EAGAIN || attempt == 8) return descriptor;
  }
}

// 0, or the host's error.
int read_status(Place& place) {
  if (::statx(place.descriptor.get(), "", AT_EMPTY_PATH, kStatusMask, &place.host_status) != 0) return errno;
  place.mode = place.host_status.stx_mode;
  // A host's /proc holds this process's own memory, so no mount shows one. It has a device number without a device (major 0).
  struct statfs file_system{};
  if (place.host_status.stx_dev_major != 0) return 0;
  if (::fstatfs(place.descriptor.get(), &file_system) != 0) return errno;
  return file_system.f_type == PROC_SUPER_MAGIC ? EACCES : 0;
}

class LookUp {
 public:
  LookUp(const FileSystem& file_system, LinuxProcess* process, const LookUpFlags& flags)
      : file_system_(file_system), process_(process), flags_(flags) {}

  // The file that `path` names seen from `start`, links followed.
  std::expected<Place, std::int64_t> run(const HeldDirectory& start, std::string_view path);

 private:
  // nullopt: this path must be walked.
  std::optional<std::expected<Place, std::int64_t>> fast(const HeldDirectory& start, const std::string& path);
  std::expected<Place, std::int64_t> fast_parent(int directory, const std::string& relative, Place place,
                                                 bool& must_walk);

  // The walk. `held_` are the directories from the root to where it stands.
  struct Held {
    std::shared_ptr<const Mount> mount;
    HostDescriptor descriptor;  // none: virtual
    std::size_t path_length;  // of path_ up to here
  };
  Step walk(const std::string& absolute_path);
  Step finish_at_held(std::string_view last, bool must_be_directory);
  Step last_component(std::string_view name, bool must_be_directory);
  std::expected<std::optional<Redirection>, std::int64_t> enter(std::string_view name, std::string_view rest);
  std::optional<VirtualNode> virtual_child(const std::string& path) const;
  std::expected<Redirection, std::int64_t> redirect(const std::string& target, std::string_view rest) const;
  bool links_forbidden() const { return (flags_.resolve & RESOLVE_NO_SYMLINKS) != 0; }
  bool crossing_forbidden() const { return (flags_.resolve & RESOLVE_NO_XDEV) != 0; }

  const FileSystem& file_system_;
  LinuxProcess* process_;
  const LookUpFlags flags_;
  std::vector<Held> held_;
  std::string path_;  // of held_.back()
};

// What stands at `path` without the host having it: a virtual file, or a directory on the way to a mount.
std::optional<VirtualNode> LookUp::virtual_child(const std::string& path) const {
  if (std::optional<VirtualNode> node = find_virtual(process_, path)) return node;
  if (file_system_.leads_to_mount(path)) return synthetic_directory(path);
  return std::nullopt;
}

std::optional<std::expected<Place, std::int64_t>> LookUp::fast(const HeldDirectory& start, const std::string& path) {
  if (!file_system_.uses_openat2() || has_dot_dot(path)) return std::nullopt;
  const bool absolute = path.starts_with('/');
  Place place;
  place.guest_path = normalize_path(absolute ? path : start.guest_path + "/" + path);
  place.mount = file_system_.governing_mount(place.guest_path);
  place.must_be_directory = path.ends_with('/');
  if (place.mount->virtual_tree || (!absolute && (place.mount != start.mount || !start.descriptor)))
    return std::nullopt;

  const int directory = absolute ? place.mount->root.get() : start.descriptor.get();
  std::string relative =
      absolute ? place.guest_path.substr(place.mount->guest_path == "/" ? 1 : place.mount->guest_path.size()) : path;
  if (relative.starts_with('/')) relative.erase(0, 1);

  if (flags_.target != LookUpTarget::kFile) {
    if (relative.empty() || ends_in_directory_name(path)) return std::nullopt;
    bool must_walk = false;
    auto found = fast_parent(directory, relative, std::move(place), must_walk);
    if (must_walk) return std::nullopt;
    return found;
  }

  place.descriptor = HostDescriptor(open_beneath(directory, relative, place.must_be_directory ? O_DIRECTORY : 0));
  if (!place.descriptor) {
    const int reason = errno;
    if (reason == ELOOP || reason == EXDEV || reason == EAGAIN) return std::nullopt;
    if (place.must_be_directory && reason == ENOTDIR) return std::nullopt;  // perhaps a link to a directory
    if (reason == ENOENT && virtual_child(place.guest_path)) return std::nullopt;
    return error(reason);
  }
  if (const int failure = read_status(place)) return error(failure);
  if (S_ISLNK(place.mode) && flags_.follow_last) return std::nullopt;
  return place;
}

std::expected<Place, std::int64_t> LookUp::fast_parent(int directory, const std::string& relative, Place place,
                                                       bool& must_walk) {
  const SplitPath split = split_last(relative);
  if (split.last.size() > kMaximumName) return error(ENAMETOOLONG);
  place.is_mount_point = file_system_.mount_at(place.guest_path) != nullptr;
  place.parent = HostDescriptor(open_beneath(directory, split.directory, O_DIRECTORY));
  if (!place.parent || place.is_mount_point || file_system_.leads_to_mount(place.guest_path)) {
    must_walk = true;  // errors too: the walk knows directories that only lead to mounts
    return place;
  }
  place.name = split.last;
  if (flags_.target == LookUpTarget::kParent) return place;

  place.descriptor = HostDescriptor(::openat(place.parent.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place.descriptor) {
    if (errno != ENOENT) return error(errno);
    must_walk = find_virtual(process_, place.guest_path).has_value();
    return place;
  }
  if (const int failure = read_status(place)) return error(failure);
  must_walk = S_ISLNK(place.mode) && (flags_.follow_last || place.must_be_directory);
  if (place.must_be_directory && !S_ISDIR(place.mode) && !must_walk) return error(ENOTDIR);
  return place;
}

std::expected<Redirection, std::int64_t> LookUp::redirect(const std::string& target, std::string_view rest) const {
  if (links_forbidden()) return error(ELOOP);
  std::string path = target;
  if (!target.starts_with('/')) {
    // ".." at the front of the text: path_ holds no links, so its last names can be taken off as text, and what is left may
    // go the fast way.
    std::string base = path_;
    std::string_view text = target;
    while (!text.empty()) {
      const std::string_view component = text.substr(0, text.find('/'));
      if (component == "..") {
        base += "/..";
      } else if (!component.empty() && component != ".") {
        break;
      }
      text.remove_prefix(std::min(text.size(), component.size() + 1));
    }
    path = join_path(normalize_path(base), text);
  }
  if (!rest.empty()) {
    path += '/';
    path += rest;
  }
  return Redirection{std::move(path)};
}

// Directories that a walk holds open at a time: each takes a descriptor of this process.
constexpr std::size_t kDeepestWalk = 256;

// Goes into the directory `name`, or says where the link of that name leads.
std::expected<std::optional<Redirection>, std::int64_t> LookUp::enter(std::string_view name, std::string_view rest) {
  if (held_.size() >= kDeepestWalk) return error(ENAMETOOLONG);
  const std::string path = join_path(path_, name);
  const auto push = [&](std::shared_ptr<const Mount> mount, HostDescriptor descriptor) {
    path_ = path;
    held_.push_back({std::move(mount), std::move(descriptor), path_.size()});
  };
  if (const std::shared_ptr<const Mount>* mount = file_system_.mount_at(path)) {
    if (crossing_forbidden()) return error(EXDEV);
    HostDescriptor root;
    if ((*mount)->root) {
      root = HostDescriptor(::fcntl((*mount)->root.get(), F_DUPFD_CLOEXEC, 0));
      if (!root) return error(errno);
    }
    push(*mount, std::move(root));
    return std::nullopt;
  }
  const Held& here = held_.back();
  if (here.descriptor) {
    const std::string host_name(name);
    HostDescriptor next(
        ::openat(here.descriptor.get(), host_name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next) {
      push(here.mount, std::move(next));
      return std::nullopt;
    }
    if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT) return error(errno);
    if (errno != ENOENT) {
      const auto target = read_link(here.descriptor.get(), host_name.c_str());
      if (!target) return error(target.error() == -EINVAL ? ENOTDIR : static_cast<int>(-target.error()));
      return redirect(*target, rest);
    }
  }
  const std::optional<VirtualNode> node = virtual_child(path);
  if (!node) return error(ENOENT);
  if (S_ISLNK(node->mode)) {
    if (node->descriptor >= 0 && (flags_.resolve & RESOLVE_NO_MAGICLINKS) != 0) return error(ELOOP);
    return redirect(virtual_content(process_, *node), rest);
  }
  if (!S_ISDIR(node->mode)) return error(ENOTDIR);
  push(here.mount, HostDescriptor());
  return std::nullopt;
}

// The path ends at the directory where the walk stands: "/", "." or "..".
Step LookUp::finish_at_held(std::string_view last, bool must_be_directory) {
  Held& here = held_.back();
  Place place;
  place.mount = here.mount;
  place.guest_path = path_;
  place.must_be_directory = must_be_directory;
  place.ends_in_dot_dot = last == "..";
  place.is_mount_point = file_system_.mount_at(path_) != nullptr;
  if (here.descriptor) {
    place.descriptor = std::move(here.descriptor);
    if (const int failure = read_status(place)) return error(failure);
  } else {
    place.virtual_node = virtual_child(path_);
    if (!place.virtual_node) return error(ENOENT);
    place.mode = place.virtual_node->mode;
  }
  return place;
}

Step LookUp::last_component(std::string_view name, bool must_be_directory) {
  Place place;
  place.guest_path = join_path(path_, name);
  place.must_be_directory = must_be_directory;
  place.is_mount_point = file_system_.mount_at(place.guest_path) != nullptr;
  const bool wants_parent = flags_.target != LookUpTarget::kFile;
  if (place.is_mount_point && flags_.target != LookUpTarget::kParent) {
    if (auto entered = enter(name, {}); !entered) return std::unexpected(entered.error());
    return finish_at_held(name, must_be_directory);
  }
  Held& here = held_.back();
  place.mount = here.mount;
  place.name = name;
  const auto give_parent = [&] {
    if (wants_parent) place.parent = std::move(here.descriptor);
  };
  if (flags_.target == LookUpTarget::kParent) {
    if (!here.descriptor || file_system_.leads_to_mount(place.guest_path))
      place.virtual_node = virtual_child(place.guest_path);
    if (place.virtual_node) place.mode = place.virtual_node->mode;
    give_parent();
    return place;
  }

  if (here.descriptor) {
    place.descriptor =
        HostDescriptor(::openat(here.descriptor.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!place.descriptor && errno != ENOENT) return error(errno);
  }
  if (place.descriptor) {
    if (const int failure = read_status(place)) return error(failure);
    if (S_ISLNK(place.mode) && (flags_.follow_last || must_be_directory)) {
      const auto target = read_link(place.descriptor.get(), "");
      if (!target) return std::unexpected(target.error());
      return redirect(*target + (must_be_directory ? "/" : ""), {});
    }
  } else {
    place.virtual_node = virtual_child(place.guest_path);
    if (!place.virtual_node) {
      if (flags_.target == LookUpTarget::kFile) return error(ENOENT);
      give_parent();
      return place;
    }
    place.mode = place.virtual_node->mode;
    if (S_ISLNK(place.mode) && (flags_.follow_last || must_be_directory)) {
      const std::int32_t descriptor = place.virtual_node->descriptor;
      if (descriptor < 0)
        return redirect(virtual_content(process_, *place.virtual_node) + (must_be_directory ? "/" : ""), {});
      if ((flags_.resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)) != 0) return error(ELOOP);
      place.open_file = process_->files.get(descriptor);
      if (!place.open_file) return error(ENOENT);
      place.virtual_node.reset();
      struct statx status{};
      if (const std::int64_t result = place.open_file->status(*process_, status); result < 0)
        return std::unexpected(result);
      place.mode = status.stx_mode;
      place.guest_path = place.open_file->guest_path();
    }
  }
  if (must_be_directory && !S_ISDIR(place.mode)) return error(ENOTDIR);
  give_parent();
  return place;
}

Step LookUp::walk(const std::string& absolute_path) {
  held_.clear();
  path_ = "/";
  const std::shared_ptr<const Mount>& root = file_system_.mounts().front();
  HostDescriptor root_descriptor;
  if (root->root) {
    root_descriptor = HostDescriptor(::fcntl(root->root.get(), F_DUPFD_CLOEXEC, 0));
    if (!root_descriptor) return error(errno);
  }
  held_.push_back({root, std::move(root_descriptor), path_.size()});

  const std::string_view path = absolute_path;
  const bool slash_at_end = path.ends_with('/');
  std::size_t at = 0;
  std::string_view component;
  while (at < path.size()) {
    if (path[at] == '/') {
      ++at;
      continue;
    }
    const std::size_t end = std::min(path.find('/', at), path.size());
    component = path.substr(at, end - at);
    at = end;
    if (component == ".") continue;
    if (component == "..") {
      if (held_.size() > 1) held_.pop_back();
      path_.resize(held_.back().path_length);
      continue;
    }
    if (component.size() > kMaximumName) return error(ENAMETOOLONG);
    const std::size_t next = path.find_first_not_of('/', at);
    if (next == std::string_view::npos) return last_component(component, slash_at_end);
    const auto entered = enter(component, path.substr(next));
    if (!entered) return std::unexpected(entered.error());
    if (*entered) return **entered;
  }
  return finish_at_held(component, slash_at_end);
}

std::expected<Place, std::int64_t> LookUp::run(const HeldDirectory& start, std::string_view path) {
  if (path.empty()) return error(ENOENT);
  if (path.size() >= kMaximumPath) return error(ENAMETOOLONG);
  std::string current(path);
  for (unsigned links = 0; links <= kMaximumSymbolicLinks; ++links) {
    if (auto found = fast(start, current)) return std::move(*found);
    if (!current.starts_with('/')) {
      const auto directory = current_guest_path(start);
      if (!directory) return std::unexpected(directory.error());
      current.insert(0, join_path(*directory, ""));
    }
    auto step = walk(current);
    if (!step) return std::unexpected(step.error());
    if (auto* place = std::get_if<Place>(&*step)) return std::move(*place);
    current = std::move(std::get<Redirection>(*step).path);
  }
  return error(ELOOP);
}

}  // namespace

std::string descriptor_link(int host_descriptor) { return "/proc/self/fd/" + std::to_string(host_descriptor); }

std::expected<Place, std::int64_t> look_up(const FileSystem& file_system, LinuxProcess* process,
                                           const HeldDirectory& start, std::string_view path,
                                           const LookUpFlags& flags) {
  return LookUp(file_system, process, flags).run(start, path);
}

std::expected<std::string, std::int64_t> current_guest_path(const HeldDirectory& directory) {
  if (!directory.descriptor) return directory.guest_path;
  const auto host_path = read_link(AT_FDCWD, descriptor_link(directory.descriptor.get()).c_str());
  const auto host_root = read_link(AT_FDCWD, descriptor_link(directory.mount->root.get()).c_str());
  if (!host_path || !host_root) return directory.guest_path;  // a host without /proc: the name it was opened by
  struct stat status;
  if (::fstat(directory.descriptor.get(), &status) != 0 || status.st_nlink == 0) return error(ENOENT);
  if (!path_is_within(*host_path, *host_root)) return error(ENOENT);
  const std::string beneath = *host_root == "/" ? *host_path : host_path->substr(host_root->size());
  return normalize_path(directory.mount->guest_path + "/" + beneath);
}

std::expected<std::shared_ptr<const HeldDirectory>, std::int64_t> hold_directory(Place&& place) {
  if (place.open_file) {
    if (auto directory = place.open_file->directory()) return directory;
    return error(ENOTDIR);
  }
  if (!S_ISDIR(place.mode)) return error(ENOTDIR);
  auto directory = std::make_shared<HeldDirectory>();
  directory->mount = std::move(place.mount);
  directory->descriptor = std::move(place.descriptor);
  directory->guest_path = std::move(place.guest_path);
  return directory;
}

}  // namespace caisson::linux_personality
