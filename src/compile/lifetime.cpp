// Start, preload, enable, pause, shutdown of the service.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <exception>
#include <set>
#include <system_error>
#include <utility>

#include "compile/backend_state.h"
#include "compile/plugin_call.h"

namespace caisson::compile {
namespace {

constexpr std::size_t kMostWorkers = 64;
constexpr std::size_t kMostQueued = std::size_t{1} << 24;

Result<void> check(const RuntimeConfig& config) {
  const RuntimeTuning& tuning = config.tuning;
  struct Bound {
    const char* name;
    std::uint64_t value, least, most;
  };
  for (const Bound& bound : {
           Bound{"command_capacity", tuning.command_capacity, 1, kMostQueued},
           Bound{"event_capacity", tuning.event_capacity, 1, kMostQueued},
           Bound{"max_events_per_drain", tuning.max_events_per_drain, 1, kMostQueued},
           Bound{"worker_count", tuning.worker_count, 0, kMostWorkers},
           Bound{"worker_niceness", tuning.worker_niceness, 0, 19},
           Bound{"worker_queue_capacity", tuning.worker_queue_capacity, 1, kMostQueued},
           Bound{"pending_jobs", tuning.pending_jobs, 1, kMostQueued},
       }) {
    if (bound.value < bound.least || bound.value > bound.most) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} is not from {} to {}", bound.value, bound.least, bound.most),
                  fmt::format("RuntimeTuning::{}", bound.name));
    }
  }
  // Longer times would overflow the clock's type where they are added to now.
  constexpr std::chrono::milliseconds kLongestTime = std::chrono::hours{24 * 365};
  struct Time {
    const char* name;
    std::chrono::milliseconds value, least;
  };
  using std::chrono::milliseconds;
  for (const Time& time : {
           Time{"drain_interval", tuning.drain_interval, milliseconds{1}},
           Time{"job_timeout", tuning.job_timeout, milliseconds{1}},
           Time{"sync_compile_timeout", tuning.sync_compile_timeout, milliseconds{0}},
           Time{"queue_timeout", tuning.queue_timeout, milliseconds{0}},
           Time{"shutdown_timeout", tuning.shutdown_timeout, milliseconds{0}},
           Time{"longest_pause", tuning.longest_pause, milliseconds{0}},
           Time{"idle_eviction", tuning.idle_eviction, milliseconds{0}},
           Time{"sweep_interval", tuning.sweep_interval, milliseconds{1}},
           Time{"retry_backoff", tuning.retry_backoff, milliseconds{0}},
       }) {
    if (time.value < time.least || time.value > kLongestTime) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} ms is not from {} ms to a year", time.value.count(), time.least.count()),
                  fmt::format("RuntimeTuning::{}", time.name));
    }
  }
  std::set<std::string_view> kinds;
  for (const auto& compiler : config.compilers) {
    if (compiler == nullptr) return fail(ErrorCode::kInvalidArgument, "a compiler is null", "RuntimeConfig::compilers");
    if (!kinds.insert(compiler->guest_kind()).second) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("two compilers of guest kind {}", compiler->guest_kind()),
                  "RuntimeConfig::compilers");
    }
  }
  if (config.process == CompileProcess::kHelper && config.helper_plugin.empty()) {
    return fail(ErrorCode::kInvalidArgument, "a helper process needs the name of its plug-in",
                "RuntimeConfig::helper_plugin");
  }
  return {};
}

std::size_t default_worker_count() {
  return std::clamp<std::size_t>((std::size_t{std::thread::hardware_concurrency()} + 1) / 2, 1, 4);
}

Result<std::thread> start_std_thread(std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kOutOfMemory, std::string("cannot start a thread for compilation: ") + error.what());
  }
}

}  // namespace

Result<std::shared_ptr<BackendState>> BackendState::make(RuntimeConfig config) {
  if (const auto checked = check(config); !checked) return std::unexpected(checked.error());
  if (config.process == CompileProcess::kHelper) {
    auto path = find_helper(config.helper_path);
    if (!path) return std::unexpected(path.error());
    config.helper_path = *std::move(path);
  }
  return std::shared_ptr<BackendState>(new BackendState(std::move(config)));
}

