// The system calls about signals and the timers that raise them (signal_calls.cpp, timer_calls.cpp).
#pragma once

#include <cstdint>

#include "linux/call_arguments.h"

namespace caisson::linux_personality {

std::int64_t sys_rt_sigaction(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_sigprocmask(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_sigpending(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_sigsuspend(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_sigtimedwait(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_sigqueueinfo(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_tgsigqueueinfo(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rt_sigreturn(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sigaltstack(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_kill(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_tkill(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_tgkill(LinuxProcess& process, const CallArguments& arguments);

std::int64_t sys_getitimer(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setitimer(LinuxProcess& process, const CallArguments& arguments);

}  // namespace caisson::linux_personality
