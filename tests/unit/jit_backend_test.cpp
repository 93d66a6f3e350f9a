// The calls of the JitBackend, one after the other; jit_backend_limits_test.cpp drives its bounds, jit_backend_stress_test.cpp its threads.
#include "caisson/jit_backend.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/fake_guest_compiler.h"
#include "support/jit_backend_checks.h"

namespace caisson::test {
namespace {

using std::chrono::milliseconds;

class JitBackendTest : public testing::Test {
 protected:
  JitBackendTest() {
    config.compilers = {compiler};
    config.tuning.worker_count = 2;
    config.tuning.drain_interval = milliseconds(5);
    config.tuning.hot_threshold = 1000;
    config.log = [this](std::string_view line) {
      const std::scoped_lock lock(log_mutex);
      lines.emplace_back(line);
    };
  }
  ~JitBackendTest() override {
    compiler->gate.open();
    store->gate.open();
  }

  JitBackend make() { return JitBackend::create(config).value(); }

  // What a lookup answers by itself, hit or reason.
  static InterpretReason look(const JitBackend& backend, CodeSlot& slot, CodeReader& reader, std::uint64_t gas = 0) {
    const ReadGuard guard(reader);
    const LookupDecision decision = backend.lookup({slot, reader, gas});
    EXPECT_EQ(decision.code == nullptr, decision.reason != InterpretReason::kNone);
    if (decision.code != nullptr) EXPECT_TRUE(static_cast<const FakeCode*>(decision.code)->run());
    return decision.reason;
  }

  std::shared_ptr<FakeCompiler> compiler = std::make_shared<FakeCompiler>();
  std::shared_ptr<FakeStore> store = std::make_shared<FakeStore>();
  RuntimeConfig config;
  std::mutex log_mutex;
  std::vector<std::string> lines;
};

TEST_F(JitBackendTest, DisabledAnswersDisabledAndStartsWhenEnabled) {
  JitBackend backend = JitBackend::disabled({compiler});
  EXPECT_FALSE(backend.enabled());
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  EXPECT_EQ(look(backend, *slot, reader, 1 << 30), InterpretReason::kDisabled);
  EXPECT_EQ(backend.compile_jit(*slot).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(backend.compile_jit_sync(*slot).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(backend.prepare_aot(*slot).error().code, ErrorCode::kUnsupported);
  {
    const ReadGuard guard(reader);
    EXPECT_EQ(backend.lookup_blocking({*slot, reader}).reason, InterpretReason::kDisabled);
  }
  EXPECT_EQ(backend.stats().misses[static_cast<std::size_t>(InterpretReason::kDisabled)], 2U);
  ASSERT_TRUE(backend.set_enabled(true));
  EXPECT_TRUE(backend.enabled());
  ASSERT_TRUE(backend.compile_jit_sync(*slot));
  EXPECT_EQ(look(backend, *slot, reader), InterpretReason::kNone);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, ColdCodeGetsHotByGasAndIsPromotedWithoutAsking) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  EXPECT_EQ(look(backend, *slot, reader, 500), InterpretReason::kCold);
  EXPECT_EQ(look(backend, *slot, reader, 500), InterpretReason::kPending);
  EXPECT_TRUE(eventually([&] { return look(backend, *slot, reader) == InterpretReason::kNone; }));
  EXPECT_EQ(compiler->compilations, 1);
  const RuntimeStatsSnapshot stats = backend.stats();
  EXPECT_EQ(stats.events_offered, 1U);
  EXPECT_EQ(stats.hits, 1U);
  EXPECT_EQ(stats.misses[static_cast<std::size_t>(InterpretReason::kCold)], 1U);
  EXPECT_EQ(stats.resident_entries, 1U);
  EXPECT_EQ(stats.resident_code_bytes, 10U);
  EXPECT_EQ(stats.resident_data_bytes, 1U);
  expect_balanced(stats);
}

TEST_F(JitBackendTest, CodeWithoutGasGetsHotByLookups) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  for (std::uint64_t count = 1; count * kHeatOfLookup < 1000; ++count) {
    ASSERT_EQ(look(backend, *slot, reader), InterpretReason::kCold);
  }
  EXPECT_EQ(look(backend, *slot, reader), InterpretReason::kPending);
}

TEST_F(JitBackendTest, EveryLookupIsCountedOnceAlsoOfReadersThatAreGone) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  {
    CodeReader reader = backend.make_reader();
    look(backend, *slot, reader);
    CodeReader moved = std::move(reader);
    look(backend, *slot, moved);
  }
  CodeReader reader = backend.make_reader();
  reader = backend.make_reader();
  look(backend, *slot, reader);
  EXPECT_EQ(backend.stats().misses[static_cast<std::size_t>(InterpretReason::kCold)], 3U);
}

TEST_F(JitBackendTest, ASlotOfResidentCodeIsNeverMissed) {
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit_sync(input_of(1)));
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  EXPECT_EQ(look(backend, *slot, reader), InterpretReason::kNone);
}

