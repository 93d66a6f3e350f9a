// What runs a kernel: this process's own processor, Caisson's tiers, peers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "bench/kernels.h"
#include "caisson/result.h"

namespace caisson::bench {

struct ComputeSample {
  double nanoseconds = 0;  // of run(rounds) alone: engines are started and warm
  std::uint64_t checksum = 0;
};

// One kernel, ready to run on one engine.
class ComputeEngine {
 public:
  virtual ~ComputeEngine() = default;
  virtual Result<ComputeSample> run(std::uint64_t rounds) = 0;
  // Runs until the engine has compiled what it is going to, where it tells that; within bounds.
  virtual Result<void> warm_up(std::uint64_t rounds) {
    const auto sample = run(rounds);
    return sample ? Result<void>() : std::unexpected(sample.error());
  }
};

struct ComputeEngineKind {
  std::string name;
  // Errors: kNotFound where the engine is not on this machine (the message says what it needs); others are failures.
  Result<std::unique_ptr<ComputeEngine>> (*make)(const Kernel& kernel);
};

// Native first; a tier or a peer joins by one line.
std::span<const ComputeEngineKind> compute_engines();

}  // namespace caisson::bench
