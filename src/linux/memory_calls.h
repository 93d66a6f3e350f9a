// The system calls about memory: what is mapped (mapping_calls.cpp) and how (page_calls.cpp).
#pragma once

#include <cstdint>

#include "linux/call_arguments.h"

namespace caisson::linux_personality {

// mapping_calls.cpp
std::int64_t sys_brk(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mmap(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_munmap(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mremap(LinuxProcess& process, const CallArguments& arguments);

// page_calls.cpp
std::int64_t sys_mprotect(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_madvise(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_msync(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mincore(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mlock(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mlock2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_munlock(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mlockall(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_munlockall(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_membarrier(LinuxProcess& process, const CallArguments& arguments);

}  // namespace caisson::linux_personality
