// memory/: guest address spaces.
//
// An AddressSpace is one guest's 4 GiB window of host address space with guard regions on both sides. Guest address A
// lies at base() + A; loads and stores compute A modulo 2^32, so no tier needs a bounds check: what is not mapped, or not
// permitted, faults in the host and comes back as a value (fault_recovery.h). R and W are the host's page protection;
// X is a flag that the tiers check at fetch and that implies R; guest pages are never host-executable.
// memory/ knows nothing of instructions, ELF or Linux: mmap's semantics live in linux/, built from these operations.
// Every read or write that the engine makes on a guest's behalf goes through read()/write() here.
// Thread safety: copies and questions may run on several threads at the same time; a call that changes mappings needs the
// address space for itself. What other processes do to a mapped file in the meantime is harmless.
// Start reading at AddressSpace, then window_pool.h, then fault_recovery.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "caisson/result.h"

namespace caisson::memory {

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr std::uint64_t kWindowSize = std::uint64_t{1} << 32;
// [0, 64 KiB) and the last 64 KiB are never mapped (design: guest-riscv, "Memory").
inline constexpr std::uint64_t kLowestAddress = 0x10000;
inline constexpr std::uint64_t kHighestAddress = kWindowSize - 0x10000;

// Permissions of a page as a guest sees them, or'ed together.
using Permissions = std::uint8_t;
inline constexpr Permissions kNone = 0, kRead = 1, kWrite = 2, kExecute = 4;

enum class MapStatus : std::uint8_t {
  kOk,
  kNoMemory,  // commit limit, mapping budget or host memory exhausted; nothing changed
  kInvalid,  // unaligned, empty, or outside [kLowestAddress, kHighestAddress)
  kNotMapped,  // protect or move over a hole
  kIo,  // a file could not be read or mapped
};

// Told before code bytes may differ from what was decoded: the range lost X, was unmapped, replaced, or written by the host.
class CodeObserver {
 public:
  virtual void code_changed(std::uint32_t first_page, std::uint32_t page_count) = 0;

 protected:
  ~CodeObserver() = default;
};

// Told of every change that does not come from the guest's own instructions, so that a copy of the memory can be brought up to
// date when the call that makes the change has returned.
class MemoryObserver {
 public:
  // Mapped, unmapped or emptied: other permissions and, unless the pages `read_zero`, other contents.
  virtual void pages_replaced(std::uint32_t first_page, std::uint32_t page_count, bool read_zero) noexcept = 0;
  virtual void pages_protected(std::uint32_t first_page, std::uint32_t page_count) noexcept = 0;
  // By the host.
  virtual void bytes_written(std::uint64_t address, std::uint64_t length) noexcept = 0;

 protected:
  ~MemoryObserver() = default;
};

// One stretch of equal mapping, for /proc/self/maps and tests.
struct Mapping {
  std::uint64_t start = 0, end = 0;
  Permissions permissions = kNone;
  bool shared = false;
  bool file = false;
  std::uint64_t file_offset = 0;
  std::string name;  // what the mapper called it: a path, "[stack]", "[heap]" or empty
};

class MemoryBase;
class RegionMap;
class Staging;
struct ChangedPage;
struct MemoryState;
class WindowPool;
struct Region;

class AddressSpace {
 public:
  // Takes a window from the pool. commit_limit bounds the bytes of accessible pages (R, W or X), rounded down to pages.
  static Result<std::unique_ptr<AddressSpace>> create(std::shared_ptr<WindowPool> pool, std::uint64_t commit_limit);
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  std::uint8_t* base() const { return base_; }

