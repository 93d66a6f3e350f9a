// From sealed instances to live ones.
#include <unordered_map>
#include <utility>

#include "kernel/kernel_state.h"
#include "kernel/seal.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

// CNodes within CNodes that one sealed instance may bring; a hostile store cannot make more of them than that.
constexpr std::size_t kMostOpenedSlots = std::size_t{1} << 20;

// What each instance in another is paid as, beside its pages.
constexpr std::uint64_t kPagesOfInstance = 64;

std::uint64_t pages_of(const SealedInstance& instance) {
  std::uint64_t pages = 0;
  for (const ImageMapping& mapping : instance.mappings) pages += mapping.page_count;
  return pages;
}

Result<SealedReference> open_sealed(Tree& tree, const Hash& hash) {
  KernelState& kernel = tree.kernel();
  Result<std::shared_ptr<const Capability>> capability = kernel.get(hash, CapabilityKind::kInstance);
  if (!capability) return std::unexpected(capability.error());
  if (Result<void> retained = kernel.store->retain(hash); !retained) return std::unexpected(retained.error());
  return SealedReference{std::make_shared<const StoreReference>(kernel.store, hash), *std::move(capability)};
}

std::unexpected<Error> broken_call(const Hash& hash) {
  return fail(ErrorCode::kInvalidImage, "a sealed call does not fit the instance that made it", hash.to_string());
}

void take_registers(InstanceObject& instance, const SealedInstance& sealed) {
  const Reservation& reservation = sealed.reservation;
  instance.registers =
      std::make_unique<runtime::HartRegisters>(runtime::HartRegisters{.x = sealed.integer_registers,
                                                                      .f = sealed.float_registers,
                                                                      .pc = sealed.pc,
                                                                      .gas = sealed.gas_remaining,
                                                                      .frm = sealed.float_control >> 5,
                                                                      .fflags = sealed.float_control & 31,
                                                                      .reservation_address = reservation.address,
                                                                      .reservation_value = reservation.value,
                                                                      .reservation_width = reservation.width});
  instance.on_its_way = true;
}

// Makes live what was sealed with everything that it owned: first each instance and node in its slot, then, of those that were sealed in the
// middle of calls, the frames. Nothing recurses, whatever the store says.
class Opener {
 public:
  explicit Opener(Tree& tree, PayPages pay = {}) : tree_(tree), pay_(std::move(pay)) {}

  Result<std::unique_ptr<InstanceObject>> open(const Hash& hash, SlotPlace place) {
    const auto opened = tree_.kernel().open(hash);
    if (!opened) return std::unexpected(opened.error());
    std::unique_ptr<InstanceObject> instance = tree_.make_instance((*opened)->image, (*opened)->sealed.lineage);
    if (instance == nullptr) return fail(ErrorCode::kLimit, "more instances than KernelOptions::max_instances");
    const SealedInstance& sealed = (*opened)->sealed;
    if (Result<void> adopted = tree_.adopt_memory(*instance, (*opened)->memory); !adopted)
      return std::unexpected(adopted.error());
    instance->set_gas_used(sealed.gas_used);
    if (!sealed.next_image.is_zero()) {
      Result<std::shared_ptr<LoadedImage>> next = tree_.kernel().load_image(sealed.next_image);
      if (!next) return std::unexpected(next.error());
      instance->set_next_image(*std::move(next));
    }
    if (sealed.phase != InstancePhase::kIdle) {
      take_registers(*instance, sealed);
      by_instance_.emplace(instance.get(), waiting_.size());
      waiting_.push_back({instance.get(), *opened, hash, place});
    }
    open_.push_back({&instance->root(), (*opened)->root});
    return instance;
  }

  void add_node(CNodeObject& to, std::shared_ptr<const Capability> node) { open_.push_back({&to, std::move(node)}); }

  // What the nodes say, those within them too.
  Result<void> fill() {
    std::size_t slots = 0;
    while (!open_.empty()) {
      const OpenNode next = std::move(open_.back());
      open_.pop_back();
      if (Result<void> paid = pay_for(std::get<CNode>(*next.node).slots.size()); !paid) return paid;
      for (const CNode::Slot& slot : std::get<CNode>(*next.node).slots) {
        if (++slots > kMostOpenedSlots) return fail(ErrorCode::kLimit, "a sealed instance has too many slots");
        Result<CapabilitySlot> opened = open_slot(slot, {next.to, slot.number});
        if (!opened) return std::unexpected(opened.error());
        next.to->put(slot.number, *std::move(opened));
      }
    }
    return {};
  }

