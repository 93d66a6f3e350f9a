// FailureMemory: which keys failed to compile, so that they are not compiled over and over.
//
// Each failure of a key doubles the time until it may be tried again, up to 64 times the first. Failures of preparing and of compiling on
// demand are remembered apart: one does not hold up the other. Bounded: beyond kMostRemembered the oldest is forgotten.
//
// Thread safety: none; the backend's lock guards it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "caisson/code_blob.h"
#include "caisson/result.h"
#include "compile/code_key_hash.h"

namespace caisson::compile {

using Clock = std::chrono::steady_clock;

// Compiled because somebody runs it, or prepared for later.
enum class JobKind : std::uint8_t { kJit, kAot };

class FailureMemory {
 public:
  static constexpr std::size_t kMostRemembered = 4096;
  static constexpr unsigned kMostDoublings = 6;

  // Answers the key that had to be forgotten for it, if any.
  std::optional<CodeKey> remember(const CodeKey& key, JobKind kind, Error error, Clock::time_point now,
                                  Clock::duration backoff);
  // The error of a key that must not be tried now, or null.
  const Error* backing_off(const CodeKey& key, JobKind kind, Clock::time_point now) const;
  void forget(const CodeKey& key);
  // The keys whose time has come since the last call; they are still remembered, for the next doubling.
  std::vector<CodeKey> take_due(Clock::time_point now);
  std::size_t size() const { return order_.size(); }

 private:
  struct Name {
    CodeKey key;
    JobKind kind;
    friend bool operator==(const Name&, const Name&) = default;
  };
  struct NameHash {
    std::size_t operator()(const Name& name) const noexcept {
      return CodeKeyHash{}(name.key) + static_cast<std::size_t>(name.kind);
    }
  };
  struct Failure {
    Error error;
    unsigned count = 0;
    Clock::time_point retry_at;
    bool is_due = false;
    std::list<Name>::iterator place;
  };

  std::unordered_map<Name, Failure, NameHash> failures_;
  std::list<Name> order_;  // oldest first
  Clock::time_point next_due_ = Clock::time_point::max();
};

}  // namespace caisson::compile
