// Stores of capabilities, in memory and in a directory: the same behaviour of both, beside a plain model; threads; costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "caisson/store.h"
#include "store/lmdb_environment.h"
#include "store/lmdb_values.h"
#include "support/sample_capability.h"
#include "support/scratch_directory.h"

namespace caisson {
namespace {

using test::numbered_page;
using Store = std::shared_ptr<CapabilityStore>;

Data numbered_data(std::uint64_t number, std::uint32_t pages = 1) {
  Data data = Data::zeros(pages);
  for (std::uint32_t index = 0; index < pages; ++index) data.set_page(index, numbered_page(number * 1000 + index + 1));
  return data;
}

CNode node_of(const std::vector<CNode::Reference>& references) {
  CNode node;
  for (std::size_t index = 0; index < references.size(); ++index)
    node.slots.push_back({static_cast<std::uint8_t>(index), references[index]});
  return node;
}

enum class Kind : std::uint8_t { kMemory, kDirectory };

class CapabilityStores : public testing::TestWithParam<Kind> {
 protected:
  // Another store of another directory each time.
  Store make(CapabilityStoreOptions options = {}) {
    if (GetParam() == Kind::kMemory) return CapabilityStore::in_memory(options);
    options.disk_budget = options.byte_budget;
    Result<Store> store = CapabilityStore::open(scratch_ / ("store" + std::to_string(made_++)), options);
    EXPECT_TRUE(store) << store.error().to_string();
    return *store;
  }

