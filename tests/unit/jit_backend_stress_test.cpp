// The JitBackend under random sequences of calls, and under several threads at once. Meant for the thread sanitizer, and right without it.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "caisson/jit_backend.h"
#include "support/fake_guest_compiler.h"
#include "support/jit_backend_checks.h"

namespace caisson::test {
namespace {

using std::chrono::milliseconds;

// What code of a number does when it is compiled.
std::string_view behaviour_of(std::uint64_t number) {
  constexpr std::array<std::string_view, 8> kBehaviours = {"",     "",      "",           "large",
                                                           "fail", "throw", "ineligible", "unloadable"};
  return kBehaviours[number % kBehaviours.size()];
}

RuntimeConfig small_config(const std::shared_ptr<FakeCompiler>& compiler, const std::shared_ptr<FakeStore>& store) {
  RuntimeConfig config;
  config.compilers = {compiler};
  config.store = store;
  config.log = [](std::string_view) {};
  RuntimeTuning& tuning = config.tuning;
  tuning.worker_count = 2;
  tuning.drain_interval = milliseconds(1);
  tuning.sweep_interval = milliseconds(2);
  tuning.idle_eviction = milliseconds(3);
  tuning.retry_backoff = milliseconds(1);
  tuning.queue_timeout = milliseconds(20);
  tuning.sync_compile_timeout = milliseconds(200);
  tuning.hot_threshold = 1000;
  tuning.command_capacity = 8;
  tuning.event_capacity = 8;
  tuning.pending_jobs = 8;
  tuning.worker_queue_capacity = 2;
  tuning.resident_bytes = 3500;
  tuning.aot_resident_bytes = 2500;
  return config;
}

// One caller: does random things to a backend that others may use too.
class RandomCaller {
 public:
  static constexpr std::uint64_t kNumbers = 24;

  RandomCaller(const JitBackend& backend, FakeStore& store, std::uint32_t seed)
      : backend_(backend), store_(store), reader_(backend.make_reader()), random_(seed) {}
  ~RandomCaller() {
    while (pauses_-- > 0) backend_.resume();
  }
  RandomCaller(const RandomCaller&) = delete;
  RandomCaller& operator=(const RandomCaller&) = delete;

  void step() {
    const std::uint64_t number = random_() % kNumbers;
    const CompileInput input = input_of(number, behaviour_of(number));
    auto& slot = slots_[number];
    if (slot == nullptr) slot = backend_.make_slot(input);
    switch (random_() % 24) {
      case 0:
        slot.reset();
        break;
      case 1:
        static_cast<void>(backend_.compile_jit(input));
        break;
      case 2:
        check(backend_.compile_jit_sync(input).value_or(nullptr));
        break;
      case 3:
        static_cast<void>(backend_.prepare_aot(input));
        break;
      case 4: {
        const std::vector<CompileRequest> batch(3, CompileRequest(input));
        static_cast<void>(backend_.prepare_aot_batch(batch));
        break;
      }
      case 5:
        if (random_() % 4 == 0) backend_.clear_resident();
        break;
      case 6:
        if (random_() % 4 == 0) static_cast<void>(backend_.clear_all());
        break;
      case 7:
        if (random_() % 8 == 0) static_cast<void>(backend_.set_enabled(random_() % 4 != 0));
        break;
      case 8:
        if (pauses_ < 2 && random_() % 4 == 0) {
          backend_.pause();
          ++pauses_;
        }
        break;
      case 9:
      case 10:
        if (pauses_ > 0) {
          backend_.resume();
          --pauses_;
        }
        break;
      case 11:
        check(backend_.get_compiled_tracked(input.key));
        break;
      case 12:
        check(slot->pin());
        break;
      case 13:
        store_.is_broken = random_() % 8 == 0;
        break;
      case 14: {
        const ReadGuard guard(reader_);
        if (pauses_ == 0) check(backend_.lookup_blocking({*slot, reader_}).code);
        break;
      }
      case 15:
        expect_jobs_balanced(backend_.stats());
        break;
      default:
        look(number);
    }
  }

 private:
  static void check(const std::shared_ptr<const LoadedCode>& code) { check(code.get()); }
  static void check(const LoadedCode* code) {
    if (code != nullptr) EXPECT_TRUE(static_cast<const FakeCode*>(code)->run());
  }

  // Holds what it finds over further lookups.
  void look(std::uint64_t number) {
    const ReadGuard guard(reader_);
    std::vector<const LoadedCode*> held;
    for (std::uint64_t offset = 0; offset < 4; ++offset) {
      const auto& slot = slots_[(number + offset) % kNumbers];
      if (slot != nullptr) held.push_back(backend_.lookup({*slot, reader_, 300}).code);
      for (const LoadedCode* code : held) check(code);
    }
  }

