// Code that is published: slots, budgets, eviction, clear. Everything here runs with the lock.
#include <algorithm>
#include <utility>

#include "compile/backend_state.h"

namespace caisson::compile {

Result<void> BackendState::publish(const CodeKey& key, LoadedCodePointer code, bool is_aot) {
  const std::uint64_t code_bytes = code->code_bytes(), data_bytes = code->data_bytes();
  const std::uint64_t bytes = code_bytes + data_bytes;
  if (bytes > (is_aot ? config_.tuning.aot_resident_bytes : config_.tuning.resident_bytes)) {
    return fail(ErrorCode::kLimit, "the code is larger than the budget of resident code");
  }
  Record& record = records_[key];
  if (record.code != nullptr) withdraw(record, &RuntimeStatsSnapshot::evicted_replaced);
  make_room(is_aot, bytes, &record);
  record.code = std::move(code);
  record.is_aot = is_aot;
  record.code_bytes = code_bytes;
  record.data_bytes = data_bytes;
  record.last_used = Clock::now();
  ++counters_.resident_entries;
  counters_.resident_code_bytes += code_bytes;
  counters_.resident_data_bytes += data_bytes;
  if (is_aot) {
    ++counters_.aot_entries;
    counters_.aot_bytes += bytes;
  }
  set_slot_states(record, CodeSlot::State::kCold);
  for (CodeSlot* slot : record.slots) slot->word_.store(reinterpret_cast<std::uintptr_t>(record.code.get()));
  return {};
}

void BackendState::withdraw(Record& record, Counter cause) {
  ++(counters_.*cause);
  --counters_.resident_entries;
  counters_.resident_code_bytes -= record.code_bytes;
  counters_.resident_data_bytes -= record.data_bytes;
  if (record.is_aot) {
    --counters_.aot_entries;
    counters_.aot_bytes -= record.bytes();
  }
  for (CodeSlot* slot : record.slots) {
    slot->word_.store(0);
    slot->heat_.store(0);
  }
  // After the slots: readers that enter from now on cannot find it.
  readers_.retire(std::move(record.code), record.bytes());
  record.code = nullptr;
}

// Withdraws what was used least recently until `bytes` more fit; an eighth of the budget more, so that not every publication has to look.
// Code that somebody holds outside of slots leaves the budget as well.
void BackendState::make_room(bool is_aot, std::uint64_t bytes, const Record* except) {
  const std::uint64_t budget = is_aot ? config_.tuning.aot_resident_bytes : config_.tuning.resident_bytes;
  const auto used = [&] {
    const std::uint64_t all = counters_.resident_code_bytes + counters_.resident_data_bytes;
    return is_aot ? counters_.aot_bytes : all - counters_.aot_bytes;
  };
  if (used() + bytes <= budget) return;
  const Clock::time_point now = Clock::now();
  std::vector<std::pair<Clock::time_point, CodeKey>> candidates;
  for (auto& [key, record] : records_) {
    if (record.code == nullptr || record.is_aot != is_aot || &record == except) continue;
    take_used_mark(record, now);
    candidates.emplace_back(record.last_used, key);
  }
  std::ranges::sort(candidates);
  const std::uint64_t goal = std::max(budget - budget / 8, bytes);
  for (const auto& [last_used, key] : candidates) {
    if (used() + bytes <= goal) break;
    withdraw(records_.find(key)->second, &RuntimeStatsSnapshot::evicted_budget);
    drop_if_empty(key);
  }
}

// Whether a slot of it was hit since the last call.
bool BackendState::take_used_mark(Record& record, Clock::time_point now) {
  bool is_used = false;
  for (CodeSlot* slot : record.slots) {
    is_used |= (slot->word_.fetch_and(~CodeSlot::kUsed) & CodeSlot::kUsed) != 0;
  }
  if (is_used) record.last_used = now;
  return is_used;
}

// What was prepared stays: somebody asked for it to be there.
void BackendState::sweep(Clock::time_point now) {
  std::vector<CodeKey> idle;
  for (auto& [key, record] : records_) {
    if (record.code == nullptr || take_used_mark(record, now) || record.is_aot) continue;
    if (now - record.last_used >= config_.tuning.idle_eviction) idle.push_back(key);
  }
  for (const CodeKey& key : idle) {
    withdraw(records_.find(key)->second, &RuntimeStatsSnapshot::evicted_idle);
    drop_if_empty(key);
  }
}

// Ends the job of a record for everybody who waits; the worker notices at its next yield point, or its result is stale.
void BackendState::cancel(Record& record, const Error& error) {
  const std::shared_ptr<Job> job = std::move(record.job);
  record.job = nullptr;
  job->is_cancelled = true;
  ++counters_.compilations_cancelled;
  --counters_.pending_jobs;
  set_slot_states(record, CodeSlot::State::kCold);
  const InterpretReason reason = enabled() ? InterpretReason::kCold : InterpretReason::kDisabled;
  for (const auto& ticket : job->tickets) complete(ticket, Outcome::of(reason, error));
  outcome_known_.notify_all();
  pause_ended_.notify_all();
}

void BackendState::cancel_all(const Error& error) {
  backlog_jit_.clear();
  backlog_aot_.clear();
  ready_.clear();
  for (auto& [key, record] : records_) {
    if (record.job != nullptr) cancel(record, error);
  }
  std::erase_if(records_, [](const auto& entry) { return entry.second.is_empty(); });
}

void BackendState::clear_resident() {
  {
    const Lock lock(mutex_);
    cancel_all({ErrorCode::kBusy, "the compilation was cancelled by JitBackend::clear_resident", {}});
    for (auto& [key, record] : records_) {
      if (record.code != nullptr) withdraw(record, &RuntimeStatsSnapshot::evicted_cleared);
    }
    std::erase_if(records_, [](const auto& entry) { return entry.second.is_empty(); });
  }
  readers_.reclaim();
}

void BackendState::drop_if_empty(const CodeKey& key) {
  const auto found = records_.find(key);
  if (found != records_.end() && found->second.is_empty()) records_.erase(found);
}

void BackendState::set_slot_states(const Record& record, CodeSlot::State state) {
  for (CodeSlot* slot : record.slots) {
    if (state == CodeSlot::State::kCold) slot->heat_.store(0);
    slot->state_.store(state);
  }
}

void BackendState::set_slot_states(const CodeKey& key, CodeSlot::State state) {
  if (const auto found = records_.find(key); found != records_.end()) set_slot_states(found->second, state);
}

std::shared_ptr<CodeSlot> BackendState::make_slot(CompileInput input) {
  auto slot = std::make_shared<CodeSlot>(CodeSlot::Passkey(), shared_from_this(), std::move(input));
  const CodeKey key = slot->input_->key;
  const Lock lock(mutex_);
  Record& record = records_[key];
  record.slots.insert(slot.get());
  slot->word_.store(reinterpret_cast<std::uintptr_t>(record.code.get()));
  if (record.job != nullptr) {
    slot->state_.store(CodeSlot::State::kPending);
  } else if (failures_.backing_off(key, demand_kind(), Clock::now()) != nullptr) {
    slot->state_.store(CodeSlot::State::kFailed);
  }
  return slot;
}

void BackendState::forget_slot(CodeSlot& slot) {
  const CodeKey key = slot.input_->key;
  bool is_stopping = false;
  {
    const Lock lock(mutex_);
    const auto found = records_.find(key);
    if (found == records_.end()) return;
    Record& record = found->second;
    record.slots.erase(&slot);
    is_stopping = is_stopping_;
    // A service that has ended has no thread that would evict it later.
    if (is_stopping && record.slots.empty() && record.code != nullptr)
      withdraw(record, &RuntimeStatsSnapshot::evicted_cleared);
    drop_if_empty(key);
  }
  if (is_stopping) readers_.reclaim();
}

LoadedCodePointer BackendState::pin(const CodeSlot& slot) {
  const CodeKey key = slot.input()->key;
  const Lock lock(mutex_);
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : found->second.code;
}

CodeReader BackendState::make_reader() { return CodeReader(shared_from_this(), readers_.add(), &readers_.epoch()); }

void BackendState::forget_reader(CodeReader::Record* record) {
  readers_.remove(record);
  readers_.reclaim();
}

}  // namespace caisson::compile
