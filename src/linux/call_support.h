// What the file calls share: paths and descriptors as arguments.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "linux/file_table.h"
#include "linux/host_result.h"
#include "linux/linux_process.h"
#include "linux/path_resolution.h"

namespace caisson::linux_personality {

inline constexpr unsigned kFileLimit = 7;  // RLIMIT_NOFILE

// A path argument. Errors: −EFAULT, −ENAMETOOLONG, −ENOENT where it is empty and must not be.
std::expected<std::string, std::int64_t> path_argument(LinuxProcess& process, std::uint64_t address,
                                                       bool may_be_empty = false);

// Where a path with this directory descriptor starts. Errors: −EBADF, −ENOTDIR; not looked at for an absolute path.
std::expected<std::shared_ptr<const HeldDirectory>, std::int64_t> start_directory(LinuxProcess& process,
                                                                                  std::int32_t descriptor,
                                                                                  std::string_view path);

// A (directory descriptor, path) pair of arguments. With `empty_path` (AT_EMPTY_PATH) an empty path means the descriptor.
std::expected<Place, std::int64_t> place_argument(LinuxProcess& process, std::int32_t descriptor,
                                                  std::uint64_t path_address, const LookUpFlags& flags,
                                                  bool empty_path = false);

// The place of an open file.
std::expected<Place, std::int64_t> place_of_descriptor(LinuxProcess& process, std::int32_t descriptor);

// A host descriptor (of any kind) for the file at `place` that names it; −1 where it is not of a mount.
int named_descriptor(const Place& place);
// True where the file belongs to a mount that must not be changed, or to no mount of the host.
bool is_read_only(const Place& place);

// Adds to the table under the process's limit.
std::int64_t install(LinuxProcess& process, std::shared_ptr<OpenFile> file, bool close_on_exec);

}  // namespace caisson::linux_personality
