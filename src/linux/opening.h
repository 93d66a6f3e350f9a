// open(): from a place to an open file.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>

#include "linux/path_resolution.h"

namespace caisson::linux_personality {

struct OpenRequest {
  std::uint32_t flags = 0;   // O_*, numbered alike on both sides
  std::uint32_t mode = 0;    // of a file that is made, before the umask
  unsigned resolve = 0;      // see LookUpFlags
};

// Opens, or with O_CREAT makes, the file. A host device is never opened (EACCES), a socket neither (ENXIO), and a FIFO never
// makes the host wait. Errors are −errno.
std::expected<std::shared_ptr<OpenFile>, std::int64_t> open_path(LinuxProcess& process, const HeldDirectory& start,
                                                                 std::string_view path, const OpenRequest& request);

// The permission bits that a guest may set on a file of the host: a set-user-id or set-group-id program that a guest left in
// a shared directory would be one for the host's users.
inline constexpr std::uint32_t kSettableMode = 01777;

// Opens what an O_PATH descriptor holds, with O_CLOEXEC: a host descriptor, or −1 and errno.
int open_held(int host_descriptor, std::uint32_t flags, std::uint32_t mode = 0);

}  // namespace caisson::linux_personality