  // The frames of the calls that `root` had under way, and yielded calls in the slots of those that had yielded.
  Result<std::vector<Frame>> link(std::unique_ptr<InstanceObject> root) {
    for (Waiting& each : waiting_) {
      if (each.sealed().phase != InstancePhase::kCalling) continue;
      const auto slot = find_capability(each.instance->root(), each.sealed().pending.slot_path);
      auto* const callee = slot ? std::get_if<std::unique_ptr<InstanceObject>>(*slot) : nullptr;
      const auto known = callee == nullptr ? by_instance_.end() : by_instance_.find(callee->get());
      if (known == by_instance_.end()) return broken_call(each.hash);
      each.callee = known->second;
      waiting_[known->second].is_called = true;
    }
    for (const Waiting& each : waiting_) {
      if (each.is_called || each.instance == root.get()) continue;
      CapabilitySlot* const slot = each.place.find();
      Result<std::vector<Frame>> frames =
          take_chain(std::move(std::get<std::unique_ptr<InstanceObject>>(*slot)), InstancePhase::kYielded);
      if (!frames) return std::unexpected(frames.error());
      *slot = std::make_unique<YieldedCall>(YieldedCall{*std::move(frames)});
    }
    if (by_instance_.contains(root.get())) return take_chain(std::move(root), InstancePhase::kRunning);
    std::vector<Frame> frames;
    frames.push_back(Frame{.instance = std::move(root)});
    return frames;
  }

 private:
  struct OpenNode {
    CNodeObject* to;
    std::shared_ptr<const Capability> node;
  };
  // An instance that was sealed in the middle of something.
  struct Waiting {
    InstanceObject* instance;
    std::shared_ptr<const OpenedInstance> opened;
    Hash hash;
    SlotPlace place;  // of no node: the root
    std::size_t callee = 0;  // index, in kCalling
    bool is_called = false;
    const SealedInstance& sealed() const { return opened->sealed; }
  };

  Result<void> pay_for(std::uint64_t pages) {
    if (pay_ && !pay_(pages)) return fail(ErrorCode::kLimit, "what a sealed instance holds is not paid for");
    return {};
  }

  // An instance in a slot of another.
  Result<void> pay_for_instance(const Hash& hash) {
    if (!pay_) return {};
    const Result<std::shared_ptr<const Capability>> found = tree_.kernel().get(hash, CapabilityKind::kInstance);
    if (!found) return std::unexpected(found.error());
    return pay_for(kPagesOfInstance + pages_of(std::get<SealedInstance>(**found)));
  }

  Result<CapabilitySlot> open_slot(const CNode::Slot& slot, SlotPlace place) {
    if (slot.reference.kind == CapabilityKind::kCNode) {
      Result<std::shared_ptr<const Capability>> inner = tree_.kernel().get(slot.reference.hash, CapabilityKind::kCNode);
      if (!inner) return std::unexpected(inner.error());
      auto object = tree_.make_node();
      if (object == nullptr) return fail(ErrorCode::kLimit, "the tree holds as much as KernelOptions allow");
      add_node(*object, *std::move(inner));
      return object;
    }
    if (!slot.owned) return open_value(slot.reference);
    if (Result<void> paid = pay_for_instance(slot.reference.hash); !paid) return std::unexpected(paid.error());
    Result<std::unique_ptr<InstanceObject>> instance = open(slot.reference.hash, place);
    if (!instance) return std::unexpected(instance.error());
    return *std::move(instance);
  }

