// A root instance with all that it owns, and which of its instances are resident.
//
// Running instances need a cell. A tree has a bounded number of them; past it the instance that was used least recently is parked: its
// changed pages are copied out and its cell goes to the next. So a chain of calls may be as deep as memory allows.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "caisson/result.h"
#include "kernel/cell.h"
#include "kernel/held_bytes.h"
#include "kernel/instance_object.h"

namespace caisson::kernel {

struct KernelState;

class Tree {
 public:
  explicit Tree(std::shared_ptr<KernelState> kernel);
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  KernelState& kernel() { return *kernel_; }
  const std::shared_ptr<KernelState>& shared_kernel() const { return kernel_; }

  // A new instance of `image`; null where the tree has as many as it may have.
  std::unique_ptr<InstanceObject> make_instance(std::shared_ptr<LoadedImage> image);
  std::unique_ptr<InstanceObject> make_instance(std::shared_ptr<LoadedImage> image, const Hash& lineage);

  // A new CNode; null where the tree holds as much as it may.
  std::unique_ptr<CNodeObject> make_node();
  // What guests make their host keep; nothing where there is no room.
  std::optional<HeldShare> hold(std::uint64_t bytes) { return HeldShare::take(held_, bytes); }
  // What a base takes beside its pages: a file descriptor and kernel mappings, of which a process has thousands.
  static constexpr std::uint64_t kBytesOfBase = std::uint64_t{1} << 20;

  // Whether an instance may have one cell more than the limit where nothing can be parked for it.
  enum class Room : std::uint8_t { kWithinLimit, kOneMore };
  // Gives the instance a cell, parking others if need be, and makes it the most recently used. Errors: kOutOfMemory, kLimit (parked pages).
  Result<void> make_resident(InstanceObject& instance, Room room = Room::kWithinLimit);
  void touch(InstanceObject& instance) {
    if (newest_ != &instance) move_to_front(instance);
  }
  // Takes its memory out of its cell, which becomes idle. Errors: kOutOfMemory; then it stays resident.
  Result<void> park(InstanceObject& instance);

  // Between runs: parks everything where all trees together have many residents.
  void rest();

  // What SET_IMAGE asked for: fresh memory of the other image.
  void become_next_image(InstanceObject& instance);
  // Memory of an instance that has none yet. Error: kLimit (parked pages); then it has none still.
  Result<void> adopt_memory(InstanceObject& instance, memory::MemoryState state);

  std::size_t instance_count() const { return instance_count_; }
  std::size_t resident_count() const { return resident_count_; }
  std::uint64_t parked_bytes() const { return parked_bytes_; }

 private:
  friend class InstanceObject;
  static constexpr std::size_t kFewestResidents = 2;
  Result<std::unique_ptr<Cell>> take_loaded_cell(InstanceObject& instance);
  static std::uint64_t parked_bytes_of(const InstanceObject& instance, const memory::MemoryState& state);
  bool has_room_to_park(std::uint64_t bytes) const;
  void drop_memory(InstanceObject& instance) noexcept;
  void move_to_front(InstanceObject& instance);
  void put_in_front(InstanceObject& instance);
  void take_out(InstanceObject& instance);
  void link(InstanceObject& instance);
  void unlink(InstanceObject& instance);

  std::shared_ptr<KernelState> kernel_;
  std::size_t instance_count_ = 0;
  std::size_t resident_count_ = 0;
  std::size_t resident_limit_;
  std::uint64_t parked_bytes_ = 0;
  const std::shared_ptr<HeldBytes> held_;
  InstanceObject* newest_ = nullptr;
  InstanceObject* oldest_ = nullptr;
};

}  // namespace caisson::kernel
