// What a guest holds: CNodes as they are while their owner lives.
//
// A slot is empty, or holds a value that can be copied (data, an image, a sealed instance), or owns something that cannot: a CNode, a live
// instance, a yielded call. Ownership makes the whole a tree; nothing is reachable but from its root, which is what confines a guest.
//
// A tree can be deep (an instance in a slot of an instance in a slot …), so nothing here recurses: what ends is taken apart by
// end_capabilities().
//
// Thread safety: a tree belongs to one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "caisson/capability.h"
#include "kernel/held_bytes.h"
#include "kernel/slot_path.h"
#include "kernel/store_reference.h"

namespace caisson::kernel {

class LoadedImage;
class CNodeObject;
class InstanceObject;
struct YieldedCall;

// A sealed instance, which the store keeps as long as a copy of this exists.
struct SealedReference {
  std::shared_ptr<const StoreReference> reference;
  std::shared_ptr<const Capability> capability;  // a SealedInstance
  const Hash& hash() const { return reference->hash(); }
  const SealedInstance& instance() const { return std::get<SealedInstance>(*capability); }
};

// In the place of an instance that a call under way has taken out of its slot.
struct MovedMark {};

using CapabilitySlot =
    std::variant<std::monostate, Data, std::shared_ptr<LoadedImage>, SealedReference, std::unique_ptr<CNodeObject>,
                 std::unique_ptr<InstanceObject>, std::unique_ptr<YieldedCall>, MovedMark>;

inline bool is_empty(const CapabilitySlot& slot) { return std::holds_alternative<std::monostate>(slot); }

// 256 slots of which only those in use take memory.
class CNodeObject {
 public:
  CNodeObject() = default;
  // By Tree::make_node(). `share` is given back when it ends.
  explicit CNodeObject(HeldShare share);
  CNodeObject(CNodeObject&& other) noexcept;
  CNodeObject& operator=(CNodeObject&& other) noexcept;
  ~CNodeObject();

  // Null where it is empty. Valid until a slot is filled or emptied.
  CapabilitySlot* find(std::uint8_t number);
  const CapabilitySlot* find(std::uint8_t number) const { return const_cast<CNodeObject*>(this)->find(number); }
  // The next put() allocates nothing.
  void make_room();
  // `number` must be empty and `capability` not.
  void put(std::uint8_t number, CapabilitySlot capability);
  // Leaves the slot empty.
  CapabilitySlot take(std::uint8_t number);
  bool empty() const { return slots_.empty(); }

  struct Entry {
    std::uint8_t number;
    CapabilitySlot* slot;
  };
  // Those in use, ascending.
  std::vector<Entry> entries();
  // All slots' contents; leaves the node empty.
  std::vector<CapabilitySlot> take_all();

 private:
  std::size_t rank(std::uint8_t number) const;
  bool has(std::uint8_t number) const { return (used_[number / 64] >> (number % 64) & 1) != 0; }

  std::array<std::uint64_t, 4> used_{};  // by slot number
  std::vector<CapabilitySlot> slots_;  // those in use
  std::optional<HeldShare> share_;
};

// Ends what is in them, however deep, without recursion.
void end_capabilities(std::vector<CapabilitySlot> capabilities) noexcept;

}  // namespace caisson::kernel