  const test::ScratchDirectory scratch_;
  int made_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, CapabilityStores, testing::Values(Kind::kMemory, Kind::kDirectory),
                         [](const auto& info) { return info.param == Kind::kMemory ? "Memory" : "Directory"; });

TEST_P(CapabilityStores, GiveBackWhatWasPut) {
  const Store store = make();
  const std::vector<Capability> all = {Data(),
                                       Data::zeros(70'000),
                                       test::sample_data(),
                                       numbered_data(1, 300),
                                       test::sample_image(),
                                       test::sample_cnode(),
                                       test::sample_instance()};
  for (const Capability& capability : all) {
    EXPECT_FALSE(store->contains(hash_of(capability)));
    EXPECT_EQ(store->get(hash_of(capability)).value(), nullptr);
    const Result<Hash> hash = store->put(capability);
    ASSERT_TRUE(hash) << hash.error().to_string();
    EXPECT_EQ(*hash, hash_of(capability));
    EXPECT_TRUE(store->contains(*hash));
    EXPECT_EQ(*store->get(*hash).value(), capability);
  }
  EXPECT_EQ(store->verify(nullptr).value(), 0U);
  const auto list = store->list().value();
  ASSERT_EQ(list.size(), all.size());
  EXPECT_TRUE(std::ranges::is_sorted(list, {}, &StoredCapability::hash));
  const auto data = std::ranges::find(list, hash_of(test::sample_data()), &StoredCapability::hash);
  EXPECT_EQ(data->kind, CapabilityKind::kData);
  EXPECT_EQ(data->references, 4U);  // of the caller, the image, the CNode and the instance
  const CapabilityStoreStats stats = store->stats();
  EXPECT_EQ(stats.capabilities, all.size());
  EXPECT_EQ(stats.referenced, all.size());
  EXPECT_EQ(stats.puts, all.size());
  EXPECT_EQ(stats.put_hits, 0U);
  EXPECT_EQ(stats.get_misses, all.size());
}

TEST_P(CapabilityStores, CountReferences) {
  const Store store = make();
  const Hash hash = store->put(numbered_data(1)).value();
  EXPECT_TRUE(store->put_with_hash(hash, numbered_data(1)));
  EXPECT_TRUE(store->retain(hash));
  EXPECT_EQ(store->list().value()[0].references, 3U);
  EXPECT_EQ(store->stats().put_hits, 1U);
  for (int round = 0; round < 3; ++round) EXPECT_TRUE(store->release(hash));
  EXPECT_EQ(store->release(hash).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(store->contains(hash));  // there is room
  EXPECT_EQ(store->stats().referenced, 0U);
  EXPECT_TRUE(store->retain(hash));
  EXPECT_EQ(store->gc().value(), 0U);
  EXPECT_TRUE(store->release(hash));
  EXPECT_EQ(store->gc().value(), 1U);
  EXPECT_FALSE(store->contains(hash));
  EXPECT_EQ(store->retain(hash).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->release(hash).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->get(hash).value(), nullptr);
  EXPECT_EQ(store->stats().bytes, 0U);
}

TEST_P(CapabilityStores, KeepWhatIsReferredTo) {
  const Store store = make();
  const CapabilityStoreStats before = store->stats();
  EXPECT_EQ(store->put(test::sample_image()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->put(test::sample_image()).error().where, hash_of(test::sample_data()).to_string());
  for (const Capability& capability : {Capability(test::sample_data()), Capability(test::sample_image()),
                                       Capability(test::sample_cnode()), Capability(test::sample_instance())})
    ASSERT_TRUE(store->put(capability));
  for (const Capability& capability :
       {Capability(test::sample_data()), Capability(test::sample_image()), Capability(test::sample_cnode())})
    ASSERT_TRUE(store->release(hash_of(capability)));
  EXPECT_EQ(store->gc().value(), 0U);
  EXPECT_EQ(store->stats().referenced, 4U);
  EXPECT_EQ(store->release(hash_of(test::sample_data())).error().code, ErrorCode::kInvalidArgument);
  // The whole chain goes with its head.
  ASSERT_TRUE(store->release(hash_of(test::sample_instance())));
  EXPECT_EQ(store->gc().value(), 4U);
  EXPECT_EQ(store->stats().bytes, before.bytes);
}

TEST_P(CapabilityStores, RefuseWhatIsWrong) {
  const Store store = make();
  Image image = test::sample_image();
  image.gas_schedule = 9;
  EXPECT_EQ(store->put(image).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->put_with_hash(hash_of(image), image).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->put_with_hash(hash_of(numbered_data(1)), numbered_data(2)).error().code,
            ErrorCode::kInvalidArgument);
  // Another kind under the hash of a Data.
  const Hash data = store->put(numbered_data(1)).value();
  EXPECT_EQ(store->put(node_of({{CapabilityKind::kImage, data}})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->stats().capabilities, 1U);
  EXPECT_EQ(store->list().value()[0].references, 1U);
}

TEST_P(CapabilityStores, BelieveHashesWhereTheyAreToldTo) {
  const Store store = make({.trusted = true});
  const Hash claimed = hash_of(numbered_data(1));
  EXPECT_TRUE(store->put_with_hash(claimed, numbered_data(2)));
  std::string reason;
  EXPECT_EQ(store->verify([&reason](const StoredCapability&, const std::string& told) { reason = told; }).value(), 1U);
  EXPECT_NE(reason.find("another hash"), std::string::npos);
}

TEST_P(CapabilityStores, DropTheOldestOfWhatNobodyRefersTo) {
  constexpr std::uint64_t kBudget = 30 * 8192;
  const Store store = make({.byte_budget = kBudget});
  std::vector<Hash> hashes;
  for (std::uint64_t number = 0; number < 100; ++number) {
    hashes.push_back(store->put(numbered_data(number)).value());
    ASSERT_TRUE(store->release(hashes.back()));
    ASSERT_LE(store->stats().bytes, kBudget);
  }
  // What is left are the last ones.
  std::vector<bool> is_there;
  for (const Hash& hash : hashes) is_there.push_back(store->contains(hash));
  EXPECT_TRUE(std::ranges::is_sorted(is_there));
  EXPECT_GT(std::ranges::count(is_there, true), 10);
  EXPECT_FALSE(is_there[0]);
  EXPECT_GT(store->stats().evicted, 40U);
  // What is referred to is never dropped: then there is no room.
  Result<Hash> last;
  std::uint64_t count = 0;
  for (; count < 100 && (last = store->put(numbered_data(1000 + count))); ++count) continue;
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::kLimit);
  EXPECT_FALSE(store->contains(hash_of(numbered_data(1000 + count))));
  for (std::uint64_t number = 0; number < count; ++number)
    EXPECT_EQ(*store->get(hash_of(numbered_data(1000 + number))).value(), Capability(numbered_data(1000 + number)));
  ASSERT_TRUE(store->release(hash_of(numbered_data(1000))));
  EXPECT_TRUE(store->put(numbered_data(5000)));
  EXPECT_FALSE(store->contains(hash_of(numbered_data(1000))));
}

TEST_P(CapabilityStores, PagesOfCopiesCountOnce) {
  const Store store = make();
  Data data = numbered_data(1, 1000);
  ASSERT_TRUE(store->put(data));
  const std::uint64_t one = store->stats().bytes;
  EXPECT_GT(one, 1000 * kCapabilityPageSize);
  for (std::uint64_t round = 0; round < 10; ++round) {
    data.set_page(500, numbered_page(7'000'000 + round));
    ASSERT_TRUE(store->put(data));
  }
  const std::uint64_t eleven = store->stats().bytes;
  EXPECT_GT(eleven, one + 10 * kCapabilityPageSize);
  EXPECT_LT(eleven, one + 10 * 6 * kCapabilityPageSize);
  for (const StoredCapability& stored : store->list().value()) ASSERT_TRUE(store->release(stored.hash));
  EXPECT_EQ(store->gc().value(), 11U);
  EXPECT_EQ(store->stats().bytes, 0U);
}

// --- a model

struct ModelEntry {
  Capability capability;
  std::uint64_t callers = 0;
  std::uint64_t capabilities = 0;
};

class Model {
 public:
  bool put(const Capability& capability) {
    const Hash hash = hash_of(capability);
    if (!entries_.contains(hash)) {
      for (const auto& target : references_of(capability)) {
        if (!entries_.contains(target.hash)) return false;
      }
      for (const auto& target : references_of(capability)) ++entries_[target.hash].capabilities;
      entries_[hash].capability = capability;
    }
    ++entries_[hash].callers;
    return true;
  }
  bool release(const Hash& hash) {
    const auto entry = entries_.find(hash);
    if (entry == entries_.end() || entry->second.callers == 0) return false;
    --entry->second.callers;
    return true;
  }
  std::uint64_t gc() {
    std::uint64_t dropped = 0;
    for (bool more = true; more;) {
      more = false;
      for (auto entry = entries_.begin(); entry != entries_.end();) {
        if (entry->second.callers != 0 || entry->second.capabilities != 0) {
          ++entry;
          continue;
        }
        for (const auto& target : references_of(entry->second.capability)) --entries_[target.hash].capabilities;
        entry = entries_.erase(entry);
        ++dropped;
        more = true;
      }
    }
    return dropped;
  }
  const std::map<Hash, ModelEntry>& entries() const { return entries_; }

 private:
  std::map<Hash, ModelEntry> entries_;
};

void expect_same(CapabilityStore& store, const Model& model) {
  const auto list = store.list().value();
  ASSERT_EQ(list.size(), model.entries().size());
  auto expected = model.entries().begin();
  for (const StoredCapability& stored : list) {
    ASSERT_EQ(stored.hash, expected->first);
    ASSERT_EQ(stored.references, expected->second.callers + expected->second.capabilities);
    ASSERT_EQ(*store.get(stored.hash).value(), expected->second.capability);
    ++expected;
  }
}

TEST_P(CapabilityStores, AreAsAModel) {
  std::mt19937_64 random(6);
  // In a directory every step waits for the disk.
  const int rounds = GetParam() == Kind::kMemory ? 20 : 1;
  for (int round = 0; round < rounds; ++round) {
    const Store store = make();
    Model model;
    std::vector<Capability> known;  // put at some time, there or not
    for (int step = 0; step < 600; ++step) {
      const Capability* chosen = known.empty() ? nullptr : &known[random() % known.size()];
      switch (random() % 6) {
        case 0: {
          Data data = numbered_data(random() % 20, static_cast<std::uint32_t>(random() % 40));
          if (const Data* const base = chosen ? std::get_if<Data>(chosen) : nullptr; base && base->page_count() > 0) {
            data = *base;
            data.set_page(static_cast<std::uint32_t>(random() % data.page_count()), numbered_page(random() % 50 + 1));
          }
          known.push_back(data);
          chosen = &known.back();
          [[fallthrough]];
        }
        case 1:
          if (chosen) ASSERT_EQ(store->put(*chosen).has_value(), model.put(*chosen));
          break;
        case 2: {
          std::vector<CNode::Reference> references;
          for (std::uint64_t count = random() % 5; count > 0 && chosen; --count) {
            const Capability& target = known[random() % known.size()];
            references.push_back({kind_of(target), hash_of(target)});
          }
          const Capability node = node_of(references);
          ASSERT_EQ(store->put_with_hash(hash_of(node), node).has_value(), model.put(node));
          known.push_back(node);
          break;
        }
        case 5:
          if (random() % 8 == 0) ASSERT_EQ(store->gc().value(), model.gc());
          break;
        default:
          if (chosen) ASSERT_EQ(store->release(hash_of(*chosen)).has_value(), model.release(hash_of(*chosen)));
      }
    }
    expect_same(*store, model);
    ASSERT_EQ(store->verify(nullptr).value(), 0U);
    ASSERT_EQ(store->gc().value(), model.gc());
    expect_same(*store, model);
    for (const auto& [hash, entry] : model.entries()) {
      for (std::uint64_t count = entry.callers; count > 0; --count) ASSERT_TRUE(store->release(hash));
    }
    store->gc().value();
    EXPECT_EQ(store->stats().capabilities, 0U);
    EXPECT_EQ(store->stats().bytes, 0U);
  }
}

// Threads put, get and release the same and different ones, within a budget that makes room all the time.
TEST_P(CapabilityStores, ServeThreads) {
  const Store store = make({.byte_budget = 60 * 8192});
  const int rounds = GetParam() == Kind::kMemory ? 3000 : 60;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random(thread);
      for (int round = 0; round < rounds; ++round) {
        const Data data = numbered_data(random() % 40);
        const Result<Hash> hash = store->put(data);
        if (!hash) {
          ++wrong;
          continue;
        }
        const Capability node = node_of({{CapabilityKind::kData, *hash}});
        const Result<Hash> node_hash = store->put(node);
        if (!node_hash) ++wrong;
        if (!store->release(*hash)) ++wrong;
        // The node keeps it.
        const auto found = store->get(*hash);
        if (!found || !*found || **found != Capability(data)) ++wrong;
        if (node_hash && !store->release(*node_hash)) ++wrong;
        if (round % 50 == 0 && !store->gc()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store->verify(nullptr).value(), 0U);
  store->gc().value();
  EXPECT_EQ(store->stats().capabilities, 0U);
  EXPECT_EQ(store->stats().bytes, 0U);
}

// --- the directory

std::size_t count_entries(const std::string& path, store::CapabilityTable table) {
  const auto environment = store::LmdbEnvironment::Handle::open(
      path, false, std::chrono::steady_clock::now() + std::chrono::seconds(10), store::kCapabilityLayout);
  MDB_stat statistics{};
  EXPECT_TRUE((*environment)
                  ->read(
                      [&](const store::Transaction& transaction) {
                        return mdb_stat(transaction.handle, transaction.table(table), &statistics);
                      },
                      std::chrono::steady_clock::now() + std::chrono::seconds(10)));
  return statistics.ms_entries;
}

// Changes each value of a table.
void change_values(const std::string& path, store::CapabilityTable table,
                   const std::function<void(std::vector<std::uint8_t>&)>& change) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto environment = store::LmdbEnvironment::Handle::open(path, false, deadline, store::kCapabilityLayout);
  const auto work = [&](const store::Transaction& transaction) {
    std::map<std::vector<std::uint8_t>, std::vector<std::uint8_t>> rows;
    {
      const store::Cursor cursor(transaction.handle, transaction.table(table));
      MDB_val key{};
      MDB_val value{};
      for (MDB_cursor_op where = MDB_FIRST; cursor.move(where, key, value) == 0; where = MDB_NEXT) {
        const auto key_bytes = store::from_lmdb(key);
        const auto value_bytes = store::from_lmdb(value);
        rows[{key_bytes.begin(), key_bytes.end()}] = {value_bytes.begin(), value_bytes.end()};
      }
    }
    for (auto& [key, value] : rows) {
      change(value);
      if (const int code = store::put_in_table(transaction.handle, transaction.table(table), key, value); code != 0)
        return code;
    }
    return 0;
  };
  ASSERT_TRUE((*environment)->write(work, deadline, 1U << 30));
}

TEST(CapabilityDirectory, OutlivesItsProcessAndIsShared) {
  const test::ScratchDirectory scratch;
  const std::string path = scratch / "a/store";
  {
    const Store store = CapabilityStore::open(path).value();
    ASSERT_TRUE(store->put(test::sample_data()));
    ASSERT_TRUE(store->put(test::sample_image()));
    ASSERT_TRUE(store->put(test::sample_image()));
  }
  const Store store = CapabilityStore::open(path, {.create = false}).value();
  EXPECT_EQ(*store->get(hash_of(test::sample_data())).value(), Capability(test::sample_data()));
  EXPECT_EQ(*store->get(hash_of(test::sample_image())).value(), Capability(test::sample_image()));
  for (int round = 0; round < 2; ++round) EXPECT_TRUE(store->release(hash_of(test::sample_image())));
  EXPECT_FALSE(store->release(hash_of(test::sample_image())));
  // Another handle's change is seen, whatever is cached.
  EXPECT_EQ(CapabilityStore::open(path).value()->gc().value(), 1U);
  EXPECT_EQ(store->get(hash_of(test::sample_image())).value(), nullptr);
}

TEST(CapabilityDirectory, IsNoStoreOfArtifacts) {
  const test::ScratchDirectory scratch;
  EXPECT_EQ(CapabilityStore::open(scratch / "absent", {.create = false}).error().code, ErrorCode::kNotFound);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  ASSERT_TRUE(store::LmdbEnvironment::Handle::open(scratch / "artifacts", true, deadline));
  EXPECT_EQ(CapabilityStore::open(scratch / "artifacts").error().code, ErrorCode::kUnsupported);
  ASSERT_TRUE(CapabilityStore::open(scratch / "capabilities"));
  EXPECT_EQ(store::LmdbEnvironment::Handle::open(scratch / "capabilities", true, deadline).error().code,
            ErrorCode::kUnsupported);
}

// 64 MiB, of which 10 pages are new: 10 pages are written, and the nodes above them.
TEST(CapabilityDirectory, WritesWhatIsNew) {
  const test::ScratchDirectory scratch;
  const std::string path = scratch / "store";
  const Store store = CapabilityStore::open(path).value();
  constexpr std::uint32_t kPages = 16'384;
  Data data = numbered_data(1, kPages);
  ASSERT_TRUE(store->put(data));
  const std::size_t nodes = count_entries(path, store::CapabilityTable::kNodes);
  EXPECT_EQ(nodes, kPages + kPages / 16 + kPages / 256 + kPages / 4096 + 1);
  const std::uint64_t bytes = store->stats().bytes;
  for (std::uint32_t page = 0; page < 10; ++page) data.set_page(1638 * page, numbered_page(900'000'000 + page));
  const Hash hash = store->put(data).value();
  EXPECT_EQ(count_entries(path, store::CapabilityTable::kNodes), nodes + 10 + 10 + 10 + 4 + 1);
  EXPECT_LT(store->stats().bytes, bytes + 10 * 4096 + 25 * 700 + 10 * 200);
  const Store fresh = CapabilityStore::open(path).value();
  EXPECT_EQ(*fresh->get(hash).value(), Capability(data));
}

TEST(CapabilityDirectory, DamageIsFoundAndMadeGoodByAPut) {
  using store::CapabilityTable;
  const Data data = numbered_data(3, 40);
  for (const CapabilityTable table :
       {CapabilityTable::kRecords, CapabilityTable::kNodes, CapabilityTable::kNodeCounts}) {
    // In the last byte, in the first, a byte less, nothing left.
    for (int way = 0; way < 4; ++way) {
      if (table == CapabilityTable::kNodeCounts && way == 1) continue;  // a wrong count alone damages no value
      const test::ScratchDirectory scratch;
      const std::string path = scratch / "store";
      const Hash hash = CapabilityStore::open(path).value()->put(data).value();
      change_values(path, table, [way](std::vector<std::uint8_t>& value) {
        if (way == 0) value.back() ^= 1;
        if (way == 1) value.front() ^= 1;
        if (way == 2) value.pop_back();
        if (way == 3) value.clear();
      });
      const Store store = CapabilityStore::open(path).value();
      std::vector<Hash> damaged;
      EXPECT_EQ(store
                    ->verify([&](const StoredCapability& stored, const std::string& reason) {
                      damaged.push_back(stored.hash);
                      EXPECT_FALSE(reason.empty());
                    })
                    .value(),
                1U);
      EXPECT_EQ(damaged, std::vector<Hash>{hash});
      const auto found = store->get(hash);
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().code, ErrorCode::kInvalidImage);
      EXPECT_EQ(found.error().where, hash.to_string());
      EXPECT_EQ(store->get(hash).value(), nullptr);
      EXPECT_FALSE(store->contains(hash));
      EXPECT_EQ(store->stats().rejected, 1U);
      ASSERT_TRUE(store->put(data));
      EXPECT_EQ(*store->get(hash).value(), Capability(data));
      EXPECT_EQ(store->verify(nullptr).value(), 0U);
    }
  }
}

}  // namespace
}  // namespace caisson