TEST_F(JitBackendTest, AllSlotsOfAKeyAreServedByOneCompilation) {
  const JitBackend backend = make();
  const auto first = backend.make_slot(input_of(1)), second = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  look(backend, *first, reader, 5000);
  ASSERT_TRUE(eventually([&] { return look(backend, *first, reader) == InterpretReason::kNone; }));
  EXPECT_EQ(look(backend, *second, reader), InterpretReason::kNone);
  EXPECT_EQ(compiler->compilations, 1);
}

TEST_F(JitBackendTest, GetCompiledSeesResidentCodeAndCountsIfTracked) {
  const JitBackend backend = make();
  EXPECT_EQ(backend.get_compiled(key_of(1)), nullptr);
  EXPECT_EQ(backend.get_compiled_tracked(key_of(1)), nullptr);
  const auto code = backend.compile_jit_sync(input_of(1)).value();
  EXPECT_EQ(backend.get_compiled(key_of(1)), code);
  EXPECT_EQ(backend.get_compiled_tracked(key_of(1)), code);
  const RuntimeStatsSnapshot stats = backend.stats();
  EXPECT_EQ(stats.tracked_hits, 1U);
  EXPECT_EQ(stats.tracked_misses, 1U);
  EXPECT_EQ(stats.events_offered, 0U);
}

TEST_F(JitBackendTest, LookupBlockingWaitsOrSaysWhyNot) {
  const JitBackend backend = make();
  CodeReader reader = backend.make_reader();
  const auto blocking = [&](std::uint64_t number, std::string_view behaviour) {
    const auto slot = backend.make_slot(input_of(number, behaviour));
    const ReadGuard guard(reader);
    return backend.lookup_blocking({*slot, reader}).reason;
  };
  EXPECT_EQ(blocking(1, ""), InterpretReason::kNone);
  EXPECT_EQ(blocking(1, ""), InterpretReason::kNone);
  EXPECT_EQ(blocking(2, "ineligible"), InterpretReason::kIneligible);
  EXPECT_EQ(blocking(3, "fail"), InterpretReason::kCompileFailed);
  EXPECT_EQ(blocking(4, "throw"), InterpretReason::kCompileFailed);
  EXPECT_EQ(blocking(5, "unloadable"), InterpretReason::kCompileFailed);
  EXPECT_EQ(compiler->compilations, 4);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, BlockingModeCompilesAtTheFirstLookup) {
  config.blocking = true;
  const JitBackend backend = make();
  CodeReader reader = backend.make_reader();
  const auto good = backend.make_slot(input_of(1)), bad = backend.make_slot(input_of(2, "fail")),
             never = backend.make_slot(input_of(3, "ineligible"));
  EXPECT_EQ(look(backend, *good, reader), InterpretReason::kNone);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(look(backend, *bad, reader), InterpretReason::kCompileFailed);
    EXPECT_EQ(look(backend, *never, reader), InterpretReason::kIneligible);
  }
  EXPECT_EQ(compiler->compilations, 2);
  backend.pause();
  const auto paused = backend.make_slot(input_of(4));
  EXPECT_EQ(look(backend, *paused, reader), InterpretReason::kCold);  // at once
  backend.resume();
  EXPECT_EQ(look(backend, *paused, reader), InterpretReason::kNone);
}

TEST_F(JitBackendTest, CompileJitIsPastHotness) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  ASSERT_TRUE(backend.compile_jit(*slot));
  EXPECT_TRUE(eventually([&] { return slot->pin() != nullptr; }));
}

