// JitBackend: the service that compiles guest code in the background, keeps it, and publishes it to who runs it.
//
//   caisson::RuntimeConfig config;
//   config.compilers = {compiler};
//   config.store = store;
//   caisson::JitBackend backend = caisson::JitBackend::create(config).value();
//
//   std::shared_ptr<caisson::CodeSlot> slot = backend.make_slot(input);   // once per code region
//   caisson::CodeReader reader = backend.make_reader();                   // once per thread
//   const caisson::ReadGuard guard(reader);
//   const caisson::LookupDecision found = backend.lookup({*slot, reader, gas_since_last_time});
//   found.code ? run(*found.code) : interpret(found.reason);
//
// A JitBackend is a handle: copies share one service, which ends with the last of them (slots, readers and pinned code may live on).
// Engines of one process may share one, guest kinds too. Every wait in it is bounded by a time of RuntimeTuning.
//
// Thread safety: every function may be called from any thread, except from GuestCompiler functions and LoadedCode destructors.
// A process that forks has no backend in the child.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "caisson/artifact_store.h"
#include "caisson/code_slot.h"
#include "caisson/guest_compiler.h"
#include "caisson/result.h"

namespace caisson {

// Where GuestCompiler::compile() runs.
enum class CompileProcess : std::uint8_t {
  kInProcess,  // on a worker thread; a compiler that crashes or hangs takes the process or the worker with it
  kHelper,  // in a child process per worker: a crash, a hang or a memory hog costs one job
};

// About a millisecond of code that is not optimised. A compilation takes ten and more, on another processor where there is one.
inline constexpr std::uint64_t kHotThreshold = 2'000'000;

struct RuntimeTuning {
  std::size_t command_capacity = 4096;  // explicit requests that wait for the backend thread; ≥ 1
  std::size_t event_capacity = 4096;  // hot slots that wait for it; rounded up to a power of two
  std::size_t max_events_per_drain = 4096;  // ≥ 1
  std::chrono::milliseconds drain_interval{100};  // the backend thread looks at least this often
  std::size_t worker_count = 0;  // 0: half of the processors, rounded up, from 1 to 4
  std::size_t worker_niceness = 0;  // added to that of the process: workers give way to threads that run guests; ≤ 19
  std::size_t worker_queue_capacity = 64;  // jobs per worker that are ready to run; workers share the queue. ≥ 1
  std::size_t pending_jobs = 2048;  // jobs that are accepted and not finished; further requests are refused and counted
  std::uint64_t hot_threshold =
      kHotThreshold;  // gas (and kHeatOfLookup per lookup) that code uses before it is compiled
  std::size_t max_code_length = 0;  // longer regions are ineligible, in bytes; 0: no limit
  std::chrono::milliseconds job_timeout{5'000};  // of one compilation
  std::chrono::milliseconds sync_compile_timeout{30'000};  // of compile_jit_sync, lookup_blocking and blocking mode
  std::chrono::milliseconds queue_timeout{1'000};  // of waiting for room in the command queue
  std::chrono::milliseconds shutdown_timeout{5'000};  // then threads that do not end are left to themselves
  std::chrono::milliseconds longest_pause{60'000};  // a job that waits longer in a pause is cancelled
  std::uint64_t helper_memory_limit = std::uint64_t{4}
                                      << 30;  // address space of a helper process in bytes; 0: no limit
  std::size_t helper_reply_limit = std::size_t{64} << 20;  // bytes of one reply of a helper
  std::uint64_t resident_bytes = std::uint64_t{1} << 30;  // of code compiled on demand; per backend
  std::uint64_t aot_resident_bytes = std::uint64_t{1}
                                     << 30;  // of code that was prepared or came from the store; per backend
  std::chrono::milliseconds idle_eviction{600'000};  // code compiled on demand that nobody used for so long goes
  std::chrono::milliseconds sweep_interval{60'000};
  std::chrono::milliseconds retry_backoff{
      1'000};  // after the first failure of a key; doubles with each, up to 64 times
};

// What a lookup adds to a slot's heat besides its gas, so that code without gas gets hot too.
inline constexpr std::uint64_t kHeatOfLookup = 16;

// How one compilation went, for RuntimeConfig::on_compilation.
struct CompilationReport {
  CodeKey key;
  CodeTier tier = CodeTier::kOptimized;
  std::string guest_kind;
  std::string label;
  bool is_aot = false;
  bool from_store = false;  // loaded instead of compiled
  std::chrono::nanoseconds queued{}, store_load{}, compile{}, load{}, store_write{};
  std::size_t code_bytes = 0, data_bytes = 0;
  Result<void> outcome;  // kBusy where it was cancelled
};

struct RuntimeConfig {
  bool enabled = true;
  bool blocking = false;  // a miss of lookup() compiles at once and waits; not while paused
  bool aot = false;  // what gets hot is prepared (persisted), not only compiled
  std::vector<std::shared_ptr<GuestCompiler>> compilers;  // one per guest kind
  std::shared_ptr<ArtifactStore> store;  // may be null: nothing persists
  std::string thread_name = "caisson-jit";  // of the backend thread; workers get a number. 15 bytes are kept
  std::string dump_directory;  // per compilation a folder with its texts; empty: none
  CompileProcess process = CompileProcess::kInProcess;
  std::string helper_path;  // empty: $CAISSON_COMPILE_HELPER, or beside the program, or in its ../libexec/caisson
  std::string helper_plugin;  // the shared library that the helper loads
  // Called on a worker after each compilation, with no lock held. May call the backend, but not wait for a compilation.
  std::function<void(const CompilationReport&)> on_compilation;
  std::function<void(std::string_view)> log;  // one line, without its end; empty: stderr
  // Starts a thread; empty: std::thread. For embedders with rules about threads.
  std::function<Result<std::thread>(std::function<void()>)> start_thread;
  RuntimeTuning tuning;
};

struct LookupRequest {
  CodeSlot& slot;
  CodeReader& reader;  // of the slot's backend, inside
  std::uint64_t gas = 0;  // that the region used since the last lookup: its weight
};

// What to compile: an input, or that of a slot.
struct CompileRequest {
  std::shared_ptr<const CompileInput> input;

  CompileRequest(CompileInput value) : input(std::make_shared<const CompileInput>(std::move(value))) {}
  CompileRequest(const CodeSlot& slot) : input(slot.input()) {}
};

// Counters since the backend was made, and gauges (now). They balance whenever no call is under way, and all but the first two
// groups in every snapshot:
//
//   events_offered   = events_queued + events_dropped                 events_queued   = events_handled + events_waiting
//   commands_offered = commands_queued + commands_dropped             commands_queued = commands_handled + commands_waiting
//   events_handled + commands_handled + retried_as_jit = compilations_dispatched + requests_joined + requests_resident
//       + requests_ineligible + requests_backing_off + requests_refused + requests_disabled
//   compilations_dispatched = compilations_succeeded + compilations_failed + compilations_cancelled + pending_jobs
//   compilations_succeeded + artifacts_preloaded = resident_entries + evicted_budget + evicted_idle + evicted_cleared + evicted_replaced
//   retired_entries: withdrawn, and not yet left by all readers
struct RuntimeStatsSnapshot {
  // Lookups.
  std::uint64_t hits = 0;
  std::array<std::uint64_t, kInterpretReasons> misses{};  // by InterpretReason
  std::uint64_t tracked_hits = 0, tracked_misses = 0;  // get_compiled_tracked
  // Queues to the backend thread. A request to a disabled backend is dropped.
  std::uint64_t events_offered = 0, events_queued = 0, events_dropped = 0, events_handled = 0, events_waiting = 0;
  std::uint64_t commands_offered = 0, commands_queued = 0, commands_dropped = 0, commands_handled = 0,
                commands_waiting = 0;
  // What became of requests that were handled.
  std::uint64_t requests_joined = 0;  // the key was being compiled
  std::uint64_t requests_resident = 0;  // there already
  std::uint64_t requests_ineligible = 0;
  std::uint64_t requests_backing_off = 0;  // failed not long ago
  std::uint64_t requests_refused = 0;  // RuntimeTuning::pending_jobs reached
  std::uint64_t requests_disabled = 0;
  std::uint64_t retried_as_jit = 0;  // preparing failed, and somebody wanted the code now
  // Jobs.
  std::uint64_t compilations_dispatched = 0, compilations_succeeded = 0, compilations_failed = 0,
                compilations_cancelled = 0;
  std::uint64_t pending_jobs = 0;
  std::uint64_t job_timeouts = 0;  // among the failed
  std::uint64_t stale_results = 0;  // results that nobody waited for any more; dropped
  // Resident code.
  std::uint64_t resident_entries = 0, resident_code_bytes = 0, resident_data_bytes = 0;
  std::uint64_t aot_entries = 0, aot_bytes = 0;  // the part of it that counts against the budget of prepared code
  std::uint64_t evicted_budget = 0, evicted_idle = 0, evicted_cleared = 0, evicted_replaced = 0;
  std::uint64_t retired_entries = 0, retired_bytes = 0;
  // Store.
  std::uint64_t artifacts_preloaded = 0;  // resident since the start
  std::uint64_t artifacts_loaded = 0;  // later, instead of a compilation
  std::uint64_t artifacts_rejected = 0;  // bad, by the store or by the loader
  std::uint64_t artifacts_skipped = 0;  // good, and beyond the budget
  std::uint64_t artifacts_stored = 0;
  std::uint64_t store_failures = 0;  // the store answered with an error
  // Helper processes. restarts: spawns that follow an earlier helper of the same worker; helper_timeouts: of those killed for time.
  std::uint64_t helper_spawns = 0, helper_restarts = 0, helper_crashes = 0, helper_timeouts = 0;
  // Time spent by finished jobs.
  std::chrono::nanoseconds queued_time{}, store_load_time{}, compile_time{}, load_time{}, store_write_time{};
};

class JitBackend {
 public:
  // Compiles nothing and has no thread. set_enabled(true) starts it, with default tuning and `compilers`.
  static JitBackend disabled(std::vector<std::shared_ptr<GuestCompiler>> compilers = {});
  // Enabled: its threads run and every good artifact of the store is resident when this returns. Errors: kInvalidArgument (a
  // tuning out of range, two compilers of one guest kind, a helper without a plug-in or a program), kOutOfMemory (no thread: may be tried again).
  static Result<JitBackend> create(RuntimeConfig config);

  // The slot of a code region; resident code of its key is in it at once. Costs a lock.
  std::shared_ptr<CodeSlot> make_slot(CompileInput input) const;
  // For the calling thread's lookups. Costs a lock.
  CodeReader make_reader() const;

  // Wait-free, and never a false miss. A hit is one load of the slot and writes nothing that threads share, but for a mark
  // once per sweep. A miss adds heat to the slot; hot code is handed to the backend thread. In blocking mode a miss compiles and waits.
  LookupDecision lookup(const LookupRequest& request) const {
    assert(request.reader.is_inside());
    if (const LoadedCode* code = request.slot.acquire()) [[likely]] {
      request.reader.count(InterpretReason::kNone);
      return {code, InterpretReason::kNone};
    }
    return lookup_missed(request);
  }
  // Compiles and waits, hot or not, up to sync_compile_timeout; kPending after that.
  LookupDecision lookup_blocking(const LookupRequest& request) const;

  // The resident code of a key, or null. Counts nothing / counts a tracked hit or miss.
  std::shared_ptr<const LoadedCode> get_compiled(const CodeKey& key) const;
  std::shared_ptr<const LoadedCode> get_compiled_tracked(const CodeKey& key) const;

  // Asks for code, hot or not. Waits for room in the queue, at most queue_timeout.
  // Errors: kUnsupported (disabled), kBusy (no room).
  Result<void> compile_jit(const CompileRequest& request) const;
  // Waits for the outcome, at most sync_compile_timeout. Errors: of the compiler (also a remembered one); kUnsupported (disabled,
  // ineligible), kBusy (no room, cancelled, time is up), kLimit (larger than the budget).
  Result<std::shared_ptr<const LoadedCode>> compile_jit_sync(const CompileRequest& request) const;
  // Compiles, persists, makes resident; returns at once. Errors: kUnsupported (disabled), kBusy (no room: dropped and counted).
  Result<void> prepare_aot(const CompileRequest& request) const;
  // The same for many; waits for room, at most queue_timeout in all. Answers how many were queued; the rest is dropped and counted.
  std::size_t prepare_aot_batch(std::span<const CompileRequest> requests) const;

  // Withdraws all resident code and cancels all jobs. Code that is held stays valid until its last holder lets go.
  void clear_resident() const;
  // Empties the store; jobs that began before write nothing into it. Errors: of the store; kBusy (a write goes on beyond sync_compile_timeout).
  Result<void> clear_persisted() const;
  Result<void> clear_all() const;

  // Enabling starts the threads and preloads the first time; it may be tried again after an error. Disabling cancels
  // what is being compiled; resident code stays in use. Errors: kOutOfMemory (no thread), kBusy (another thread is at it).
  Result<void> set_enabled(bool enabled) const;
  bool enabled() const;

  // Of its configuration, for engines that measure heat themselves.
  std::uint64_t hot_threshold() const;
  bool is_blocking() const;

  // While paused no job starts and running ones wait at their next yield point. Nested; legal before the start.
  void pause() const;
  void resume() const;

  RuntimeStatsSnapshot stats() const;

 private:
  class Handle;
  explicit JitBackend(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
  static LookupDecision lookup_missed(const LookupRequest& request);

  std::shared_ptr<Handle> handle_;
};

}  // namespace caisson
