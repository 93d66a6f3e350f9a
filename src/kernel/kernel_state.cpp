#include "kernel/kernel_state.h"

#include <fmt/format.h>

#include <utility>

#include "kernel/sealed_memory.h"
#include "kernel/tree.h"

namespace caisson::kernel {
namespace {

std::uint64_t bytes_of(const LoadedImage& image) {
  return Tree::kBytesOfBase + image.fresh_memory().base->nonzero_pages() * memory::kPageSize;
}

// Beside its image.
std::uint64_t bytes_of(const OpenedInstance& opened) {
  std::uint64_t bytes = opened.memory.changed.size() * memory::kPageSize;
  if (opened.memory.base != opened.image->fresh_memory().base)
    bytes += Tree::kBytesOfBase + opened.memory.base->nonzero_pages() * memory::kPageSize;
  return bytes;
}

}  // namespace

KernelState::KernelState(CellOptions cells, std::shared_ptr<CapabilityStore> store, const KernelOptions& options)
    : cells(std::move(cells)),
      store(std::move(store)),
      options(options),
      idle_(std::make_shared<IdleCells>(options.idle_cells)) {}

Result<std::shared_ptr<const Capability>> KernelState::get(const Hash& hash, CapabilityKind kind) {
  Result<std::shared_ptr<const Capability>> found = store->get(hash);
  if (!found) return found;
  if (*found == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("the store has no {} of this hash", to_string(kind)),
                hash.to_string());
  if (kind_of(**found) != kind) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("this is not the hash of an {} but of a {}", to_string(kind), to_string(kind_of(**found))),
                hash.to_string());
  }
  return found;
}

Result<std::shared_ptr<LoadedImage>> KernelState::load_image(const Hash& hash) {
  {
    const std::scoped_lock lock(mutex_);
    if (std::shared_ptr<LoadedImage> known = images_.find(hash)) return known;
  }
  const auto image = get(hash, CapabilityKind::kImage);
  if (!image) return std::unexpected(image.error());
  Result<std::shared_ptr<LoadedImage>> loaded =
      LoadedImage::load(hash, std::get<Image>(**image), *store, idle_, *cells.engine);
  if (!loaded) return loaded;
  std::vector<std::shared_ptr<LoadedImage>> dropped;
  const std::scoped_lock lock(mutex_);
  if (std::shared_ptr<LoadedImage> known = images_.find(hash)) return known;
  dropped = images_.insert(hash, *loaded, bytes_of(**loaded));
  return loaded;
}

Result<std::shared_ptr<LoadedImage>> KernelState::make_image(const Image& image, std::vector<Data> contents) {
  const Hash hash = hash_of(Capability(image));
  {
    const std::scoped_lock lock(mutex_);
    if (std::shared_ptr<LoadedImage> known = images_.find(hash)) return known;
  }
  Result<std::shared_ptr<LoadedImage>> loaded =
      LoadedImage::make(hash, image, std::move(contents), idle_, *cells.engine);
  if (!loaded) return loaded;
  std::vector<std::shared_ptr<LoadedImage>> dropped;
  const std::scoped_lock lock(mutex_);
  if (std::shared_ptr<LoadedImage> known = images_.find(hash)) return known;
  dropped = images_.insert(hash, *loaded, bytes_of(**loaded));
  return loaded;
}

Result<std::shared_ptr<const OpenedInstance>> KernelState::open(const Hash& hash) {
  {
    const std::scoped_lock lock(mutex_);
    if (std::shared_ptr<const OpenedInstance> known = opened_.find(hash)) return known;
  }
  const auto instance = get(hash, CapabilityKind::kInstance);
  if (!instance) return std::unexpected(instance.error());
  auto opened = std::make_shared<OpenedInstance>();
  opened->sealed = std::get<SealedInstance>(**instance);
  Result<std::shared_ptr<LoadedImage>> image = load_image(opened->sealed.image);
  if (!image) return std::unexpected(image.error());
  opened->image = *std::move(image);
  std::uint64_t pages = 0;
  for (const ImageMapping& mapping : opened->sealed.mappings) pages += mapping.page_count;
  if (pages * kCapabilityPageSize > opened->image->image().memory_limit)
    return fail(ErrorCode::kInvalidImage, "a sealed instance has more memory than its image allows", hash.to_string());
  const auto memory = get(opened->sealed.memory, CapabilityKind::kData);
  if (!memory) return std::unexpected(memory.error());
  Result<memory::MemoryState> state = open_memory(opened->sealed.mappings, std::get<Data>(**memory),
                                                  opened->image->fresh_memory().base, opened->image->sealed_base());
  if (!state) return std::unexpected(state.error());
  opened->memory = *std::move(state);
  Result<std::shared_ptr<const Capability>> root = get(opened->sealed.root, CapabilityKind::kCNode);
  if (!root) return std::unexpected(root.error());
  opened->root = *std::move(root);
  std::vector<std::shared_ptr<const OpenedInstance>> dropped;
  const std::scoped_lock lock(mutex_);
  dropped = opened_.insert(hash, opened, bytes_of(*opened));
  return opened;
}

Result<std::unique_ptr<Cell>> KernelState::take_cell(LoadedImage& image) {
  if (std::unique_ptr<Cell> cell = image.take_idle_cell()) return cell;
  return Cell::create(image, cells);
}

void KernelState::note_run(const Result<InvocationResult>& result, std::uint64_t gas) {
  const auto end = [this, &result]() -> std::atomic<std::uint64_t>& {
    if (!result) return runs_.refused;
    if (result->exit_reason == ExitReason::kHostCall && result->exit_arg == 0) return runs_.returned;
    if (result->exit_reason == ExitReason::kOutOfGas) return runs_.out_of_gas;
    return result->exit_reason == ExitReason::kInterrupted ? runs_.interrupted : runs_.failed;
  };
  end().fetch_add(1, std::memory_order_relaxed);
  runs_.gas.fetch_add(gas, std::memory_order_relaxed);
}

KernelStats KernelState::stats() {
  const auto now = [](const auto& count) { return static_cast<std::uint64_t>(count.load(std::memory_order_relaxed)); };
  KernelStats stats{.runs_returned = now(runs_.returned),
                    .runs_out_of_gas = now(runs_.out_of_gas),
                    .runs_interrupted = now(runs_.interrupted),
                    .runs_failed = now(runs_.failed),
                    .runs_refused = now(runs_.refused),
                    .gas_used = now(runs_.gas),
                    .resident_instances = now(residents),
                    .idle_cells = now(idle_->count)};
  const std::scoped_lock lock(mutex_);
  stats.loaded_images = images_.size();
  return stats;
}

std::size_t KernelState::drop_idle_cells() {
  std::vector<std::unique_ptr<Cell>> dropped;  // they end outside the lock
  const std::scoped_lock lock(mutex_);
  images_.for_each([&dropped](LoadedImage& image) {
    while (std::unique_ptr<Cell> cell = image.take_idle_cell()) dropped.push_back(std::move(cell));
  });
  return dropped.size();
}

void KernelState::give_cell_back(LoadedImage& image, std::unique_ptr<Cell> cell) {
  cell->occupant = nullptr;
  cell->invocation = nullptr;
  image.keep_idle_cell(std::move(cell));
}

}  // namespace caisson::kernel
