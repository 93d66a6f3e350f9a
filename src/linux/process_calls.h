// The system calls about the process itself and the machine that it believes to run on. Each group names its file.
#pragma once

#include <cstdint>

#include "linux/call_arguments.h"

namespace caisson::linux_personality {

// process_calls.cpp
std::int64_t sys_exit(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_exit_group(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_set_tid_address(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_set_robust_list(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_get_robust_list(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_rseq(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_personality(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_prctl(LinuxProcess& process, const CallArguments& arguments);

// identity_calls.cpp
std::int64_t sys_getpid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getppid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_gettid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getpgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setpgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getsid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setsid(LinuxProcess& process, const CallArguments& arguments);

// credential_calls.cpp
std::int64_t sys_getuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_geteuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getegid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setreuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setregid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setresuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setresgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getresuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getresgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setfsuid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setfsgid(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getgroups(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setgroups(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_capget(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_capset(LinuxProcess& process, const CallArguments& arguments);

// scheduling_calls.cpp
std::int64_t sys_sched_yield(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_getaffinity(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_setaffinity(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_getscheduler(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_setscheduler(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_getparam(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_setparam(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_get_priority_max(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_get_priority_min(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sched_rr_get_interval(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getpriority(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setpriority(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getcpu(LinuxProcess& process, const CallArguments& arguments);

// limit_calls.cpp
std::int64_t sys_getrlimit(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_setrlimit(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_prlimit64(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getrusage(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_times(LinuxProcess& process, const CallArguments& arguments);

// futex_calls.cpp
std::int64_t sys_futex(LinuxProcess& process, const CallArguments& arguments);

// machine_calls.cpp
std::int64_t sys_uname(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sysinfo(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getrandom(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_riscv_hwprobe(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_riscv_flush_icache(LinuxProcess& process, const CallArguments& arguments);

}  // namespace caisson::linux_personality