  Result<CapabilitySlot> open_value(const CNode::Reference& reference) {
    KernelState& kernel = tree_.kernel();
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
      default: {
        Result<SealedReference> sealed = open_sealed(tree_, reference.hash);
        if (!sealed) return std::unexpected(sealed.error());
        return *std::move(sealed);
      }
    }
  }

  // From `first` to the one that runs or yielded, each out of the slot from which it was called.
  Result<std::vector<Frame>> take_chain(std::unique_ptr<InstanceObject> first, InstancePhase last_phase) {
    const std::size_t most = tree_.kernel().options.max_depth;
    std::vector<Frame> frames;
    std::size_t index = by_instance_.at(first.get());
    frames.push_back(Frame{.instance = std::move(first)});
    for (;;) {
      const Waiting& caller = waiting_[index];
      const PendingCall& pending = caller.sealed().pending;
      if (last_phase == InstancePhase::kYielded && caller.sealed().gas_remaining != 0) return broken_call(caller.hash);
      if (caller.sealed().phase != InstancePhase::kCalling) {
        if (caller.sealed().phase != last_phase) return broken_call(caller.hash);
        if (last_phase == InstancePhase::kYielded) {
          frames.front().share_left = pending.gas_share;
          frames.front().catch_key = pending.catch_key;
        }
        return frames;
      }
      if (frames.size() >= most)
        return fail(ErrorCode::kLimit, "sealed calls are nested deeper than KernelOptions::max_depth",
                    caller.hash.to_string());
      CNodeObject& root = caller.instance->root();
      const Waiting& callee = waiting_[caller.callee];
      // The callee's gas is part of the caller's, and of its share: what it used is told by subtracting one from the other.
      if (pending.gas_granted > caller.sealed().gas_remaining || pending.gas_granted > pending.gas_share ||
          callee.sealed().gas_remaining > pending.gas_granted)
        return broken_call(caller.hash);
      const auto slot = find_capability(root, pending.slot_path);
      auto* const held = slot ? std::get_if<std::unique_ptr<InstanceObject>>(*slot) : nullptr;
      if (held == nullptr || held->get() != callee.instance) return broken_call(caller.hash);
      Frame frame{.instance = std::move(*held),
                  .slot = *parse_slot_path(pending.slot_path),
                  .slot_word = pending.slot_path,
                  .given_word = pending.given_path,
                  .share_left = pending.gas_share,
                  .granted = pending.gas_granted,
                  .catch_key = pending.catch_key};
      **slot = MovedMark{};
      if (pending.given_path != ~std::uint64_t{0}) {
        frame.given = parse_slot_path(pending.given_path);
        const auto given = find_place(root, pending.given_path);
        if (!frame.given || !given || given->is_taken()) return broken_call(caller.hash);
        given->put(MovedMark{});
      }
      frames.push_back(std::move(frame));
      index = caller.callee;
    }
  }

  Tree& tree_;
  const PayPages pay_;
  std::vector<OpenNode> open_;
  std::vector<Waiting> waiting_;
  std::unordered_map<const InstanceObject*, std::size_t> by_instance_;  // index in waiting_
};

}  // namespace

Result<CapabilitySlot> open_reference(Tree& tree, const CNode::Reference& reference) {
  CNodeObject holder;
  Opener opener(tree);
  opener.add_node(holder, std::make_shared<const Capability>(CNode{{{0, reference}}}));
  if (Result<void> filled = opener.fill(); !filled) return std::unexpected(filled.error());
  auto linked = opener.link(nullptr);
  if (!linked) return std::unexpected(linked.error());
  return holder.take(0);
}

Result<std::unique_ptr<InstanceObject>> open_instance(Tree& tree, const Hash& sealed, const PayPages& pay) {
  const auto opened = tree.kernel().open(sealed);
  if (!opened) return std::unexpected(opened.error());
  if ((*opened)->sealed.phase != InstancePhase::kIdle)
    return fail(ErrorCode::kInvalidArgument,
                "the instance was sealed in the middle of a call; Kernel::open() goes on with it", sealed.to_string());
  Result<std::vector<Frame>> frames = open_frames(tree, sealed, pay);
  if (!frames) return std::unexpected(frames.error());
  return std::move(frames->front().instance);
}

Result<std::vector<Frame>> open_frames(Tree& tree, const Hash& sealed, const PayPages& pay) {
  Opener opener(tree, pay);
  Result<std::unique_ptr<InstanceObject>> root = opener.open(sealed, {});
  if (!root) return std::unexpected(root.error());
  if (Result<void> filled = opener.fill(); !filled) return std::unexpected(filled.error());
  return opener.link(*std::move(root));
}

}  // namespace caisson::kernel
