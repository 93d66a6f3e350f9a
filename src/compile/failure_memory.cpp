#include "compile/failure_memory.h"

#include <algorithm>
#include <utility>

namespace caisson::compile {

std::optional<CodeKey> FailureMemory::remember(const CodeKey& key, JobKind kind, Error error, Clock::time_point now,
                                               Clock::duration backoff) {
  std::optional<CodeKey> forgotten;
  const Name name{key, kind};
  if (!failures_.contains(name)) {
    if (order_.size() == kMostRemembered) {
      forgotten = order_.front().key;
      failures_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(name);
    failures_[name].place = std::prev(order_.end());
  }
  Failure& failure = failures_[name];
  order_.splice(order_.end(), order_, failure.place);
  failure.error = std::move(error);
  failure.retry_at = now + backoff * (1U << std::min(failure.count, kMostDoublings));
  failure.is_due = false;
  ++failure.count;
  next_due_ = std::min(next_due_, failure.retry_at);
  return forgotten;
}

const Error* FailureMemory::backing_off(const CodeKey& key, JobKind kind, Clock::time_point now) const {
  const auto found = failures_.find({key, kind});
  return found != failures_.end() && now < found->second.retry_at ? &found->second.error : nullptr;
}

void FailureMemory::forget(const CodeKey& key) {
  for (const JobKind kind : {JobKind::kJit, JobKind::kAot}) {
    const auto found = failures_.find({key, kind});
    if (found == failures_.end()) continue;
    order_.erase(found->second.place);
    failures_.erase(found);
  }
}

std::vector<CodeKey> FailureMemory::take_due(Clock::time_point now) {
  std::vector<CodeKey> due;
  if (now < next_due_) return due;
  next_due_ = Clock::time_point::max();
  for (auto& [name, failure] : failures_) {
    if (failure.is_due) continue;
    if (failure.retry_at <= now) {
      failure.is_due = true;
      due.push_back(name.key);
    } else {
      next_due_ = std::min(next_due_, failure.retry_at);
    }
  }
  return due;
}

}  // namespace caisson::compile
