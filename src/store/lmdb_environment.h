// One LMDB environment per store directory and process: transactions whose waits are bounded, a map that grows.
//
// LMDB's rules that this file is about: a process opens a database once at a time; nobody uses a parent's after fork(); the map changes
// its size only while no transaction of the process is running; a writer's mutex is waited for without a bound, so here the lock of
// store_directory.h comes first.
//
// Thread safety: everything may be called from any thread. After fork() every call in the child is kInvalidArgument; open() there
// gives the child its own.
#pragma once

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>

#include "store/store_directory.h"

namespace caisson::store {

// Named databases of a store of artifacts.
enum class Table : std::uint8_t {
  kArtifacts,  // CodeKey → container
  kFacts,  // CodeKey → what is known beside it (artifact_tables.h)
  kOrder,  // number, big-endian → CodeKey: the order of eviction
  kTotals,  // "format", "bytes" → number
};

// Those of a store of capabilities (capability_tables.h).
enum class CapabilityTable : std::uint8_t {
  kRecords,  // hash → record
  kFacts,  // hash → who refers to it, and its place in the order
  kOrder,  // number, big-endian → hash: the order of eviction of what nobody refers to
  kNodes,  // height and hash → a page, or the hashes of a node's children
  kNodeCounts,  // height and hash → how many refer to it
  kTotals,  // "format", "bytes" → number
};
inline constexpr std::size_t kMostTables = 6;

// What kind of store an environment is.
struct StoreLayout {
  std::string_view contents;  // for people
  std::uint64_t format;  // of the tables; no two layouts have the same
  std::size_t table_count;
  std::size_t totals;  // the index of the table that holds the format
  std::array<const char*, kMostTables> table_names;
};
extern const StoreLayout kArtifactLayout;
extern const StoreLayout kCapabilityLayout;

struct Transaction {
  MDB_txn* handle = nullptr;
  std::array<MDB_dbi, kMostTables> tables{};
  MDB_dbi table(Table which) const { return tables[static_cast<std::size_t>(which)]; }
  MDB_dbi table(CapabilityTable which) const { return tables[static_cast<std::size_t>(which)]; }
};

// Runs in a transaction and answers 0 or LMDB's code, which undoes it. It may run several times: only what it does to captured
// variables lasts from one to the next.
using Work = std::function<int(const Transaction&)>;

enum class WriteOutcome : std::uint8_t {
  kDone,  // committed and durable
  kMapFull,  // nothing changed: the map has reached its limit
};

class LmdbEnvironment {
 public:
  // Keeps the process's environment of a directory open.
  class Handle;

  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;
  ~LmdbEnvironment();

  const StoreKey& key() const { return key_; }

  // Errors: kBusy (no reader's place before the deadline), kIo, kOutOfMemory, kInvalidArgument (after fork).
  Result<void> read(const Work& work, Deadline deadline);

  // Atomic and durable once it has returned. The map grows up to `map_limit` bytes. Errors: those of read(), kLimit (a full disk);
  // kBusy is also told where other processes or threads have been writing until the deadline.
  Result<WriteOutcome> write(const Work& work, Deadline deadline, std::uint64_t map_limit);

 private:
  LmdbEnvironment(StoreDirectory directory, const StoreLayout& layout);
  static Result<std::unique_ptr<LmdbEnvironment>> make(StoreDirectory directory, bool create, Deadline deadline,
                                                       const StoreLayout& layout);

  Result<void> check_process() const;
  Result<void> open_files();
  Result<void> check_opened_files();
  Result<void> extend_to_last_page();
  Result<void> open_tables();
  void close_files();
  int cause_of_short_write();
  int grow(std::uint64_t map_limit);
  int adopt_map_size();
  Result<void> repair_after(int code);
  int run(unsigned flags, const Work& work);
  std::unexpected<Error> fail_with(int code) const;

  const pid_t process_;
  StoreDirectory directory_;
  const StoreLayout& layout_;
  StoreKey key_{};
  MDB_env* environment_ = nullptr;  // none where reopening has failed
  std::array<MDB_dbi, kMostTables> tables_{};
  std::uint64_t map_size_;

  std::timed_mutex writer_;  // one thread at a time goes for the directory's lock
  std::mutex gate_;  // held by who is about to change the map: new transactions wait here
  std::shared_mutex map_in_use_;  // shared by transactions, exclusive while the map changes
};

class LmdbEnvironment::Handle {
 public:
  // Opens, or shares what the process has open. Errors: those of StoreDirectory, kBusy, kUnsupported (another format or layout), kIo;
  // kNotFound where there is no store and none is to be made.
  static Result<Handle> open(const std::string& path, bool create, Deadline deadline,
                             const StoreLayout& layout = kArtifactLayout);

  Handle(Handle&&) noexcept = default;
  Handle& operator=(Handle&&) = delete;
  ~Handle();

  LmdbEnvironment* operator->() const { return environment_; }

 private:
  struct Slot;
  struct Registry;
  Handle(std::shared_ptr<Slot> slot, LmdbEnvironment* environment);

  std::shared_ptr<Slot> slot_;
  LmdbEnvironment* environment_;
};

}  // namespace caisson::store
