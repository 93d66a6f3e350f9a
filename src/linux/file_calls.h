// The system calls about files. Each is a row of system_calls.inc; the groups name the file that holds them.
#pragma once

#include <cstdint>

#include "linux/call_arguments.h"

namespace caisson::linux_personality {

// open_calls.cpp
std::int64_t sys_openat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_openat2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_close(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_close_range(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_memfd_create(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pipe2(LinuxProcess& process, const CallArguments& arguments);

// descriptor_calls.cpp
std::int64_t sys_dup(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_dup3(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fcntl(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_flock(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_ioctl(LinuxProcess& process, const CallArguments& arguments);

// transfer_calls.cpp
std::int64_t sys_read(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_write(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_readv(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_writev(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pread64(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pwrite64(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_preadv(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pwritev(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_preadv2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pwritev2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_lseek(LinuxProcess& process, const CallArguments& arguments);

// storage_calls.cpp
std::int64_t sys_truncate(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_ftruncate(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fallocate(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fsync(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fdatasync(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sync(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_syncfs(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sync_file_range(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fadvise64(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_readahead(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_sendfile(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_copy_file_range(LinuxProcess& process, const CallArguments& arguments);

// directory_calls.cpp
std::int64_t sys_getdents64(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getcwd(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_chdir(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fchdir(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_chroot(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mount(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_umount2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pivot_root(LinuxProcess& process, const CallArguments& arguments);

// name_calls.cpp
std::int64_t sys_mkdirat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_mknodat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_unlinkat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_renameat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_renameat2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_linkat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_symlinkat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_readlinkat(LinuxProcess& process, const CallArguments& arguments);

// status_calls.cpp
std::int64_t sys_fstat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_newfstatat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_statx(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_statfs(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fstatfs(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_faccessat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_faccessat2(LinuxProcess& process, const CallArguments& arguments);

// attribute_calls.cpp
std::int64_t sys_umask(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fchmod(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fchmodat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fchmodat2(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fchown(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fchownat(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_utimensat(LinuxProcess& process, const CallArguments& arguments);

// extended_attribute_calls.cpp
std::int64_t sys_setxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_lsetxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fsetxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_getxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_lgetxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fgetxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_listxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_llistxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_flistxattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_removexattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_lremovexattr(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_fremovexattr(LinuxProcess& process, const CallArguments& arguments);

// poll_calls.cpp
std::int64_t sys_ppoll(LinuxProcess& process, const CallArguments& arguments);
std::int64_t sys_pselect6(LinuxProcess& process, const CallArguments& arguments);

}  // namespace caisson::linux_personality