  // --- mapping (addresses and lengths page-aligned; replaces what is there) ---
  MapStatus map_anonymous(std::uint64_t address, std::uint64_t length, Permissions permissions, bool shared = false,
                          std::string_view name = {});
  // Private: pages with X are copied at once (code must not change behind the decoder) unless the file is sealed memory, others
  // are mapped lazily. The fd may be closed afterwards.
  // Bytes past the end of the file: zero up to the page's end, SIGBUS semantics after it for lazily mapped pages.
  MapStatus map_file(std::uint64_t address, std::uint64_t length, Permissions permissions, bool shared, int fd,
                     std::uint64_t offset, std::string_view name = {});
  MapStatus unmap(std::uint64_t address, std::uint64_t length);
  MapStatus protect(std::uint64_t address, std::uint64_t length, Permissions permissions);
  // mremap: moves the pages with contents; the destination is replaced, the source becomes unmapped. The source must lie within
  // one mapping (kNotMapped) and must not overlap the destination (kInvalid). Private file pages may become a copy.
  MapStatus move(std::uint64_t from, std::uint64_t length, std::uint64_t to);
  // madvise(MADV_DONTNEED): anonymous private pages read as zero again, file pages as the file.
  MapStatus discard(std::uint64_t address, std::uint64_t length);
  // msync for shared file mappings.
  MapStatus sync(std::uint64_t address, std::uint64_t length);

  // The highest free range of `length` bytes that ends at or below `high` and starts at or above `low`; deterministic.
  std::optional<std::uint64_t> find_free(std::uint64_t length, std::uint64_t low, std::uint64_t high) const;
  bool is_free(std::uint64_t address, std::uint64_t length) const;
  bool is_mapped(std::uint64_t address, std::uint64_t length) const;  // every page, permissions aside
  std::vector<Mapping> mappings() const;
  // Those that touch the range, whole; none where it is not one of the calls above.
  std::vector<Mapping> mappings(std::uint64_t address, std::uint64_t length) const;

  // --- pages, for the tiers (one byte a page; page = address >> 12 < 2^20) ---
  Permissions permissions(std::uint32_t page) const { return page_permissions_[page] & 7; }
  // A page that may change without a call to CodeObserver: writable and executable, or executable and shared.
  bool is_mixed(std::uint32_t page) const { return (page_permissions_[page] & kMixed) != 0; }
  // Observers are told in the order in which they came. Between runs only.
  void add_code_observer(CodeObserver* observer) { observers_.push_back(observer); }
  void remove_code_observer(CodeObserver* observer) { std::erase(observers_, observer); }

  // At most one; null: none.
  void set_memory_observer(MemoryObserver* observer) { memory_observer_ = observer; }

  // --- access on a guest's behalf: fault-recoverable, honours the guest's permissions ---
  // Copies and returns how many bytes could be copied before the first inaccessible one; addresses do not wrap and
  // what lies at or above 2^32 is inaccessible.
  std::size_t read(std::uint64_t address, void* to, std::size_t length) const;
  std::size_t write(std::uint64_t address, const void* from, std::size_t length);
  // The one host-write function's bookkeeping for writes that the kernel made directly into base()+address (readv into guest memory).
  void note_host_write(std::uint64_t address, std::size_t length);
  // A NUL-terminated string of at most `limit` bytes without the NUL; nullopt where it is not readable; longer ones give an Error-free
  // string of limit+1 bytes so that callers can answer ENAMETOOLONG.
  std::optional<std::string> read_string(std::uint64_t address, std::size_t limit) const;
  template <class T>
  std::optional<T> read_value(std::uint64_t address) const {
    T value;
    if (read(address, &value, sizeof value) != sizeof value) return std::nullopt;
    return value;
  }
  template <class T>
  bool write_value(std::uint64_t address, const T& value) {
    return write(address, &value, sizeof value) == sizeof value;
  }

  // Before the kernel writes directly into base()+address (readv): an address space that tracks has pages which the host cannot write
  // to yet. note_host_write() follows when it has written.
  void prepare_host_write(std::uint64_t address, std::size_t length);

  // --- snapshots (docs/memory.md; memory_state.h). The address space must not be in use by another thread ---
  // Makes the address space equal to `state` and has it track from then on which pages differ from the state's base. Cheap where it
  // holds the same base already and its mappings are the base's: then only what differs is copied.
  // kInvalidArgument for a state that is not one, kOutOfMemory where a limit or the host refuses. Where the host refuses, the address
  // space may be empty afterwards; it is never a mixture.
  Result<void> load(const MemoryState& state);
  // What a suspended guest needs. The base of the last load() or state() and the pages that differ, where that still is a good
  // description; else a new base of everything that is mapped, which the address space then shares. The guest does not notice, but
  // pages of private file mappings no longer follow their file.
  // kUnsupported, and `where` says which, for shared mappings; kOutOfMemory where the host refuses.
  Result<MemoryState> state();
  // What the pages are compared with; null where nothing is tracked.
  const std::shared_ptr<const MemoryBase>& memory_base() const { return memory_base_; }
  // Whether mappings, permissions and names are those of memory_base(), so that the pages below are all that may differ.
  bool has_layout_of_base() const;
  // Numbers of the accessible pages that may differ from memory_base(), ascending. Empty where nothing is tracked.
  std::vector<std::uint32_t> dirty_pages() const;