TEST_F(JitBackendTest, CompileJitSyncReportsTheOutcome) {
  const JitBackend backend = make();
  EXPECT_TRUE(backend.compile_jit_sync(input_of(1)));
  EXPECT_TRUE(backend.compile_jit_sync(input_of(1)));
  EXPECT_EQ(backend.compile_jit_sync(input_of(2, "fail")).error().message, "told to fail");
  EXPECT_EQ(backend.compile_jit_sync(input_of(2, "fail")).error().message, "told to fail");  // remembered
  EXPECT_NE(backend.compile_jit_sync(input_of(3, "throw")).error().message.find("told to throw"), std::string::npos);
  EXPECT_EQ(backend.compile_jit_sync(input_of(4, "ineligible")).error().code, ErrorCode::kUnsupported);
  CompileInput foreign = input_of(5);
  foreign.guest_kind = "unknown";
  EXPECT_EQ(backend.compile_jit_sync(foreign).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(compiler->compilations, 3);
  const RuntimeStatsSnapshot stats = backend.stats();
  EXPECT_EQ(stats.requests_resident, 1U);
  EXPECT_EQ(stats.requests_backing_off, 1U);
  EXPECT_EQ(stats.requests_ineligible, 2U);
  expect_balanced(stats);
}

TEST_F(JitBackendTest, PrepareAotPersistsAndTheNextBackendHasItAtOnce) {
  config.store = store;
  {
    const JitBackend backend = make();
    ASSERT_TRUE(backend.prepare_aot(input_of(1)));
    const std::vector<CompileRequest> batch = {input_of(2), input_of(3), input_of(4, "fail")};
    EXPECT_EQ(backend.prepare_aot_batch(batch), 3U);
    ASSERT_TRUE(eventually([&] { return backend.stats().commands_waiting == 0 && is_settled(backend); }));
    const RuntimeStatsSnapshot stats = backend.stats();
    EXPECT_EQ(stats.artifacts_stored, 3U);
    EXPECT_EQ(stats.aot_entries, 3U);
    EXPECT_EQ(stats.aot_bytes, 33U);
    EXPECT_EQ(stats.compilations_failed, 1U);
    expect_balanced(stats);
  }
  EXPECT_EQ(store->size(), 3U);
  const JitBackend backend = make();
  EXPECT_EQ(backend.stats().artifacts_preloaded, 3U);
  EXPECT_NE(backend.get_compiled(key_of(1)), nullptr);
  EXPECT_EQ(compiler->compilations, 4);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, AotModePreparesWhatGetsHot) {
  config.store = store;
  config.aot = true;
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  look(backend, *slot, reader, 5000);
  EXPECT_TRUE(eventually([&] { return look(backend, *slot, reader) == InterpretReason::kNone; }));
  EXPECT_TRUE(store->contains(1));
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
  EXPECT_TRUE(store->contains(2));
}

TEST_F(JitBackendTest, WhatIsOnlyCompiledOnDemandIsNotPersisted) {
  config.store = store;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit_sync(input_of(1)));
  EXPECT_EQ(store->size(), 0U);
  // Preparing it afterwards persists it and moves it to the other budget.
  ASSERT_TRUE(backend.prepare_aot(input_of(1)));
  ASSERT_TRUE(eventually([&] { return store->contains(1) && is_settled(backend); }));
  const RuntimeStatsSnapshot stats = backend.stats();
  EXPECT_EQ(stats.evicted_replaced, 1U);
  EXPECT_EQ(stats.aot_entries, 1U);
  EXPECT_EQ(stats.resident_entries, 1U);
  expect_balanced(stats);
}

