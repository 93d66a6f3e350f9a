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

// The most recently used of what can be made again. Not thread-safe.
template <class Value>
class RecentByHash {
 public:
  explicit RecentByHash(std::size_t limit) : limit_(limit) {}

  std::shared_ptr<Value> find(const Hash& hash) {
    const auto found = entries_.find(hash);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
  }
  template <class Visit>
  void for_each(Visit visit) {
    for (auto& [hash, value] : order_) visit(*value);
  }
  std::size_t size() const { return entries_.size(); }
  // What is dropped for it is returned, to end outside the caller's lock.
  std::shared_ptr<Value> insert(const Hash& hash, std::shared_ptr<Value> value) {
    if (entries_.contains(hash)) return nullptr;
    order_.emplace_front(hash, std::move(value));
    entries_.emplace(hash, order_.begin());
    if (entries_.size() <= limit_) return nullptr;
    std::shared_ptr<Value> dropped = std::move(order_.back().second);
    entries_.erase(order_.back().first);
    order_.pop_back();
    return dropped;
  }

 private:
  const std::size_t limit_;
  std::list<std::pair<Hash, std::shared_ptr<Value>>> order_;  // the most recently used first
  std::unordered_map<Hash, typename std::list<std::pair<Hash, std::shared_ptr<Value>>>::iterator, HashOfHash> entries_;
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

  struct Runs {
    std::atomic<std::uint64_t> returned{0}, out_of_gas{0}, interrupted{0}, failed{0}, refused{0}, gas{0};
  };

  const std::shared_ptr<IdleCells> idle_;
  Runs runs_;
  std::mutex mutex_;
  RecentByHash<LoadedImage> images_{kMostImages};  // guarded by mutex_
  RecentByHash<const OpenedInstance> opened_{kMostOpened};  // guarded by mutex_
};

}  // namespace caisson::kernel
