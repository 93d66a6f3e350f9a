// From live instances to sealed ones in the store, and back.
//
// Sealing goes from the leaves of the tree to its root, since a capability names what it refers to by hash. A call under way is sealed as
// the state of its caller (InstancePhase::kCalling), with the callee sealed in the slot that it came from.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <vector>

#include "caisson/capability.h"
#include "caisson/result.h"
#include "kernel/instance_object.h"
#include "kernel/kernel_error.h"
#include "kernel/tree.h"

namespace caisson::kernel {

// Seals an instance with all that it owns, into the store. It lives on. One reference is the caller's. Errors: kUnsupported
// (memory that cannot be sealed), kOutOfMemory, and the store's.
Result<Hash> seal_instance(Tree& tree, InstanceObject& instance);
// The same of a root whose calls are under way.
Result<Hash> seal_frames(Tree& tree, std::vector<Frame>& frames);
// What a slot holds, by its hash, sealed if need be. One reference is the caller's.
Result<CNode::Reference> seal_capability(Tree& tree, CapabilitySlot& slot);

// Puts a sealed instance in the place of a live one, or of all that are in a CNode. Errors: as seal_instance().
Result<void> seal_slot(Tree& tree, CapabilitySlot& slot);
// Pays for pages before they are looked at; false where nobody can.
using PayPages = std::function<bool(std::uint64_t pages)>;
// Pays for what seal_slot() would seal: a page for each slot, and what instances have mapped, data and images hold. Errors: kWrongKind
// (nothing to seal), kUnsupported (a yielded call), kOk (nobody paid).
std::expected<void, KernelError> pay_for_sealing(CapabilitySlot& slot, const PayPages& pay);

// A live instance of what was sealed idle. `pay`, where there is one, pays for all slots and instances in it, but for its own pages. Errors: kNotFound, kInvalidArgument (not idle), kInvalidImage, kLimit (instances, parked pages,
// nobody paid), kOutOfMemory, and the store's.
Result<std::unique_ptr<InstanceObject>> open_instance(Tree& tree, const Hash& sealed, const PayPages& pay = {});
// The same at any phase: the frames of the calls that were under way, of which the first is the root's. One frame where it was idle.
Result<std::vector<Frame>> open_frames(Tree& tree, const Hash& sealed, const PayPages& pay = {});
// What a slot holds for a reference.
Result<CapabilitySlot> open_reference(Tree& tree, const CNode::Reference& reference);

}  // namespace caisson::kernel