TEST_F(JitBackendTest, PreparingJoinsACompilationThatIsUnderWay) {
  config.store = store;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit(input_of(1, "wait")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  ASSERT_TRUE(backend.prepare_aot(input_of(1, "wait")));
  ASSERT_TRUE(eventually([&] { return backend.stats().requests_joined == 1; }));
  compiler->gate.open();
  EXPECT_TRUE(eventually([&] { return store->contains(1) && is_settled(backend); }));
  EXPECT_EQ(compiler->compilations, 1);
  EXPECT_EQ(backend.stats().aot_entries, 1U);
}

TEST_F(JitBackendTest, TheStoreIsAskedBeforeCompiling) {
  config.store = store;
  const JitBackend backend = make();
  store->put(1, {0x90, 0x90});
  ASSERT_TRUE(backend.compile_jit_sync(input_of(1)));
  EXPECT_EQ(compiler->compilations, 0);
  EXPECT_EQ(backend.stats().artifacts_loaded, 1U);
  EXPECT_EQ(backend.stats().aot_entries, 1U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, BadArtifactsAreCountedLoggedOnceAndSkipped) {
  config.store = store;
  store->put(1, {0x90});
  store->put(2, {0xFF});  // does not load
  store->put(3, {0xFF});
  store->put(4, {0x90}, ArtifactContext{.cpu_features = 8});  // foreign
  const JitBackend backend = make();
  EXPECT_EQ(backend.stats().artifacts_preloaded, 1U);
  EXPECT_EQ(backend.stats().artifacts_rejected, 3U);
  EXPECT_EQ(lines.size(), 1U);
  // And compiled when they are wanted.
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
  EXPECT_TRUE(backend.compile_jit_sync(input_of(4)));
  EXPECT_EQ(backend.stats().artifacts_rejected, 5U);
  EXPECT_EQ(lines.size(), 1U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, ABrokenStoreCostsNothingButItsArtifacts) {
  config.store = store;
  store->is_broken = true;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.prepare_aot(input_of(1)));
  EXPECT_TRUE(eventually([&] { return backend.get_compiled(key_of(1)) != nullptr; }));
  EXPECT_EQ(backend.stats().artifacts_stored, 0U);
  EXPECT_EQ(backend.stats().store_failures, 3U);  // preload, load, store
  EXPECT_EQ(lines.size(), 1U);
  EXPECT_EQ(backend.clear_all().error().code, ErrorCode::kIo);
  EXPECT_EQ(backend.get_compiled(key_of(1)), nullptr);
}

TEST_F(JitBackendTest, ClearResidentWithdrawsAndHeldCodeStays) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1));
  CodeReader reader = backend.make_reader();
  auto pinned = backend.compile_jit_sync(*slot).value();
  EXPECT_EQ(FakeCode::alive, 1);
  {
    const ReadGuard guard(reader);
    const LookupDecision held = backend.lookup({*slot, reader});
    ASSERT_NE(held.code, nullptr);
    pinned.reset();
    backend.clear_resident();
    EXPECT_EQ(backend.lookup({*slot, reader}).reason, InterpretReason::kCold);
    EXPECT_EQ(FakeCode::alive, 1);
    EXPECT_TRUE(static_cast<const FakeCode*>(held.code)->run());
    EXPECT_EQ(backend.stats().retired_entries, 1U);
    EXPECT_EQ(backend.stats().resident_entries, 0U);
    reader.quiescent();
    EXPECT_TRUE(eventually([] { return FakeCode::alive == 0; }));
  }
  pinned = backend.compile_jit_sync(*slot).value();
  backend.clear_resident();
  EXPECT_TRUE(static_cast<const FakeCode&>(*pinned).run());
  EXPECT_EQ(backend.stats().evicted_cleared, 2U);
  pinned.reset();
  EXPECT_TRUE(eventually([] { return FakeCode::alive == 0; }));
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, ClearPersistedAndClearAll) {
  config.store = store;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.prepare_aot(input_of(1)));
  ASSERT_TRUE(eventually([&] { return backend.get_compiled(key_of(1)) != nullptr; }));
  ASSERT_TRUE(backend.clear_persisted());
  EXPECT_EQ(store->size(), 0U);
  EXPECT_NE(backend.get_compiled(key_of(1)), nullptr);
  ASSERT_TRUE(backend.clear_all());
  EXPECT_EQ(backend.get_compiled(key_of(1)), nullptr);
}

