#include "kernel/slots.h"

#include <algorithm>
#include <utility>

#include "kernel/instance_object.h"

namespace caisson::kernel {

std::expected<SlotPlace, KernelError> find_place(CNodeObject& root, const SlotPath& path) {
  CNodeObject* node = &root;
  for (unsigned i = 0; i + 1 < path.count; ++i) {
    CapabilitySlot* const slot = node->find(path.numbers[i]);
    if (slot == nullptr) return std::unexpected(KernelError::kBadSlot);
    if (std::holds_alternative<MovedMark>(*slot)) return std::unexpected(KernelError::kMoved);
    auto* const inner = std::get_if<std::unique_ptr<CNodeObject>>(slot);
    if (inner == nullptr) return std::unexpected(KernelError::kBadSlot);
    node = inner->get();
  }
  return SlotPlace{node, path.last()};
}

std::expected<SlotPlace, KernelError> find_place(CNodeObject& root, std::uint64_t word) {
  if (word < CNode::kSlots) [[likely]]
    return SlotPlace{&root, static_cast<std::uint8_t>(word)};
  const std::optional<SlotPath> path = parse_slot_path(word);
  if (!path) return std::unexpected(KernelError::kBadSlot);
  return find_place(root, *path);
}

std::expected<CapabilitySlot*, KernelError> find_capability(CNodeObject& root, std::uint64_t word) {
  const std::expected<SlotPlace, KernelError> place = find_place(root, word);
  if (!place) return std::unexpected(place.error());
  CapabilitySlot* const slot = place->find();
  if (slot == nullptr) return std::unexpected(KernelError::kEmptySlot);
  if (std::holds_alternative<MovedMark>(*slot)) return std::unexpected(KernelError::kMoved);
  return slot;
}

bool leads_through(const SlotPath& inner, const SlotPath& outer) {
  return outer.count <= inner.count &&
         std::equal(outer.numbers.begin(), outer.numbers.begin() + outer.count, inner.numbers.begin());
}

void replace_moved(CNodeObject& root, const SlotPath& path, CapabilitySlot capability) {
  // Nothing of the tree has changed meanwhile: its owner waits for what comes back.
  const std::expected<SlotPlace, KernelError> place = find_place(root, path);
  if (!place) return;
  if (is_empty(capability)) {
    if (place->is_taken()) place->take();
    return;
  }
  if (CapabilitySlot* const slot = place->find()) {
    *slot = std::move(capability);
  } else {
    place->put(std::move(capability));
  }
}

}  // namespace caisson::kernel
