// BackendState: the service behind JitBackend. Start reading here; docs/compile-service.md follows a request through it.
//
//   requests.cpp   what callers ask: lookups, commands, waiting for outcomes           (any thread)
//   drain.cpp      the backend thread: requests become jobs; watchdog, sweep           (backend thread)
//   work.cpp       a worker: store, compile, load, persist, publish                    (workers)
//   resident.cpp   code that is published: slots, budgets, eviction, clear             (with the lock)
//   lifetime.cpp   start, preload, enable, pause, shutdown                             (any thread)
//
// One lock, mutex_, guards everything but what a lookup touches (the slot, the reader's record, the event queue and the flags
// below). It is never held while code of a plug-in, a store or a callback runs, or while one of its LoadedCodes is destroyed.
// Threads and slots share the state, so that none of them can outlive what it uses.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "caisson/jit_backend.h"
#include "compile/code_key_hash.h"
#include "compile/event_queue.h"
#include "compile/helper_process.h"
#include "compile/job.h"
#include "compile/reader_registry.h"

namespace caisson::compile {

class BackendState : public std::enable_shared_from_this<BackendState> {
 public:
  // Errors: kInvalidArgument. Starts nothing.
  static Result<std::shared_ptr<BackendState>> make(RuntimeConfig config);

  // JitBackend's functions, as its header says.
  std::shared_ptr<CodeSlot> make_slot(CompileInput input);
  CodeReader make_reader();
  LookupDecision lookup_missed(const LookupRequest& request);
  LookupDecision lookup_blocking(const LookupRequest& request);
  LoadedCodePointer get_compiled(const CodeKey& key, bool is_tracked);
  Result<void> compile_jit(const CompileRequest& request);
  Outcome compile_jit_sync(const CompileRequest& request);
  Result<void> prepare_aot(const CompileRequest& request);
  std::size_t prepare_aot_batch(std::span<const CompileRequest> requests);
  void clear_resident();
  Result<void> clear_persisted();
  Result<void> set_enabled(bool enabled);
  bool enabled() const { return is_enabled_.load(); }
  const RuntimeConfig& config() const { return config_; }
  void pause();
  void resume();
  RuntimeStatsSnapshot stats();

  // Ends the threads, waiting at most shutdown_timeout.
  void shutdown();

  // For slots, readers and running jobs.
  void forget_slot(CodeSlot& slot);
  void forget_reader(CodeReader::Record* record);
  LoadedCodePointer pin(const CodeSlot& slot);
  bool yield_point(Job& job);
  static BackendState& of(CodeSlot& slot) { return *slot.backend_; }
  bool is_paused() const { return pause_depth_.load(std::memory_order_relaxed) != 0; }

 private:
  using Lock = std::unique_lock<std::mutex>;

  // Everything known about a key.
  struct Record {
    std::unordered_set<CodeSlot*> slots;  // alive: a slot takes the lock to go
    std::shared_ptr<Job> job;  // the one that is pending: there is never a second
    LoadedCodePointer code;
    bool is_aot = false;  // counts against the budget of prepared code
    std::uint64_t code_bytes = 0, data_bytes = 0;
    Clock::time_point last_used;

    std::uint64_t bytes() const { return code_bytes + data_bytes; }
    bool is_empty() const { return slots.empty() && job == nullptr && code == nullptr; }
  };
  using Records = std::unordered_map<CodeKey, Record, CodeKeyHash>;
  using Counter = std::uint64_t RuntimeStatsSnapshot::*;

  struct BackendThread {
    std::thread thread;
    bool is_ended = false;
  };

  explicit BackendState(RuntimeConfig config);

  // What becomes of code that got hot.
  JobKind demand_kind() const { return config_.aot ? JobKind::kAot : JobKind::kJit; }

  // requests.cpp
  InterpretReason note_miss(CodeSlot& slot, std::uint64_t gas);
  Result<void> enqueue(Request request, Clock::time_point deadline);

