// Compiling in a helper process, with a plug-in that crashes, hangs, eats memory and lies on request.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "caisson/jit_backend.h"
#include "compile/helper_process.h"
#include "support/fake_guest_compiler.h"
#include "support/jit_backend_checks.h"
#include "support/sanitizers.h"

namespace caisson::test {
namespace {

using std::chrono::milliseconds;

class CompileHelperTest : public testing::Test {
 protected:
  CompileHelperTest() {
    config.compilers = {compiler};
    config.tuning.worker_count = 1;
    config.tuning.drain_interval = milliseconds(5);
    // A sanitizer reserves terabytes.
    config.tuning.helper_memory_limit = test::kHasSanitizer ? 0 : std::size_t{512} << 20;
    config.process = CompileProcess::kHelper;
    config.helper_path = CAISSON_TEST_HELPER;
    config.helper_plugin = CAISSON_TEST_PLUGIN;
    config.log = [](std::string_view) {};
  }

  JitBackend make() { return JitBackend::create(config).value(); }

  std::shared_ptr<FakeCompiler> compiler = std::make_shared<FakeCompiler>();
  RuntimeConfig config;
};

TEST_F(CompileHelperTest, CompilesThereAndLoadsHere) {
  const JitBackend backend = make();
  for (std::uint64_t number = 0; number < 5; ++number) EXPECT_TRUE(backend.compile_jit_sync(input_of(number)));
  EXPECT_EQ(compiler->compilations, 0);
  EXPECT_EQ(compiler->loads, 5);
  EXPECT_EQ(backend.stats().helper_spawns, 1U);
  EXPECT_EQ(backend.stats().helper_restarts, 0U);
  expect_balanced(backend.stats());
}

TEST_F(CompileHelperTest, AnErrorOfTheCompilerIsNoCrash) {
  const JitBackend backend = make();
  const auto failed = backend.compile_jit_sync(input_of(1, "fail"));
  EXPECT_EQ(failed.error().message, "told to fail");
  EXPECT_EQ(failed.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
  EXPECT_EQ(backend.stats().helper_spawns, 1U);
  EXPECT_EQ(backend.stats().helper_crashes, 0U);
}

TEST_F(CompileHelperTest, ACrashCostsOneJob) {
  const JitBackend backend = make();
  for (const char* behaviour : {"crash", "exit", "nonsense", "outside"}) {
    SCOPED_TRACE(behaviour);
    static std::uint64_t number = 0;
    EXPECT_FALSE(backend.compile_jit_sync(input_of(number++, behaviour)));
    EXPECT_TRUE(backend.compile_jit_sync(input_of(number++)));
  }
  const RuntimeStatsSnapshot stats = backend.stats();
  EXPECT_EQ(stats.helper_crashes, 3U);  // "outside" is an answer, and a wrong one
  EXPECT_EQ(stats.helper_restarts, 3U);
  EXPECT_EQ(stats.helper_spawns, 4U);
  expect_balanced(stats);
}

TEST_F(CompileHelperTest, ACrashIsToldByItsSignal) {
  if (test::kHasSanitizer) GTEST_SKIP() << "a sanitizer turns signals into an exit status";
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1, "crash")).error().message, "the compile helper died of signal 11");
  EXPECT_EQ(backend.compile_jit_sync(input_of(2, "exit")).error().message, "the compile helper ended with status 3");
}

TEST_F(CompileHelperTest, AHangCostsOneJob) {
  config.tuning.job_timeout = milliseconds(1000);
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1, "hang")).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(eventually([&] { return backend.compile_jit_sync(input_of(2)).has_value(); }));
  EXPECT_EQ(backend.stats().helper_timeouts, 1U);
  EXPECT_EQ(backend.stats().job_timeouts, 1U);
  expect_balanced(backend.stats());
}

TEST_F(CompileHelperTest, AMemoryHogCostsOneJob) {
  if (test::kHasSanitizer) GTEST_SKIP() << "a sanitizer leaves no limit on address space";
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1, "memory")).error().code, ErrorCode::kOutOfMemory);
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
}

TEST_F(CompileHelperTest, RepliesAreBounded) {
  config.tuning.helper_reply_limit = std::size_t{1} << 20;
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1, "large")).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
}

