// From sealed instances to live ones.
#include <utility>

#include "kernel/kernel_state.h"
#include "kernel/seal.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

// CNodes within CNodes that one sealed instance may bring; a hostile store cannot make more of them than that.
constexpr std::size_t kMostOpenedSlots = std::size_t{1} << 20;

Result<SealedReference> open_sealed(Tree& tree, const Hash& hash) {
  KernelState& kernel = tree.kernel();
  Result<std::shared_ptr<const Capability>> capability = kernel.get(hash, CapabilityKind::kInstance);
  if (!capability) return std::unexpected(capability.error());
  if (Result<void> retained = kernel.store->retain(hash); !retained) return std::unexpected(retained.error());
  return SealedReference{std::make_shared<const StoreReference>(kernel.store, hash), *std::move(capability)};
}

// Fills `to` as `node` says, nodes within it too.
Result<void> fill(Tree& tree, CNodeObject& to, std::shared_ptr<const Capability> node) {
  struct Open {
    CNodeObject* to;
    std::shared_ptr<const Capability> node;
  };
  std::vector<Open> open;
  open.push_back({&to, std::move(node)});
  std::size_t slots = 0;
  while (!open.empty()) {
    const Open next = std::move(open.back());
    open.pop_back();
    for (const CNode::Slot& slot : std::get<CNode>(*next.node).slots) {
      if (++slots > kMostOpenedSlots) return fail(ErrorCode::kLimit, "a sealed instance has too many slots");
      if (slot.reference.kind != CapabilityKind::kCNode) {
        Result<CapabilitySlot> opened = open_reference(tree, slot.reference);
        if (!opened) return std::unexpected(opened.error());
        next.to->put(slot.number, *std::move(opened));
        continue;
      }
      Result<std::shared_ptr<const Capability>> inner = tree.kernel().get(slot.reference.hash, CapabilityKind::kCNode);
      if (!inner) return std::unexpected(inner.error());
      auto object = std::make_unique<CNodeObject>();
      open.push_back({object.get(), *std::move(inner)});
      next.to->put(slot.number, std::move(object));
    }
  }
  return {};
}

Result<std::unique_ptr<InstanceObject>> open_one(Tree& tree, const OpenedInstance& opened) {
  std::unique_ptr<InstanceObject> instance = tree.make_instance(opened.image, opened.sealed.lineage);
  if (instance == nullptr) return fail(ErrorCode::kLimit, "more instances than KernelOptions::max_instances");
  if (!opened.memory.changed.empty() || opened.memory.base != opened.image->fresh_memory().base)
    tree.adopt_memory(*instance, opened.memory);
  instance->set_gas_used(opened.sealed.gas_used);
  if (!opened.sealed.next_image.is_zero()) {
    Result<std::shared_ptr<LoadedImage>> next = tree.kernel().load_image(opened.sealed.next_image);
    if (!next) return std::unexpected(next.error());
    instance->set_next_image(*std::move(next));
  }
  if (Result<void> filled = fill(tree, instance->root(), opened.root); !filled) return std::unexpected(filled.error());
  return instance;
}

void take_registers(InstanceObject& instance, const SealedInstance& sealed) {
  instance.registers = std::make_unique<SavedRegisters>(SavedRegisters{.x = sealed.integer_registers,
                                                                       .f = sealed.float_registers,
                                                                       .pc = sealed.pc,
                                                                       .gas = sealed.gas_remaining,
                                                                       .frm = sealed.float_control >> 5,
                                                                       .fflags = sealed.float_control & 31,
                                                                       .reservation_address = sealed.reservation.address,
                                                                       .reservation_value = sealed.reservation.value,
                                                                       .reservation_width = sealed.reservation.width});
  instance.on_its_way = true;
}

std::unexpected<Error> broken_call(const Hash& hash) {
  return fail(ErrorCode::kInvalidImage, "a sealed call does not fit the instance that made it", hash.to_string());
}

}  // namespace

