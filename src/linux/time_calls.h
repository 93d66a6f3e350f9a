// The system calls about clocks and sleeping (time_calls.cpp).
#pragma once

#include <cstdint>

#include "linux/call_arguments.h"

namespace caisson::linux_personality {

std::int64_t sys_nanosleep(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_clock_gettime(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_clock_settime(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_clock_getres(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_clock_nanosleep(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_gettimeofday(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_settimeofday(LinuxProcess& process, const CallArguments& arguments);

}  // namespace caisson::linux_personality
