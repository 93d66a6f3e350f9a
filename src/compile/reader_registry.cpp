#include "compile/reader_registry.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace caisson::compile {

CodeReader::Record* ReaderRegistry::add() {
  const std::scoped_lock lock(mutex_);
  return records_.emplace_back(std::make_unique<CodeReader::Record>()).get();
}

void ReaderRegistry::remove(CodeReader::Record* record) {
  const std::scoped_lock lock(mutex_);
  for (std::size_t answer = 0; answer < kInterpretReasons; ++answer) gone_[answer] += record->answers[answer].load();
  std::erase_if(records_, [record](const auto& candidate) { return candidate.get() == record; });
}

void ReaderRegistry::retire(std::shared_ptr<const LoadedCode> code, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t epoch = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
  retired_.push_back({std::move(code), bytes, epoch});
}

void ReaderRegistry::reclaim() {
  std::vector<RetiredCode> unreachable;
  {
    const std::scoped_lock lock(mutex_);
    if (retired_.empty()) return;
    std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
    for (const auto& record : records_) {
      const std::uint64_t epoch = record->epoch.load(std::memory_order_seq_cst);
      if (epoch != 0) oldest = std::min(oldest, epoch);
    }
    // Epochs grow with the index.
    const auto kept = std::ranges::find_if(retired_, [oldest](const RetiredCode& code) { return code.epoch > oldest; });
    unreachable.assign(std::make_move_iterator(retired_.begin()), std::make_move_iterator(kept));
    retired_.erase(retired_.begin(), kept);
  }
}

ReaderRegistry::Answers ReaderRegistry::answers() const {
  const std::scoped_lock lock(mutex_);
  Answers sum = gone_;
  for (const auto& record : records_) {
    for (std::size_t answer = 0; answer < kInterpretReasons; ++answer) {
      sum[answer] += record->answers[answer].load(std::memory_order_relaxed);
    }
  }
  return sum;
}

ReaderRegistry::Retired ReaderRegistry::retired() const {
  const std::scoped_lock lock(mutex_);
  Retired sum;
  for (const RetiredCode& code : retired_) {
    ++sum.entries;
    sum.bytes += code.bytes;
  }
  return sum;
}

}  // namespace caisson::compile
