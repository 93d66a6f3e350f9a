// ReaderRegistry: who may hold code, and code that was withdrawn and waits for them (the rule is in caisson/code_slot.h).
//
// Thread safety: every function may be called from any thread. Takes no other lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "caisson/code_slot.h"

namespace caisson::compile {

class ReaderRegistry {
 public:
  using Answers = std::array<std::uint64_t, kInterpretReasons>;

  CodeReader::Record* add();
  // Its counts stay in answers().
  void remove(CodeReader::Record* record);
  const std::atomic<std::uint64_t>& epoch() const { return epoch_; }

  // Code that no slot leads to any more.
  void retire(std::shared_ptr<const LoadedCode> code, std::uint64_t bytes);
  // Destroys what no reader can hold. Not to be called with a lock that a LoadedCode may want.
  void reclaim();

  Answers answers() const;
  struct Retired {
    std::uint64_t entries = 0, bytes = 0;
  };
  Retired retired() const;

 private:
  struct RetiredCode {
    std::shared_ptr<const LoadedCode> code;
    std::uint64_t bytes = 0;
    std::uint64_t epoch = 0;  // readers that entered at or after it cannot have it
  };

  std::atomic<std::uint64_t> epoch_{1};
  mutable std::mutex mutex_;
  // All below is guarded by mutex_.
  std::vector<std::unique_ptr<CodeReader::Record>> records_;
  std::vector<RetiredCode> retired_;
  Answers gone_{};  // of readers that were removed
};

}  // namespace caisson::compile
