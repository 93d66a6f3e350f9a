#include "linux/call_support.h"

#include <fcntl.h>

#include <cerrno>

namespace caisson::linux_personality {

std::expected<std::string, std::int64_t> path_argument(LinuxProcess& process, std::uint64_t address,
                                                       bool may_be_empty) {
  std::optional<std::string> path = process.memory().read_string(address, kMaximumPath - 1);
  if (!path) return std::unexpected(-EFAULT);
  if (path->size() >= kMaximumPath) return std::unexpected(-ENAMETOOLONG);
  if (path->empty() && !may_be_empty) return std::unexpected(-ENOENT);
  return std::move(*path);
}

std::expected<std::shared_ptr<const HeldDirectory>, std::int64_t> start_directory(LinuxProcess& process,
                                                                                  std::int32_t descriptor,
                                                                                  std::string_view path) {
  if (descriptor == AT_FDCWD || path.starts_with('/')) return process.file_system.working_directory();
  const std::shared_ptr<OpenFile>& file = process.files.get(descriptor);
  if (!file) return std::unexpected(-EBADF);
  std::shared_ptr<const HeldDirectory> directory = file->directory();
  if (!directory) return std::unexpected(-ENOTDIR);
  return directory;
}

std::expected<Place, std::int64_t> place_of_descriptor(LinuxProcess& process, std::int32_t descriptor) {
  Place place;
  place.open_file = process.files.get(descriptor);
  if (!place.open_file) return std::unexpected(-EBADF);
  struct statx status{};
  if (const std::int64_t result = place.open_file->status(process, status); result < 0) return std::unexpected(result);
  place.mode = status.stx_mode;
  place.mount = place.open_file->mount();
  place.guest_path = place.open_file->guest_path();
  if (const VirtualNode* node = place.open_file->virtual_node()) place.virtual_node = *node;
  return place;
}

std::expected<Place, std::int64_t> place_argument(LinuxProcess& process, std::int32_t descriptor,
                                                  std::uint64_t path_address, const LookUpFlags& flags,
                                                  bool empty_path) {
  auto path = path_argument(process, path_address, empty_path);
  if (!path) return std::unexpected(path.error());
  if (path->empty()) {
    if (descriptor != AT_FDCWD) return place_of_descriptor(process, descriptor);
    *path = ".";
  }
  const auto start = start_directory(process, descriptor, *path);
  if (!start) return std::unexpected(start.error());
  return look_up(process.file_system, &process, **start, *path, flags);
}

int named_descriptor(const Place& place) {
  if (place.descriptor) return place.descriptor.get();
  return place.open_file ? place.open_file->named_descriptor() : -1;
}

bool is_read_only(const Place& place) {
  if (place.open_file) return place.open_file->mount() && place.open_file->mount()->read_only;
  return place.mount == nullptr || place.mount->read_only || !place.descriptor;
}

std::int64_t install(LinuxProcess& process, std::shared_ptr<OpenFile> file, bool close_on_exec) {
  return process.files.add(std::move(file), close_on_exec, 0, process.limits[kFileLimit].current);
}

}  // namespace caisson::linux_personality
