// base/: what every stage may use and what depends on nothing of Caisson: results and errors, hashing, SSZ (ssz.h) and its trees (merkle.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace caisson::base {

using Sha256 = std::array<std::uint8_t, 32>;

// The SHA-256 of `bytes`. Thread-safe.
Sha256 sha256(std::span<const std::uint8_t> bytes);

// HMAC-SHA-256 (RFC 2104) of `bytes` under `key`. Thread-safe.
Sha256 hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> bytes);

// Whether both are the same, in a time that does not depend on where they differ.
bool equal_in_constant_time(const Sha256& one, const Sha256& other);

}  // namespace caisson::base
