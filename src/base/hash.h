// base/: what every stage may use and what depends on nothing of Caisson: results and errors, hashing.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace caisson::base {

using Sha256 = std::array<std::uint8_t, 32>;

// The SHA-256 of `bytes`. Thread-safe.
Sha256 sha256(std::span<const std::uint8_t> bytes);

}  // namespace caisson::base
