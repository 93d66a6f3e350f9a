// What callers ask of the backend.
#include <algorithm>
#include <utility>

#include "compile/backend_state.h"

namespace caisson::compile {
namespace {

constexpr std::uint64_t kMostHeat = std::uint64_t{1} << 62;  // of one lookup: the sum does not wrap around

Error disabled_error() { return {ErrorCode::kUnsupported, "compilation is disabled (JitBackend::set_enabled)", {}}; }

}  // namespace

LookupDecision BackendState::lookup_missed(const LookupRequest& request) {
  if (config_.blocking && enabled() && !is_paused()) {
    const CodeSlot::State state = request.slot.state_.load(std::memory_order_relaxed);
    if (state == CodeSlot::State::kCold || state == CodeSlot::State::kPending) return lookup_blocking(request);
  }
  const InterpretReason reason = note_miss(request.slot, request.gas);
  request.reader.count(reason);
  return {nullptr, reason};
}

InterpretReason BackendState::note_miss(CodeSlot& slot, std::uint64_t gas) {
  if (!is_enabled_.load(std::memory_order_relaxed)) return InterpretReason::kDisabled;
  CodeSlot::State state = slot.state_.load(std::memory_order_relaxed);
  if (state == CodeSlot::State::kCold) {
    // Threads that share a slot may lose some of each other's heat, which costs less than an atomic addition.
    const std::uint64_t before = slot.heat_.load(std::memory_order_relaxed);
    const std::uint64_t heat = before + std::min(gas, kMostHeat) + kHeatOfLookup;
    slot.heat_.store(heat, std::memory_order_relaxed);
    if (heat < config_.tuning.hot_threshold) return InterpretReason::kCold;
    if (slot.state_.compare_exchange_strong(state, CodeSlot::State::kPending, std::memory_order_relaxed)) {
      events_offered_.fetch_add(1, std::memory_order_relaxed);
      events_queued_.fetch_add(1, std::memory_order_relaxed);
      if (events_.push(slot.input())) {
        // Without the lock a wake-up may come too early; the drain interval bounds what that costs.
        if (!is_woken_.exchange(true)) drain_wanted_.notify_one();
        return InterpretReason::kPending;
      }
      events_queued_.fetch_sub(1, std::memory_order_relaxed);
      events_dropped_.fetch_add(1, std::memory_order_relaxed);
      slot.heat_.store(0, std::memory_order_relaxed);  // offered again when it has become hot again
      state = CodeSlot::State::kPending;
      slot.state_.compare_exchange_strong(state, CodeSlot::State::kCold, std::memory_order_relaxed);
      return InterpretReason::kCold;
    }
  }
  switch (state) {
    case CodeSlot::State::kCold:
      return InterpretReason::kCold;
    case CodeSlot::State::kPending:
      return InterpretReason::kPending;
    case CodeSlot::State::kIneligible:
      return InterpretReason::kIneligible;
    case CodeSlot::State::kFailed:
      return InterpretReason::kCompileFailed;
  }
  return InterpretReason::kCold;
}

LookupDecision BackendState::lookup_blocking(const LookupRequest& request) {
  LookupDecision decision{request.slot.acquire(), InterpretReason::kNone};
  if (decision.code == nullptr) {
    const Outcome outcome = compile_jit_sync(CompileRequest(request.slot));
    decision.reason = outcome.reason;
    if (outcome.code) {
      decision.code = request.slot.acquire();
      // Evicted again already.
      if (decision.code == nullptr) decision.reason = InterpretReason::kCold;
    }
  }
  request.reader.count(decision.reason);
  return decision;
}

LoadedCodePointer BackendState::get_compiled(const CodeKey& key, bool is_tracked) {
  const Lock lock(mutex_);
  const auto found = records_.find(key);
  const LoadedCodePointer code = found == records_.end() ? nullptr : found->second.code;
  if (code != nullptr) found->second.last_used = Clock::now();
  if (is_tracked) ++(code != nullptr ? counters_.tracked_hits : counters_.tracked_misses);
  return code;
}

Result<void> BackendState::enqueue(Request request, Clock::time_point deadline) {
  Lock lock(mutex_);
  const auto has_room = [this] { return commands_.size() < config_.tuning.command_capacity; };
  if (enabled()) room_made_.wait_until(lock, deadline, [&] { return has_room() || !enabled(); });
  ++counters_.commands_offered;
  if (!enabled()) {
    ++counters_.commands_dropped;
    return std::unexpected(disabled_error());
  }
  if (!has_room()) {
    ++counters_.commands_dropped;
    return fail(ErrorCode::kBusy, "the queue of compile requests is full (RuntimeTuning::command_capacity)");
  }
  ++counters_.commands_queued;
  commands_.push_back(std::move(request));
  drain_wanted_.notify_one();
  return {};
}

Result<void> BackendState::compile_jit(const CompileRequest& request) {
  return enqueue({request.input, JobKind::kJit, nullptr}, Clock::now() + config_.tuning.queue_timeout);
}

Outcome BackendState::compile_jit_sync(const CompileRequest& request) {
  const Clock::time_point now = Clock::now(), deadline = now + config_.tuning.sync_compile_timeout;
  const auto ticket = std::make_shared<Ticket>();
  const Result<void> queued =
      enqueue({request.input, demand_kind(), ticket}, std::min(deadline, now + config_.tuning.queue_timeout));
  if (!queued) {
    const bool is_disabled = queued.error().code == ErrorCode::kUnsupported;
    return Outcome::of(is_disabled ? InterpretReason::kDisabled : InterpretReason::kCold, queued.error());
  }
  Lock lock(mutex_);
  if (!outcome_known_.wait_until(lock, deadline, [&] { return ticket->is_done; })) {
    return Outcome::of(
        InterpretReason::kPending,
        {ErrorCode::kBusy, "the compilation took longer than sync_compile_timeout", request.input->label});
  }
  return ticket->outcome;
}

Result<void> BackendState::prepare_aot(const CompileRequest& request) {
  return enqueue({request.input, JobKind::kAot, nullptr}, Clock::now());
}

std::size_t BackendState::prepare_aot_batch(std::span<const CompileRequest> requests) {
  const Clock::time_point deadline = Clock::now() + config_.tuning.queue_timeout;
  std::size_t queued = 0;
  for (const CompileRequest& request : requests) {
    if (enqueue({request.input, JobKind::kAot, nullptr}, deadline)) ++queued;
  }
  return queued;
}

RuntimeStatsSnapshot BackendState::stats() {
  RuntimeStatsSnapshot snapshot;
  {
    const Lock lock(mutex_);
    snapshot = counters_;
    snapshot.commands_waiting = snapshot.commands_queued - snapshot.commands_handled;
    snapshot.events_offered = events_offered_.load();
    snapshot.events_queued = events_queued_.load();
    snapshot.events_dropped = events_dropped_.load();
    snapshot.events_waiting = snapshot.events_queued - std::min(snapshot.events_queued, snapshot.events_handled);
  }
  const ReaderRegistry::Answers answers = readers_.answers();
  snapshot.hits = answers[0];
  std::copy(answers.begin() + 1, answers.end(), snapshot.misses.begin() + 1);
  const ReaderRegistry::Retired retired = readers_.retired();
  snapshot.retired_entries = retired.entries;
  snapshot.retired_bytes = retired.bytes;
  snapshot.helper_spawns = helper_counters_.spawns.load();
  snapshot.helper_restarts = helper_counters_.restarts.load();
  snapshot.helper_crashes = helper_counters_.crashes.load();
  snapshot.helper_timeouts = helper_counters_.timeouts.load();
  return snapshot;
}

}  // namespace caisson::compile
