#include "bench/unmetered_engine.h"

#include <memory>
#include <utility>

#include "caisson/jit_backend.h"
#include "optimized/riscv_compiler.h"

namespace caisson::bench {

Result<Engine> make_unmetered_engine() {
  RuntimeConfig config;
  config.compilers.push_back(
      std::make_shared<optimized::RiscvCompiler>(nullptr, optimized::UnitLimits{.is_metered = false}));
  Result<JitBackend> backend = JitBackend::create(std::move(config));
  if (!backend) return std::unexpected(backend.error());
  return Engine::create({.jit = std::make_shared<const JitBackend>(*std::move(backend))});
}

}  // namespace caisson::bench
