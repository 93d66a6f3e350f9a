// What the handles of one engine share.
//
// Thread safety: everything may be used from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "caisson/engine.h"
#include "memory/window_pool.h"
#include "runtime/guest_snapshot.h"
#include "runtime/jit_service.h"

namespace caisson::runtime {

struct EngineState {
  explicit EngineState(const EngineOptions& options)
      : most_resident_forks(options.resident_forks),
        windows(std::make_shared<memory::WindowPool>(options.idle_windows)),
        jit(std::make_shared<JitService>(JitOptions{.backend = options.jit,
                                                    .artifact_directory = options.artifact_directory,
                                                    .dump_directory = options.dump_directory,
                                                    .hot_threshold = options.hot_threshold.value_or(kHotThreshold),
                                                    .blocking = options.blocking,
                                                    .process = options.compile_process})) {}

  const std::size_t most_resident_forks;
  std::atomic<std::size_t> resident_forks{0};  // that have a window
  const std::shared_ptr<memory::WindowPool> windows;
  const std::shared_ptr<JitService> jit;
  std::shared_mutex mutex;
  std::map<std::string, std::shared_ptr<const detail::HostFunction>, std::less<>> host_functions;  // guarded by mutex
};

// What the module imports. Errors: kUnresolvedImport or kSignatureMismatch, one message that lists every problem.
Result<std::vector<BoundHostFunction>> resolve_imports(EngineState& state, const ModuleState& module);

}  // namespace caisson::runtime
