// The JitBackend of an engine: one that was given, or one of its own, made when something first gets hot.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "caisson/jit_backend.h"
#include "caisson/result.h"

namespace caisson::runtime {

struct JitOptions {
  std::shared_ptr<const JitBackend> backend;  // given by the embedder; null: one of the engine's own
  std::string artifact_directory;  // of its own: where compiled code is kept; empty: nowhere
  std::string dump_directory;
  std::uint64_t hot_threshold = kHotThreshold;
  bool blocking = false;
  CompileProcess process = CompileProcess::kInProcess;
};

// What an engine's own backend is made with.
RuntimeConfig backend_config(const JitOptions& options, std::shared_ptr<ArtifactStore> store);

// Thread-safe.
class JitService {
 public:
  explicit JitService(JitOptions options = {}) : options_(std::move(options)) {}
  ~JitService();
  JitService(const JitService&) = delete;
  JitService& operator=(const JitService&) = delete;

  // Null until there is one. The first call begins to make it, on a thread of its own: a store that is opened is read.
  const JitBackend* backend();
  // Waits for it. Errors: those of JitBackend::create().
  Result<const JitBackend*> backend_now();
  // Whether one was made, or was given and has compiled or loaded something.
  const JitBackend* existing() const { return ready_.load(std::memory_order_acquire); }

  // RuntimeTuning::hot_threshold and RuntimeConfig::blocking of the backend that there is or will be.
  std::uint64_t hot_threshold() const;
  bool is_blocking() const;

  // The one for executions that belong to no engine.
  static const std::shared_ptr<JitService>& process();

 private:
  // What the one who makes it does meanwhile.
  enum class Use : std::uint8_t { kBeside, kWaits };
  Result<const JitBackend*> make(Use use);
  Result<JitBackend> create(RuntimeConfig config) const;

  const JitOptions options_;
  std::mutex mutex_;
  std::thread maker_;  // guarded by mutex_
  bool began_ = false;
  std::mutex make_mutex_;
  std::shared_ptr<const JitBackend> backend_;  // guarded by make_mutex_ until ready_ is set
  std::atomic<const JitBackend*> ready_{nullptr};
};

}  // namespace caisson::runtime