TEST_F(JitBackendTest, AStaleResultNeitherPublishesNorDisturbsTheNewerJob) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1, "hang"));
  ASSERT_TRUE(backend.compile_jit(*slot));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend.clear_resident();
  EXPECT_EQ(backend.stats().compilations_cancelled, 1U);
  EXPECT_EQ(backend.stats().pending_jobs, 0U);
  // The same key again, on the other worker, while the old one still runs.
  ASSERT_TRUE(backend.compile_jit(input_of(1, "spin")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 2; }));
  compiler->gate.open();
  ASSERT_TRUE(eventually([&] { return backend.stats().stale_results == 1; }));
  EXPECT_EQ(slot->pin(), nullptr);
  EXPECT_EQ(backend.stats().pending_jobs, 1U);
  expect_balanced(backend.stats());
  backend.clear_resident();
  EXPECT_TRUE(eventually([&] { return backend.stats().stale_results == 2; }));
  EXPECT_EQ(backend.stats().pending_jobs, 0U);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, AJobFromBeforeClearPersistedWritesNothing) {
  config.store = store;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.prepare_aot(input_of(1, "wait")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  ASSERT_TRUE(backend.clear_persisted());
  compiler->gate.open();
  EXPECT_TRUE(eventually([&] { return backend.get_compiled(key_of(1)) != nullptr; }));
  EXPECT_EQ(store->size(), 0U);
}

TEST_F(JitBackendTest, AClearWaitsForTheWriteThatIsUnderWay) {
  config.store = store;
  const JitBackend backend = make();
  store->waits_at_gate = true;
  ASSERT_TRUE(backend.prepare_aot(input_of(1)));
  ASSERT_TRUE(eventually([&] { return store->writes_begun == 1; }));
  std::thread clearing([&] { EXPECT_TRUE(backend.clear_persisted()); });
  store->gate.open();
  clearing.join();
  EXPECT_TRUE(eventually([&] { return is_settled(backend); }));
  EXPECT_EQ(store->size(), 0U);
}

TEST_F(JitBackendTest, DisablingStopsCompilationNotExecution) {
  const JitBackend backend = make();
  const auto done = backend.make_slot(input_of(1)), running = backend.make_slot(input_of(2, "spin"));
  CodeReader reader = backend.make_reader();
  ASSERT_TRUE(backend.compile_jit_sync(*done));
  ASSERT_TRUE(backend.compile_jit(*running));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  ASSERT_TRUE(backend.set_enabled(false));
  EXPECT_EQ(look(backend, *done, reader), InterpretReason::kNone);
  EXPECT_EQ(look(backend, *running, reader), InterpretReason::kDisabled);
  EXPECT_TRUE(eventually([&] { return compiler->running == 0; }));
  ASSERT_TRUE(backend.set_enabled(true));
  EXPECT_EQ(look(backend, *running, reader), InterpretReason::kCold);
  expect_balanced(backend.stats());
}

TEST_F(JitBackendTest, PauseHoldsJobsAndNests) {
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit(input_of(1, "wait")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend.pause();
  backend.pause();
  compiler->gate.open();  // its next yield point is after the pause
  ASSERT_TRUE(backend.compile_jit(input_of(2)));
  ASSERT_TRUE(eventually([&] { return backend.stats().pending_jobs >= 1 && backend.stats().commands_waiting == 0; }));
  backend.resume();
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(compiler->compilations, 1);
  backend.resume();
  EXPECT_TRUE(eventually([&] { return is_settled(backend) && compiler->compilations == 2; }));
  EXPECT_EQ(backend.stats().compilations_succeeded, 2U);
  backend.resume();  // one too many is ignored
  EXPECT_TRUE(backend.compile_jit_sync(input_of(3)));
}

TEST_F(JitBackendTest, PauseBeforeStartIsLegal) {
  config.enabled = false;
  const JitBackend backend = make();
  backend.pause();
  ASSERT_TRUE(backend.set_enabled(true));
  ASSERT_TRUE(backend.compile_jit(input_of(1)));
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(compiler->compilations, 0);
  backend.resume();
  EXPECT_TRUE(eventually([&] { return backend.get_compiled(key_of(1)) != nullptr; }));
}

TEST_F(JitBackendTest, TheTimeOfAJobDoesNotRunDuringAPause) {
  config.tuning.job_timeout = milliseconds(2000);
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit(input_of(1, "wait")));
  ASSERT_TRUE(eventually([&] { return compiler->running == 1; }));
  backend.pause();
  std::this_thread::sleep_for(milliseconds(2500));
  compiler->gate.open();
  backend.resume();
  EXPECT_TRUE(eventually([&] { return backend.get_compiled(key_of(1)) != nullptr; }));
}

TEST_F(JitBackendTest, OnCompilationTellsEveryOutcome) {
  std::mutex mutex;
  std::vector<CompilationReport> reports;
  config.on_compilation = [&](const CompilationReport& report) {
    const std::scoped_lock lock(mutex);
    reports.push_back(report);
  };
  {
    const JitBackend backend = make();
    // Whoever waits for a job may go on before the job is reported, and another thread may report the next one.
    const auto are_reported = [&](std::size_t count) {
      return eventually([&] {
        const std::scoped_lock lock(mutex);
        return reports.size() == count;
      });
    };
    ASSERT_TRUE(backend.compile_jit_sync(input_of(1)));
    ASSERT_TRUE(are_reported(1));
    ASSERT_FALSE(backend.compile_jit_sync(input_of(2, "fail")));
    ASSERT_TRUE(are_reported(2));
  }
  EXPECT_EQ(reports[0].key, key_of(1));
  EXPECT_EQ(reports[0].label, "code 1");
  EXPECT_EQ(reports[0].guest_kind, "fake");
  EXPECT_EQ(reports[0].code_bytes, 10U);
  EXPECT_EQ(reports[0].data_bytes, 1U);
  EXPECT_TRUE(reports[0].outcome);
  EXPECT_FALSE(reports[0].is_aot);
  EXPECT_EQ(reports[1].outcome.error().message, "told to fail");
}

TEST_F(JitBackendTest, ACallbackThatThrowsIsLogged) {
  config.on_compilation = [](const CompilationReport&) { throw std::runtime_error("callback"); };
  const JitBackend backend = make();
  EXPECT_TRUE(backend.compile_jit_sync(input_of(1)));
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
  EXPECT_TRUE(eventually([&] {
    const std::scoped_lock lock(log_mutex);
    return !lines.empty();
  }));
}

TEST_F(JitBackendTest, TextsAreWrittenPerModule) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "jit_backend_dump";
  std::filesystem::remove_all(folder);
  config.dump_directory = folder;
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit_sync(input_of(1)));
  ASSERT_TRUE(backend.compile_jit_sync(input_of(2)));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(entry.path().filename(), "code.txt");
    EXPECT_TRUE(text == "text of code 1" || text == "text of code 2") << text;
    ++files;
  }
  EXPECT_EQ(files, 2U);
  std::filesystem::remove_all(folder);
}