BackendState::BackendState(RuntimeConfig config) : config_(std::move(config)), events_(config_.tuning.event_capacity) {}

Result<void> BackendState::set_enabled(bool enabled) {
  if (enabled) {
    if (const auto started = ensure_started(); !started) return started;
    is_enabled_ = true;
    return {};
  }
  const Lock lock(mutex_);
  is_enabled_ = false;
  cancel_all({ErrorCode::kBusy, "the compilation was cancelled: the backend is disabled", {}});
  room_made_.notify_all();
  return {};
}

Result<void> BackendState::ensure_started() {
  {
    Lock lock(mutex_);
    if (!lifetime_changed_.wait_for(lock, config_.tuning.sync_compile_timeout, [this] { return !is_starting_; })) {
      return fail(ErrorCode::kBusy, "another thread is still starting the backend");
    }
    if (is_started_) return {};
    is_starting_ = true;
  }
  // Nobody else is here until is_starting_ is false again.
  if (!std::exchange(is_preloaded_, true)) preload();
  const Result<void> started = start_threads();
  const Lock lock(mutex_);
  is_starting_ = false;
  is_started_ = started.has_value();
  lifetime_changed_.notify_all();
  return started;
}

void BackendState::preload() {
  if (config_.store == nullptr) return;
  for (const auto& compiler : config_.compilers) {
    const auto rejected = call_plugin("the store", [&] {
      return config_.store->load_all(compiler->context(), [&](Artifact&& artifact) {
        if (artifact.guest_kind == compiler->guest_kind()) preload_artifact(*compiler, std::move(artifact));
      });
    });
    const Lock lock(mutex_);
    if (!rejected) {
      ++counters_.store_failures;
      log_once(was_store_failure_logged_, "the artifact store fails: " + rejected.error().to_string());
    } else if (*rejected != 0) {
      counters_.artifacts_rejected += *rejected;
      log_once(was_rejection_logged_, fmt::format("{} artifacts of the store are not used", *rejected));
    }
  }
}

void BackendState::preload_artifact(GuestCompiler& compiler, Artifact&& artifact) {
  const auto code = call_plugin("the loader", [&] { return compiler.load(artifact.blob); });
  const Lock lock(mutex_);
  if (!code || *code == nullptr) {
    ++counters_.artifacts_rejected;
    log_once(was_rejection_logged_, fmt::format("artifact of {} is not used: {}", artifact.label,
                                                code ? "the loader gave no code" : code.error().to_string()));
    return;
  }
  if (const auto found = records_.find(artifact.key); found != records_.end() && found->second.code != nullptr) return;
  const std::uint64_t bytes = (*code)->code_bytes() + (*code)->data_bytes();
  if (counters_.aot_bytes + bytes > config_.tuning.aot_resident_bytes) {
    ++counters_.artifacts_skipped;
    return;
  }
  if (publish(artifact.key, *code, /*is_aot=*/true)) ++counters_.artifacts_preloaded;
}

Result<void> BackendState::start_threads() {
  const std::size_t wanted = config_.tuning.worker_count != 0 ? config_.tuning.worker_count : default_worker_count();
  {
    const Lock lock(mutex_);
    next_sweep_ = Clock::now() + config_.tuning.sweep_interval;
  }
  Result<void> started = start_thread([this] { run_backend_thread(); });
  std::size_t workers = 0;
  while (started && workers < wanted) {
    started = start_thread([this, workers] { run_worker(workers); });
    if (started) ++workers;
  }
  Lock lock(mutex_);
  // Fewer workers than wanted will do.
  if (workers != 0) {
    worker_count_ = workers;
    return {};
  }
  stop_threads(lock);
  is_stopping_ = false;
  return started;
}