  const JitBackend& backend_;
  FakeStore& store_;
  CodeReader reader_;
  std::mt19937 random_;
  std::array<std::shared_ptr<CodeSlot>, kNumbers> slots_;
  int pauses_ = 0;
};

// Everything comes to rest, every counter balances, every piece of code is accounted for.
void expect_rest(const JitBackend& backend) {
  static_cast<void>(backend.set_enabled(true));
  EXPECT_TRUE(eventually([&] { return is_settled(backend); }));
  EXPECT_TRUE(eventually([&] {
    const RuntimeStatsSnapshot stats = backend.stats();
    return stats.retired_entries == 0 && FakeCode::alive == static_cast<int>(backend.stats().resident_entries);
  }));
  const RuntimeStatsSnapshot stats = backend.stats();
  expect_balanced(stats);
  EXPECT_EQ(stats.pending_jobs, 0U);
  EXPECT_LE(stats.aot_bytes, 2500U);
  EXPECT_LE(stats.resident_code_bytes + stats.resident_data_bytes - stats.aot_bytes, 3500U);
  backend.clear_resident();
  EXPECT_TRUE(eventually([] { return FakeCode::alive == 0; }));
}

TEST(JitBackendStressTest, CountersBalanceAfterAnySequence) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto compiler = std::make_shared<FakeCompiler>();
    const auto store = std::make_shared<FakeStore>();
    RuntimeConfig config = small_config(compiler, store);
    config.aot = seed % 4 == 1;
    config.blocking = seed % 4 == 2;
    const JitBackend backend = JitBackend::create(config).value();
    {
      RandomCaller caller(backend, *store, seed);
      for (int step = 0; step < 400; ++step) caller.step();
    }
    expect_rest(backend);
  }
  EXPECT_EQ(FakeCode::alive, 0);
}

TEST(JitBackendStressTest, CallersOnSeveralThreads) {
  for (const bool is_aot : {false, true}) {
    const auto compiler = std::make_shared<FakeCompiler>();
    const auto store = std::make_shared<FakeStore>();
    RuntimeConfig config = small_config(compiler, store);
    config.aot = is_aot;
    const JitBackend backend = JitBackend::create(config).value();
    std::vector<std::thread> threads;
    for (std::uint32_t seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] {
        RandomCaller caller(backend, *store, seed);
        for (int step = 0; step < 1500; ++step) caller.step();
      });
    }
    for (std::thread& thread : threads) thread.join();
    expect_rest(backend);
  }
  EXPECT_EQ(FakeCode::alive, 0);
}

// Readers on shared slots, with code that comes and goes under them as fast as it can.
TEST(JitBackendStressTest, ReadersNeverSeeCodeThatIsGone) {
  const auto compiler = std::make_shared<FakeCompiler>();
  RuntimeConfig config = small_config(compiler, nullptr);
  const JitBackend backend = JitBackend::create(config).value();
  std::array<std::shared_ptr<CodeSlot>, 4> slots;
  for (std::size_t number = 0; number < slots.size(); ++number) slots[number] = backend.make_slot(input_of(number));
  std::atomic<bool> is_over = false;
  std::atomic<std::uint64_t> hits = 0;
  std::vector<std::thread> readers;
  for (int count = 0; count < 2; ++count) {
    readers.emplace_back([&] {
      CodeReader reader = backend.make_reader();
      std::uint64_t found = 0;
      while (!is_over) {
        const ReadGuard guard(reader);
        for (int round = 0; round < 16; ++round) {
          for (const auto& slot : slots) {
            const LoadedCode* code = backend.lookup({*slot, reader, 5000}).code;
            if (code == nullptr) continue;
            EXPECT_TRUE(static_cast<const FakeCode*>(code)->run());
            ++found;
          }
          reader.quiescent();
        }
      }
      hits += found;
    });
  }
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(eventually([&] { return backend.stats().resident_entries != 0; }));
    backend.clear_resident();
  }
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(backend.stats().hits, hits);
  expect_rest(backend);
}

// Backends that are made and unmade while their slots are looked up.
TEST(JitBackendStressTest, StartAndEndWhileOthersLook) {
  const auto compiler = std::make_shared<FakeCompiler>();
  for (int round = 0; round < 30; ++round) {
    std::optional<JitBackend> backend = JitBackend::create(small_config(compiler, nullptr)).value();
    std::atomic<bool> is_over = false;
    std::thread looking([copy = *backend, &is_over] {
      CodeReader reader = copy.make_reader();
      const auto slot = copy.make_slot(input_of(1));
      while (!is_over) {
        const ReadGuard guard(reader);
        static_cast<void>(copy.lookup({*slot, reader, 5000}));
      }
    });
    static_cast<void>(backend->compile_jit(input_of(2)));
    backend.reset();
    is_over = true;
    looking.join();
  }
  EXPECT_EQ(FakeCode::alive, 0);
}

}  // namespace
}  // namespace caisson::test
