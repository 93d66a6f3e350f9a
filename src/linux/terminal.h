// ioctl on streams: the requests a guest may make of a terminal or pipe, and nothing else.
#pragma once

#include <cstdint>

namespace caisson::linux_personality {

class LinuxProcess;

// −ENOTTY for a request that is not on the list or that the host file does not know. TIOCSTI and its kin, which would let a
// guest type into the host's terminal, are not on the list.
std::int64_t terminal_control(LinuxProcess& process, int host_descriptor, std::uint32_t request,
                              std::uint64_t argument);

}  // namespace caisson::linux_personality
