#include "store/lmdb_environment.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <thread>
#include <tuple>

namespace caisson::store {
namespace {

constexpr std::uint64_t kFirstMapSize = 16U << 20U;
constexpr unsigned kLeastReaders = 400;           // places for transactions at a time, of all processes
constexpr std::uint64_t kLmdbLockBytes = 32U << 10U;  // has room for more than these; LMDB uses all of it
constexpr mdb_mode_t kFileMode = 0600;
constexpr std::uint64_t kUnknownFormat = ~std::uint64_t{0};
constexpr const char* kDataName = "data.mdb";
constexpr const char* kLmdbLockName = "lock.mdb";
constexpr std::chrono::milliseconds kPause{1};

// Whether `size` bytes could be mapped: LMDB gives up its map before it asks for a larger one.
bool can_map(std::uint64_t size) {
  void* const probe = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) return false;
  munmap(probe, size);
  return true;
}

MDB_val format_name() {
  static char name[] = "format";
  return {.mv_size = sizeof name - 1, .mv_data = name};
}

// The number that tells the format of the tables; 0 where none was written yet.
int read_format(MDB_txn* transaction, MDB_dbi totals, std::uint64_t& format) {
  MDB_val key = format_name();
  MDB_val value{};
  format = 0;
  const int code = mdb_get(transaction, totals, &key, &value);
  if (code == MDB_NOTFOUND) return 0;
  if (code != 0) return code;
  format = kUnknownFormat;
  if (value.mv_size == sizeof format) std::memcpy(&format, value.mv_data, sizeof format);
  return 0;
}

int write_format(MDB_txn* transaction, MDB_dbi totals, std::uint64_t format) {
  MDB_val key = format_name();
  MDB_val value{.mv_size = sizeof format, .mv_data = &format};
  return mdb_put(transaction, totals, &key, &value, 0);
}

}  // namespace

const StoreLayout kArtifactLayout = {.contents = "artifacts",
                                     .format = 1,
                                     .table_count = 4,
                                     .totals = static_cast<std::size_t>(Table::kTotals),
                                     .table_names = {"artifacts", "facts", "order", "totals"}};
const StoreLayout kCapabilityLayout = {
    .contents = "capabilities",
    .format = 0x1'0000'0001,
    .table_count = 6,
    .totals = static_cast<std::size_t>(CapabilityTable::kTotals),
    .table_names = {"capabilities", "facts", "order", "nodes", "node_counts", "totals"}};

LmdbEnvironment::LmdbEnvironment(StoreDirectory directory, const StoreLayout& layout)
    : process_(getpid()), directory_(std::move(directory)), layout_(layout), map_size_(kFirstMapSize) {}

LmdbEnvironment::~LmdbEnvironment() {
  // In a forked child, closing would free the parent's places in the table of readers.
  if (process_ == getpid()) close_files();
}

