// The backend thread: what was asked becomes jobs, and what takes too long, is idle or may be tried again is noticed.
#include <pthread.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "compile/backend_state.h"

namespace caisson::compile {
namespace {

bool is_eligible(const GuestCompiler& compiler, const CompileInput& input) {
  try {
    return compiler.is_eligible(input);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

void BackendState::run_backend_thread() {
  ::pthread_setname_np(::pthread_self(), config_.thread_name.substr(0, 15).c_str());
  Lock lock(mutex_);
  while (!is_stopping_) {
    is_woken_.store(false);
    drain(lock);
    const Clock::time_point now = Clock::now();
    watch_running_jobs(now);
    wake_after_backoff(now);
    if (now >= next_sweep_) {
      sweep(now);
      next_sweep_ = now + config_.tuning.sweep_interval;
    }
    lock.unlock();
    readers_.reclaim();
    lock.lock();
    drain_wanted_.wait_for(lock, config_.tuning.drain_interval,
                           [this] { return is_stopping_ || !commands_.empty() || is_woken_.load(); });
  }
  drain(lock);  // the backend is disabled: who waits is told so
}

void BackendState::drain(Lock& lock) {
  std::deque<Request> commands = std::exchange(commands_, {});
  room_made_.notify_all();
  lock.unlock();
  struct Drained {
    Request request;
    std::shared_ptr<GuestCompiler> compiler;
    Counter handled;
  };
  std::vector<Drained> drained;
  drained.reserve(commands.size());
  for (Request& request : commands) {
    auto compiler = compiler_of(*request.input);
    drained.push_back({std::move(request), std::move(compiler), &RuntimeStatsSnapshot::commands_handled});
  }
  for (std::size_t count = 0; count < config_.tuning.max_events_per_drain; ++count) {
    auto input = events_.pop();
    if (!input) break;
    auto compiler = compiler_of(**input);
    drained.push_back(
        {{*std::move(input), demand_kind(), nullptr}, std::move(compiler), &RuntimeStatsSnapshot::events_handled});
    // More may be waiting than one drain takes.
    if (count + 1 == config_.tuning.max_events_per_drain) is_woken_.store(true);
  }
  lock.lock();
  for (const Drained& item : drained) {
    ++(counters_.*item.handled);
    handle(item.request, item.compiler);
  }
  if (!drained.empty()) outcome_known_.notify_all();
  feed_workers();
}

// Null where the input is ineligible.
std::shared_ptr<GuestCompiler> BackendState::compiler_of(const CompileInput& input) const {
  const std::size_t length = input.bytes ? input.bytes->size() : 0;
  if (config_.tuning.max_code_length != 0 && length > config_.tuning.max_code_length) return nullptr;
  const auto found = std::ranges::find_if(
      config_.compilers, [&](const auto& compiler) { return compiler->guest_kind() == input.guest_kind; });
  return found != config_.compilers.end() && is_eligible(**found, input) ? *found : nullptr;
}

void BackendState::handle(const Request& request, const std::shared_ptr<GuestCompiler>& compiler) {
  const Counter what_became = admit(request, compiler);
  ++(counters_.*what_became);
}

BackendState::Counter BackendState::admit(const Request& request, const std::shared_ptr<GuestCompiler>& compiler) {
  const CodeKey& key = request.input->key;
  const auto refuse = [&](CodeSlot::State state, InterpretReason reason, const Error& error) {
    set_slot_states(key, state);
    complete(request.ticket, Outcome::of(reason, error));
  };
  if (!enabled()) {
    refuse(CodeSlot::State::kCold, InterpretReason::kDisabled,
           {ErrorCode::kUnsupported, "compilation is disabled", {}});
    return &RuntimeStatsSnapshot::requests_disabled;
  }
  if (const auto found = records_.find(key); found != records_.end()) {
    Record& record = found->second;
    if (record.code != nullptr && (request.kind == JobKind::kJit || record.is_aot || config_.store == nullptr)) {
      set_slot_states(record, CodeSlot::State::kCold);
      complete(request.ticket, Outcome::of(record.code));
      return &RuntimeStatsSnapshot::requests_resident;
    }
    if (record.job != nullptr) {
      Job& job = *record.job;
      if (request.kind == JobKind::kAot) job.is_persisted = true;
      if (request.kind == JobKind::kJit) job.is_wanted_now = true;
      if (request.ticket != nullptr) job.tickets.push_back(request.ticket);
      set_slot_states(record, CodeSlot::State::kPending);
      return &RuntimeStatsSnapshot::requests_joined;
    }
  }
  if (compiler == nullptr) {
    refuse(CodeSlot::State::kIneligible, InterpretReason::kIneligible,
           {ErrorCode::kUnsupported, "this code is not eligible for compilation", request.input->label});
    return &RuntimeStatsSnapshot::requests_ineligible;
  }
  if (const Error* error = failures_.backing_off(key, request.kind, Clock::now())) {
    // What cannot be prepared may well be compiled on demand.
    refuse(request.kind == demand_kind() ? CodeSlot::State::kFailed : CodeSlot::State::kCold,
           InterpretReason::kCompileFailed, *error);
    return &RuntimeStatsSnapshot::requests_backing_off;
  }
  if (counters_.pending_jobs >= config_.tuning.pending_jobs) {
    refuse(CodeSlot::State::kCold, InterpretReason::kCold,
           {ErrorCode::kBusy, "too many compilations are pending (RuntimeTuning::pending_jobs)", request.input->label});
    return &RuntimeStatsSnapshot::requests_refused;
  }
  dispatch(request, records_[key], compiler);
  return &RuntimeStatsSnapshot::compilations_dispatched;
}

void BackendState::dispatch(const Request& request, Record& record, const std::shared_ptr<GuestCompiler>& compiler) {
  const auto job = std::make_shared<Job>();
  job->input = request.input;
  job->compiler = compiler;
  job->kind = request.kind;
  job->is_persisted = request.kind == JobKind::kAot;
  if (request.ticket != nullptr) job->tickets.push_back(request.ticket);
  job->store_generation = store_generation_;
  job->accepted = Clock::now();
  record.job = job;
  ++counters_.pending_jobs;
  set_slot_states(record, CodeSlot::State::kPending);
  (request.kind == JobKind::kJit ? backlog_jit_ : backlog_aot_).push_back(job);
}

// What is run now goes before what is prepared for later.
void BackendState::feed_workers() {
  const std::size_t capacity = worker_count_ * config_.tuning.worker_queue_capacity;
  for (auto* backlog : {&backlog_jit_, &backlog_aot_}) {
    while (!backlog->empty() && ready_.size() < capacity) {
      ready_.push_back(std::move(backlog->front()));
      backlog->pop_front();
      work_ready_.notify_one();
    }
  }
}

// A compiler that does not look at its limits cannot be stopped, but nobody waits for it longer than twice its time.
void BackendState::watch_running_jobs(Clock::time_point now) {
  if (is_paused()) return;
  const std::vector<std::shared_ptr<Job>> running = running_;
  for (const std::shared_ptr<Job>& job : running) {
    if (job->is_cancelled || job->is_in_pause) continue;
    const Clock::time_point deadline = job->deadline_point();
    if (now < deadline || now - deadline < config_.tuning.job_timeout) continue;
    ++counters_.job_timeouts;
    fail_job(job, {ErrorCode::kLimit, "the compiler did not end in twice its time (RuntimeTuning::job_timeout)",
                   job->input->label});
    job->is_cancelled = true;
    outcome_known_.notify_all();
  }
}

void BackendState::wake_after_backoff(Clock::time_point now) {
  for (const CodeKey& key : failures_.take_due(now)) {
    const auto found = records_.find(key);
    if (found == records_.end() || found->second.job != nullptr) continue;
    for (CodeSlot* slot : found->second.slots) {
      if (slot->state_.load() != CodeSlot::State::kFailed) continue;
      slot->heat_.store(0);
      slot->state_.store(CodeSlot::State::kCold);
    }
  }
}

}  // namespace caisson::compile
