// The bounds of the JitBackend: every wait driven to its end, every queue to its capacity, every budget over its edge, and failures at the start.
#include <gtest/gtest.h>

#include <optional>

#include "caisson/jit_backend.h"
#include "support/fake_guest_compiler.h"
#include "support/jit_backend_checks.h"

namespace caisson::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShort{50};

class JitBackendLimitsTest : public testing::Test {
 protected:
  JitBackendLimitsTest() {
    config.compilers = {compiler};
    config.tuning.worker_count = 2;
    config.tuning.drain_interval = milliseconds(5);
    config.tuning.hot_threshold = 1000;
    config.log = [](std::string_view) {};
  }
  ~JitBackendLimitsTest() override {
    compiler->gate.open();
    store->gate.open();
  }

  JitBackend make() { return JitBackend::create(config).value(); }
  // The backend thread stands still until the gate opens.
  void stall(const JitBackend& backend) {
    ASSERT_TRUE(backend.compile_jit(input_of(1000, "stall")));
    ASSERT_TRUE(eventually([&] { return compiler->is_stalled.load(); }));
  }
  static InterpretReason look(const JitBackend& backend, CodeSlot& slot, CodeReader& reader, std::uint64_t gas = 0) {
    const ReadGuard guard(reader);
    return backend.lookup({slot, reader, gas}).reason;
  }

  std::shared_ptr<FakeCompiler> compiler = std::make_shared<FakeCompiler>();
  std::shared_ptr<FakeStore> store = std::make_shared<FakeStore>();
  RuntimeConfig config;
};

// Waits.

TEST_F(JitBackendLimitsTest, AFullCommandQueueBlocksForItsTimeAndNoLonger) {
  config.tuning.command_capacity = 2;
  config.tuning.queue_timeout = kShort;
  const JitBackend backend = make();
  stall(backend);
  ASSERT_TRUE(backend.compile_jit(input_of(1)));
  ASSERT_TRUE(backend.prepare_aot(input_of(2)));
  EXPECT_EQ(backend.compile_jit(input_of(3)).error().code, ErrorCode::kBusy);
  EXPECT_EQ(backend.compile_jit_sync(input_of(3)).error().code, ErrorCode::kBusy);
  EXPECT_EQ(backend.prepare_aot(input_of(3)).error().code, ErrorCode::kBusy);
  const std::vector<CompileRequest> batch = {input_of(3), input_of(4)};
  EXPECT_EQ(backend.prepare_aot_batch(batch), 0U);
  EXPECT_EQ(backend.stats().commands_dropped, 5U);
  expect_jobs_balanced(backend.stats());
  compiler->gate.open();
  EXPECT_TRUE(eventually([&] { return backend.get_compiled(key_of(2)) != nullptr && is_settled(backend); }));
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, ABatchWaitsForRoom) {
  config.tuning.command_capacity = 2;
  config.tuning.queue_timeout = std::chrono::seconds(30);
  const JitBackend backend = make();
  std::vector<CompileRequest> batch;
  for (std::uint64_t number = 0; number < 100; ++number) batch.emplace_back(input_of(number));
  EXPECT_EQ(backend.prepare_aot_batch(batch), 100U);
  EXPECT_TRUE(eventually([&] { return backend.stats().resident_entries == 100; }));
}

TEST_F(JitBackendLimitsTest, CallersThatWaitForRoomAreToldWhenTheBackendIsDisabled) {
  config.tuning.command_capacity = 1;
  config.tuning.queue_timeout = std::chrono::seconds(60);
  const JitBackend backend = make();
  stall(backend);
  ASSERT_TRUE(backend.compile_jit(input_of(1)));
  std::thread waiting([&] { EXPECT_EQ(backend.compile_jit(input_of(2)).error().code, ErrorCode::kUnsupported); });
  std::this_thread::sleep_for(milliseconds(20));
  ASSERT_TRUE(backend.set_enabled(false));
  waiting.join();
  compiler->gate.open();
}

