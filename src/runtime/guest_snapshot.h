// A guest between two runs, without a window: what GuestInstance::snapshot() takes and restore() goes on with.
//
// Memory is shared with the guest that it was taken of until either writes (memory/memory_state.h), so that a copy is a fork.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "memory/memory_state.h"
#include "runtime/hart_registers.h"
#include "runtime/module_state.h"

namespace caisson::detail {
struct HostFunction;
}

namespace caisson::runtime {

// A host function under the number by which the guest calls it.
struct BoundHostFunction {
  std::uint64_t number = 0;  // a7
  std::shared_ptr<const detail::HostFunction> function;
};

// A call that waits for the program to become callable.
struct PendingCall {
  std::uint64_t address = 0;
  std::array<std::uint64_t, 6> integers{};
  std::array<std::uint64_t, 8> floats{};
};

// What the program has come to.
enum class Phase : std::uint8_t {
  kNew,  // not begun; perhaps mapped
  kStarting,  // between its entry point and caisson_ready(), or never to call it
  kCallable,  // exported functions may be called
  kEnded,
};

struct GuestSnapshot {
  std::shared_ptr<const ModuleState> module;
  memory::MemoryState memory;
  HartRegisters registers;
  Phase phase = Phase::kNew;
  bool mapped = false, runs_program = false, in_call = false, resumable = false;
  std::optional<PendingCall> pending_call;
  std::uint64_t load_bias = 0;
  std::uint64_t slice_used = 0;  // gas of the slice that was under way
  std::array<std::uint64_t, 6> call_registers{};
  std::vector<BoundHostFunction> host_functions;
  // Of Personality::save(); nothing where the guest has none, or it has not begun.
  std::optional<std::vector<std::uint8_t>> personality;
};

}  // namespace caisson::runtime