Result<std::unique_ptr<LmdbEnvironment>> LmdbEnvironment::make(StoreDirectory directory, bool create, Deadline deadline,
                                                               const StoreLayout& layout) {
  std::unique_ptr<LmdbEnvironment> made(new LmdbEnvironment(std::move(directory), layout));
  StoreDirectory& place = made->directory_;
  if (!create && access((place.path() + "/" + kDataName).c_str(), F_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("holds no store of {}", layout.contents), place.path());
  if (const auto opened = place.open_lock_file(); !opened) return std::unexpected(opened.error());
  if (const auto locked = place.lock(deadline); !locked) return std::unexpected(locked.error());
  // LMDB initialises its lock file under a lock that it waits for without a bound; ours is around it.
  Result<void> result;
  if (const Result<StoreKey> key = place.read_or_make_key(); key) {
    made->key_ = *key;
    result = made->open_files();
  } else {
    result = std::unexpected(key.error());
  }
  place.unlock();
  if (!result) return std::unexpected(result.error());
  return made;
}

Result<void> LmdbEnvironment::open_files() {
  for (const char* const name : {kDataName, kLmdbLockName}) {
    if (const Result<void> owner = directory_.check_file(name); !owner) return owner;
  }
  if (const Result<void> allocated = directory_.allocate_file(kLmdbLockName, kLmdbLockBytes); !allocated)
    return allocated;
  if (const int code = mdb_env_create(&environment_); code != 0) {
    environment_ = nullptr;
    return fail_with(code);
  }
  mdb_env_set_maxdbs(environment_, kMostTables);
  mdb_env_set_maxreaders(environment_, kLeastReaders);
  mdb_env_set_mapsize(environment_, map_size_);
  int code = mdb_env_open(environment_, directory_.path().c_str(), MDB_NOTLS, kFileMode);
  Result<void> result;
  if (code != 0) {
    result = fail_with(code);
  } else {
    result = check_opened_files();
    if (result) result = extend_to_last_page();
    if (result) result = open_tables();
  }
  if (!result) close_files();
  return result;
}

// LMDB opens by name; what it has opened must be what was checked.
Result<void> LmdbEnvironment::check_opened_files() {
  for (const char* const name : {kDataName, kLmdbLockName}) {
    if (const Result<void> owner = directory_.check_file(name); !owner) return owner;
  }
  int descriptor = -1;
  struct stat opened{};
  struct stat named{};
  mdb_env_get_fd(environment_, &descriptor);
  struct stat place{};
  if (fstat(descriptor, &opened) != 0 || stat((directory_.path() + "/" + kDataName).c_str(), &named) != 0 ||
      stat(directory_.path().c_str(), &place) != 0)
    return fail_with_errno(errno, "cannot examine", directory_.path());
  const bool is_same = opened.st_dev == named.st_dev && opened.st_ino == named.st_ino &&
                       StoreDirectory::Identity{place.st_dev, place.st_ino} == directory_.identity();
  if (!is_same) return fail(ErrorCode::kPermission, "was replaced while it was opened", directory_.path());
  return {};
}

// A file that something has cut short is filled with zeros. Pages that are missing are then an error of LMDB, or a container that
// does not authenticate, and no SIGBUS.
Result<void> LmdbEnvironment::extend_to_last_page() {
  MDB_envinfo info{};
  MDB_stat statistics{};
  int descriptor = -1;
  mdb_env_info(environment_, &info);
  mdb_env_stat(environment_, &statistics);
  mdb_env_get_fd(environment_, &descriptor);
  struct stat status{};
  if (fstat(descriptor, &status) != 0) return fail_with_errno(errno, "cannot examine", directory_.path());
  const auto needed = static_cast<off_t>((info.me_last_pgno + 1) * statistics.ms_psize);
  map_size_ = info.me_mapsize;
  if (status.st_size < needed && ftruncate(descriptor, needed) != 0)
    return fail_with_errno(errno, "cannot extend", directory_.path() + "/" + kDataName);
  return {};
}

Result<void> LmdbEnvironment::open_tables() {
  int dead = 0;
  mdb_reader_check(environment_, &dead);
  std::uint64_t format = 0;
  Result<void> synced;
  const int code = run(0, [&](const Transaction& transaction) {
    for (std::size_t index = 0; index < layout_.table_count; ++index) {
      if (const int error = mdb_dbi_open(transaction.handle, layout_.table_names[index], MDB_CREATE, &tables_[index]);
          error != 0)
        return error;
    }
    const MDB_dbi totals = tables_[layout_.totals];
    if (const int error = read_format(transaction.handle, totals, format); error != 0 || format != 0) return error;
    // A store counts as made once its files' names are durable.
    synced = directory_.sync();
    format = layout_.format;
    return synced ? write_format(transaction.handle, totals, format) : EIO;
  });
  if (!synced) return synced;
  if (code != 0) return fail_with(code);
  if (format != layout_.format) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("is no store of {}, or one of another version of the engine", layout_.contents),
                directory_.path());
  }
  return {};
}

void LmdbEnvironment::close_files() {
  if (environment_ != nullptr) mdb_env_close(environment_);
  environment_ = nullptr;
}

Result<void> LmdbEnvironment::check_process() const {
  if (process_ == getpid()) return {};
  return fail(ErrorCode::kInvalidArgument, "the store was opened before fork(); this process must open it itself",
              directory_.path());
}

// One transaction. The caller keeps the map from changing.
int LmdbEnvironment::run(unsigned flags, const Work& work) {
  if (environment_ == nullptr) return MDB_PANIC;
  Transaction transaction{nullptr, tables_};
  if (const int code = mdb_txn_begin(environment_, nullptr, flags, &transaction.handle); code != 0) return code;
  const int code = work(transaction);
  if (code != 0 || (flags & MDB_RDONLY) != 0) {
    mdb_txn_abort(transaction.handle);
    return code;
  }
  return mdb_txn_commit(transaction.handle);
}