  // drain.cpp; with the lock, which is let go for a while where `lock` is passed.
  void run_backend_thread();
  void drain(Lock& lock);
  void handle(const Request& request, const std::shared_ptr<GuestCompiler>& compiler);
  Counter admit(const Request& request, const std::shared_ptr<GuestCompiler>& compiler);
  void dispatch(const Request& request, Record& record, const std::shared_ptr<GuestCompiler>& compiler);
  void feed_workers();
  void watch_running_jobs(Clock::time_point now);
  void wake_after_backoff(Clock::time_point now);
  std::shared_ptr<GuestCompiler> compiler_of(const CompileInput& input) const;

  // work.cpp
  void run_worker(std::size_t index);
  JobResult run(Job& job, HelperProcess* helper);
  Result<CodeBlob> compile(Job& job, HelperProcess* helper);
  LoadedCodePointer load_stored(const Job& job, CompilationReport& report);
  void persist(Lock& lock, const Job& job, JobResult& result);
  void finish(const std::shared_ptr<Job>& job, JobResult result);
  void fail_job(const std::shared_ptr<Job>& job, const Error& error);
  static void complete(const std::shared_ptr<Ticket>& ticket, const Outcome& outcome);

  // resident.cpp; with the lock.
  Result<void> publish(const CodeKey& key, LoadedCodePointer code, bool is_aot);
  void withdraw(Record& record, Counter cause);
  void make_room(bool is_aot, std::uint64_t bytes, const Record* except);
  bool take_used_mark(Record& record, Clock::time_point now);
  void sweep(Clock::time_point now);
  void cancel(Record& record, const Error& error);
  void cancel_all(const Error& error);
  void drop_if_empty(const CodeKey& key);
  void set_slot_states(const Record& record, CodeSlot::State state);
  void set_slot_states(const CodeKey& key, CodeSlot::State state);

  // lifetime.cpp
  Result<void> ensure_started();
  void preload();
  void preload_artifact(GuestCompiler& compiler, Artifact&& artifact);
  Result<void> start_threads();
  Result<void> start_thread(std::function<void()> body);
  void stop_threads(Lock& lock);
  bool enter_store(Lock& lock);
  void leave_store();
  void log(const std::string& line);
  void log_once(bool& was_logged, const std::string& line);

  const RuntimeConfig config_;

  // What lookups touch.
  std::atomic<bool> is_enabled_{false};
  std::atomic<unsigned> pause_depth_{0};  // written with the lock
  std::atomic<bool> is_woken_{false};
  EventQueue<std::shared_ptr<const CompileInput>> events_;
  std::atomic<std::uint64_t> events_offered_{0}, events_queued_{0}, events_dropped_{0};
  ReaderRegistry readers_;

  HelperCounters helper_counters_;

  std::mutex mutex_;
  std::condition_variable drain_wanted_, work_ready_, room_made_, outcome_known_, pause_ended_, store_left_,
      lifetime_changed_;
  // All below is guarded by mutex_.
  Records records_;
  FailureMemory failures_;
  std::deque<Request> commands_;
  std::deque<std::shared_ptr<Job>> backlog_jit_, backlog_aot_;  // accepted; bounded by pending_jobs
  std::deque<std::shared_ptr<Job>> ready_;  // next for the workers
  std::vector<std::shared_ptr<Job>> running_;
  RuntimeStatsSnapshot counters_;  // all but what is computed in stats()
  Clock::time_point next_sweep_;
  std::uint64_t store_generation_ = 0;
  bool is_store_busy_ = false;  // by a write or a clear
  bool is_started_ = false, is_starting_ = false, is_preloaded_ = false, is_stopping_ = false;
  std::size_t worker_count_ = 0;
  std::vector<std::shared_ptr<BackendThread>> threads_;
  bool was_rejection_logged_ = false, was_store_failure_logged_ = false, was_dump_failure_logged_ = false;
};

}  // namespace caisson::compile
