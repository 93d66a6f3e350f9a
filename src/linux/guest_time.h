// Times as the guest lays them out (struct __kernel_timespec and timeval of a 64-bit kernel), and their nanoseconds.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace caisson::linux_personality {

inline constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
inline constexpr std::uint64_t kNanosecondsPerMicrosecond = 1'000;
inline constexpr std::uint64_t kMicrosecondsPerSecond = 1'000'000;

struct GuestTimespec {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
};

struct GuestTimeval {
  std::int64_t seconds = 0;
  std::int64_t microseconds = 0;
};

inline GuestTimespec to_timespec(std::uint64_t nanoseconds) {
  return {static_cast<std::int64_t>(nanoseconds / kNanosecondsPerSecond),
          static_cast<std::int64_t>(nanoseconds % kNanosecondsPerSecond)};
}

inline GuestTimeval to_timeval(std::uint64_t nanoseconds) {
  return {static_cast<std::int64_t>(nanoseconds / kNanosecondsPerSecond),
          static_cast<std::int64_t>(nanoseconds % kNanosecondsPerSecond / kNanosecondsPerMicrosecond)};
}

namespace detail {

// nullopt where the fraction is out of range or the seconds are negative (EINVAL); too long ones count as for ever.
inline std::optional<std::uint64_t> nanoseconds_of(std::int64_t seconds, std::int64_t fraction,
                                                   std::uint64_t per_second) {
  constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();
  if (seconds < 0 || fraction < 0 || static_cast<std::uint64_t>(fraction) >= per_second) return std::nullopt;
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole >= kForEver / kNanosecondsPerSecond) return kForEver;
  return whole * kNanosecondsPerSecond + static_cast<std::uint64_t>(fraction) * (kNanosecondsPerSecond / per_second);
}

}  // namespace detail

inline std::optional<std::uint64_t> to_nanoseconds(const GuestTimespec& time) {
  return detail::nanoseconds_of(time.seconds, time.nanoseconds, kNanosecondsPerSecond);
}

inline std::optional<std::uint64_t> to_nanoseconds(const GuestTimeval& time) {
  return detail::nanoseconds_of(time.seconds, time.microseconds, kMicrosecondsPerSecond);
}

}  // namespace caisson::linux_personality
