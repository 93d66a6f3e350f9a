// What moves through the backend: requests, the jobs they become, and the tickets of who waits for an outcome.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "caisson/jit_backend.h"
#include "compile/failure_memory.h"

namespace caisson::compile {

using LoadedCodePointer = std::shared_ptr<const LoadedCode>;

// How a request ended: the code, or why not (an error for people and a reason for lookups).
struct Outcome {
  InterpretReason reason = InterpretReason::kNone;
  Result<LoadedCodePointer> code;

  static Outcome of(LoadedCodePointer code) { return {InterpretReason::kNone, std::move(code)}; }
  static Outcome of(InterpretReason reason, Error error) { return {reason, std::unexpected(std::move(error))}; }
};

// Guarded by the backend's lock.
struct Ticket {
  bool is_done = false;
  Outcome outcome;
};

struct Request {
  std::shared_ptr<const CompileInput> input;
  JobKind kind = JobKind::kJit;
  std::shared_ptr<Ticket> ticket;  // null: nobody waits
};

// One compilation of one key. Guarded by the backend's lock but for the atomics.
struct Job {
  std::shared_ptr<const CompileInput> input;
  std::shared_ptr<GuestCompiler> compiler;
  JobKind kind = JobKind::kJit;
  bool is_persisted = false;   // its result goes to the store and counts as prepared
  bool is_wanted_now = false;  // a kAot job that somebody joined on demand
  bool is_in_pause = false;
  std::vector<std::shared_ptr<Ticket>> tickets;
  std::uint64_t store_generation = 0;  // of the store when it was accepted; an older one is not written into a newer
  Clock::time_point accepted;
  std::atomic<Clock::rep> deadline{Clock::time_point::max().time_since_epoch().count()};
  // It has ended for everybody but the worker that runs it: its key may have a newer job, its result goes nowhere.
  std::atomic<bool> is_cancelled{false};

  Clock::time_point deadline_point() const { return Clock::time_point(Clock::duration(deadline.load())); }
};

// What a worker found out about a job.
struct JobResult {
  Result<LoadedCodePointer> code;
  CodeBlob blob;  // what it was loaded from, where it was compiled
  bool is_timed_out = false;
  CompilationReport report;
};

}  // namespace caisson::compile
