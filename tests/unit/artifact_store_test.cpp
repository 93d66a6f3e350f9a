// Stores of artifacts: what is given back, what is refused, budgets, administration. artifact_store_processes_test.cpp has what
// several processes do to a store.
#include "caisson/artifact_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "caisson/artifact_administration.h"
#include "store/artifact_tables.h"
#include "store/lmdb_environment.h"
#include "support/child_process.h"
#include "support/sample_artifact.h"
#include "support/scratch_directory.h"

namespace caisson {
namespace {

using store::ArtifactTables;
using store::LmdbEnvironment;
using store::Transaction;
using test::expect_same;
using test::numbered_artifact;
using test::ScratchDirectory;
using test::small_artifact;

using StorePointer = std::shared_ptr<ArtifactStore>;
using Bytes = std::vector<std::uint8_t>;

const ArtifactContext kContext = small_artifact().context;

StorePointer open(const std::string& path, const ArtifactStoreOptions& options = {}) {
  Result<StorePointer> store = open_artifact_store(path, options);
  EXPECT_TRUE(store) << store.error().to_string();
  return store ? *store : nullptr;
}

// "given", "absent", "rejected", or an error.
std::string outcome(ArtifactStore& store, const CodeKey& key, const ArtifactContext& context = kContext) {
  bool rejected = false;
  const Result<std::optional<Artifact>> found = store.load(key, context, &rejected);
  if (!found) return found.error().to_string();
  if (found->has_value()) return rejected ? "given and rejected" : "given";
  return rejected ? "rejected" : "absent";
}

// Puts bytes into a store as they are.
void put_raw(const std::string& path, const CodeKey& key, const Bytes& container) {
  const store::Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto environment = LmdbEnvironment::Handle::open(path, true, deadline);
  ASSERT_TRUE(environment);
  const auto done =
      (*environment)
          ->write([&](const Transaction& transaction) { return ArtifactTables(transaction).put(key, container, 1); },
                  deadline, 1U << 30U);
  ASSERT_TRUE(done);
}

store::StoreKey key_of(const std::string& path) {
  const store::Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  return (*LmdbEnvironment::Handle::open(path, true, deadline))->key();
}

// Every kind of store, each with a store for itself.
struct Kind {
  const char* name;
  StorePointer (*make)(const std::string& path);
};

constexpr Kind kKinds[] = {
    {"Directory", [](const std::string& path) { return open(path); }},
    {"Memory", [](const std::string&) { return memory_artifact_store(); }},
    {"ReadThrough",
     [](const std::string& path) { return read_through_artifact_store(memory_artifact_store(), open(path)); }},
};

class EveryStore : public testing::TestWithParam<Kind> {
 protected:
  ScratchDirectory scratch_;
  StorePointer store_ = GetParam().make(scratch_ / "store");
};

TEST_P(EveryStore, GivesBackWhatWasStored) {
  std::mt19937_64 random(2);
  std::map<CodeKey, Artifact> stored;
  for (int round = 0; round < 40; ++round) {
    Artifact artifact = test::random_artifact(random);
    ASSERT_TRUE(store_->store(artifact));
    stored[artifact.key] = std::move(artifact);
  }
  for (const auto& [key, artifact] : stored) {
    const auto found = store_->load(key, artifact.context, nullptr);
    ASSERT_TRUE(found && found->has_value());
    expect_same(**found, artifact);
  }
  EXPECT_EQ(outcome(*store_, numbered_artifact(1).key), "absent");
}

TEST_P(EveryStore, ReplacesRemovesAndClears) {
  Artifact artifact = numbered_artifact(1);
  ASSERT_TRUE(store_->store(artifact));
  artifact.blob.code[0] ^= 1;
  artifact.tier = CodeTier::kBaseline;
  ASSERT_TRUE(store_->store(artifact));
  expect_same(**store_->load(artifact.key, kContext, nullptr), artifact);
  ASSERT_TRUE(store_->store(numbered_artifact(2)));
  ASSERT_TRUE(store_->store(numbered_artifact(3)));
  ASSERT_TRUE(store_->remove(artifact.key));
  ASSERT_TRUE(store_->remove(artifact.key));  // in order where there is none
  EXPECT_EQ(outcome(*store_, artifact.key), "absent");
  EXPECT_EQ(outcome(*store_, numbered_artifact(2).key), "given");
  ASSERT_TRUE(store_->clear());
  EXPECT_EQ(outcome(*store_, numbered_artifact(2).key), "absent");
  ASSERT_TRUE(store_->store(artifact));
  EXPECT_EQ(outcome(*store_, artifact.key), "given");
}

TEST_P(EveryStore, AnotherContextIsRejected) {
  ASSERT_TRUE(store_->store(small_artifact()));
  const CodeKey key = small_artifact().key;
  const auto changed = [](auto change) {
    ArtifactContext context = kContext;
    change(context);
    return context;
  };
  EXPECT_EQ(outcome(*store_, key), "given");
  // The artifact may use features 0 and 2.
  EXPECT_EQ(outcome(*store_, key, changed([](auto& context) { context.cpu_features = 7; })), "given");
  const ArtifactContext foreign[] = {changed([](auto& context) { context.cpu_features = 4; }),
                                     changed([](auto& context) { context.build_id[31] ^= 1; }),
                                     changed([](auto& context) { context.abi_hash[0] ^= 1; }),
                                     changed([](auto& context) { context.gas_hash[0] ^= 1; }),
                                     changed([](auto& context) { context.options_hash[0] ^= 1; })};
  for (const ArtifactContext& context : foreign) {
    EXPECT_EQ(outcome(*store_, key, context), "rejected");
    int given = 0;
    EXPECT_EQ(store_->load_all(context, [&given](Artifact&&) { ++given; }).value(), 1U);
    EXPECT_EQ(given, 0);
  }
}

TEST_P(EveryStore, LoadAllGivesEachOnceAndMayUseTheStore) {
  for (std::uint64_t number = 0; number < 20; ++number) ASSERT_TRUE(store_->store(numbered_artifact(number)));
  std::map<CodeKey, int> given;
  const auto rejected = store_->load_all(kContext, [&](Artifact&& artifact) {
    ++given[artifact.key];
    EXPECT_TRUE(store_->remove(artifact.key));
  });
  EXPECT_EQ(rejected.value(), 0U);
  EXPECT_EQ(given.size(), 20U);
  EXPECT_EQ(store_->load_all(kContext, [](Artifact&&) { FAIL(); }).value(), 0U);
}

TEST_P(EveryStore, ThreadsShareIt) {
  constexpr std::uint64_t kPerThread = 25;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t index = 0; index < kPerThread; ++index) {
        // 2 MiB in all for each: the map of a directory's store grows beneath the readers.
        const Artifact artifact = numbered_artifact(1000 * thread + index, 80'000);
        if (!store_->store(artifact)) ++wrong;
        const auto found = store_->load(artifact.key, kContext, nullptr);
        if (!found || !found->has_value() || (*found)->blob != artifact.blob) ++wrong;
        // Whatever another thread is doing to it, it is whole.
        bool rejected = false;
        if (!store_->load(numbered_artifact(1000 * ((thread + 1) % 4) + index).key, kContext, &rejected) || rejected)
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  std::uint64_t count = 0;
  EXPECT_EQ(store_->load_all(kContext, [&count](Artifact&&) { ++count; }).value(), 0U);
  EXPECT_EQ(count, 4 * kPerThread);
}

INSTANTIATE_TEST_SUITE_P(Stores, EveryStore, testing::ValuesIn(kKinds),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(MemoryStore, TheLeastRecentlyUsedMakesRoom) {
  const StorePointer store = memory_artifact_store(10'000);
  for (std::uint64_t number = 0; number < 3; ++number) ASSERT_TRUE(store->store(numbered_artifact(number, 3000)));
  EXPECT_EQ(outcome(*store, numbered_artifact(0).key), "given");
  ASSERT_TRUE(store->store(numbered_artifact(3, 3000)));
  EXPECT_EQ(outcome(*store, numbered_artifact(0).key), "given");
  EXPECT_EQ(outcome(*store, numbered_artifact(1).key), "absent");
  const Result<void> large = store->store(numbered_artifact(4, 10'001));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kLimit);
}

TEST(ReadThrough, KeepsWhatTheSharedStoreHas) {
  const StorePointer local = memory_artifact_store();
  const StorePointer shared = memory_artifact_store();
  const StorePointer both = read_through_artifact_store(local, shared);
  ASSERT_TRUE(shared->store(numbered_artifact(1)));
  EXPECT_EQ(outcome(*both, numbered_artifact(1).key), "given");
  EXPECT_EQ(outcome(*local, numbered_artifact(1).key), "given");
  ASSERT_TRUE(both->store(numbered_artifact(2)));
  EXPECT_EQ(outcome(*shared, numbered_artifact(2).key), "absent");
  int given = 0;
  EXPECT_EQ(both->load_all(kContext, [&given](Artifact&&) { ++given; }).value(), 0U);
  EXPECT_EQ(given, 2);
  ASSERT_TRUE(both->clear());
  EXPECT_EQ(outcome(*shared, numbered_artifact(1).key), "given");
}

TEST(DirectoryStore, IsThereAfterReopening) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "a/b/store";
  ASSERT_TRUE(open(path)->store(numbered_artifact(1)));
  expect_same(**open(path)->load(numbered_artifact(1).key, kContext, nullptr), numbered_artifact(1));
  // Two of one process.
  const StorePointer one = open(path);
  const StorePointer other = open(path);
  ASSERT_TRUE(one->store(numbered_artifact(2)));
  EXPECT_EQ(outcome(*other, numbered_artifact(2).key), "given");
  struct stat status{};
  for (const char* name : {"key", "data.mdb", "lock.mdb", "lock"}) {
    ASSERT_EQ(stat((path + "/" + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
  }
  ASSERT_EQ(stat((scratch / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
}

TEST(DirectoryStore, IsMadeOnlyWhereThatIsWanted) {
  const ScratchDirectory scratch;
  for (const std::string& path : {scratch / "absent", scratch.path()}) {
    const Result<StorePointer> store = open_artifact_store(path, {.create = false});
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::kNotFound);
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  EXPECT_EQ(open_artifact_store("").error().code, ErrorCode::kInvalidArgument);
}

TEST(DirectoryStore, WhatOthersCouldChangeIsRefused) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  ASSERT_TRUE(open(path)->store(numbered_artifact(1)));
  const auto refusal = [&path]() -> std::string {
    const Result<StorePointer> store = open_artifact_store(path);
    if (store) return "opened";
    EXPECT_EQ(store.error().code, ErrorCode::kPermission) << store.error().to_string();
    return store.error().to_string();
  };
  struct Row {
    std::string name;
    mode_t bad;
    mode_t good;
    const char* text;
  };
  const Row rows[] = {{path, 0770, 0700, "chmod go-w"},
                      {path, 0702, 0700, "chmod go-w"},
                      {path + "/key", 0640, 0600, "chmod go-rwx"},
                      {path + "/key", 0604, 0600, "chmod go-rwx"},
                      {path + "/data.mdb", 0620, 0600, "chmod go-w"},
                      {path + "/lock", 0602, 0600, "chmod go-w"},
                      {path + "/lock.mdb", 0660, 0600, "chmod go-w"}};
  for (const Row& row : rows) {
    ASSERT_EQ(chmod(row.name.c_str(), row.bad), 0);
    EXPECT_NE(refusal().find(row.text), std::string::npos) << row.name << ": " << refusal();
    EXPECT_TRUE(refusal().starts_with(row.name)) << refusal();
    ASSERT_EQ(chmod(row.name.c_str(), row.good), 0);
    EXPECT_EQ(refusal(), "opened");
  }
  if (geteuid() != 0) return;
  for (const std::string& name : {path, path + "/key", path + "/data.mdb", path + "/lock"}) {
    ASSERT_EQ(chown(name.c_str(), 12345, 0), 0);
    EXPECT_NE(refusal().find("belongs to user 12345"), std::string::npos) << name << ": " << refusal();
    ASSERT_EQ(chown(name.c_str(), 0, 0), 0);
    EXPECT_EQ(refusal(), "opened");
  }
}

TEST(DirectoryStore, AKeyMustBeAFileOf32Bytes) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  ASSERT_TRUE(open(path)->store(numbered_artifact(1)));
  std::filesystem::copy_file(path + "/key", scratch / "saved");
  for (const std::size_t size : {0U, 31U, 33U}) {
    std::filesystem::resize_file(path + "/key", size);
    const Result<StorePointer> store = open_artifact_store(path);
    ASSERT_FALSE(store) << size;
    EXPECT_EQ(store.error().code, ErrorCode::kInvalidImage);
  }
  std::filesystem::remove(path + "/key");
  std::filesystem::create_symlink(scratch / "saved", path + "/key");
  EXPECT_EQ(open_artifact_store(path).error().code, ErrorCode::kPermission);
  std::filesystem::remove(path + "/key");
  // A new key: what the old one sealed is void.
  std::ofstream(path + "/key.new") << "left by a process that was killed";
  const StorePointer store = open(path);
  EXPECT_EQ(outcome(*store, numbered_artifact(1).key), "rejected");
  EXPECT_FALSE(std::filesystem::exists(path + "/key.new"));
}

TEST(DirectoryStore, WhatFailsItsChecksIsRejected) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const StorePointer store = open(path, {.max_artifact_bytes = 10'000});
  const auto encoded = [&](const Artifact& artifact, const store::StoreKey& key) {
    return store::encode_artifact(artifact, key).value();
  };
  const store::StoreKey key = key_of(path);
  store::StoreKey other_key = key;
  other_key[0] ^= 1;
  Bytes damaged = encoded(numbered_artifact(1), key);
  damaged[damaged.size() / 2] ^= 1;
  put_raw(path, numbered_artifact(1).key, damaged);
  put_raw(path, numbered_artifact(2).key, encoded(numbered_artifact(2), other_key));
  put_raw(path, numbered_artifact(3).key, encoded(numbered_artifact(4), key));  // another's code
  put_raw(path, numbered_artifact(5).key, encoded(numbered_artifact(5, 20'000), key));
  put_raw(path, numbered_artifact(6).key, {});
  put_raw(path, numbered_artifact(7).key, Bytes(100'000));
  for (const std::uint64_t number : {1, 2, 3, 5, 6, 7})
    EXPECT_EQ(outcome(*store, numbered_artifact(number).key), "rejected") << number;
  ASSERT_TRUE(store->store(numbered_artifact(8)));
  int given = 0;
  EXPECT_EQ(store->load_all(kContext, [&given](Artifact&&) { ++given; }).value(), 6U);
  EXPECT_EQ(given, 1);
  // It is compiled again and replaces what was bad.
  ASSERT_TRUE(store->store(numbered_artifact(1)));
  EXPECT_EQ(outcome(*store, numbered_artifact(1).key), "given");
  EXPECT_EQ(store->store(numbered_artifact(9, 10'001)).error().code, ErrorCode::kLimit);
  Artifact nameless = numbered_artifact(9);
  nameless.guest_kind.clear();
  EXPECT_EQ(store->store(nameless).error().code, ErrorCode::kInvalidArgument);
}

TEST(DirectoryStore, TheLeastRecentlyUsedMakesRoom) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const StorePointer store = open(path, {.byte_budget = 100'000});
  for (std::uint64_t number = 0; number < 9; ++number) ASSERT_TRUE(store->store(numbered_artifact(number, 10'000)));
  EXPECT_EQ(outcome(*store, numbered_artifact(0).key), "given");
  for (std::uint64_t number = 9; number < 12; ++number) ASSERT_TRUE(store->store(numbered_artifact(number, 10'000)));
  EXPECT_EQ(outcome(*store, numbered_artifact(0).key), "given");
  EXPECT_EQ(outcome(*store, numbered_artifact(1).key), "absent");
  EXPECT_EQ(outcome(*store, numbered_artifact(11).key), "given");
  // For ever: the file does not grow with what was evicted.
  for (std::uint64_t number = 100; number < 400; ++number)
    ASSERT_TRUE(store->store(numbered_artifact(number, 1000 + 97 * (number % 300))));
  EXPECT_LT(std::filesystem::file_size(path + "/data.mdb"), 4'000'000U);
  const Result<void> large = store->store(numbered_artifact(1000, 200'000));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kLimit);
  EXPECT_EQ(outcome(*store, numbered_artifact(399).key), "given");
}

TEST(DirectoryStore, AnotherFormatIsUnsupported) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  {
    const store::Deadline deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const auto environment = LmdbEnvironment::Handle::open(path, true, deadline);
    ASSERT_TRUE(environment);
    const auto written =
        (*environment)
            ->write(
                [](const Transaction& transaction) {
                  std::uint64_t format = 2;
                  MDB_val key{.mv_size = 6, .mv_data = const_cast<char*>("format")};
                  MDB_val value{.mv_size = sizeof format, .mv_data = &format};
                  return mdb_put(transaction.handle, transaction.table(store::Table::kTotals), &key, &value, 0);
                },
                deadline, 1U << 30U);
    ASSERT_TRUE(written);
  }
  const Result<StorePointer> refused = open_artifact_store(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
}

TEST(DirectoryStore, TheMapGrows) {
  const ScratchDirectory scratch;
  const StorePointer store = open(scratch / "store");
  for (std::uint64_t number = 0; number < 12; ++number) ASSERT_TRUE(store->store(numbered_artifact(number, 5'000'000)));
  for (std::uint64_t number = 0; number < 12; ++number)
    EXPECT_EQ(outcome(*store, numbered_artifact(number).key), "given");
}

// A file cut short: an error, or artifacts that are rejected, and never the end of the process.
TEST(DirectoryStore, ATruncatedFileIsAnError) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  {
    const StorePointer store = open(path);
    for (std::uint64_t number = 0; number < 40; ++number) ASSERT_TRUE(store->store(numbered_artifact(number, 6000)));
  }
  const std::string data = path + "/data.mdb";
  std::filesystem::copy_file(data, scratch / "saved");
  const std::uint64_t size = std::filesystem::file_size(data);
  for (std::uint64_t cut = 0; cut < size; cut += 4096 * 3 + 1000) {
    std::filesystem::copy_file(scratch / "saved", data, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(data, cut);
    const int status = test::run_child([&] {
      const Result<StorePointer> store = open_artifact_store(path);
      if (!store) return store.error().message.empty() ? 1 : 0;
      std::uint64_t given = 0;
      (void)(*store)->load_all(kContext, [&given](Artifact&&) { ++given; });
      (void)(*store)->store(numbered_artifact(99));
      return given < 40 ? 0 : 2;
    });
    EXPECT_EQ(status, 0) << "cut to " << cut;
  }
}

TEST(Administration, TellsStatesAndCollectsGarbage) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const StorePointer store = open(path);
  for (std::uint64_t number = 0; number < 5; ++number) ASSERT_TRUE(store->store(numbered_artifact(number)));
  Bytes damaged = store::encode_artifact(numbered_artifact(5), key_of(path)).value();
  damaged[300] ^= 1;
  put_raw(path, numbered_artifact(5).key, damaged);
  Bytes later_format = damaged;
  later_format[8] = 9;
  put_raw(path, numbered_artifact(6).key, later_format);

  std::uint64_t told = 0;
  ArtifactInspection inspection{
      .is_usable = [](const StoredArtifact& artifact) { return artifact.label != "number 4"; },
      .progress = [&told](std::uint64_t, std::uint64_t) { ++told; }};
  for (const bool is_full : {false, true}) {
    inspection.is_full = is_full;
    const auto list = list_artifacts(path, inspection);
    ASSERT_TRUE(list);
    ASSERT_EQ(list->size(), 7U);
    for (std::uint64_t number = 0; number < 7; ++number) {
      const StoredArtifact& artifact = (*list)[number];
      EXPECT_EQ(artifact.key, numbered_artifact(number).key);
      const ArtifactState expected = number < 4    ? ArtifactState::kGood
                                     : number == 5 ? ArtifactState::kRejected
                                                   : ArtifactState::kForeign;
      EXPECT_EQ(artifact.state, expected) << number;
      EXPECT_EQ(artifact.reason.empty(), expected == ArtifactState::kGood);
    }
    EXPECT_EQ((*list)[0].label, "number 0");
    EXPECT_EQ((*list)[0].guest_kind, "riscv");
    EXPECT_GT((*list)[0].stored_bytes, 250U);
    EXPECT_EQ((*list)[0].body_bytes, store::body_bytes(numbered_artifact(0).blob));
  }
  EXPECT_EQ(told, 14U);

  const auto garbage = collect_artifact_garbage(path, inspection);
  ASSERT_TRUE(garbage) << garbage.error().to_string();
  EXPECT_EQ(garbage->rejected, 1U);
  EXPECT_EQ(garbage->foreign, 2U);
  EXPECT_EQ(garbage->evicted, 0U);
  EXPECT_GT(garbage->bytes_freed, damaged.size());
  const auto left = list_artifacts(path, inspection).value();
  ASSERT_EQ(left.size(), 4U);
  // Down to a budget: the oldest go.
  const auto smaller = collect_artifact_garbage(path, {}, {.byte_budget = 2 * left[0].stored_bytes + 100});
  EXPECT_EQ(smaller.value().evicted, 2U);
  EXPECT_EQ(outcome(*store, numbered_artifact(1).key), "absent");
  EXPECT_EQ(outcome(*store, numbered_artifact(3).key), "given");
  EXPECT_EQ(list_artifacts(scratch / "absent", {}).error().code, ErrorCode::kNotFound);
}

TEST(DefaultDirectory, FollowsTheEnvironment) {
  const int status = test::run_child([] {
    setenv("CAISSON_STORE", "/store", 1);
    setenv("XDG_CACHE_HOME", "/cache", 1);
    setenv("HOME", "/home/user", 1);
    if (default_artifact_directory() != "/store") return 1;
    setenv("CAISSON_STORE", "", 1);
    if (default_artifact_directory() != "/cache/caisson") return 2;
    setenv("XDG_CACHE_HOME", "relative", 1);
    if (default_artifact_directory() != "/home/user/.cache/caisson") return 3;
    unsetenv("HOME");
    return default_artifact_directory().error().code == ErrorCode::kNotFound ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace caisson
