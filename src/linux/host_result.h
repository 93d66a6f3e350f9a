// What a host call left behind, as a guest gets it.
//
// asm-generic and x86-64 number the errors alike, so a known value stays as it is; one that user space never sees in the
// generic list (ERESTARTSYS and its kin, or what a file system invented) must not leak and becomes EIO.
#pragma once

#include <cerrno>
#include <cstdint>

namespace caisson::linux_personality {

inline constexpr int kLastGuestError = 133;  // EHWPOISON
static_assert(EDEADLK == 35 && ENAMETOOLONG == 36 && ENOSYS == 38 && ELOOP == 40 && EOVERFLOW == 75 &&
                  EOPNOTSUPP == 95 && ETIMEDOUT == 110 && EHWPOISON == kLastGuestError,
              "the host does not use the generic error numbers");

inline std::int64_t guest_error(int host_error) {
  return host_error > 0 && host_error <= kLastGuestError ? -host_error : -EIO;
}

// The result of a host call that reports failure by −1 and errno.
inline std::int64_t guest_result(std::int64_t host_result) {
  return host_result < 0 ? guest_error(errno) : host_result;
}

}  // namespace caisson::linux_personality
