// What a snapshot of a program holds beside memory, registers and personality, as bytes: SealedInstance::runtime_state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"
#include "memory/memory_base.h"
#include "runtime/guest_snapshot.h"

namespace caisson::kernel {

struct ProgramState {
  std::string module_name;
  bool deterministic = false;
  runtime::Phase phase = runtime::Phase::kNew;
  bool mapped = false, runs_program = false, in_call = false, resumable = false, has_personality = false;
  std::optional<runtime::PendingCall> pending_call;
  std::uint64_t load_bias = 0, slice_used = 0;
  std::array<std::uint64_t, 6> call_registers{};
  // Of each mapping, in order: without its pages and permissions, which the sealed instance has.
  std::vector<memory::BaseRegion> regions;
};

std::vector<std::uint8_t> encode_program_state(const ProgramState& state);
// Strict; `regions` is how many there must be. Errors: kInvalidImage.
Result<ProgramState> decode_program_state(std::span<const std::uint8_t> bytes, std::size_t regions);

}  // namespace caisson::kernel
