#include "linux/file_system.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "linux/host_result.h"
#include "linux/opening.h"
#include "linux/path_resolution.h"

namespace caisson::linux_personality {

namespace {

bool host_has_openat2() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const HostDescriptor root(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how)));
  return static_cast<bool>(root);
}

}  // namespace

std::string normalize_path(std::string_view path) {
  std::string normal;
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view component = path.substr(at, end - at);
    at = end + 1;
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      normal.resize(normal.empty() ? 0 : normal.rfind('/'));
    } else {
      normal += '/';
      normal += component;
    }
  }
  return normal.empty() ? "/" : normal;
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory == "/" ? "" : directory);
  path += '/';
  path += name;
  return path;
}

bool path_is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

FileSystem::FileSystem() {
  static const bool has_openat2 = host_has_openat2();
  uses_openat2_ = has_openat2;
  for (const char* path : {"/", "/proc", "/dev"}) {
    auto mount = std::make_shared<Mount>();
    mount->guest_path = path;
    mount->read_only = true;
    mount->virtual_tree = true;
    mount->number = static_cast<std::uint32_t>(mounts_.size() + 1);
    mounts_.push_back(std::move(mount));
  }
  auto root = std::make_shared<HeldDirectory>();
  root->mount = mounts_.front();
  root->guest_path = "/";
  working_directory_ = std::move(root);
}

Result<void> FileSystem::mount(const std::string& host_path, std::string_view guest_path, bool read_only) {
  if (!guest_path.starts_with('/'))
    return fail(ErrorCode::kInvalidArgument, "the guest's path must be absolute", std::string(guest_path));
  std::string normal = normalize_path(guest_path);
  if (path_is_within(normal, "/proc") || path_is_within(normal, "/dev")) {
    return fail(ErrorCode::kInvalidArgument, "/proc and /dev belong to Caisson; mount the directory elsewhere", normal);
  }
  HostDescriptor root(::open(host_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    const ErrorCode code = errno == EACCES || errno == EPERM ? ErrorCode::kPermission
                           : errno == ENOTDIR                ? ErrorCode::kInvalidArgument
                                                             : ErrorCode::kNotFound;
    return fail(code, std::string("cannot open the directory: ") + std::strerror(errno), host_path);
  }
  auto mount = std::make_shared<Mount>();
  mount->guest_path = normal;
  mount->root = std::move(root);
  mount->read_only = read_only;

  const auto existing = std::ranges::find_if(mounts_, [&](const auto& other) { return other->guest_path == normal; });
  if (existing != mounts_.end()) {
    mount->number = (*existing)->number;
    *existing = std::move(mount);
  } else {
    mount->number = static_cast<std::uint32_t>(mounts_.size() + 1);
    mounts_.push_back(std::move(mount));
  }
  if (normal == "/") {
    auto directory = std::make_shared<HeldDirectory>();
    directory->mount = mounts_.front();
    directory->descriptor = HostDescriptor(::fcntl(mounts_.front()->root.get(), F_DUPFD_CLOEXEC, 0));
    directory->guest_path = "/";
    working_directory_ = std::move(directory);
  }
  return {};
}

Result<FileSystem> FileSystem::create(const LinuxOptions& options) {
  FileSystem file_system;
  if (!options.root.empty()) {
    if (Result<void> mounted = file_system.mount(options.root, "/", false); !mounted)
      return std::unexpected(mounted.error());
  }
  for (const LinuxDirectory& directory : options.directories) {
    if (Result<void> mounted = file_system.mount(directory.host, directory.guest, directory.read_only); !mounted) {
      return std::unexpected(mounted.error());
    }
  }
  if (!options.workdir.starts_with('/'))
    return fail(ErrorCode::kInvalidArgument, "the working directory must be absolute", options.workdir);
  auto place = look_up(file_system, nullptr, *file_system.working_directory(), options.workdir);
  auto directory = place ? hold_directory(std::move(*place)) : std::unexpected(place.error());
  if (!directory) {
    return fail(
        ErrorCode::kNotFound,
        std::string("no such working directory in the guest: ") + std::strerror(static_cast<int>(-directory.error())),
        options.workdir);
  }
  file_system.set_working_directory(std::move(*directory));
  return file_system;
}

std::int64_t FileSystem::open_program(const std::string& guest_path) const {
  auto place = look_up(*this, nullptr, *working_directory_, guest_path);
  if (!place) return place.error();
  if (!S_ISREG(place->mode) || !place->descriptor) return -EACCES;
  const std::string link = descriptor_link(place->descriptor.get());
  if (::faccessat(AT_FDCWD, link.c_str(), X_OK, AT_EACCESS) != 0) return guest_error(errno);
  return guest_result(open_held(place->descriptor.get(), O_RDONLY));
}

const std::shared_ptr<const Mount>& FileSystem::governing_mount(std::string_view guest_path) const {
  const std::shared_ptr<const Mount>* longest = &mounts_.front();
  for (const auto& mount : mounts_) {
    if (mount->guest_path.size() > (*longest)->guest_path.size() && path_is_within(guest_path, mount->guest_path))
      longest = &mount;
  }
  return *longest;
}

const std::shared_ptr<const Mount>* FileSystem::mount_at(std::string_view guest_path) const {
  for (const auto& mount : mounts_) {
    if (mount->guest_path == guest_path) return &mount;
  }
  return nullptr;
}

bool FileSystem::leads_to_mount(std::string_view guest_path) const {
  return std::ranges::any_of(mounts_, [&](const auto& mount) {
    return mount->guest_path.size() > guest_path.size() && path_is_within(mount->guest_path, guest_path);
  });
}

}  // namespace caisson::linux_personality
