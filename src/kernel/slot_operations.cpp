// COPY, MOVE, DROP, CNODE_SWAP, CNODE_MINT: capabilities between the slots of the caller's own tree.
#include <utility>

#include "kernel/instance_object.h"
#include "kernel/operations.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

// A CNode without anything that only one slot can own, copied with all that is in it. Each node is paid before it is copied.
class NodeCopy {
 public:
  static constexpr std::size_t kMostSlots = 4096;

  explicit NodeCopy(OperationContext& context) : context_(context) {}

  std::expected<std::unique_ptr<CNodeObject>, KernelError> copy(CNodeObject& from) {
    auto to = context_.tree().make_node();
    if (to == nullptr) return std::unexpected(KernelError::kNoMemory);
    std::vector<std::pair<CNodeObject*, CNodeObject*>> open{{&from, to.get()}};
    while (!open.empty()) {
      const auto [source, target] = open.back();
      open.pop_back();
      const std::vector<CNodeObject::Entry> entries = source->entries();
      slots_ += entries.size();
      if (slots_ > kMostSlots) return std::unexpected(KernelError::kNoMemory);
      if (!context_.charge_pages(entries.size())) return std::unexpected(KernelError::kOk);
      for (const CNodeObject::Entry& entry : entries) {
        if (auto* const inner = std::get_if<std::unique_ptr<CNodeObject>>(entry.slot)) {
          auto copied = context_.tree().make_node();
          if (copied == nullptr) return std::unexpected(KernelError::kNoMemory);
          open.emplace_back(inner->get(), copied.get());
          target->put(entry.number, std::move(copied));
          continue;
        }
        CapabilitySlot value = copy_value(*entry.slot);
        if (is_empty(value)) return std::unexpected(KernelError::kNotCopyable);
        target->put(entry.number, std::move(value));
      }
    }
    return to;
  }

  // Empty where the capability is not a plain value.
  static CapabilitySlot copy_value(const CapabilitySlot& slot) {
    if (const auto* const data = std::get_if<Data>(&slot)) return *data;
    if (const auto* const image = std::get_if<std::shared_ptr<LoadedImage>>(&slot)) return *image;
    if (const auto* const sealed = std::get_if<SealedReference>(&slot)) return *sealed;
    return {};
  }

 private:
  OperationContext& context_;
  std::size_t slots_ = 0;
};

}  // namespace

KernelError op_copy(OperationContext& context) {
  const auto from = find_capability(context.root(), context.operand(0));
  if (!from) return from.error();
  const auto to = find_place(context.root(), context.operand(1));
  if (!to) return to.error();
  if (to->is_taken()) return KernelError::kSlotTaken;
  if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(*from)) {
    auto copied = NodeCopy(context).copy(**node);
    if (!copied) return copied.error();
    to->put(*std::move(copied));
    return KernelError::kOk;
  }
  CapabilitySlot value = NodeCopy::copy_value(**from);
  if (is_empty(value)) return KernelError::kNotCopyable;
  to->put(std::move(value));
  return KernelError::kOk;
}

KernelError op_move(OperationContext& context) {
  const auto from = find_place(context.root(), context.operand(0));
  if (!from) return from.error();
  if (const auto held = find_capability(context.root(), context.operand(0)); !held) return held.error();
  const auto to = find_place(context.root(), context.operand(1));
  if (!to) return to.error();
  if (to->is_taken()) return KernelError::kSlotTaken;
  // A CNode cannot go into itself.
  if (leads_through(*parse_slot_path(context.operand(1)), *parse_slot_path(context.operand(0))))
    return KernelError::kBadArgument;
  to->node->make_room();
  to->put(from->take());
  return KernelError::kOk;
}

KernelError op_drop(OperationContext& context) {
  const auto place = find_place(context.root(), context.operand(0));
  if (!place) return place.error();
  if (const auto held = find_capability(context.root(), context.operand(0)); !held) return held.error();
  std::vector<CapabilitySlot> dropped;
  dropped.reserve(1);
  dropped.push_back(place->take());
  end_capabilities(std::move(dropped));
  return KernelError::kOk;
}

KernelError op_cnode_swap(OperationContext& context) {
  const auto one = find_place(context.root(), context.operand(0));
  if (!one) return one.error();
  const auto other = find_place(context.root(), context.operand(1));
  if (!other) return other.error();
  const SlotPath one_path = *parse_slot_path(context.operand(0));
  const SlotPath other_path = *parse_slot_path(context.operand(1));
  if (leads_through(one_path, other_path) || leads_through(other_path, one_path)) return KernelError::kBadArgument;
  CapabilitySlot* const from_one = one->find();
  CapabilitySlot* const from_other = other->find();
  for (const CapabilitySlot* const slot : {from_one, from_other}) {
    if (slot != nullptr && std::holds_alternative<MovedMark>(*slot)) return KernelError::kMoved;
  }
  one->node->make_room();
  other->node->make_room();
  CapabilitySlot first = one->is_taken() ? one->take() : CapabilitySlot();
  CapabilitySlot second = other->is_taken() ? other->take() : CapabilitySlot();
  if (!is_empty(second)) one->put(std::move(second));
  if (!is_empty(first)) other->put(std::move(first));
  return KernelError::kOk;
}

KernelError op_cnode_mint(OperationContext& context) {
  const auto to = find_place(context.root(), context.operand(0));
  if (!to) return to.error();
  if (to->is_taken()) return KernelError::kSlotTaken;
  auto node = context.tree().make_node();
  if (node == nullptr) return KernelError::kNoMemory;
  to->put(std::move(node));
  return KernelError::kOk;
}

}  // namespace caisson::kernel