Result<CapabilitySlot> open_reference(Tree& tree, const CNode::Reference& reference) {
  KernelState& kernel = tree.kernel();
  switch (reference.kind) {
    case CapabilityKind::kData: {
      Result<std::shared_ptr<const Capability>> data = kernel.get(reference.hash, CapabilityKind::kData);
      if (!data) return std::unexpected(data.error());
      return std::get<Data>(**data);
    }
    case CapabilityKind::kImage: {
      Result<std::shared_ptr<LoadedImage>> image = kernel.load_image(reference.hash);
      if (!image) return std::unexpected(image.error());
      return *std::move(image);
    }
    case CapabilityKind::kCNode: {
      Result<std::shared_ptr<const Capability>> node = kernel.get(reference.hash, CapabilityKind::kCNode);
      if (!node) return std::unexpected(node.error());
      auto object = std::make_unique<CNodeObject>();
      if (Result<void> filled = fill(tree, *object, *std::move(node)); !filled) return std::unexpected(filled.error());
      return object;
    }
    case CapabilityKind::kInstance: {
      Result<SealedReference> sealed = open_sealed(tree, reference.hash);
      if (!sealed) return std::unexpected(sealed.error());
      return *std::move(sealed);
    }
  }
  return fail(ErrorCode::kInvalidImage, "a reference of no kind", reference.hash.to_string());
}

Result<std::unique_ptr<InstanceObject>> open_instance(Tree& tree, const Hash& sealed) {
  const auto opened = tree.kernel().open(sealed);
  if (!opened) return std::unexpected(opened.error());
  if ((*opened)->sealed.phase != InstancePhase::kIdle)
    return fail(ErrorCode::kInvalidArgument, "the instance was sealed in the middle of a call; Kernel::open() goes on with it", sealed.to_string());
  return open_one(tree, **opened);
}

Result<std::vector<Frame>> open_frames(Tree& tree, const Hash& sealed) {
  std::vector<Frame> frames;
  Hash hash = sealed;
  for (;;) {
    const auto opened = tree.kernel().open(hash);
    if (!opened) return std::unexpected(opened.error());
    const SealedInstance& value = (*opened)->sealed;
    if (value.phase == InstancePhase::kIdle && !frames.empty()) return broken_call(hash);
    if (value.phase == InstancePhase::kYielded) return broken_call(hash);
    Result<std::unique_ptr<InstanceObject>> instance = open_one(tree, **opened);
    if (!instance) return std::unexpected(instance.error());
    if (value.phase != InstancePhase::kIdle) take_registers(**instance, value);
    if (frames.empty()) {
      frames.push_back(Frame{.instance = *std::move(instance)});
    } else {
      Frame& callee = frames.back();
      if (callee.instance != nullptr) return broken_call(hash);
      callee.instance = *std::move(instance);
      // The callee's gas is part of the caller's.
      if (callee.granted < value.gas_remaining) return broken_call(hash);
    }
    if (value.phase != InstancePhase::kCalling) return frames;
    if (frames.size() >= tree.kernel().options.max_depth)
      return fail(ErrorCode::kLimit, "the sealed calls are nested deeper than KernelOptions::max_depth", sealed.to_string());

    CNodeObject& root = frames.back().instance->root();
    const auto slot = find_capability(root, value.pending.slot_path);
    auto* const reference = slot ? std::get_if<SealedReference>(*slot) : nullptr;
    if (reference == nullptr || value.pending.gas_granted > value.gas_remaining) return broken_call(hash);
    hash = reference->hash();
    **slot = MovedMark{};
    Frame callee{.slot = *parse_slot_path(value.pending.slot_path),
                 .slot_word = value.pending.slot_path,
                 .given_word = value.pending.given_path,
                 .share_left = value.pending.gas_share,
                 .granted = value.pending.gas_granted,
                 .catch_key = value.pending.catch_key};
    if (value.pending.given_path != ~std::uint64_t{0}) {
      callee.given = parse_slot_path(value.pending.given_path);
      const auto given = find_place(root, value.pending.given_path);
      if (!callee.given || !given || given->is_taken()) return broken_call(hash);
      given->put(MovedMark{});
    }
    frames.push_back(std::move(callee));
  }
}

}  // namespace caisson::kernel