TEST_F(JitBackendTest, HintsReachTheNextCompilation) {
  const JitBackend backend = make();
  const auto slot = backend.make_slot(input_of(1, "fail"));
  slot->set_hints({});
  EXPECT_TRUE(backend.compile_jit_sync(*slot));
}

TEST_F(JitBackendTest, SlotsReadersAndCodeMayOutliveTheBackend) {
  std::shared_ptr<CodeSlot> slot;
  std::shared_ptr<const LoadedCode> pinned;
  {
    std::optional<JitBackend> backend = make();
    CodeReader reader = backend->make_reader();
    slot = backend->make_slot(input_of(1));
    ASSERT_TRUE(backend->compile_jit_sync(*slot));
    pinned = backend->compile_jit_sync(input_of(2)).value();
    const JitBackend copy = *backend;
    backend.reset();
    EXPECT_EQ(look(copy, *slot, reader), InterpretReason::kNone);
  }
  EXPECT_NE(slot->pin(), nullptr);
  EXPECT_TRUE(static_cast<const FakeCode&>(*pinned).run());
  EXPECT_EQ(FakeCode::alive, 2);
  slot.reset();
  pinned.reset();
  EXPECT_EQ(FakeCode::alive, 0);
}

TEST_F(JitBackendTest, TheLastHandleMayGoInACallback) {
  const auto holder = std::make_shared<std::optional<JitBackend>>();
  const auto done = std::make_shared<Gate>(), assigned = std::make_shared<Gate>();
  config.on_compilation = [holder, done, assigned](const CompilationReport&) {
    assigned->wait();
    holder->reset();
    done->open();
  };
  {
    JitBackend backend = make();
    *holder = std::move(backend);
  }
  ASSERT_TRUE((*holder)->compile_jit(input_of(1)));
  assigned->open();
  EXPECT_TRUE(done->wait());
}

TEST_F(JitBackendTest, BackendsShareNothing) {
  const JitBackend first = make(), second = make();
  ASSERT_TRUE(first.compile_jit_sync(input_of(1)));
  EXPECT_EQ(second.get_compiled(key_of(1)), nullptr);
  second.clear_resident();
  EXPECT_NE(first.get_compiled(key_of(1)), nullptr);
}

TEST_F(JitBackendTest, ConfigurationsOutOfRangeAreRefused) {
  const auto refused = [this](auto change) {
    RuntimeConfig changed = config;
    change(changed);
    const auto backend = JitBackend::create(changed);
    return !backend && backend.error().code == ErrorCode::kInvalidArgument && !backend.error().where.empty();
  };
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.tuning.command_capacity = 0; }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.tuning.event_capacity = ~std::size_t{0}; }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.tuning.worker_count = 65; }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.tuning.drain_interval = milliseconds(0); }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.tuning.job_timeout = milliseconds::max(); }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.compilers.push_back(nullptr); }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.compilers.push_back(c.compilers[0]); }));
  EXPECT_TRUE(refused([](RuntimeConfig& c) { c.process = CompileProcess::kHelper; }));
}

}  // namespace
}  // namespace caisson::test
