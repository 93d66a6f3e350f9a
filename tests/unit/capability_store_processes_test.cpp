// What several processes, killed ones and full disks do to a store of capabilities.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <set>
#include <thread>

#include "caisson/store.h"
#include "support/child_process.h"
#include "support/sample_capability.h"
#include "support/scratch_directory.h"

namespace caisson {
namespace {

using test::numbered_page;
using test::ScratchDirectory;
using Store = std::shared_ptr<CapabilityStore>;

// Shares all but one of its pages with those of other numbers.
Data numbered_data(std::uint32_t number) {
  Data data = Data::zeros(100);
  for (std::uint32_t index = 0; index < 40; ++index) data.set_page(index, numbered_page(index + 1));
  data.set_page(50 + number % 50, numbered_page(1'000'000 + number));
  return data;
}

CNode numbered_node(std::uint32_t number) {
  return {{{static_cast<std::uint8_t>(number), {CapabilityKind::kData, hash_of(numbered_data(number))}}}};
}

// Puts a Data and a CNode that refers to it, gives the Data back, drops every third pair, and tells the number of each that is done.
int put_until_killed(const std::string& path, int acknowledged, std::uint32_t first) {
  const Result<Store> store = CapabilityStore::open(path);
  if (!store) return 1;
  for (std::uint32_t number = first;; ++number) {
    if (!(*store)->put(numbered_data(number)) || !(*store)->put(numbered_node(number))) return 2;
    if (!(*store)->release(hash_of(numbered_data(number)))) return 3;
    if (number % 3 == 0) {
      if (!(*store)->release(hash_of(numbered_node(number))) || !(*store)->gc()) return 4;
    }
    if (write(acknowledged, &number, sizeof number) != static_cast<ssize_t>(sizeof number)) return 5;
  }
}

TEST(CapabilityProcesses, KilledOnesLoseNothingThatWasReturned) {
  constexpr int kKills = 200;
  constexpr std::uint32_t kNumbersEach = 1000;
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  std::mt19937_64 random(8);
  std::vector<std::uint32_t> all;
  for (int round = 0; round < kKills; ++round) {
    int acknowledged[2];
    ASSERT_EQ(pipe(acknowledged), 0);
    const std::uint32_t first = kNumbersEach * static_cast<std::uint32_t>(round);
    const pid_t child = test::start_child([&] { return put_until_killed(path, acknowledged[1], first); });
    close(acknowledged[1]);
    // Every other one is killed while it is at it, however busy the machine is; the rest may still be opening the store.
    constexpr int kMostWait = 10'000;  // ms
    pollfd first_one{.fd = acknowledged[0], .events = POLLIN, .revents = 0};
    if (round % 2 == 0) poll(&first_one, 1, kMostWait);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 30'000));
    kill(child, SIGKILL);
    EXPECT_EQ(test::wait_for_child(child), 128 + SIGKILL);
    std::uint32_t number = 0;
    while (read(acknowledged[0], &number, sizeof number) == static_cast<ssize_t>(sizeof number)) all.push_back(number);
    close(acknowledged[0]);
  }
  const Store store = CapabilityStore::open(path).value();
  EXPECT_EQ(store->verify(nullptr).value(), 0U);
  std::uint64_t kept = 0;
  for (const std::uint32_t number : all) {
    const bool is_kept = number % 3 != 0;
    kept += is_kept ? 2 : 0;
    const auto data = store->get(hash_of(numbered_data(number))).value();
    const auto node = store->get(hash_of(numbered_node(number))).value();
    ASSERT_EQ(data != nullptr, is_kept) << number;
    ASSERT_EQ(node != nullptr, is_kept) << number;
    if (is_kept) {
      ASSERT_EQ(*data, Capability(numbered_data(number)));
      ASSERT_EQ(*node, Capability(numbered_node(number)));
    }
  }
  EXPECT_GE(all.size(), kKills / 2) << "the processes came to nothing";
  // The reference counts are right to the last: what was kept can be given back, and then the store is empty.
  for (const std::uint32_t number : all) {
    if (number % 3 != 0) ASSERT_TRUE(store->release(hash_of(numbered_node(number))));
  }
  // Each may have been about to tell of one more pair, of which the Data, the node or both have their callers still.
  for (const StoredCapability& stored : store->list().value()) {
    while (store->release(stored.hash)) continue;
  }
  EXPECT_GE(store->gc().value(), kept > 0 ? 2U : 0U);
  EXPECT_EQ(store->stats().capabilities, 0U);
  EXPECT_EQ(store->stats().bytes, 0U);
}

TEST(CapabilityProcesses, ShareAStore) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  std::vector<pid_t> children;
  for (std::uint32_t process = 0; process < 4; ++process) {
    children.push_back(test::start_child([&path, process] {
      const Result<Store> store = CapabilityStore::open(path);
      if (!store) return 1;
      for (std::uint32_t number = 0; number < 20; ++number) {
        if (!(*store)->put(numbered_data(number)) || !(*store)->put(numbered_data(1000 * process + number))) return 2;
        const auto found = (*store)->get(hash_of(numbered_data(number)));
        if (!found || !*found || **found != Capability(numbered_data(number))) return 3;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(test::wait_for_child(child), 0);
  const Store store = CapabilityStore::open(path).value();
  EXPECT_EQ(store->verify(nullptr).value(), 0U);
  EXPECT_EQ(store->stats().capabilities, 80U);
  std::set<Hash> common;
  for (std::uint32_t number = 0; number < 20; ++number) common.insert(hash_of(numbered_data(number)));
  for (const StoredCapability& stored : store->list().value()) {
    const bool is_common = common.contains(stored.hash);
    EXPECT_EQ(stored.references, is_common ? 5U : 1U);
  }
}

TEST(CapabilityProcesses, AChildOpensItsOwn) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const Store store = CapabilityStore::open(path).value();
  ASSERT_TRUE(store->put(numbered_data(1)));
  EXPECT_EQ(test::run_child([&] {
              if (store->put(numbered_data(2)).error().code != ErrorCode::kInvalidArgument) return 1;
              if (store->get(hash_of(numbered_data(3))).error().code != ErrorCode::kInvalidArgument) return 2;
              return CapabilityStore::open(path).value()->put(numbered_data(2)) ? 0 : 3;
            }),
            0);
  EXPECT_EQ(*store->get(hash_of(numbered_data(2))).value(), Capability(numbered_data(2)));
}

TEST(CapabilityProcesses, AFullDiskIsALimit) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const int status = test::run_child([&path] {
    constexpr rlim_t kMost = 4'000'000;
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{kMost, kMost};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const Store store = CapabilityStore::open(path).value();
    std::uint32_t count = 0;
    Result<Hash> put;
    while (count < 2000 && (put = store->put(numbered_data(count)))) ++count;
    if (put || put.error().code != ErrorCode::kLimit) return 2;
    if (count < 20) return 3;
    for (std::uint32_t number = 0; number < count; ++number) {
      const auto found = store->get(hash_of(numbered_data(number)));
      if (!found || !*found || **found != Capability(numbered_data(number))) return 4;
    }
    return store->contains(hash_of(numbered_data(count))) ? 5 : 0;
  });
  EXPECT_EQ(status, 0);
  const Store store = CapabilityStore::open(path).value();
  EXPECT_EQ(store->verify(nullptr).value(), 0U);
  EXPECT_TRUE(store->put(numbered_data(5000)));
}

}  // namespace
}  // namespace caisson
