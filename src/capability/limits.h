// Limits of the lists in capabilities. They are part of the hashes: the depth of a list's tree is that of its limit.
#pragma once

#include <cstdint>

namespace caisson::capability {

inline constexpr std::uint64_t kMostImageMappings = 4096;
inline constexpr std::uint64_t kMostEndpoints = 4096;
inline constexpr std::uint64_t kMostEndpointName = 255;
inline constexpr std::uint64_t kMostInitialRegisters = 31;
inline constexpr std::uint64_t kMostImports = 1024;
inline constexpr std::uint64_t kMostImportNumber = 4095;
inline constexpr std::uint64_t kMostImportName = 255;
inline constexpr std::uint64_t kMostImportSignature = 1024;
inline constexpr std::uint64_t kMostInstanceMappings = 65'536;
inline constexpr std::uint64_t kMostStateBytes = 64ULL << 20;

}  // namespace caisson::capability
