// Finding slots in a tree of CNodes.
#pragma once

#include <expected>
#include <optional>

#include "kernel/instance_object.h"
#include "kernel/kernel_error.h"
#include "kernel/slot_path.h"

namespace caisson::kernel {

// Where a callee finds what its caller gave it.
inline constexpr std::uint8_t kGivenSlot = 255;

// A slot, empty or not: the node that holds it and its number there.
struct SlotPlace {
  CNodeObject* node = nullptr;
  std::uint8_t number = 0;

  CapabilitySlot* find() const { return node->find(number); }
  bool is_taken() const { return find() != nullptr; }
  CapabilitySlot take() const { return node->take(number); }
  void put(CapabilitySlot capability) const { node->put(number, std::move(capability)); }
};

// Errors: kBadSlot (the word is no path, or leads through what is no CNode), kMoved (a CNode on the way is in a call).
std::expected<SlotPlace, KernelError> find_place(CNodeObject& root, std::uint64_t word);
std::expected<SlotPlace, KernelError> find_place(CNodeObject& root, const SlotPath& path);
// The same of a slot that holds something. Errors: also kEmptySlot, kMoved.
std::expected<CapabilitySlot*, KernelError> find_capability(CNodeObject& root, std::uint64_t word);

// Whether `outer` is the place of a CNode that `inner` leads through, or the same place.
bool leads_through(const SlotPath& inner, const SlotPath& outer);

// Puts into a slot that a call under way has emptied what comes back; nothing, where that is empty.
void replace_moved(CNodeObject& root, const SlotPath& path, CapabilitySlot capability);

}  // namespace caisson::kernel