TEST_F(CompileHelperTest, LargeRequestsAndRepliesPass) {
  const JitBackend backend = make();
  CompileInput input = input_of(1, "large");
  input.bytes = std::make_shared<const std::vector<std::uint8_t>>(std::size_t{3} << 20);
  const auto code = backend.compile_jit_sync(input);
  ASSERT_TRUE(code);
  EXPECT_EQ((*code)->code_bytes(), std::size_t{2} << 20);
}

TEST_F(CompileHelperTest, WhatACompilerPrintsIsNoAnswer) {
  const JitBackend backend = make();
  EXPECT_TRUE(backend.compile_jit_sync(input_of(1, "print")));
}

TEST_F(CompileHelperTest, TheHelperGetsNoDescriptorsAndNoEnvironment) {
  struct Limits : CompileLimits {
    bool yield_point() override { return true; }
    std::chrono::steady_clock::time_point deadline() const override {
      return std::chrono::steady_clock::now() + std::chrono::seconds(30);
    }
  } limits;
  compile::HelperCounters counters;
  compile::HelperProcess helper({CAISSON_TEST_HELPER, CAISSON_TEST_PLUGIN, 0, 1 << 20}, counters);
  CompileDump dump;
  const auto blob = helper.compile(input_of(1), limits, [] { return false; }, &dump);
  ASSERT_TRUE(blob);
  EXPECT_EQ(blob->code[1], 3);
  EXPECT_EQ(blob->code[2], 0);
  EXPECT_EQ(dump.texts().at("plugin.txt"), "text of code 1");
}

TEST_F(CompileHelperTest, CancellingAndEndingDoNotWaitForTheHelper) {
  config.tuning.job_timeout = std::chrono::seconds(60);
  {
    const JitBackend backend = make();
    ASSERT_TRUE(backend.compile_jit(input_of(1, "hang")));
    ASSERT_TRUE(eventually([&] { return backend.stats().helper_spawns == 1; }));
    backend.clear_resident();
    EXPECT_TRUE(backend.compile_jit_sync(input_of(2)));
    EXPECT_EQ(backend.stats().helper_timeouts, 0U);
    ASSERT_TRUE(backend.compile_jit(input_of(3, "hang")));
    ASSERT_TRUE(eventually([&] { return backend.stats().pending_jobs == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return compiler.use_count() == 2; }));
}

TEST_F(CompileHelperTest, APauseStopsTheHelper) {
  config.tuning.job_timeout = milliseconds(1000);
  const JitBackend backend = make();
  ASSERT_TRUE(backend.compile_jit(input_of(1, "hang")));
  ASSERT_TRUE(eventually([&] { return backend.stats().helper_spawns == 1; }));
  backend.pause();
  std::this_thread::sleep_for(milliseconds(1300));
  EXPECT_EQ(backend.stats().job_timeouts, 0U);
  backend.resume();
  EXPECT_TRUE(eventually([&] { return backend.stats().helper_timeouts == 1; }));
}

TEST_F(CompileHelperTest, APluginThatIsNoneFailsTheJobs) {
  config.helper_plugin = "/nowhere/plugin.so";
  const JitBackend backend = make();
  EXPECT_EQ(backend.compile_jit_sync(input_of(1)).error().code, ErrorCode::kInternal);
  expect_balanced(backend.stats());
}

TEST_F(CompileHelperTest, TheHelperIsFound) {
  EXPECT_EQ(compile::find_helper(CAISSON_TEST_HELPER).value(), CAISSON_TEST_HELPER);
  EXPECT_EQ(compile::find_helper("/nowhere").error().code, ErrorCode::kNotFound);
  // Beside the running program.
  EXPECT_EQ(std::filesystem::path(compile::find_helper("").value()).filename(), "caisson-compile-helper");
  ::setenv("CAISSON_COMPILE_HELPER", "/nowhere", 1);
  EXPECT_FALSE(compile::find_helper(""));
  ::unsetenv("CAISSON_COMPILE_HELPER");
  config.helper_path = "/nowhere";
  EXPECT_EQ(JitBackend::create(config).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace caisson::test
