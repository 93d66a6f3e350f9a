// What uname and /proc say about the machine: the same on every host.
#pragma once

#include <string_view>

namespace caisson::linux_personality {

inline constexpr std::string_view kSystemName = "Linux";
inline constexpr std::string_view kNodeName = "caisson";
// The kernel whose interface the personality follows; C libraries refuse to start on what looks too old.
inline constexpr std::string_view kKernelRelease = "6.12.0-caisson";
inline constexpr std::string_view kKernelVersion = "#1 SMP Caisson";
inline constexpr std::string_view kMachine = "riscv64";
inline constexpr std::string_view kDomainName = "(none)";

}  // namespace caisson::linux_personality
