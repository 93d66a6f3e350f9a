// Names, kinds and references of capabilities.
#include "caisson/capability.h"

#include <fmt/format.h>

#include <set>
#include <utility>

namespace caisson {
namespace {

int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// Collects references, each once.
class References {
 public:
  void add(CapabilityKind kind, const Hash& hash) {
    if (!hash.is_zero() && seen_.insert({kind, hash}).second) all_.push_back({kind, hash});
  }
  std::vector<CNode::Reference> take() { return std::move(all_); }

 private:
  std::set<std::pair<CapabilityKind, Hash>> seen_;
  std::vector<CNode::Reference> all_;
};

struct Collector {
  References& references;
  void operator()(const Data&) const {}
  void operator()(const Image& image) const {
    for (const ImageMapping& mapping : image.mappings) references.add(CapabilityKind::kData, mapping.data);
    references.add(CapabilityKind::kData, image.program);
  }
  void operator()(const CNode& node) const {
    for (const CNode::Slot& slot : node.slots) references.add(slot.reference.kind, slot.reference.hash);
  }
  void operator()(const SealedInstance& instance) const {
    references.add(CapabilityKind::kImage, instance.image);
    if (!instance.next_image.is_zero()) references.add(CapabilityKind::kImage, instance.next_image);
    references.add(CapabilityKind::kData, instance.memory);
    references.add(CapabilityKind::kCNode, instance.root);
  }
};

}  // namespace

std::string Hash::to_string() const {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

Result<Hash> Hash::parse(std::string_view text) {
  Hash hash;
  if (text.size() != 2 * hash.bytes.size())
    return fail(ErrorCode::kInvalidArgument, "a hash has 64 hexadecimal digits", std::string(text.substr(0, 80)));
  for (std::size_t index = 0; index < hash.bytes.size(); ++index) {
    const int high = digit_value(text[2 * index]);
    const int low = digit_value(text[2 * index + 1]);
    if (high < 0 || low < 0)
      return fail(ErrorCode::kInvalidArgument, "a hash has 64 hexadecimal digits", std::string(text));
    hash.bytes[index] = static_cast<std::uint8_t>(16 * high + low);
  }
  return hash;
}

std::string_view to_string(CapabilityKind kind) {
  switch (kind) {
    case CapabilityKind::kData:
      return "data";
    case CapabilityKind::kImage:
      return "image";
    case CapabilityKind::kCNode:
      return "cnode";
    case CapabilityKind::kInstance:
      return "instance";
  }
  return "unknown";
}

CapabilityKind kind_of(const Capability& capability) {
  constexpr CapabilityKind kKinds[] = {CapabilityKind::kData, CapabilityKind::kImage, CapabilityKind::kCNode,
                                       CapabilityKind::kInstance};
  return kKinds[capability.index()];
}

std::vector<CNode::Reference> references_of(const Capability& capability) {
  References references;
  std::visit(Collector{references}, capability);
  return references.take();
}

}  // namespace caisson
