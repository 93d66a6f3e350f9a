// CodeSlot: the place through which compiled code is published, and CodeReader: how a thread uses it without a lock.
//
// A code region of a guest holds its slot; the backend writes a pointer into it. A hit is one load. What keeps the code alive between
// that load and its last instruction is the reader: code that was withdrawn from its slot is destroyed only when every reader that was
// inside (between enter() and leave()) has left or passed quiescent() since.
//
//   caisson::CodeReader reader = backend.make_reader();       // one per thread
//   const caisson::ReadGuard guard(reader);                   // enter() … leave()
//   if (const auto found = backend.lookup({*slot, reader, gas}); found.code) run(*found.code);
//   reader.quiescent();                                       // in a loop: now holds nothing any more
//
// The rule that makes this safe: a pointer that lookup() gave is dead after the reader's next quiescent() or leave(). To hold code longer
// use CodeSlot::pin(). A reader that stays inside for ever delays destruction, nothing else (RuntimeStatsSnapshot::retired_bytes).
//
// Why it is sound. A reader's enter() stores the epoch it saw, then loads slots; the backend clears the slot, then advances the epoch,
// then looks at readers; all sequentially consistent. A reader that still got the old pointer loaded it before the slot was
// cleared, so its epoch, which is older, is visible to the backend, which waits. A reader that stored the new epoch has seen the slot cleared.
//
// Thread safety: a CodeSlot may be used by any thread; a CodeReader by one at a time.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "caisson/guest_compiler.h"

namespace caisson {

namespace compile {
class BackendState;
}

// Why there is no compiled code to run.
enum class InterpretReason : std::uint8_t {
  kNone,  // there is
  kDisabled,  // the backend compiles nothing
  kCold,  // has not run enough yet
  kPending,  // asked for, not there yet
  kIneligible,  // will never be compiled
  kCompileFailed,  // compiling failed; tried again after a delay
};
inline constexpr std::size_t kInterpretReasons = 6;

// The name of a reason in words, e.g. "compile failed".
std::string_view to_string(InterpretReason reason);

struct LookupDecision {
  const LoadedCode* code = nullptr;  // valid until the reader's next quiescent() or leave()
  InterpretReason reason = InterpretReason::kNone;  // of interpreting, where code is null
};

// A thread's registration with a backend. Movable; made by JitBackend::make_reader().
class CodeReader {
 public:
  // Written by the reader alone, read by the backend: a cache line pair of its own.
  struct alignas(128) Record {
    std::atomic<std::uint64_t> epoch{0};  // seen on entry; 0: outside
    std::array<std::atomic<std::uint64_t>, kInterpretReasons> answers{};  // lookups by answer; kNone counts the hits
  };

  CodeReader(CodeReader&& other) noexcept = default;
  CodeReader& operator=(CodeReader&& other) noexcept;
  ~CodeReader();

  // From here on the reader may hold code. Not nested.
  void enter() noexcept { record_->epoch.store(epoch_->load(std::memory_order_seq_cst), std::memory_order_seq_cst); }
  // From here on it holds none.
  void leave() noexcept { record_->epoch.store(0, std::memory_order_release); }
  // It holds none now, and goes on. About the cost of enter().
  void quiescent() noexcept { enter(); }
  bool is_inside() const noexcept { return record_->epoch.load(std::memory_order_relaxed) != 0; }

  // Counts an answer; nothing that another thread writes is touched.
  void count(InterpretReason answer) noexcept {
    std::atomic<std::uint64_t>& counter = record_->answers[static_cast<std::size_t>(answer)];
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

 private:
  friend class compile::BackendState;
  CodeReader(std::shared_ptr<compile::BackendState> backend, Record* record, const std::atomic<std::uint64_t>* epoch)
      : backend_(std::move(backend)), record_(record), epoch_(epoch) {}
  void unregister();

  std::shared_ptr<compile::BackendState> backend_;
  Record* record_ = nullptr;
  const std::atomic<std::uint64_t>* epoch_ = nullptr;
};

// enter() and leave() of a reader by scope.
class ReadGuard {
 public:
  explicit ReadGuard(CodeReader& reader) : reader_(reader) { reader_.enter(); }
  ReadGuard(const ReadGuard&) = delete;
  ReadGuard& operator=(const ReadGuard&) = delete;
  ~ReadGuard() { reader_.leave(); }

 private:
  CodeReader& reader_;
};

// Made by JitBackend::make_slot(); knows its backend and may outlive it.
class alignas(64) CodeSlot {
 public:
  class Passkey {
    friend class compile::BackendState;
    Passkey() = default;
  };
  CodeSlot(Passkey, std::shared_ptr<compile::BackendState> backend, CompileInput input)
      : backend_(std::move(backend)), input_(std::make_shared<const CompileInput>(std::move(input))) {}
  CodeSlot(const CodeSlot&) = delete;
  CodeSlot& operator=(const CodeSlot&) = delete;
  ~CodeSlot();

  // The code, or null. One load, and a write the first time since the last sweep. The caller's reader is inside.
  const LoadedCode* acquire() noexcept {
    std::uintptr_t word = word_.load(std::memory_order_seq_cst);
    if (word & kUsed) [[likely]]
      return pointer(word);
    return word == 0 ? nullptr : acquire_first(word);
  }
  // Keeps the code from idle eviction; for callers that reach it by a way of their own (linked branches). False where there is none.
  bool mark_used() noexcept { return acquire() != nullptr; }
  // The code for as long as the pointer lives, or null. Takes a lock.
  std::shared_ptr<const LoadedCode> pin() const;

  std::shared_ptr<const CompileInput> input() const;
  // What the next compilation is told.
  void set_hints(std::vector<std::uint8_t> hints);

 private:
  friend class compile::BackendState;
  enum class State : std::uint8_t { kCold, kPending, kIneligible, kFailed };
  static constexpr std::uintptr_t kUsed = 1;  // beside the pointer, so that a hit loads one word

  static const LoadedCode* pointer(std::uintptr_t word) { return reinterpret_cast<const LoadedCode*>(word & ~kUsed); }
  const LoadedCode* acquire_first(std::uintptr_t word) noexcept {
    std::uintptr_t expected = word;
    // Where it fails, another reader has marked it or the code was withdrawn: the pointer is good for this reader in any case.
    word_.compare_exchange_strong(expected, word | kUsed, std::memory_order_seq_cst);
    return pointer(word);
  }

  std::atomic<std::uintptr_t> word_{0};
  std::atomic<std::uint64_t> heat_{0};
  std::atomic<State> state_{State::kCold};
  const std::shared_ptr<compile::BackendState> backend_;
  mutable std::mutex input_mutex_;
  std::shared_ptr<const CompileInput> input_;  // guarded by input_mutex_; its key never changes
};

}  // namespace caisson