TEST_F(JitBackendLimitsTest, WaitingForAnOutcomeEnds) {
  config.tuning.sync_compile_timeout = kShort;
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1, "hang"));
  CodeReader reader = backend.make_reader();
  EXPECT_EQ(backend.compile_jit_sync(*slot).error().code, ErrorCode::kBusy);
  const ReadGuard guard(reader);
  EXPECT_EQ(backend.lookup_blocking({*slot, reader}).reason, InterpretReason::kPending);
  compiler->gate.open();
}

TEST_F(JitBackendLimitsTest, AWaiterIsToldWhenItsJobIsCancelled) {
  const JitBackend backend = make();
  std::thread waiting([&] { EXPECT_EQ(backend.compile_jit_sync(input_of(1, "spin")).error().code, ErrorCode::kBusy); });
  EXPECT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend.clear_resident();
  waiting.join();
}

TEST_F(JitBackendLimitsTest, AJobEndsAtItsTime) {
  config.tuning.job_timeout = kShort;
  const JitBackend backend = make();
  const auto outcome = backend.compile_jit_sync(input_of(1, "spin"));
  EXPECT_EQ(outcome.error().code, ErrorCode::kLimit);
  EXPECT_EQ(backend.stats().job_timeouts, 1U);
  EXPECT_EQ(backend.stats().compilations_failed, 1U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, NobodyWaitsForACompilerThatIgnoresItsLimits) {
  config.tuning.job_timeout = kShort;
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1, "hang")).error().code, ErrorCode::kLimit);
  EXPECT_EQ(backend.stats().job_timeouts, 1U);
  EXPECT_EQ(backend.stats().pending_jobs, 0U);
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));  // the other worker
  compiler->gate.open();
  EXPECT_TRUE(eventually([&] { return backend.stats().stale_results == 1; }));
  EXPECT_EQ(backend.get_compiled(key_of(1)), nullptr);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, ShutdownLeavesAThreadThatDoesNotEndToItself) {
  config.tuning.shutdown_timeout = kShort;
  std::optional<JitBackend> backend = make();
  ASSERT_TRUE(backend->compile_jit(input_of(1, "hang")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend.reset();
  EXPECT_EQ(compiler->running, 1);
  compiler->gate.open();
  // Once it ends, it takes the state along.
  EXPECT_TRUE(eventually([&] { return compiler.use_count() == 2; }));
  EXPECT_EQ(FakeCode::alive, 0);
}

TEST_F(JitBackendLimitsTest, AJobDoesNotWaitForEverInAPause) {
  config.tuning.longest_pause = kShort;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit(input_of(1, "spin")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend.pause();
  EXPECT_TRUE(eventually([&] { return compiler->running == 0; }));
  EXPECT_TRUE(eventually([&] { return backend.stats().compilations_cancelled == 1; }));
  EXPECT_EQ(backend.stats().pending_jobs, 0U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, ShutdownDuringAPauseIsQuick) {
  std::optional<JitBackend> backend = make();
  ASSERT_TRUE(backend->compile_jit(input_of(1, "spin")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend->pause();
  backend.reset();
  EXPECT_EQ(compiler->running, 0);
}

TEST_F(JitBackendLimitsTest, ClearingTheStoreDoesNotWaitForEverForAWrite) {
  const JitBackend backend = [this] {
    config.tuning.sync_compile_timeout = kShort;
    config.store = store;
    return make();
  }();
  store->waits_at_gate = true;
  ASSERT_TRUE(backend.prepare_aot(input_of(1)));
  ASSERT_TRUE(eventually([&] { return store->writes_begun == 1; }));
  EXPECT_EQ(backend.clear_persisted().error().code, ErrorCode::kBusy);
  // Nor does the next write.
  ASSERT_TRUE(backend.prepare_aot(input_of(2)));
  EXPECT_TRUE(eventually([&] { return backend.get_compiled(key_of(2)) != nullptr; }));
  EXPECT_EQ(backend.stats().store_failures, 1U);
  store->gate.open();
}

TEST_F(JitBackendLimitsTest, EnablingDoesNotWaitForEverForAnotherStart) {
  config.enabled = false;
  config.tuning.sync_compile_timeout = kShort;
  config.store = store;
  store->waits_at_gate = true;
  const JitBackend backend = make();
  std::thread starting([&] { EXPECT_TRUE(backend.set_enabled(true)); });
  EXPECT_TRUE(eventually([&] { return store->preloads_begun == 1; }));
  EXPECT_EQ(backend.set_enabled(true).error().code, ErrorCode::kBusy);
  store->gate.open();
  starting.join();
  EXPECT_TRUE(backend.set_enabled(true));
}

// Queues and bounds.

TEST_F(JitBackendLimitsTest, EventsThatFindNoRoomAreDroppedCountedAndOfferedAgain) {
  config.tuning.event_capacity = 2;
  const JitBackend backend = make();
  stall(backend);
  CodeReader reader = backend.make_reader();
  std::vector<std::shared_ptr<CodeSlot>> slots;
  for (std::uint64_t number = 0; number < 5; ++number) {
    slots.push_back(backend.make_slot(input_of(number)));
    EXPECT_EQ(look(backend, *slots.back(), reader, 5000),
              number < 2 ? InterpretReason::kPending : InterpretReason::kCold);
  }
  EXPECT_EQ(backend.stats().events_queued, 2U);
  EXPECT_EQ(backend.stats().events_dropped, 3U);
  compiler->gate.open();
  for (const auto& slot : slots) {
    EXPECT_TRUE(eventually([&] { return look(backend, *slot, reader, 5000) == InterpretReason::kNone; }));
  }
  EXPECT_TRUE(eventually([&] { return is_settled(backend); }));
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, MoreEventsThanOneDrainTakesAreNotForgotten) {
  config.tuning.max_events_per_drain = 1;
  const JitBackend backend = make();
  CodeReader reader = backend.make_reader();
  std::vector<std::shared_ptr<CodeSlot>> slots;
  for (std::uint64_t number = 0; number < 20; ++number) {
    slots.push_back(backend.make_slot(input_of(number)));
    look(backend, *slots.back(), reader, 5000);
  }
  EXPECT_TRUE(eventually([&] { return backend.stats().resident_entries == 20; }));
}

TEST_F(JitBackendLimitsTest, PendingJobsAreBounded) {
  config.tuning.pending_jobs = 3;
  config.tuning.worker_queue_capacity = 1;
  const JitBackend backend = make();
  for (std::uint64_t number = 0; number < 10; ++number) ASSERT_TRUE(backend.compile_jit(input_of(number, "wait")));
  ASSERT_TRUE(eventually([&] { return backend.stats().commands_waiting == 0; }));
  EXPECT_EQ(backend.stats().pending_jobs, 3U);
  EXPECT_EQ(backend.stats().requests_refused, 7U);
  compiler->gate.open();
  EXPECT_TRUE(eventually([&] { return is_settled(backend); }));
  EXPECT_LE(compiler->most_running, 2);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, OneCompilationServesAllWhoAskMeanwhile) {
  const JitBackend backend = make();
  std::vector<std::thread> threads;
  for (int count = 0; count < 8; ++count) {
    threads.emplace_back([&] { EXPECT_TRUE(backend.compile_jit_sync(input_of(1, "wait"))); });
  }
  EXPECT_TRUE(eventually([&] { return backend.stats().requests_joined == 7; }));
  compiler->gate.open();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(compiler->compilations, 1);
}

TEST_F(JitBackendLimitsTest, LongCodeIsIneligible) {
  config.tuning.max_code_length = 15;
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1)).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(compiler->compilations, 0);
}

// Failures.

TEST_F(JitBackendLimitsTest, AFailureIsRememberedThenTriedAgain) {
  config.tuning.retry_backoff = milliseconds(1000);
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  compiler->is_broken = true;
  ASSERT_FALSE(backend.compile_jit_sync(*slot));
  EXPECT_EQ(look(backend, *slot, reader, 5000), InterpretReason::kCompileFailed);
  EXPECT_EQ(look(backend, *backend.make_slot(input_of(1)), reader, 5000), InterpretReason::kCompileFailed);
  EXPECT_EQ(compiler->compilations, 1);
  compiler->is_broken = false;
  EXPECT_TRUE(eventually([&] { return look(backend, *slot, reader, 500) == InterpretReason::kNone; }));
  EXPECT_EQ(compiler->compilations, 2);
}

TEST_F(JitBackendLimitsTest, AFailureOfPreparingDoesNotPoisonCompilingOnDemand) {
  config.tuning.retry_backoff = std::chrono::hours(1);
  const JitBackend backend = make();
  CodeReader reader = backend.make_reader();
  const auto slot = backend.make_slot(input_of(1));
  compiler->is_broken = true;
  ASSERT_TRUE(backend.prepare_aot(*slot));
  ASSERT_TRUE(eventually([&] { return backend.stats().compilations_failed == 1; }));
  EXPECT_EQ(look(backend, *slot, reader), InterpretReason::kCold);
  compiler->is_broken = false;
  ASSERT_TRUE(backend.prepare_aot(*slot));
  ASSERT_TRUE(eventually([&] { return backend.stats().requests_backing_off == 1; }));
  EXPECT_EQ(look(backend, *slot, reader, 5000), InterpretReason::kPending);
  EXPECT_TRUE(eventually([&] { return look(backend, *slot, reader) == InterpretReason::kNone; }));
}

TEST_F(JitBackendLimitsTest, WhoJoinedAPreparationThatFailsGetsACompilation) {
  const JitBackend backend = make();
  ASSERT_TRUE(backend.prepare_aot(input_of(1, "flaky")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  std::thread waiting([&] { EXPECT_TRUE(backend.compile_jit_sync(input_of(1, "flaky"))); });
  EXPECT_TRUE(eventually([&] { return backend.stats().requests_joined == 1; }));
  compiler->gate.open();
  waiting.join();
  EXPECT_EQ(backend.stats().retried_as_jit, 1U);
  EXPECT_EQ(backend.stats().aot_entries, 0U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, ATransientFailureAtTheStartIsNotForEver) {
  int allowed = 0;
  config.start_thread = [&allowed](std::function<void()> body) -> Result<std::thread> {
    if (allowed-- <= 0) return fail(ErrorCode::kOutOfMemory, "no thread");
    return std::thread(std::move(body));
  };
  EXPECT_EQ(JitBackend::create(config).error().code, ErrorCode::kOutOfMemory);
  config.enabled = false;
  const JitBackend backend = make();
  for (const int count : {0, 1}) {  // not even the backend thread; no worker
    allowed = count;
    EXPECT_EQ(backend.set_enabled(true).error().code, ErrorCode::kOutOfMemory);
    EXPECT_FALSE(backend.enabled());
    EXPECT_EQ(backend.compile_jit(input_of(1)).error().code, ErrorCode::kUnsupported);
  }
  allowed = 2;  // one worker of two
  ASSERT_TRUE(backend.set_enabled(true));
  EXPECT_TRUE(backend.compile_jit_sync(input_of(1)));
}

TEST_F(JitBackendLimitsTest, AStartThatThrowsIsAnError) {
  config.start_thread = [](std::function<void()>) -> Result<std::thread> { throw std::runtime_error("no thread"); };
  EXPECT_FALSE(JitBackend::create(config));
}

// Budgets.

TEST_F(JitBackendLimitsTest, TheBudgetEvictsWhatWasUsedLeastRecently) {
  config.tuning.resident_bytes = 3500;  // three of 1001 bytes
  const JitBackend backend = make();
  CodeReader reader = backend.make_reader();
  std::vector<std::shared_ptr<CodeSlot>> slots;
  for (std::uint64_t number = 0; number < 3; ++number) {
    slots.push_back(backend.make_slot(input_of(number, "large")));
    ASSERT_TRUE(backend.compile_jit_sync(*slots.back()));
    std::this_thread::sleep_for(milliseconds(2));
  }
  EXPECT_EQ(look(backend, *slots[0], reader), InterpretReason::kNone);
  ASSERT_TRUE(backend.compile_jit_sync(input_of(3, "large")));
  EXPECT_NE(slots[0]->pin(), nullptr);
  EXPECT_EQ(slots[1]->pin(), nullptr);
  const RuntimeStatsSnapshot stats = backend.stats();
  EXPECT_LE(stats.resident_code_bytes + stats.resident_data_bytes, 3500U);
  EXPECT_GE(stats.evicted_budget, 1U);
  expect_balanced(stats);
}

TEST_F(JitBackendLimitsTest, CodeLargerThanTheBudgetIsAFailureAndEvictsNothing) {
  config.tuning.resident_bytes = 100;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit_sync(input_of(1)));
  EXPECT_EQ(backend.compile_jit_sync(input_of(2, "large")).error().code, ErrorCode::kLimit);
  EXPECT_NE(backend.get_compiled(key_of(1)), nullptr);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, PreparedCodeCountsOnlyAgainstItsOwnBudget) {
  config.tuning.resident_bytes = 2500;
  config.tuning.aot_resident_bytes = 2500;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.prepare_aot(input_of(100, "large")));
  ASSERT_TRUE(backend.prepare_aot(input_of(101, "large")));
  ASSERT_TRUE(eventually([&] { return backend.stats().aot_entries == 2; }));
  for (std::uint64_t number = 0; number < 10; ++number)
    ASSERT_TRUE(backend.compile_jit_sync(input_of(number, "large")));
  EXPECT_NE(backend.get_compiled(key_of(100)), nullptr);
  EXPECT_NE(backend.get_compiled(key_of(101)), nullptr);
  EXPECT_EQ(backend.stats().aot_bytes, 2002U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, HeldCodeLeavesTheBudgetWhenItIsEvicted) {
  config.tuning.resident_bytes = 2500;
  const JitBackend backend = make();
  std::vector<std::shared_ptr<const LoadedCode>> held;
  for (std::uint64_t number = 0; number < 10; ++number) {
    held.push_back(backend.compile_jit_sync(input_of(number, "large")).value());
    // What was compiled last is there, however much is held.
    EXPECT_EQ(backend.get_compiled(key_of(number)), held.back());
  }
  EXPECT_EQ(FakeCode::alive, 10);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, ArtifactsBeyondTheBudgetAreSkipped) {
  config.tuning.aot_resident_bytes = 2500;
  config.store = store;
  for (std::uint64_t number = 0; number < 5; ++number) store->put(number, std::vector<std::uint8_t>(1000, 0x90));
  const JitBackend backend = make();
  EXPECT_EQ(backend.stats().artifacts_preloaded, 2U);
  EXPECT_EQ(backend.stats().artifacts_skipped, 3U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendLimitsTest, IdleCodeIsEvictedUsedAndPreparedCodeIsNot) {
  config.tuning.idle_eviction = milliseconds(800);
  config.tuning.sweep_interval = milliseconds(5);
  const JitBackend backend = make();
  CodeReader reader = backend.make_reader();
  const auto used = backend.make_slot(input_of(1)), linked = backend.make_slot(input_of(2)),
             idle = backend.make_slot(input_of(3)), prepared = backend.make_slot(input_of(4));
  ASSERT_TRUE(backend.prepare_aot(*prepared));
  ASSERT_TRUE(backend.compile_jit_sync(*used));
  ASSERT_TRUE(backend.compile_jit_sync(*linked));
  ASSERT_TRUE(backend.compile_jit_sync(*idle));
  EXPECT_TRUE(eventually([&] {
    look(backend, *used, reader);
    const ReadGuard guard(reader);
    linked->mark_used();
    return backend.stats().evicted_idle != 0;
  }));
  EXPECT_EQ(look(backend, *idle, reader), InterpretReason::kCold);
  EXPECT_EQ(look(backend, *used, reader), InterpretReason::kNone);
  EXPECT_EQ(look(backend, *linked, reader), InterpretReason::kNone);
  EXPECT_EQ(look(backend, *prepared, reader), InterpretReason::kNone);
  expect_balanced(backend.stats());
}

}  // namespace
}  // namespace caisson::test
