// What a test may expect of its own process: sanitizers need address space and memory for themselves, and end the process where it
// would have died of a signal.
#pragma once

namespace caisson::test {

inline constexpr bool kHasSanitizer =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

}  // namespace caisson::test
