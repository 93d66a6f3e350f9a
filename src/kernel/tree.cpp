#include "kernel/tree.h"

#include <algorithm>
#include <utility>

#include "kernel/kernel_state.h"
#include "kernel/lineage.h"

namespace caisson::kernel {
namespace {

// What guests of a tree may hold beside KernelOptions::parked_bytes, so that a tree that can park nothing can do something.
constexpr std::uint64_t kFewestHeldBytes = std::uint64_t{16} << 20;

// A CNode as it is when all its slots are in use.
constexpr std::uint64_t kBytesOfNode = sizeof(CNodeObject) + CNode::kSlots * sizeof(CapabilitySlot);

std::uint64_t most_held_bytes(const KernelOptions& options) {
  const std::uint64_t parked = options.parked_bytes;
  return parked > ~kFewestHeldBytes ? parked : parked + kFewestHeldBytes;
}

std::unexpected<Error> no_room_to_park() {
  return fail(ErrorCode::kLimit, "parked instances take as much memory as KernelOptions::parked_bytes allows");
}

}  // namespace

Tree::Tree(std::shared_ptr<KernelState> kernel)
    : kernel_(std::move(kernel)),
      resident_limit_(kernel_->options.resident_instances),
      held_(std::make_shared<HeldBytes>(most_held_bytes(kernel_->options))) {}
Tree::~Tree() = default;

std::unique_ptr<CNodeObject> Tree::make_node() {
  std::optional<HeldShare> share = hold(kBytesOfNode);
  return share ? std::make_unique<CNodeObject>(*std::move(share)) : nullptr;
}

std::unique_ptr<InstanceObject> Tree::make_instance(std::shared_ptr<LoadedImage> image) {
  const Hash lineage = image->first_lineage();
  return make_instance(std::move(image), lineage);
}

std::unique_ptr<InstanceObject> Tree::make_instance(std::shared_ptr<LoadedImage> image, const Hash& lineage) {
  if (instance_count_ >= kernel_->options.max_instances) return nullptr;
  return std::make_unique<InstanceObject>(std::move(image), lineage, *this);
}

Result<void> Tree::make_resident(InstanceObject& instance, Room room) {
  if (instance.cell != nullptr) {
    touch(instance);
    return {};
  }
  // The newest is the one that calls or is returned to: it is never parked for this one.
  const std::size_t limit = resident_limit_ + (room == Room::kOneMore ? 1 : 0);
  while (resident_count_ >= resident_limit_) {
    Result<void> parked = park(*oldest_);
    if (parked) continue;
    if (resident_count_ >= limit) return parked;
    break;
  }
  Result<std::unique_ptr<Cell>> cell = take_loaded_cell(instance);
  if (!cell) return std::unexpected(cell.error());
  if (instance.memory) parked_bytes_ -= parked_bytes_of(instance, *instance.memory);
  instance.memory.reset();
  instance.registers.reset();
  instance.cell = *std::move(cell);
  link(instance);
  return {};
}

// The process may hold fewer windows than the options allow: then those that are idle go first, then those of this tree, which remembers how
// many it could have.
Result<std::unique_ptr<Cell>> Tree::take_loaded_cell(InstanceObject& instance) {
  for (;;) {
    Result<std::unique_ptr<Cell>> cell = kernel_->take_cell(instance.image());
    if (cell) {
      const Result<void> loaded = (*cell)->load(instance);
      if (loaded) return cell;
      // Its window gives room for another only if it ends.
      cell = std::unexpected(loaded.error());
    }
    if (cell.error().code != ErrorCode::kOutOfMemory) return cell;
    if (kernel_->drop_idle_cells() > 0) continue;
    if (resident_count_ < kFewestResidents) return cell;
    resident_limit_ = std::max(kFewestResidents, resident_count_);
    if (Result<void> parked = park(*oldest_); !parked) return std::unexpected(parked.error());
  }
}

Result<void> Tree::park(InstanceObject& instance) {
  if (instance.cell == nullptr) return {};
  if (Result<void> saved = instance.cell->save(instance); !saved) return saved;
  const std::uint64_t bytes = parked_bytes_of(instance, *instance.memory);
  if (!has_room_to_park(bytes)) {
    instance.memory.reset();
    instance.registers.reset();
    return no_room_to_park();
  }
  parked_bytes_ += bytes;
  unlink(instance);
  kernel_->give_cell_back(instance.image(), std::move(instance.cell));
  return {};
}

void Tree::become_next_image(InstanceObject& instance) {
  drop_memory(instance);
  instance.image_ = std::move(instance.next_image_);
  instance.lineage_ = next_lineage(instance.lineage_, instance.image_->hash());
}

void Tree::drop_memory(InstanceObject& instance) noexcept {
  if (instance.cell != nullptr) {
    instance.gas_used_ = instance.cell->hart().gas_used();
    unlink(instance);
    kernel_->give_cell_back(instance.image(), std::move(instance.cell));
  }
  if (instance.memory) parked_bytes_ -= parked_bytes_of(instance, *instance.memory);
  instance.memory.reset();
  instance.registers.reset();
}

Result<void> Tree::adopt_memory(InstanceObject& instance, memory::MemoryState state) {
  const std::uint64_t bytes = parked_bytes_of(instance, state);
  if (!has_room_to_park(bytes)) return no_room_to_park();
  parked_bytes_ += bytes;
  instance.memory = std::move(state);
  return {};
}

bool Tree::has_room_to_park(std::uint64_t bytes) const {
  const std::uint64_t most = kernel_->options.parked_bytes;
  return bytes <= most && parked_bytes_ <= most - bytes;
}

// A base that is not the image's is the instance's own: it mapped something, or changed much.
std::uint64_t Tree::parked_bytes_of(const InstanceObject& instance, const memory::MemoryState& state) {
  std::uint64_t bytes = state.changed.size() * memory::kPageSize;
  if (state.base != instance.image().fresh_memory().base)
    bytes += state.base->nonzero_pages() * memory::kPageSize + kBytesOfBase;
  return bytes;
}

void Tree::move_to_front(InstanceObject& instance) {
  take_out(instance);
  put_in_front(instance);
}

void Tree::put_in_front(InstanceObject& instance) {
  instance.older = newest_;
  instance.newer = nullptr;
  (newest_ != nullptr ? newest_->newer : oldest_) = &instance;
  newest_ = &instance;
}

void Tree::link(InstanceObject& instance) {
  put_in_front(instance);
  ++resident_count_;
  kernel_->residents.fetch_add(1, std::memory_order_relaxed);
}

void Tree::take_out(InstanceObject& instance) {
  (instance.older != nullptr ? instance.older->newer : oldest_) = instance.newer;
  (instance.newer != nullptr ? instance.newer->older : newest_) = instance.older;
  instance.older = instance.newer = nullptr;
}

void Tree::unlink(InstanceObject& instance) {
  take_out(instance);
  --resident_count_;
  kernel_->residents.fetch_sub(1, std::memory_order_relaxed);
}

void Tree::rest() {
  if (kernel_->residents.load(std::memory_order_relaxed) <= kernel_->options.resident_total) return;
  while (oldest_ != nullptr) {
    // What cannot be parked keeps its window.
    if (!park(*oldest_)) return;
  }
}

InstanceObject::InstanceObject(std::shared_ptr<LoadedImage> image, const Hash& lineage, Tree& tree)
    : image_(std::move(image)), tree_(tree), lineage_(lineage) {
  ++tree_.instance_count_;
}

InstanceObject::~InstanceObject() {
  tree_.drop_memory(*this);
  --tree_.instance_count_;
}

std::uint64_t InstanceObject::mapped_pages() const {
  if (cell != nullptr) return cell->guest().memory().committed_bytes() / memory::kPageSize;
  return (memory ? *memory : image().fresh_memory()).base->committed_bytes() / memory::kPageSize;
}

std::uint64_t InstanceObject::gas_used() const { return cell != nullptr ? cell->hart().gas_used() : gas_used_; }

}  // namespace caisson::kernel
