// A live instance, and the calls that are under way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernel/cnode_object.h"
#include "kernel/loaded_image.h"
#include "memory/memory_state.h"
#include "runtime/hart_registers.h"

namespace caisson::kernel {

class Cell;
class Tree;

// Its memory is in a cell while it is resident; else parked as pages, or, where it never ran, that of its image.
class InstanceObject {
 public:
  // By Tree::make_instance().
  InstanceObject(std::shared_ptr<LoadedImage> image, const Hash& lineage, Tree& tree);
  ~InstanceObject();
  InstanceObject(const InstanceObject&) = delete;
  InstanceObject& operator=(const InstanceObject&) = delete;

  LoadedImage& image() const { return *image_; }
  const std::shared_ptr<LoadedImage>& shared_image() const { return image_; }
  CNodeObject& root() { return root_; }
  const Hash& lineage() const { return lineage_; }
  std::uint64_t gas_used() const;
  // While it has no cell.
  void set_gas_used(std::uint64_t gas) { gas_used_ = gas; }

  // What it has mapped, whether or not it was ever touched, and wherever it is.
  std::uint64_t mapped_pages() const;

  // SET_IMAGE: what the next call starts as.
  void set_next_image(std::shared_ptr<LoadedImage> image) { next_image_ = std::move(image); }
  const std::shared_ptr<LoadedImage>& shared_next_image() const { return next_image_; }
  bool has_next_image() const { return next_image_ != nullptr; }
  // What the next call enters.
  LoadedImage& entered_image() const { return next_image_ != nullptr ? *next_image_ : *image_; }

  // Public, since Tree alone moves instances between cells and parked memory.
  std::unique_ptr<Cell> cell;
  std::optional<memory::MemoryState> memory;  // while it has no cell
  std::unique_ptr<runtime::HartRegisters> registers;  // while it has no cell, where it stopped on its way
  SealedMemoryCache sealed_memory;
  bool on_its_way = false;  // in a frame, or yielded: registers matter
  InstanceObject* older = nullptr;  // in the tree's list of residents
  InstanceObject* newer = nullptr;

 private:
  friend class Tree;
  std::shared_ptr<LoadedImage> image_;
  std::shared_ptr<LoadedImage> next_image_;
  Tree& tree_;
  CNodeObject root_;
  Hash lineage_;
  std::uint64_t gas_used_ = 0;  // while it has no cell
};

// A call under way: who runs, and how it was called by the frame below.
struct Frame {
  std::unique_ptr<InstanceObject> instance;
  SlotPath slot;  // where it came from in the caller's tree
  std::uint64_t slot_word = 0;  // the same as the guest said it
  std::optional<SlotPath> given;  // where what it was given came from
  std::uint64_t given_word = ~std::uint64_t{0};
  std::uint64_t share_left = kUnlimitedShare;  // of what the caller lets it use
  std::uint64_t granted = 0;  // of gas, when it was entered
  std::uint64_t catch_key = 0;

  static constexpr std::uint64_t kUnlimitedShare = ~std::uint64_t{0};

  // The same call of another instance.
  Frame with_instance(std::unique_ptr<InstanceObject> other) const {
    return {std::move(other), slot, slot_word, given, given_word, share_left, granted, catch_key};
  }
};

// What a HOST_YIELD left in the slot of the instance that its catcher had called: from that instance to the one that yielded.
struct YieldedCall {
  std::vector<Frame> frames;
};

// Gives the call up: every instance is back in the slot it came from, the first is returned.
std::unique_ptr<InstanceObject> put_frames_back(YieldedCall& call);

}  // namespace caisson::kernel