Result<void> LmdbEnvironment::read(const Work& work, Deadline deadline) {
  if (const Result<void> process = check_process(); !process) return process;
  for (;;) {
    int code = 0;
    {
      // The gate lets a change of the map come before later transactions.
      std::unique_lock gate(gate_);
      const std::shared_lock in_use(map_in_use_);
      gate.unlock();
      code = run(MDB_RDONLY, work);
      if (code == MDB_READERS_FULL) {
        int dead = 0;
        mdb_reader_check(environment_, &dead);
      }
    }
    if (code == 0) return {};
    if (code == MDB_MAP_RESIZED) {
      code = adopt_map_size();
      if (code != 0) return fail_with(code);
    } else if (code != MDB_READERS_FULL || std::chrono::steady_clock::now() >= deadline) {
      return fail_with(code);
    } else {
      std::this_thread::sleep_for(kPause);
    }
  }
}

Result<WriteOutcome> LmdbEnvironment::write(const Work& work, Deadline deadline, std::uint64_t map_limit) {
  if (const Result<void> process = check_process(); !process) return std::unexpected(process.error());
  const std::unique_lock writer(writer_, deadline);
  if (!writer.owns_lock())
    return fail(ErrorCode::kBusy, "other threads have been writing to the store all the time", directory_.path());
  if (const Result<void> locked = directory_.lock(deadline); !locked) return std::unexpected(locked.error());
  struct Unlock {
    const StoreDirectory& directory;
    ~Unlock() { directory.unlock(); }
  } const unlock{directory_};

  bool is_repaired = false;
  for (;;) {
    int code = 0;
    {
      std::unique_lock gate(gate_);
      const std::shared_lock in_use(map_in_use_);
      gate.unlock();
      code = run(0, work);
    }
    if (code == 0) return WriteOutcome::kDone;
    if (code == MDB_MAP_RESIZED) {
      code = adopt_map_size();
    } else if (code == MDB_MAP_FULL) {
      code = grow(map_limit);
      if (code == MDB_MAP_FULL) return WriteOutcome::kMapFull;
    } else if (code == MDB_PANIC && !is_repaired) {
      is_repaired = true;
      if (const Result<void> repaired = repair_after(code); !repaired) return std::unexpected(repaired.error());
      code = 0;
    }
    if (code == 0) continue;
    if (code == EIO) code = cause_of_short_write();
    if (const Result<void> repaired = repair_after(code); !repaired) return std::unexpected(repaired.error());
    return fail_with(code);
  }
}

// A failed write of LMDB's last page, or of the map, leaves an environment that refuses everything. It is opened anew. The
// directory's lock must be held.
Result<void> LmdbEnvironment::repair_after(int code) {
  const std::scoped_lock gate(gate_);
  const std::scoped_lock exclusive(map_in_use_);
  const auto nothing = [](const Transaction&) { return 0; };
  if (code != MDB_PANIC && run(MDB_RDONLY, nothing) != MDB_PANIC) return {};
  close_files();
  return open_files();
}

// LMDB calls it EIO where the kernel could write only a part. One byte more tells why, behind all pages. The directory's lock must be held.
int LmdbEnvironment::cause_of_short_write() {
  const std::scoped_lock gate(gate_);
  const std::scoped_lock exclusive(map_in_use_);
  int descriptor = -1;
  struct stat status{};
  if (environment_ == nullptr || mdb_env_get_fd(environment_, &descriptor) != 0 || fstat(descriptor, &status) != 0)
    return EIO;
  constexpr char kByte = 0;
  if (pwrite(descriptor, &kByte, sizeof kByte, status.st_size) < 0) return errno;
  return ftruncate(descriptor, status.st_size) == 0 ? EIO : errno;
}

int LmdbEnvironment::grow(std::uint64_t map_limit) {
  const std::scoped_lock gate(gate_);
  const std::scoped_lock exclusive(map_in_use_);
  // Pages that dead readers seem to need are free.
  int dead = 0;
  mdb_reader_check(environment_, &dead);
  if (map_size_ >= map_limit) return dead > 0 ? 0 : MDB_MAP_FULL;
  const std::uint64_t page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const std::uint64_t size = (std::min(2 * map_size_, map_limit) + page - 1) / page * page;
  if (!can_map(size)) return ENOMEM;
  const int code = mdb_env_set_mapsize(environment_, size);
  if (code == 0) {
    map_size_ = size;
  } else {
    close_files();  // LMDB has no map now; the next write opens it anew
  }
  return code;
}

