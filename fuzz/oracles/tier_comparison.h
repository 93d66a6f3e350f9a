// A small guest made of arbitrary bytes, executed on several tiers that must agree. docs/testing.md, "Hostile code".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace caisson::fuzz {

// Installs fault recovery, if that has not been done; the tiers' guests fault.
void prepare_tier_comparison();

// Runs the guest that `input` describes on the interpreter and on the other tiers, with all gas at once and in portions. What differs,
// with both states and the code; nullopt where nothing does. Every input describes a guest.
std::optional<std::string> tier_difference(std::span<const std::uint8_t> input);

// What `input` describes, for people: state, pages and disassembled code.
std::string describe_tier_input(std::span<const std::uint8_t> input);

}  // namespace caisson::fuzz
