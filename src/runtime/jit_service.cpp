#include "runtime/jit_service.h"

#include <cstdio>
#include <utility>

#include "caisson/artifact_store.h"
#include "caisson/engine.h"
#include "memory/executable_memory.h"
#include "optimized/riscv_compiler.h"
#include "optimized/unit_compiler.h"

namespace caisson {

std::shared_ptr<GuestCompiler> riscv_compiler() { return std::make_shared<optimized::RiscvCompiler>(); }

namespace runtime {

RuntimeConfig backend_config(const JitOptions& options, std::shared_ptr<ArtifactStore> store) {
  RuntimeConfig config;
  config.compilers.push_back(riscv_compiler());
  config.log = [](std::string_view) {};  // standard error is the embedder's; the statistics tell
  config.tuning.hot_threshold = options.hot_threshold;
  config.blocking = options.blocking;
  config.aot = true;  // what is compiled is persisted, if there is a store
  config.store = std::move(store);
  // Executable memory is one for the process, baseline code included.
  config.tuning.resident_bytes = config.tuning.aot_resident_bytes = memory::ExecutableMemory::kCodeCapacity / 4;
  config.dump_directory = options.dump_directory;
  return config;
}

JitService::~JitService() {
  if (maker_.joinable()) maker_.join();
}

const std::shared_ptr<JitService>& JitService::process() {
  static const auto service = std::make_shared<JitService>();
  return service;
}

const JitBackend* JitService::backend() {
  if (const JitBackend* const backend = existing(); backend != nullptr) return backend;
  const std::scoped_lock lock(mutex_);
  if (!began_) {
    began_ = true;
    try {
      maker_ = std::thread([this] { [[maybe_unused]] const Result<const JitBackend*> made = make(Use::kBeside); });
    } catch (const std::system_error&) {
      began_ = false;  // no thread now: later, perhaps
    }
  }
  return existing();
}

Result<const JitBackend*> JitService::backend_now() {
  if (const JitBackend* const backend = existing(); backend != nullptr) return backend;
  return make(Use::kWaits);
}

std::uint64_t JitService::hot_threshold() const {
  return options_.backend != nullptr ? options_.backend->hot_threshold() : options_.hot_threshold;
}

bool JitService::is_blocking() const {
  return options_.backend != nullptr ? options_.backend->is_blocking() : options_.blocking;
}

// In the process where there is no helper.
Result<JitBackend> JitService::create(RuntimeConfig config) const {
  const std::optional<std::string> plugin = optimized::find_unit_compiler();
  if (options_.process == CompileProcess::kHelper && plugin) {
    RuntimeConfig with_helper = config;
    with_helper.process = CompileProcess::kHelper;
    with_helper.helper_plugin = *plugin;
    if (Result<JitBackend> made = JitBackend::create(std::move(with_helper))) return made;
  }
  return JitBackend::create(std::move(config));
}

Result<const JitBackend*> JitService::make(Use use) {
  const std::scoped_lock lock(make_mutex_);
  if (const JitBackend* const backend = existing(); backend != nullptr) return backend;
  if (options_.backend != nullptr) {
    backend_ = options_.backend;
  } else {
    std::shared_ptr<ArtifactStore> store;
    if (!options_.artifact_directory.empty()) {
      // Without a store everything works, only not faster the next time.
      if (auto opened = open_artifact_store(options_.artifact_directory)) {
        store = *std::move(opened);
      } else {
        std::fprintf(stderr, "caisson: compiled code is not kept: %s\n", opened.error().to_string().c_str());
      }
    }
    RuntimeConfig config = backend_config(options_, std::move(store));
    // Where processors are busy, a guest that is still in the baseline tier must not share its own with what is to make it faster; yet the
    // end of a process that compiles waits until the worker ends as well. 5 is between: `caisson bench cold`.
    constexpr std::size_t kNicenessBesideGuests = 5;
    config.tuning.worker_niceness = use == Use::kBeside ? kNicenessBesideGuests : 0;
    Result<JitBackend> made = create(std::move(config));
    if (!made) return std::unexpected(made.error());
    backend_ = std::make_shared<const JitBackend>(*std::move(made));
  }
  ready_.store(backend_.get(), std::memory_order_release);
  return backend_.get();
}

}  // namespace runtime

}  // namespace caisson
