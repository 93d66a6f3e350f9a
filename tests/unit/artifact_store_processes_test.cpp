// What several processes, killed ones and full disks do to a store of artifacts.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <latch>
#include <random>
#include <thread>

#include "caisson/artifact_administration.h"
#include "caisson/artifact_store.h"
#include "store/lmdb_environment.h"
#include "support/child_process.h"
#include "support/sample_artifact.h"
#include "support/sanitizers.h"
#include "support/scratch_directory.h"

namespace caisson {
namespace {

using test::numbered_artifact;
using test::ScratchDirectory;

using Clock = std::chrono::steady_clock;
using StorePointer = std::shared_ptr<ArtifactStore>;

const ArtifactContext kContext = test::small_artifact().context;

bool is_whole(ArtifactStore& store, const Artifact& expected) {
  const auto found = store.load(expected.key, kContext, nullptr);
  return found && found->has_value() && (*found)->blob == expected.blob && (*found)->label == expected.label;
}

// How many artifacts there are; nothing else may be in the store.
std::uint64_t count_good(const std::string& path) {
  const auto list = list_artifacts(path, {.is_full = true});
  EXPECT_TRUE(list) << list.error().to_string();
  if (!list) return 0;
  for (const StoredArtifact& artifact : *list) EXPECT_EQ(artifact.state, ArtifactState::kGood) << artifact.reason;
  return list->size();
}

// Numbers written to `descriptor` by one process and read by another, until it has ended.
std::vector<std::uint32_t> read_numbers(int descriptor) {
  std::vector<std::uint32_t> numbers;
  std::uint32_t number = 0;
  while (read(descriptor, &number, sizeof number) == static_cast<ssize_t>(sizeof number)) numbers.push_back(number);
  return numbers;
}

TEST(StoreProcesses, MakeAStoreTogether) {
  constexpr int kProcesses = 6;
  for (int round = 0; round < 8; ++round) {
    const ScratchDirectory scratch;
    const std::string path = scratch / "a/store";
    std::vector<pid_t> children;
    for (std::uint64_t number = 0; number < kProcesses; ++number) {
      children.push_back(test::start_child([&path, number] {
        const Result<StorePointer> store = open_artifact_store(path);
        return store && (*store)->store(numbered_artifact(number)) ? 0 : 1;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(test::wait_for_child(child), 0);
    EXPECT_EQ(count_good(path), kProcesses);  // sealed with one key
  }
}

TEST(StoreProcesses, ShareAStore) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const StorePointer store = open_artifact_store(path).value();
  ASSERT_TRUE(store->store(numbered_artifact(0)));
  // 100 × 100 kB from each of three: the file outgrows the map of who has opened it before.
  std::vector<pid_t> children;
  for (std::uint64_t process = 1; process <= 3; ++process) {
    children.push_back(test::start_child([&path, process] {
      const Result<StorePointer> own = open_artifact_store(path);
      if (!own) return 1;
      for (std::uint64_t index = 0; index < 100; ++index) {
        if (!(*own)->store(numbered_artifact(1000 * process + index, 100'000))) return 2;
        if (!is_whole(**own, numbered_artifact(1000 * process + index / 2, 100'000))) return 3;
      }
      return 0;
    }));
  }
  int running = static_cast<int>(children.size());
  while (running > 0) {
    EXPECT_TRUE(is_whole(*store, numbered_artifact(0)));
    for (pid_t& child : children) {
      int status = 0;
      if (child == 0 || waitpid(child, &status, WNOHANG) != child) continue;
      EXPECT_EQ(status, 0);
      child = 0;
      --running;
    }
  }
  for (std::uint64_t process = 1; process <= 3; ++process)
    EXPECT_TRUE(is_whole(*store, numbered_artifact(1000 * process + 99, 100'000)));
  ASSERT_TRUE(store->store(numbered_artifact(7)));
  EXPECT_EQ(count_good(path), 302U);
}

TEST(StoreProcesses, AChildOpensItsOwn) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  StorePointer store = open_artifact_store(path).value();
  ASSERT_TRUE(store->store(numbered_artifact(1)));
  const int status = test::run_child([&] {
    if (store->store(numbered_artifact(2)).error().code != ErrorCode::kInvalidArgument) return 1;
    if (store->load(numbered_artifact(1).key, kContext, nullptr).error().code != ErrorCode::kInvalidArgument) return 2;
    StorePointer own = open_artifact_store(path).value();
    store.reset();  // harms neither
    if (!is_whole(*own, numbered_artifact(1))) return 3;
    return own->store(numbered_artifact(3)) ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(is_whole(*store, numbered_artifact(3)));
  EXPECT_TRUE(store->store(numbered_artifact(4)));
}

TEST(StoreProcesses, AStoppedWriterMakesOthersBusyNotBlocked) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  constexpr std::chrono::milliseconds kTimeout{150};
  const StorePointer store = open_artifact_store(path, {.lock_timeout = kTimeout}).value();
  ASSERT_TRUE(store->store(numbered_artifact(1)));
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t holder = test::start_child([&] {
    const int file = ::open((path + "/lock").c_str(), O_RDWR);
    struct flock lock{};
    lock.l_type = F_WRLCK;
    if (fcntl(file, F_SETLK, &lock) != 0) return 1;
    if (write(ready[1], "", 1) != 1) return 1;
    raise(SIGSTOP);
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto start = Clock::now();
  const Result<void> stored = store->store(numbered_artifact(2));
  const auto waited = Clock::now() - start;
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, ErrorCode::kBusy);
  EXPECT_NE(stored.error().message.find(std::to_string(holder)), std::string::npos) << stored.error().message;
  EXPECT_GE(waited, kTimeout);
  EXPECT_LT(waited, std::chrono::seconds(5));
  EXPECT_TRUE(is_whole(*store, numbered_artifact(1)));  // readers do not wait
  // Opening in another process waits no longer either.
  EXPECT_EQ(test::run_child([&] {
              const Result<StorePointer> own = open_artifact_store(path, {.lock_timeout = kTimeout});
              return !own && own.error().code == ErrorCode::kBusy ? 0 : 1;
            }),
            0);
  kill(holder, SIGKILL);
  test::wait_for_child(holder);
  EXPECT_TRUE(store->store(numbered_artifact(2)));
  close(ready[0]);
  close(ready[1]);
}

// Stores one artifact after the other, and tells the number of each that was acknowledged.
int write_until_killed(const std::string& path, int acknowledged, std::uint32_t first) {
  const Result<StorePointer> store = open_artifact_store(path);
  if (!store) return 1;
  for (std::uint32_t number = first;; ++number) {
    if (!(*store)->store(numbered_artifact(number, 2000 + 500 * (number % 40)))) return 2;
    if (write(acknowledged, &number, sizeof number) != static_cast<ssize_t>(sizeof number)) return 3;
  }
}

TEST(StoreProcesses, KilledWritersLoseNothingThatWasAcknowledged) {
  constexpr int kKills = 200;
  constexpr std::uint32_t kNumbersEach = 1000;
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  std::mt19937_64 random(3);
  std::vector<std::uint32_t> all;
  for (int round = 0; round < kKills; ++round) {
    int acknowledged[2];
    ASSERT_EQ(pipe(acknowledged), 0);
    const std::uint32_t first = kNumbersEach * static_cast<std::uint32_t>(round);
    const pid_t child = test::start_child([&] { return write_until_killed(path, acknowledged[1], first); });
    close(acknowledged[1]);
    // Every other one is killed while it is at it, however busy the machine is; the rest may still be opening the store.
    constexpr int kMostWait = 10'000;  // ms
    pollfd first_one{.fd = acknowledged[0], .events = POLLIN, .revents = 0};
    if (round % 2 == 0) poll(&first_one, 1, kMostWait);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 8'000));
    kill(child, SIGKILL);
    EXPECT_EQ(test::wait_for_child(child), 128 + SIGKILL);
    const std::vector<std::uint32_t> numbers = read_numbers(acknowledged[0]);
    close(acknowledged[0]);
    all.insert(all.end(), numbers.begin(), numbers.end());
    // What comes next can always write.
    const StorePointer store = open_artifact_store(path).value();
    ASSERT_TRUE(store->store(numbered_artifact(first + kNumbersEach - 1)));
    all.push_back(first + kNumbersEach - 1);
  }
  const StorePointer store = open_artifact_store(path).value();
  for (const std::uint32_t number : all) {
    const std::size_t size = number % kNumbersEach == kNumbersEach - 1 ? 64 : 2000 + 500 * (number % 40);
    EXPECT_TRUE(is_whole(*store, numbered_artifact(number, size))) << number;
  }
  // At most the one that each was about to acknowledge is there besides.
  const std::uint64_t count = count_good(path);
  EXPECT_GE(count, all.size());
  EXPECT_LE(count, all.size() + kKills);
  EXPECT_GE(all.size(), kKills + kKills / 2) << "the writers came to nothing";
}

// Stores until there is no room. Then what was stored is there, small things can be removed, and room is used again.
int fill(const std::string& path) {
  const Result<StorePointer> opened = open_artifact_store(path);
  if (!opened) return 10;
  ArtifactStore& store = **opened;
  std::uint64_t count = 0;
  Result<void> stored;
  for (; count < 1000; ++count) {
    stored = store.store(numbered_artifact(count, 100'000));
    if (!stored) break;
  }
  if (stored) return 11;
  if (stored.error().code != ErrorCode::kLimit) return 12;
  if (count < 5) return 13;
  for (int round = 0; round < 3; ++round) {
    if (store.store(numbered_artifact(count, 100'000))) return 14;
    for (std::uint64_t number = 0; number < count; ++number) {
      if (!is_whole(store, numbered_artifact(number, 100'000))) return 15;
    }
  }
  if (!store.remove(numbered_artifact(0).key)) return 16;
  if (!store.remove(numbered_artifact(1).key)) return 17;
  if (!store.store(numbered_artifact(5000, 10'000))) return 18;
  return is_whole(store, numbered_artifact(5000, 10'000)) ? 0 : 19;
}

TEST(StoreProcesses, AFullDiskIsALimit) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const int status = test::run_child([&path] {
    // Larger than LMDB's table of readers, smaller than the store wants to become.
    constexpr rlim_t kMost = 4'000'000;
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kMost, kMost};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    return fill(path);
  });
  EXPECT_EQ(status, 0);
  EXPECT_GT(count_good(path), 20U);
  EXPECT_TRUE(open_artifact_store(path).value()->store(numbered_artifact(1)));
}

TEST(StoreProcesses, AFullFileSystemIsALimit) {
  const ScratchDirectory scratch;
  if (mount("caisson-test", scratch.path().c_str(), "tmpfs", 0, "size=4m,mode=0700") != 0)
    GTEST_SKIP() << "a small file system cannot be mounted here";
  const int status = test::run_child([&scratch] { return fill(scratch / "store"); });
  EXPECT_EQ(status, 0);
  EXPECT_GT(count_good(scratch / "store"), 20U);
  EXPECT_EQ(umount2(scratch.path().c_str(), MNT_DETACH), 0);
}

// LMDB's table of readers is memory that a file system backs.
TEST(StoreProcesses, AFileSystemThatIsFullAlreadyEndsNoProcess) {
  const ScratchDirectory scratch;
  if (mount("caisson-test", scratch.path().c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0)
    GTEST_SKIP() << "a small file system cannot be mounted here";
  const std::string path = scratch / "store";
  EXPECT_TRUE(open_artifact_store(path).value()->store(numbered_artifact(1)));
  const int filled = ::open((scratch / "filler").c_str(), O_WRONLY | O_CREAT, 0600);
  const std::vector<char> block(4096);
  while (write(filled, block.data(), block.size()) > 0) continue;
  close(filled);
  // So many readers in one moment that several pages of the table are used.
  const int status = test::run_child([&] {
    constexpr int kReaders = 200;
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    const auto environment = store::LmdbEnvironment::Handle::open(path, false, deadline);
    if (!environment) return 1;
    std::latch all_read(kReaders);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kReaders; ++thread) {
      threads.emplace_back([&] {
        const auto wait_for_all = [&all_read](const store::Transaction&) {
          all_read.arrive_and_wait();
          return 0;
        };
        wrong += (*environment)->read(wait_for_all, deadline) ? 0 : 1;
      });
    }
    for (std::thread& thread : threads) thread.join();
    return wrong == 0 ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(test::run_child([&] {
              const Result<StorePointer> made = open_artifact_store(scratch / "other");
              return !made && made.error().code == ErrorCode::kLimit ? 0 : 1;
            }),
            0);
  EXPECT_EQ(umount2(scratch.path().c_str(), MNT_DETACH), 0);
}

// A store under way when the address space is used up: an error, and the store goes on once there is room.
TEST(StoreProcesses, TooLittleAddressSpaceIsAnError) {
  if (test::kHasSanitizer) GTEST_SKIP() << "the sanitizers need the address space themselves";
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const int status = test::run_child([&path] {
    const StorePointer store = open_artifact_store(path).value();
    if (!store->store(numbered_artifact(0))) return 1;
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 50'000'000;
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
    Result<void> stored;
    for (std::uint64_t number = 1; stored && number < 200; ++number)
      stored = store->store(numbered_artifact(number, 200'000));
    if (stored || stored.error().code != ErrorCode::kOutOfMemory) return 3;
    if (!is_whole(*store, numbered_artifact(1, 200'000))) return 4;
    limit.rlim_cur = before;
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 5;
    return store->store(numbered_artifact(1000, 200'000)) && is_whole(*store, numbered_artifact(0)) ? 0 : 6;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace caisson
