// What instances of one kernel share: the store, images as they run, sealed instances as they begin, limits.
//
// Thread safety: everything may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "caisson/kernel.h"
#include "caisson/store.h"
#include "kernel/cell.h"
#include "kernel/instance_object.h"
#include "kernel/loaded_image.h"

namespace caisson::kernel {

struct HashOfHash {
  std::size_t operator()(const Hash& hash) const {
    std::size_t first;
    std::memcpy(&first, hash.bytes.data(), sizeof first);
    return first;
  }
};

// The most recently used of what can be made again, bounded in number and in bytes; the last one stays whatever it takes. Not thread-safe.
template <class Value>
class RecentByHash {
 public:
  RecentByHash(std::size_t limit, std::uint64_t most_bytes) : limit_(limit), most_bytes_(most_bytes) {}

  std::shared_ptr<Value> find(const Hash& hash) {
    const auto found = entries_.find(hash);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->value;
  }
  template <class Visit>
  void for_each(Visit visit) {
    for (Entry& entry : order_) visit(*entry.value);
  }
  std::size_t size() const { return entries_.size(); }
  // What is dropped for it is returned, to end outside the caller's lock.
  std::vector<std::shared_ptr<Value>> insert(const Hash& hash, std::shared_ptr<Value> value, std::uint64_t bytes) {
    std::vector<std::shared_ptr<Value>> dropped;
    if (entries_.contains(hash)) return dropped;
    order_.push_front({hash, std::move(value), bytes});
    entries_.emplace(hash, order_.begin());
    bytes_ += bytes;
    while (order_.size() > 1 && (order_.size() > limit_ || bytes_ > most_bytes_)) {
      dropped.push_back(std::move(order_.back().value));
      bytes_ -= order_.back().bytes;
      entries_.erase(order_.back().hash);
      order_.pop_back();
    }
    return dropped;
  }

 private:
  struct Entry {
    Hash hash;
    std::shared_ptr<Value> value;
    std::uint64_t bytes;
  };
  const std::size_t limit_;
  const std::uint64_t most_bytes_;
  std::uint64_t bytes_ = 0;
  std::list<Entry> order_;  // the most recently used first
  std::unordered_map<Hash, typename std::list<Entry>::iterator, HashOfHash> entries_;
};

// A sealed instance as its runs begin; its root CNode is made anew for each.
struct OpenedInstance {
  SealedInstance sealed;
  std::shared_ptr<LoadedImage> image;
  memory::MemoryState memory;
  std::shared_ptr<const Capability> root;  // a CNode
};

struct KernelState {
  KernelState(CellOptions cells, std::shared_ptr<CapabilityStore> store, const KernelOptions& options);

  // Errors: kNotFound (not in the store), kInvalidArgument (another kind), those of LoadedImage, and the store's.
  Result<std::shared_ptr<LoadedImage>> load_image(const Hash& hash);
  // An image with its data at hand, whether or not the store has it.
  Result<std::shared_ptr<LoadedImage>> make_image(const Image& image, std::vector<Data> contents);
  Result<std::shared_ptr<const OpenedInstance>> open(const Hash& hash);

  // Of a kind, with a reference that is given back when the last copy of it ends.
  Result<std::shared_ptr<const Capability>> get(const Hash& hash, CapabilityKind kind);

  // A cell for an instance of the image: an idle one, or a new one. Errors: Cell::create()'s.
  Result<std::unique_ptr<Cell>> take_cell(LoadedImage& image);
  // What became of a run of a root.
  void note_run(const Result<InvocationResult>& result, std::uint64_t gas);
  KernelStats stats();

  // Gives windows back to the host; returns how many.
  std::size_t drop_idle_cells();
  void give_cell_back(LoadedImage& image, std::unique_ptr<Cell> cell);

  const CellOptions cells;
  const std::shared_ptr<CapabilityStore> store;
  const KernelOptions options;
  std::atomic<std::size_t> residents{0};  // of all trees

 private:
  static constexpr std::size_t kMostImages = 256;
  static constexpr std::size_t kMostOpened = 1024;
  static constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;  // of either

  struct Runs {
    std::atomic<std::uint64_t> returned{0}, out_of_gas{0}, interrupted{0}, failed{0}, refused{0}, gas{0};
  };

  const std::shared_ptr<IdleCells> idle_;
  Runs runs_;
  std::mutex mutex_;
  RecentByHash<LoadedImage> images_{kMostImages, kMostBytes};  // guarded by mutex_
  RecentByHash<const OpenedInstance> opened_{kMostOpened, kMostBytes};  // guarded by mutex_
};

}  // namespace caisson::kernel
