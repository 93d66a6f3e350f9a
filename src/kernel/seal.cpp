#include "kernel/seal.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "kernel/kernel_state.h"
#include "kernel/sealed_memory.h"
#include "kernel/slots.h"
#include "kernel/store_reference.h"

namespace caisson::kernel {
namespace {

constexpr std::uint64_t kNoPath = ~std::uint64_t{0};

// One sealing: what was sealed so far, and references to it until something that refers to it is in the store.
class Sealer {
 public:
  explicit Sealer(Tree& tree) : store_(tree.kernel().store) {}

  Result<Hash> seal(InstanceObject& instance) { return seal_one(instance, nullptr, InstancePhase::kIdle); }

  // Calls under way, each frame called by the one before. `yielded`: how the first was called, where the last waits in HOST_YIELD; else null.
  Result<Hash> seal_chain(std::vector<Frame>& frames, const Frame* yielded) {
    // The only way to recurse: a yielded call that is owned by an instance of a yielded call, and so on.
    if (++nesting_ > kMostNested) return fail(ErrorCode::kUnsupported, "yielded calls own each other too deeply");
    Result<Hash> sealed = seal_frames(frames, yielded);
    --nesting_;
    return sealed;
  }

  // A node with all that is in it, or an instance, or a value.
  Result<CNode::Reference> seal_capability(CapabilitySlot& slot) {
    if (Result<void> sealed = seal_below(slot); !sealed) return std::unexpected(sealed.error());
    return reference_of(slot);
  }

  // Hands a reference to what was sealed to the caller.
  Hash release_to_caller(const Hash& hash) {
    const auto held = std::ranges::find(held_, hash, &StoreReference::hash);
    return held == held_.end() ? hash : held->take();
  }

 private:
  Result<Hash> seal_frames(std::vector<Frame>& frames, const Frame* yielded) {
    const Frame* callee = nullptr;
    for (std::size_t i = frames.size(); i > 0; --i) {
      Frame& frame = frames[i - 1];
      const bool is_last = callee == nullptr;
      const Result<Hash> sealed =
          is_last && yielded != nullptr
              ? seal_one(*frame.instance, yielded, InstancePhase::kYielded)
              : seal_one(*frame.instance, callee, is_last ? InstancePhase::kRunning : InstancePhase::kCalling);
      if (!sealed || i == 1) return sealed;
      note_moved(frames[i - 2].instance->root(), frame, *sealed);
      callee = &frame;
    }
    return fail(ErrorCode::kInternal, "a call without frames");
  }

  Result<Hash> put(const Capability& capability) {
    Result<Hash> hash = store_->put(capability);
    if (hash) held_.emplace_back(store_, *hash);
    return hash;
  }

  void note_moved(CNodeObject& callers, const Frame& frame, const Hash& sealed) {
    const auto place = find_place(callers, frame.slot);
    if (place && place->find() != nullptr) sealed_[place->find()] = {CapabilityKind::kInstance, sealed};
  }

  // Everything owned in the slot, the leaves first.
  Result<void> seal_below(CapabilitySlot& top) {
    std::vector<CapabilitySlot*> owners;  // each before what it owns
    const auto add_slots = [&owners](CNodeObject& node) {
      for (const CNodeObject::Entry& entry : node.entries()) {
        if (!std::holds_alternative<MovedMark>(*entry.slot)) owners.push_back(entry.slot);
      }
    };
    owners.push_back(&top);
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(owners[i])) add_slots(**node);
      if (auto* const instance = std::get_if<std::unique_ptr<InstanceObject>>(owners[i]))
        add_slots((*instance)->root());
    }
    for (std::size_t i = owners.size(); i > 0; --i) {
      if (Result<void> sealed = seal_owner(*owners[i - 1]); !sealed) return sealed;
    }
    return {};
  }

