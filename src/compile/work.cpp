// A worker: takes a job, looks in the store, compiles, loads, persists, publishes.
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "compile/backend_state.h"
#include "compile/compile_dump.h"
#include "compile/optimized_counter.h"
#include "compile/plugin_call.h"

namespace caisson::compile {
namespace {

// On Linux a thread has its own. Helper processes inherit it.
void add_niceness(std::size_t niceness) {
  constexpr int kMostNiceness = 19;
  const auto thread = static_cast<id_t>(::gettid());
  const int before = ::getpriority(PRIO_PROCESS, thread);
  if (niceness != 0) ::setpriority(PRIO_PROCESS, thread, std::min(before + static_cast<int>(niceness), kMostNiceness));
}

class JobLimits : public CompileLimits {
 public:
  JobLimits(BackendState& backend, Job& job) : backend_(backend), job_(job) {}
  bool yield_point() override { return backend_.yield_point(job_); }
  Clock::time_point deadline() const override { return job_.deadline_point(); }

 private:
  BackendState& backend_;
  Job& job_;
};

// Adds the time from its making to its end.
class Stopwatch {
 public:
  explicit Stopwatch(std::chrono::nanoseconds& total) : total_(total) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { total_ += Clock::now() - begin_; }

 private:
  std::chrono::nanoseconds& total_;
  const Clock::time_point begin_ = Clock::now();
};

Result<LoadedCodePointer> load(GuestCompiler& compiler, const CodeBlob& blob) {
  auto code = call_plugin("the loader", [&] { return compiler.load(blob); });
  if (code && *code == nullptr) return fail(ErrorCode::kInternal, "the loader gave no code");
  return code;
}

}  // namespace

void BackendState::run_worker(std::size_t index) {
  const std::string name = fmt::format("{}-{}", config_.thread_name.substr(0, 12), index);
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
  add_niceness(config_.tuning.worker_niceness);
  std::optional<HelperProcess> helper;
  if (config_.process == CompileProcess::kHelper) {
    helper.emplace(HelperOptions{config_.helper_path, config_.helper_plugin, config_.tuning.helper_memory_limit,
                                 config_.tuning.helper_reply_limit},
                   helper_counters_);
  }
  Lock lock(mutex_);
  while (!is_stopping_) {
    if (ready_.empty() || is_paused()) {
      constexpr std::chrono::seconds kLongestWait{1};
      work_ready_.wait_for(lock, kLongestWait, [this] { return is_stopping_ || (!ready_.empty() && !is_paused()); });
      continue;
    }
    const std::shared_ptr<Job> job = std::move(ready_.front());
    ready_.pop_front();
    feed_workers();
    job->deadline = (Clock::now() + config_.tuning.job_timeout).time_since_epoch().count();
    running_.push_back(job);
    lock.unlock();
    finish(job, run(*job, helper ? &*helper : nullptr));
    lock.lock();
  }
}

JobResult BackendState::run(Job& job, HelperProcess* helper) {
  const CompileInput& input = *job.input;
  JobResult result;
  CompilationReport& report = result.report;
  report.key = input.key;
  report.tier = input.tier;
  report.guest_kind = input.guest_kind;
  report.label = input.label;
  report.queued = Clock::now() - job.accepted;
  if (LoadedCodePointer stored = load_stored(job, report)) {
    report.from_store = true;
    result.code = std::move(stored);
    return result;
  }
  Result<CodeBlob> blob = [&] {
    const Stopwatch stopwatch(report.compile);
    CAISSON_PERF_SCOPE(optimized_counter);
    return compile(job, helper);
  }();
  if (!blob) {
    result.is_timed_out = !job.is_cancelled && Clock::now() >= job.deadline_point();
    result.code = result.is_timed_out
                      ? fail(ErrorCode::kLimit, "the compiler took longer than RuntimeTuning::job_timeout", input.label)
                      : std::unexpected(blob.error());
    return result;
  }
  const Stopwatch stopwatch(report.load);
  result.code = load(*job.compiler, *blob);
  result.blob = *std::move(blob);
  return result;
}

// Null where the store has nothing good.
LoadedCodePointer BackendState::load_stored(const Job& job, CompilationReport& report) {
  if (config_.store == nullptr) return nullptr;
  const Stopwatch stopwatch(report.store_load);
  const CompileInput& input = *job.input;
  bool is_rejected = false;
  const auto found =
      call_plugin("the store", [&] { return config_.store->load(input.key, job.compiler->context(), &is_rejected); });
  LoadedCodePointer code;
  std::string reason = "the store rejected it";
  if (found && *found) {
    const Artifact& artifact = **found;
    if (artifact.key != input.key || artifact.tier != input.tier || artifact.guest_kind != input.guest_kind) {
      reason = "it belongs to other code";
    } else if (Result<LoadedCodePointer> loaded = load(*job.compiler, artifact.blob)) {
      code = *std::move(loaded);
    } else {
      reason = loaded.error().to_string();
    }
    is_rejected = code == nullptr;
  }
  const Lock lock(mutex_);
  if (!found) {
    ++counters_.store_failures;
    log_once(was_store_failure_logged_, "the artifact store fails: " + found.error().to_string());
  }
  if (is_rejected) {
    ++counters_.artifacts_rejected;
    log_once(was_rejection_logged_, fmt::format("artifact of {} is not used: {}", input.label, reason));
  }
  return code;
}

Result<CodeBlob> BackendState::compile(Job& job, HelperProcess* helper) {
  CompileDump dump;
  CompileDump* const wanted = config_.dump_directory.empty() ? nullptr : &dump;
  JobLimits limits(*this, job);
  auto blob = helper != nullptr
                  ? helper->compile(
                        *job.input, limits, [this] { return is_paused(); }, wanted)
                  : call_plugin("the compiler", [&] { return job.compiler->compile(*job.input, limits, wanted); });
  if (!dump.texts().empty()) {
    const auto written =
        call_plugin("writing the texts", [&] { return write_dump(config_.dump_directory, *job.input, dump); });
    const Lock lock(mutex_);
    if (!written) log_once(was_dump_failure_logged_, written.error().to_string());
  }
  return blob;
}

// With the lock, which is let go while the store writes.
void BackendState::persist(Lock& lock, const Job& job, JobResult& result) {
  if (!enter_store(lock)) {
    ++counters_.store_failures;
    return;
  }
  if (job.is_cancelled || job.store_generation != store_generation_) {
    leave_store();
    return;
  }
  lock.unlock();
  const CompileInput& input = *job.input;
  Artifact artifact{input.key, input.tier, input.guest_kind, input.label, {}, std::move(result.blob)};
  const auto stored = [&] {
    const Stopwatch stopwatch(result.report.store_write);
    return call_plugin("the store", [&]() -> Result<void> {
      artifact.context = job.compiler->context();
      return config_.store->store(artifact);
    });
  }();
  lock.lock();
  leave_store();
  ++(stored ? counters_.artifacts_stored : counters_.store_failures);
  if (!stored) log_once(was_store_failure_logged_, "the artifact store fails: " + stored.error().to_string());
}

void BackendState::finish(const std::shared_ptr<Job>& job, JobResult result) {
  CompilationReport& report = result.report;
  Lock lock(mutex_);
  // Somebody may ask for the artifact until the job is over. One that cannot be written is no reason not to run the code.
  bool was_persisted = config_.store == nullptr || report.from_store;
  if (result.code && job->is_persisted && !was_persisted && !job->is_cancelled) persist(lock, *job, result);
  std::erase(running_, job);
  report.is_aot = job->is_persisted || report.from_store;
  counters_.queued_time += report.queued;
  counters_.store_load_time += report.store_load;
  counters_.compile_time += report.compile;
  counters_.load_time += report.load;
  counters_.store_write_time += report.store_write;
  if (job->is_cancelled) {
    ++counters_.stale_results;
    report.outcome = fail(ErrorCode::kBusy, "the compilation was cancelled", report.label);
  } else {
    Result<void> published;
    if (result.code) {
      report.code_bytes = (*result.code)->code_bytes();
      report.data_bytes = (*result.code)->data_bytes();
      published = publish(report.key, *result.code, report.is_aot);
    } else {
      published = std::unexpected(result.code.error());
    }
    if (published) {
      ++counters_.compilations_succeeded;
      if (report.from_store) ++counters_.artifacts_loaded;
      --counters_.pending_jobs;
      failures_.forget(report.key);
      records_[report.key].job.reset();
      for (const auto& ticket : job->tickets) complete(ticket, Outcome::of(*result.code));
    } else {
      if (result.is_timed_out) ++counters_.job_timeouts;
      fail_job(job, published.error());
    }
    report.outcome = std::move(published);
    outcome_known_.notify_all();
  }
  lock.unlock();
  readers_.reclaim();
  if (config_.on_compilation) {
    const auto called = call_plugin("on_compilation", [&]() -> Result<void> {
      config_.on_compilation(report);
      return {};
    });
    if (!called) log(called.error().to_string());
  }
}

// With the lock.
void BackendState::fail_job(const std::shared_ptr<Job>& job, const Error& error) {
  const CodeKey& key = job->input->key;
  ++counters_.compilations_failed;
  --counters_.pending_jobs;
  if (const auto forgotten = failures_.remember(key, job->kind, error, Clock::now(), config_.tuning.retry_backoff)) {
    set_slot_states(*forgotten, CodeSlot::State::kCold);
  }
  Record& record = records_[key];
  record.job.reset();
  // What cannot be prepared may well be compiled on demand.
  if (job->kind == JobKind::kAot && job->is_wanted_now && enabled() &&
      failures_.backing_off(key, JobKind::kJit, Clock::now()) == nullptr) {
    ++counters_.retried_as_jit;
    ++counters_.compilations_dispatched;
    dispatch({job->input, JobKind::kJit, nullptr}, record, job->compiler);
    record.job->tickets = job->tickets;
    feed_workers();
    return;
  }
  set_slot_states(record, job->kind == demand_kind() ? CodeSlot::State::kFailed : CodeSlot::State::kCold);
  for (const auto& ticket : job->tickets) complete(ticket, Outcome::of(InterpretReason::kCompileFailed, error));
  drop_if_empty(key);
}

// With the lock; the caller notifies.
void BackendState::complete(const std::shared_ptr<Ticket>& ticket, const Outcome& outcome) {
  if (ticket == nullptr) return;
  ticket->outcome = outcome;
  ticket->is_done = true;
}

bool BackendState::yield_point(Job& job) {
  if (job.is_cancelled.load(std::memory_order_relaxed)) return false;
  if (is_paused()) {
    Lock lock(mutex_);
    const Clock::time_point begin = Clock::now();
    job.is_in_pause = true;
    const bool is_over = pause_ended_.wait_for(lock, config_.tuning.longest_pause,
                                               [&] { return !is_paused() || job.is_cancelled || is_stopping_; });
    job.is_in_pause = false;
    job.deadline += (Clock::now() - begin).count();
    if (!is_over) {
      if (const auto found = records_.find(job.input->key);
          found != records_.end() && found->second.job.get() == &job) {
        cancel(found->second,
               {ErrorCode::kBusy, "cancelled: the pause was too long (RuntimeTuning::longest_pause)", {}});
      }
      return false;
    }
  }
  return !job.is_cancelled.load(std::memory_order_relaxed) && Clock::now() < job.deadline_point();
}

}  // namespace caisson::compile