  // --- accounting ---
  std::uint64_t committed_bytes() const { return committed_bytes_; }
  std::uint64_t peak_committed_bytes() const { return peak_committed_bytes_; }
  std::uint64_t commit_limit() const { return commit_limit_; }

 private:
  // Beside Permissions in a page byte.
  static constexpr std::uint8_t kMixed = 8;
  AddressSpace();

  // Checks the commit limit and makes room for `region`, of which it sets `committed` and `name`.
  MapStatus admit(Region& region, std::string_view name);
  // Room for a change of the books; see RegionMap::prepare.
  bool prepare(std::size_t additional_regions);
  std::uint64_t committed_within(std::uint32_t first, std::uint32_t end) const;
  bool fits(std::uint64_t credited, std::uint64_t added) const;
  void account(std::uint64_t credited, std::uint64_t added);
  void set_page_bytes(const Region& region);
  void clear_page_bytes(const Region& region);
  // Tells the observer about the executable pages within [first, end), or about all of them when they become code.
  void tell_observers(std::uint32_t first, std::uint32_t count) {
    for (CodeObserver* const observer : observers_) observer->code_changed(first, count);
  }
  void tell_replaced(std::uint32_t first, std::uint32_t end, bool read_zero = false) {
    if (memory_observer_ != nullptr) memory_observer_->pages_replaced(first, end - first, read_zero);
  }
  void announce_code_change(std::uint32_t first, std::uint32_t end, bool becomes_code);
  void record_unmapped(std::uint32_t first, std::uint32_t end);
  void record_mapped(const Region& region);
  // Puts `staging` where `region` says, and records it.
  MapStatus place(Staging& staging, const Region& region);
  bool detach_from_file(const Region& part);
  void restore_protection(std::uint32_t first, std::uint32_t end);

  std::uint8_t* base_ = nullptr;
  std::uint8_t* page_permissions_ = nullptr;  // 2^20 bytes, lazily committed: Permissions | kMixed | kClean
  std::vector<CodeObserver*> observers_;
  MemoryObserver* memory_observer_ = nullptr;
  std::uint64_t committed_bytes_ = 0, peak_committed_bytes_ = 0, commit_limit_ = 0;
  std::shared_ptr<WindowPool> pool_;
  std::unique_ptr<RegionMap> regions_;
  std::uint32_t next_object_ = 1;
  std::uint64_t charged_mappings_ = 0;

  // --- tracking; see page_tracking.h and snapshots.cpp ---
  bool tracks() const { return memory_base_ != nullptr; }
  static std::uint64_t host_mappings_needed(std::size_t regions, std::size_t shared_regions);
  bool charge(std::uint64_t host_mappings);
  void change_tracked_page_bytes(const Region& region);
  void restore_tracked_protection(const Region& part);
  bool discard_shared(const Region& part);
  Result<void> replace_all(const MemoryState& state);
  Result<void> restore(const MemoryState& state);
  bool restore_changes(const std::vector<ChangedPage>& changed);
  bool map_base_again(std::uint32_t first, std::uint32_t end);
  bool put_page(std::uint32_t page, const std::uint8_t* contents);
  bool unmap_all();
  Result<MemoryState> changed_pages();
  Result<MemoryState> freeze();
  void share(std::shared_ptr<const MemoryBase> base);

  std::shared_ptr<const MemoryBase> memory_base_;
  // The ranges that are still the base's memory for the host: kernel mappings that regions_ does not show.
  std::unique_ptr<RegionMap> shared_regions_;
  // Those of the last load() or state(), so that states share the pages that stay as they are.
  std::vector<ChangedPage> known_changes_;
  bool mappings_called_ = false;  // a call since then may have changed the layout
  bool has_hidden_changes_ = false;  // pages became inaccessible that may differ from the base
};

}  // namespace caisson::memory
