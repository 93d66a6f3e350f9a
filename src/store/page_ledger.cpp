#include "store/page_ledger.h"

namespace caisson::store {
namespace {

using capability::Inner;
using capability::Leaf;
using capability::Node;

// Of what stands in a table for one capability, its hash and its counts; of an allocation.
constexpr std::uint64_t kEntryBytes = 256;
constexpr std::uint64_t kAllocationBytes = 32;

struct OwnBytes {
  std::uint64_t operator()(const Data&) const { return sizeof(Data::State) + kAllocationBytes; }
  std::uint64_t operator()(const Image& image) const {
    std::uint64_t bytes = image.mappings.capacity() * sizeof(ImageMapping);
    for (const Endpoint& endpoint : image.endpoints) {
      bytes += sizeof(Endpoint) + endpoint.name.capacity() + endpoint.registers.capacity() * sizeof(InitialRegister) +
               2 * kAllocationBytes;
    }
    for (const ImageImport& import : image.imports)
      bytes += sizeof(ImageImport) + import.name.capacity() + import.signature.capacity() + 2 * kAllocationBytes;
    return bytes;
  }
  std::uint64_t operator()(const CNode& node) const { return node.slots.capacity() * sizeof(CNode::Slot); }
  std::uint64_t operator()(const SealedInstance& instance) const {
    return instance.mappings.capacity() * sizeof(ImageMapping) + instance.runtime_state.capacity() +
           instance.personality_state.capacity();
  }
};

// All but nodes and pages.
std::uint64_t own_bytes(const Capability& capability) {
  return kEntryBytes + sizeof(Capability) + std::visit(OwnBytes{}, capability);
}

std::uint64_t bytes_below(const Node& node, unsigned height) {
  std::uint64_t bytes = kAllocationBytes;
  if (height > 1) {
    bytes += sizeof(Inner);
    for (const auto& child : static_cast<const Inner&>(node).nodes)
      bytes += child ? bytes_below(*child, height - 1) : 0;
  } else {
    bytes += sizeof(Leaf);
    for (const auto& page : static_cast<const Leaf&>(node).pages)
      bytes += page ? kCapabilityPageSize + kAllocationBytes : 0;
  }
  return bytes;
}

}  // namespace

template <PageLedger::Change change>
bool PageLedger::count(const void* item) {
  return change == Change::kAdd ? counts_.up(item) : counts_.down(item);
}

template <PageLedger::Change change>
std::uint64_t PageLedger::walk(const Node& node, unsigned height) {
  if (!count<change>(&node)) return 0;
  std::uint64_t bytes = kAllocationBytes;
  if (height > 1) {
    const Inner& inner = static_cast<const Inner&>(node);
    for (const auto& child : inner.nodes) counts_.prefetch(child.get());
    bytes += sizeof(Inner);
    for (const auto& child : inner.nodes) {
      if (child) bytes += walk<change>(*child, height - 1);
    }
  } else {
    const Leaf& leaf = static_cast<const Leaf&>(node);
    bytes += sizeof(Leaf);
    if (leaf_count_ == leaves_.size()) bytes += count_pages<change>();
    for (const auto& page : leaf.pages) counts_.prefetch(page.get());
    leaves_[leaf_count_++] = &leaf;
  }
  return bytes;
}

template <PageLedger::Change change>
std::uint64_t PageLedger::count_pages() {
  std::uint64_t bytes = 0;
  for (std::size_t index = 0; index < leaf_count_; ++index) {
    for (const auto& page : leaves_[index]->pages) {
      if (page && count<change>(page.get())) bytes += kCapabilityPageSize + kAllocationBytes;
    }
  }
  leaf_count_ = 0;
  return bytes;
}

template <PageLedger::Change change>
std::uint64_t PageLedger::account(const Capability& capability) {
  std::uint64_t bytes = own_bytes(capability);
  const Data* const data = std::get_if<Data>(&capability);
  if (data == nullptr) return bytes;
  const Data::State& state = capability::hashed_state(*data);
  const std::scoped_lock lock(mutex_);
  leaf_count_ = 0;
  if (state.root) bytes += walk<change>(*state.root, state.height);
  bytes += count_pages<change>();
  return bytes;
}

std::uint64_t PageLedger::add(const Capability& capability) { return account<Change::kAdd>(capability); }
std::uint64_t PageLedger::remove(const Capability& capability) { return account<Change::kRemove>(capability); }

std::uint64_t memory_bytes(const Capability& capability) {
  std::uint64_t bytes = own_bytes(capability);
  if (const Data* const data = std::get_if<Data>(&capability)) {
    const Data::State& state = capability::hashed_state(*data);
    if (state.root) bytes += bytes_below(*state.root, state.height);
  }
  return bytes;
}

}  // namespace caisson::store