Result<void> BackendState::start_thread(std::function<void()> body) {
  auto entry = std::make_shared<BackendThread>();
  // Holds the state, so that a thread that is left to itself does not outlive it.
  std::function<void()> run = [self = shared_from_this(), entry, body = std::move(body)] {
    body();
    const Lock lock(self->mutex_);
    entry->is_ended = true;
    self->lifetime_changed_.notify_all();
  };
  auto thread = config_.start_thread ? call_plugin("start_thread", [&] { return config_.start_thread(std::move(run)); })
                                     : start_std_thread(std::move(run));
  if (!thread) return std::unexpected(thread.error());
  entry->thread = *std::move(thread);
  const Lock lock(mutex_);
  threads_.push_back(std::move(entry));
  return {};
}

void BackendState::stop_threads(Lock& lock) {
  is_stopping_ = true;
  for (auto* condition : {&drain_wanted_, &work_ready_, &room_made_, &outcome_known_, &pause_ended_, &store_left_}) {
    condition->notify_all();
  }
  // The last handle may go in on_compilation, on a worker.
  const auto is_gone = [](const auto& entry) {
    return entry->is_ended || entry->thread.get_id() == std::this_thread::get_id();
  };
  const bool all_ended = lifetime_changed_.wait_for(lock, config_.tuning.shutdown_timeout,
                                                    [&] { return std::ranges::all_of(threads_, is_gone); });
  std::vector<std::thread> ended;
  for (const auto& entry : threads_) {
    if (entry->is_ended) {
      ended.push_back(std::move(entry->thread));
    } else {
      entry->thread.detach();
    }
  }
  threads_.clear();
  lock.unlock();
  for (std::thread& thread : ended) thread.join();  // behind its last lock: a moment
  if (!all_ended) log("a compilation does not end (RuntimeTuning::shutdown_timeout); its thread is left to itself");
  lock.lock();
}

void BackendState::shutdown() {
  {
    Lock lock(mutex_);
    is_enabled_ = false;
    cancel_all({ErrorCode::kBusy, "the compilation was cancelled: the backend has ended", {}});
    stop_threads(lock);
    for (auto& [key, record] : records_) {
      if (record.code != nullptr && record.slots.empty()) withdraw(record, &RuntimeStatsSnapshot::evicted_cleared);
    }
    std::erase_if(records_, [](const auto& entry) { return entry.second.is_empty(); });
  }
  readers_.reclaim();
}

Result<void> BackendState::clear_persisted() {
  if (config_.store == nullptr) return {};
  {
    Lock lock(mutex_);
    ++store_generation_;
    if (!enter_store(lock)) {
      return fail(ErrorCode::kBusy, "the artifact store is being written for longer than sync_compile_timeout");
    }
  }
  const auto cleared = call_plugin("the store", [&] { return config_.store->clear(); });
  const Lock lock(mutex_);
  leave_store();
  if (!cleared) ++counters_.store_failures;
  return cleared;
}

// One at a time changes the store, so that no write of an older generation can follow a clear.
bool BackendState::enter_store(Lock& lock) {
  if (!store_left_.wait_for(lock, config_.tuning.sync_compile_timeout, [this] { return !is_store_busy_; }))
    return false;
  is_store_busy_ = true;
  return true;
}

void BackendState::leave_store() {
  is_store_busy_ = false;
  store_left_.notify_all();
}

void BackendState::pause() {
  const Lock lock(mutex_);
  ++pause_depth_;
}

void BackendState::resume() {
  const Lock lock(mutex_);
  if (pause_depth_ == 0) return;
  --pause_depth_;
  if (is_paused()) return;
  pause_ended_.notify_all();
  work_ready_.notify_all();
}

// Whatever the sink does, it is no concern of the compilation.
void BackendState::log(const std::string& line) {
  if (!config_.log) {
    std::fputs(("caisson: " + line + "\n").c_str(), stderr);
    return;
  }
  const auto logged = call_plugin("log", [&]() -> Result<void> {
    config_.log(line);
    return {};
  });
  static_cast<void>(logged);
}

void BackendState::log_once(bool& was_logged, const std::string& line) {
  if (!std::exchange(was_logged, true)) log(line);
}

}  // namespace caisson::compile