  Result<void> seal_owner(CapabilitySlot& slot) {
    if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(&slot)) {
      const Result<Hash> hash = seal_node(**node);
      if (!hash) return std::unexpected(hash.error());
      sealed_[&slot] = {CapabilityKind::kCNode, *hash};
    } else if (auto* const instance = std::get_if<std::unique_ptr<InstanceObject>>(&slot)) {
      const Result<Hash> hash = seal_value(**instance, nullptr, InstancePhase::kIdle);
      if (!hash) return std::unexpected(hash.error());
      sealed_[&slot] = {CapabilityKind::kInstance, *hash};
    } else if (auto* const yielded = std::get_if<std::unique_ptr<YieldedCall>>(&slot)) {
      const Result<Hash> hash = seal_chain((*yielded)->frames, &(*yielded)->frames.front());
      if (!hash) return std::unexpected(hash.error());
      sealed_[&slot] = {CapabilityKind::kInstance, *hash};
    }
    return {};
  }

  // The instance, and before it all that its slots own. `call`: what it waits for.
  Result<Hash> seal_one(InstanceObject& instance, const Frame* call, InstancePhase phase) {
    for (const CNodeObject::Entry& entry : instance.root().entries()) {
      if (std::holds_alternative<MovedMark>(*entry.slot)) continue;
      if (Result<void> sealed = seal_below(*entry.slot); !sealed) return std::unexpected(sealed.error());
    }
    return seal_value(instance, call, phase);
  }

  Result<Hash> seal_node(CNodeObject& node) {
    CNode value;
    for (const CNodeObject::Entry& entry : node.entries()) {
      const auto moved = std::holds_alternative<MovedMark>(*entry.slot) && !sealed_.contains(entry.slot);
      if (moved) continue;  // a slot that was given to the callee
      Result<CNode::Reference> reference = reference_of(*entry.slot);
      if (!reference) return std::unexpected(reference.error());
      const bool owned =
          !std::holds_alternative<SealedReference>(*entry.slot) && reference->kind == CapabilityKind::kInstance;
      value.slots.push_back({entry.number, *reference, owned});
    }
    return put(Capability(std::move(value)));
  }

  Result<CNode::Reference> reference_of(CapabilitySlot& slot) {
    if (const auto known = sealed_.find(&slot); known != sealed_.end()) return known->second;
    if (const auto* const data = std::get_if<Data>(&slot)) {
      const Result<Hash> hash = put(Capability(*data));
      if (!hash) return std::unexpected(hash.error());
      return CNode::Reference{CapabilityKind::kData, *hash};
    }
    if (const auto* const image = std::get_if<std::shared_ptr<LoadedImage>>(&slot)) {
      if (Result<void> stored = store_image(**image); !stored) return std::unexpected(stored.error());
      return CNode::Reference{CapabilityKind::kImage, (*image)->hash()};
    }
    if (const auto* const sealed = std::get_if<SealedReference>(&slot))
      return CNode::Reference{CapabilityKind::kInstance, sealed->hash()};
    return fail(ErrorCode::kInternal, "a slot that is not sealed");
  }

  Result<void> store_image(const LoadedImage& image) {
    if (store_->retain(image.hash())) {
      held_.emplace_back(store_, image.hash());
      return {};
    }
    for (const Data& data : image.contents()) {
      if (const Result<Hash> hash = put(Capability(data)); !hash) return std::unexpected(hash.error());
    }
    const Result<Hash> hash = put(Capability(image.image()));
    return hash ? Result<void>() : std::unexpected(hash.error());
  }

  Result<Hash> seal_value(InstanceObject& instance, const Frame* call, InstancePhase phase) {
    if (Result<void> stored = store_image(instance.image()); !stored) return std::unexpected(stored.error());
    Result<memory::MemoryState> state = memory_of(instance);
    if (!state) return std::unexpected(state.error());
    const LoadedImage& image = instance.image();
    const SealedMemory memory = instance.sealed_memory.seal(*state, *image.fresh_memory().base, image.sealed_base());
    const Result<Hash> data = put(Capability(memory.data));
    if (!data) return data;
    const Result<Hash> root = seal_node(instance.root());
    if (!root) return root;

    SealedInstance value{.image = instance.image().hash(),
                         .mappings = memory.mappings,
                         .memory = *data,
                         .root = *root,
                         .gas_used = instance.gas_used(),
                         .lineage = instance.lineage()};
    value.phase = phase;
    if (phase != InstancePhase::kIdle) add_registers(instance, value);
    if (call != nullptr) {
      const bool is_yielded = phase == InstancePhase::kYielded;
      value.pending = {.slot_path = is_yielded ? 0 : call->slot_word,
                       .gas_share = call->share_left,
                       .gas_granted = is_yielded ? 0 : call->granted,
                       .catch_key = call->catch_key,
                       .given_path = call->given ? call->given_word : kNoPath};
    }
    if (instance.has_next_image()) {
      if (Result<void> stored = store_image(instance.entered_image()); !stored) return std::unexpected(stored.error());
      value.next_image = instance.entered_image().hash();
    }
    return put(Capability(std::move(value)));
  }

  static Result<memory::MemoryState> memory_of(InstanceObject& instance) {
    if (instance.cell != nullptr) return instance.cell->guest().memory().state();
    return instance.memory ? *instance.memory : instance.image().fresh_memory();
  }

  static void add_registers(const InstanceObject& instance, SealedInstance& value) {
    const runtime::HartRegisters saved =
        instance.cell != nullptr ? runtime::registers_of(instance.cell->hart()) : *instance.registers;
    value.integer_registers = saved.x;
    value.float_registers = saved.f;
    value.float_control = saved.frm << 5 | saved.fflags;
    value.pc = saved.pc;
    value.gas_remaining = saved.gas;
    value.reservation = {saved.reservation_address, saved.reservation_value, saved.reservation_width};
  }

  const std::shared_ptr<CapabilityStore> store_;
  std::unordered_map<const CapabilitySlot*, CNode::Reference> sealed_;
  std::vector<StoreReference> held_;
  static constexpr unsigned kMostNested = 256;
  unsigned nesting_ = 0;
};

}  // namespace