int LmdbEnvironment::adopt_map_size() {
  const std::scoped_lock gate(gate_);
  const std::scoped_lock exclusive(map_in_use_);
  if (environment_ == nullptr) return MDB_PANIC;
  int code = mdb_env_set_mapsize(environment_, 0);
  if (code != 0) {
    close_files();
    return code;
  }
  MDB_envinfo info{};
  mdb_env_info(environment_, &info);
  map_size_ = info.me_mapsize;
  return 0;
}

std::unexpected<Error> LmdbEnvironment::fail_with(int code) const {
  const std::string path = directory_.path() + "/" + kDataName;
  switch (code) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
      return fail(ErrorCode::kIo, fmt::format("is damaged ({}); remove the file to start afresh", mdb_strerror(code)),
                  path);
    case MDB_READERS_FULL:
      return fail(ErrorCode::kBusy, "all places for readers are taken", path);
    case MDB_PANIC:
      return fail(ErrorCode::kIo, "is closed after a failed write; the next write opens it", path);
    case MDB_MAP_FULL:
      return fail(ErrorCode::kLimit, "is as large as it may become", path);
    default:
      break;
  }
  if (code > 0) return fail_with_errno(code, "cannot read or write the store", path);
  return fail(ErrorCode::kIo, mdb_strerror(code), path);
}

// What a process has open of one directory.
struct LmdbEnvironment::Handle::Slot {
  const pid_t process = getpid();
  std::timed_mutex mutex;  // held while opening and closing, so that these never overlap
  unsigned users = 0;
  std::unique_ptr<LmdbEnvironment> environment;
};

// Slots stay for the life of the process. A forked child finds none of its parent's: the process is part of the key.
struct LmdbEnvironment::Handle::Registry {
  using Key = std::tuple<pid_t, StoreDirectory::Identity>;
  std::mutex mutex;
  std::map<Key, std::shared_ptr<Slot>> slots;

  static Registry& instance() {
    static Registry& registry = make();
    return registry;
  }

  std::shared_ptr<Slot> find_or_make(StoreDirectory::Identity identity) {
    const std::scoped_lock lock(mutex);
    std::shared_ptr<Slot>& slot = slots[{getpid(), identity}];
    if (!slot) slot = std::make_shared<Slot>();
    return slot;
  }

 private:
  // Never destroyed: handles may live in other static objects. The mutex is free in every child.
  static Registry& make() {
    auto& registry = *new Registry;
    pthread_atfork([] { instance().mutex.lock(); }, [] { instance().mutex.unlock(); },
                   [] { instance().mutex.unlock(); });
    return registry;
  }
};

LmdbEnvironment::Handle::Handle(std::shared_ptr<Slot> slot, LmdbEnvironment* environment)
    : slot_(std::move(slot)), environment_(environment) {}

Result<LmdbEnvironment::Handle> LmdbEnvironment::Handle::open(const std::string& path, bool create, Deadline deadline,
                                                              const StoreLayout& layout) {
  Result<StoreDirectory> directory = StoreDirectory::open(path, create);
  if (!directory) return std::unexpected(directory.error());
  std::shared_ptr<Slot> slot = Registry::instance().find_or_make(directory->identity());
  const std::unique_lock lock(slot->mutex, deadline);
  if (!lock.owns_lock()) return fail(ErrorCode::kBusy, "other threads have been opening the store all the time", path);
  if (!slot->environment) {
    Result<std::unique_ptr<LmdbEnvironment>> made = make(*std::move(directory), create, deadline, layout);
    if (!made) return std::unexpected(made.error());
    slot->environment = *std::move(made);
  } else if (&slot->environment->layout_ != &layout) {
    return fail(ErrorCode::kUnsupported, fmt::format("is no store of {}", layout.contents), path);
  }
  ++slot->users;
  return Handle(slot, slot->environment.get());
}

LmdbEnvironment::Handle::~Handle() {
  // A parent's slot may be locked for ever in its child.
  if (!slot_ || slot_->process != getpid()) return;
  const std::scoped_lock lock(slot_->mutex);
  if (--slot_->users == 0) slot_->environment.reset();
}

}  // namespace caisson::store
