// hash_tree_root of capabilities.
#include <algorithm>
#include <vector>

#include "base/merkle.h"
#include "base/ssz.h"
#include "caisson/capability.h"
#include "capability/hash_counter.h"
#include "capability/limits.h"

namespace caisson {
namespace {

using namespace capability;
using base::root_of_byte_list;
using base::root_of_container;
using base::root_of_list;
using base::root_of_number;
using base::Sha256;

template <class Item, class Root>
Sha256 root_of_items(const std::vector<Item>& items, std::uint64_t limit, Root root_of_item) {
  std::vector<Sha256> roots(items.size());
  std::ranges::transform(items, roots.begin(), root_of_item);
  return root_of_list(roots, limit);
}

Sha256 root_of_mapping(const ImageMapping& mapping) {
  return root_of_container({root_of_number(mapping.first_page), root_of_number(mapping.page_count),
                            root_of_number(mapping.permissions), mapping.data.bytes,
                            root_of_number(mapping.data_page)});
}

// An instance that is sealed again and again has the same mappings each time, and few: the root of each thread's last ones is kept.
Sha256 root_of_instance_mappings(const std::vector<ImageMapping>& mappings) {
  constexpr std::size_t kMostKept = 64;
  struct Last {
    std::vector<ImageMapping> mappings;
    Sha256 root{};
  };
  static thread_local Last last;
  if (!mappings.empty() && mappings == last.mappings) return last.root;
  const Sha256 root = root_of_items(mappings, kMostInstanceMappings, root_of_mapping);
  if (mappings.size() <= kMostKept) {
    last.mappings.clear();  // where the copy fails, nothing is known
    last.root = root;
    last.mappings = mappings;
  }
  return root;
}

Sha256 root_of_register(const InitialRegister& initial) {
  return root_of_container({root_of_number(initial.number), root_of_number(initial.value)});
}

Sha256 root_of_text(const std::string& text, std::uint64_t most) {
  return root_of_byte_list({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, most);
}

Sha256 root_of_import(const ImageImport& import) {
  return root_of_container({root_of_number(import.number), root_of_text(import.name, kMostImportName),
                            root_of_text(import.signature, kMostImportSignature)});
}

Sha256 root_of_endpoint(const Endpoint& endpoint) {
  return root_of_container({root_of_number(endpoint.number), root_of_text(endpoint.name, kMostEndpointName),
                            root_of_number(endpoint.pc),
                            root_of_items(endpoint.registers, kMostInitialRegisters, root_of_register)});
}

Sha256 root_of_slot(const CNode::Slot& slot) {
  return root_of_container({root_of_number(slot.number), root_of_number(static_cast<std::uint8_t>(slot.reference.kind)),
                            slot.reference.hash.bytes, root_of_number(slot.owned ? 1 : 0)});
}

Sha256 root_of_pending(const PendingCall& pending) {
  return root_of_container({root_of_number(pending.slot_path), root_of_number(pending.gas_share),
                            root_of_number(pending.gas_granted), root_of_number(pending.catch_key),
                            root_of_number(pending.given_path)});
}

Sha256 root_of_reservation(const Reservation& reservation) {
  return root_of_container(
      {root_of_number(reservation.address), root_of_number(reservation.value), root_of_number(reservation.width)});
}

Sha256 root_of_registers(const std::array<std::uint64_t, 32>& registers) {
  base::SszWriter bytes;
  for (const std::uint64_t value : registers) bytes.put_u64(value);
  return base::root_of_fixed_bytes(bytes.finish());
}

struct Rooter {
  Sha256 operator()(const Data& data) const { return data.hash().bytes; }

  Sha256 operator()(const Image& image) const {
    return root_of_container(
        {root_of_number(image.gas_schedule), root_of_number(static_cast<std::uint8_t>(image.personality)),
         root_of_items(image.mappings, kMostImageMappings, root_of_mapping),
         root_of_items(image.endpoints, kMostEndpoints, root_of_endpoint), root_of_number(image.memory_limit),
         root_of_number(image.stack_size), image.program.bytes, root_of_number(image.program_size),
         root_of_items(image.imports, kMostImports, root_of_import)});
  }

  Sha256 operator()(const CNode& node) const {
    return root_of_container({root_of_items(node.slots, CNode::kSlots, root_of_slot)});
  }

  Sha256 operator()(const SealedInstance& instance) const {
    return root_of_container(
        {instance.image.bytes, instance.next_image.bytes, root_of_instance_mappings(instance.mappings),
         instance.memory.bytes, instance.root.bytes, root_of_registers(instance.integer_registers),
         root_of_registers(instance.float_registers), root_of_number(instance.float_control),
         root_of_number(instance.pc), root_of_number(instance.gas_remaining), root_of_number(instance.gas_used),
         root_of_reservation(instance.reservation), root_of_number(static_cast<std::uint8_t>(instance.phase)),
         root_of_pending(instance.pending), instance.lineage.bytes,
         root_of_byte_list(instance.runtime_state, kMostStateBytes),
         root_of_byte_list(instance.personality_state, kMostStateBytes)});
  }
};

}  // namespace

Hash hash_of(const Capability& capability) {
  CAISSON_PERF_SCOPE(capability::hash_counter);
  return {base::mix_in_selector(std::visit(Rooter{}, capability), static_cast<std::uint8_t>(kind_of(capability)))};
}

}  // namespace caisson