Result<Hash> seal_instance(Tree& tree, InstanceObject& instance) {
  Sealer sealer(tree);
  const Result<Hash> hash = sealer.seal(instance);
  return hash ? Result<Hash>(sealer.release_to_caller(*hash)) : hash;
}

Result<Hash> seal_frames(Tree& tree, std::vector<Frame>& frames) {
  Sealer sealer(tree);
  const Result<Hash> hash = sealer.seal_chain(frames, nullptr);
  return hash ? Result<Hash>(sealer.release_to_caller(*hash)) : hash;
}

Result<CNode::Reference> seal_capability(Tree& tree, CapabilitySlot& slot) {
  Sealer sealer(tree);
  Result<CNode::Reference> reference = sealer.seal_capability(slot);
  if (!reference) return reference;
  // What was sealed before has no reference that was made for this.
  if (std::holds_alternative<SealedReference>(slot)) {
    if (Result<void> retained = tree.kernel().store->retain(reference->hash); !retained)
      return std::unexpected(retained.error());
    return reference;
  }
  sealer.release_to_caller(reference->hash);
  return reference;
}

Result<void> seal_slot(Tree& tree, CapabilitySlot& slot) {
  // A CNode keeps its place; what is in it is sealed where it is.
  std::vector<CapabilitySlot*> open{&slot};
  for (std::size_t i = 0; i < open.size(); ++i) {
    CapabilitySlot& each = *open[i];
    if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(&each)) {
      for (const CNodeObject::Entry& entry : (*node)->entries()) open.push_back(entry.slot);
      continue;
    }
    auto* const instance = std::get_if<std::unique_ptr<InstanceObject>>(&each);
    if (instance == nullptr) continue;
    const Result<Hash> hash = seal_instance(tree, **instance);
    if (!hash) return std::unexpected(hash.error());
    auto reference = std::make_shared<const StoreReference>(tree.kernel().store, *hash);
    Result<std::shared_ptr<const Capability>> capability = tree.kernel().get(*hash, CapabilityKind::kInstance);
    if (!capability) return std::unexpected(capability.error());
    std::vector<CapabilitySlot> ended;
    ended.push_back(std::exchange(each, SealedReference{std::move(reference), *std::move(capability)}));
    end_capabilities(std::move(ended));
  }
  return {};
}

std::expected<void, KernelError> pay_for_sealing(CapabilitySlot& slot, const PayPages& pay) {
  if (std::holds_alternative<std::unique_ptr<YieldedCall>>(slot)) return std::unexpected(KernelError::kUnsupported);
  struct Open {
    CapabilitySlot* slot;
    bool is_sealed;  // with the instance that owns it; what CNodes hold beside instances stays as it is
  };
  bool has_instance = false, is_paid = true;
  std::vector<Open> open{{&slot, false}};
  const auto add_slots = [&](CNodeObject& node, bool is_sealed) {
    const std::vector<CNodeObject::Entry> entries = node.entries();
    is_paid = is_paid && pay(entries.size());
    if (!is_paid) return;
    for (const CNodeObject::Entry& entry : entries) open.push_back({entry.slot, is_sealed});
  };
  const auto add_instance = [&](InstanceObject& instance) {
    is_paid = is_paid && pay(instance.mapped_pages());
    add_slots(instance.root(), true);
  };
  for (std::size_t i = 0; i < open.size() && is_paid; ++i) {
    const auto [each, is_sealed] = open[i];
    if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(each)) add_slots(**node, is_sealed);
    if (auto* const instance = std::get_if<std::unique_ptr<InstanceObject>>(each)) {
      has_instance = true;
      add_instance(**instance);
    }
    if (!is_sealed) continue;
    if (auto* const yielded = std::get_if<std::unique_ptr<YieldedCall>>(each)) {
      for (const Frame& frame : (*yielded)->frames) add_instance(*frame.instance);
    }
    if (const auto* const data = std::get_if<Data>(each)) is_paid = pay(data->page_count());
    if (const auto* const image = std::get_if<std::shared_ptr<LoadedImage>>(each))
      is_paid = pay((*image)->page_count());
  }
  if (!is_paid) return std::unexpected(KernelError::kOk);
  if (!has_instance) return std::unexpected(KernelError::kWrongKind);
  return {};
}

}  // namespace caisson::kernel
