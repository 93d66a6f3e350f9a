#include "kernel/clone.h"

#include <utility>

namespace caisson::kernel {
namespace {

// Clones slot by slot, what is owned before what it owns, so that no depth is too deep.
class Cloner {
 public:
  explicit Cloner(Tree& into) : into_(into) {}

  Result<std::unique_ptr<InstanceObject>> clone(InstanceObject& instance) {
    Result<std::unique_ptr<InstanceObject>> copy = clone_one(instance);
    if (!copy) return copy;
    open_.emplace_back(&instance.root(), &(*copy)->root());
    while (!open_.empty()) {
      const auto [from, to] = open_.back();
      open_.pop_back();
      if (Result<void> cloned = clone_slots(*from, *to); !cloned) return std::unexpected(cloned.error());
    }
    return copy;
  }

 private:
  Result<void> clone_slots(CNodeObject& from, CNodeObject& to) {
    for (const CNodeObject::Entry& entry : from.entries()) {
      Result<CapabilitySlot> copy = clone_slot(*entry.slot);
      if (!copy) return std::unexpected(copy.error());
      to.put(entry.number, *std::move(copy));
    }
    return {};
  }

  Result<CapabilitySlot> clone_slot(CapabilitySlot& slot) {
    if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(&slot)) {
      auto copy = into_.make_node();
      if (copy == nullptr) return fail(ErrorCode::kLimit, "the tree holds as much as KernelOptions allow");
      open_.emplace_back(node->get(), copy.get());
      return copy;
    }
    if (auto* const instance = std::get_if<std::unique_ptr<InstanceObject>>(&slot)) {
      Result<std::unique_ptr<InstanceObject>> copy = clone_one(**instance);
      if (!copy) return std::unexpected(copy.error());
      open_.emplace_back(&(*instance)->root(), &(*copy)->root());
      return *std::move(copy);
    }
    if (auto* const yielded = std::get_if<std::unique_ptr<YieldedCall>>(&slot)) {
      auto copy = std::make_unique<YieldedCall>();
      for (Frame& frame : (*yielded)->frames) {
        Result<std::unique_ptr<InstanceObject>> instance = clone_one(*frame.instance);
        if (!instance) return std::unexpected(instance.error());
        open_.emplace_back(&frame.instance->root(), &(*instance)->root());
        copy->frames.push_back(frame.with_instance(*std::move(instance)));
      }
      return copy;
    }
    if (const auto* const data = std::get_if<Data>(&slot)) return *data;
    if (const auto* const image = std::get_if<std::shared_ptr<LoadedImage>>(&slot)) return *image;
    if (const auto* const sealed = std::get_if<SealedReference>(&slot)) return *sealed;
    return MovedMark{};
  }

  // Without what it owns.
  Result<std::unique_ptr<InstanceObject>> clone_one(InstanceObject& from) {
    std::unique_ptr<InstanceObject> copy = into_.make_instance(from.shared_image(), from.lineage());
    if (copy == nullptr) return fail(ErrorCode::kLimit, "more instances than KernelOptions::max_instances");
    if (from.has_next_image()) copy->set_next_image(from.shared_next_image());
    copy->set_gas_used(from.gas_used());
    copy->on_its_way = from.on_its_way;
    if (from.on_its_way) {
      copy->registers = std::make_unique<runtime::HartRegisters>(
          from.cell != nullptr ? runtime::registers_of(from.cell->hart()) : *from.registers);
    }
    if (from.cell != nullptr) {
      Result<memory::MemoryState> state = from.cell->guest().memory().state();
      if (!state) return std::unexpected(state.error());
      if (Result<void> adopted = into_.adopt_memory(*copy, *std::move(state)); !adopted)
        return std::unexpected(adopted.error());
    } else if (from.memory) {
      if (Result<void> adopted = into_.adopt_memory(*copy, *from.memory); !adopted)
        return std::unexpected(adopted.error());
    }
    return copy;
  }

  Tree& into_;
  std::vector<std::pair<CNodeObject*, CNodeObject*>> open_;
};

}  // namespace

Result<std::unique_ptr<InstanceObject>> clone_instance(InstanceObject& instance, Tree& into) {
  return Cloner(into).clone(instance);
}

Result<std::vector<Frame>> clone_frames(std::vector<Frame>& frames, Tree& into) {
  std::vector<Frame> copies;
  for (Frame& frame : frames) {
    Result<std::unique_ptr<InstanceObject>> instance = clone_instance(*frame.instance, into);
    if (!instance) return std::unexpected(instance.error());
    copies.push_back(frame.with_instance(*std::move(instance)));
  }
  return copies;
}

}  // namespace caisson::kernel
