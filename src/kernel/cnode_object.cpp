#include "kernel/cnode_object.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "kernel/instance_object.h"

namespace caisson::kernel {

CNodeObject::CNodeObject(HeldShare share) : share_(std::move(share)) {}

CNodeObject::CNodeObject(CNodeObject&& other) noexcept
    : used_(std::exchange(other.used_, {})),
      slots_(std::exchange(other.slots_, {})),
      share_(std::exchange(other.share_, std::nullopt)) {}

CNodeObject& CNodeObject::operator=(CNodeObject&& other) noexcept {
  if (this == &other) return *this;
  if (!slots_.empty()) end_capabilities(take_all());
  used_ = std::exchange(other.used_, {});
  slots_ = std::exchange(other.slots_, {});
  share_ = std::exchange(other.share_, std::nullopt);
  return *this;
}

CNodeObject::~CNodeObject() {
  if (!slots_.empty()) end_capabilities(take_all());
}

std::size_t CNodeObject::rank(std::uint8_t number) const {
  std::size_t rank = 0;
  for (unsigned word = 0; word < number / 64; ++word) rank += static_cast<std::size_t>(std::popcount(used_[word]));
  return rank + static_cast<std::size_t>(std::popcount(used_[number / 64] & ((std::uint64_t{1} << (number % 64)) - 1)));
}

CapabilitySlot* CNodeObject::find(std::uint8_t number) { return has(number) ? &slots_[rank(number)] : nullptr; }

void CNodeObject::make_room() {
  constexpr std::size_t kFewest = 4;
  if (slots_.size() == slots_.capacity()) slots_.reserve(std::max(kFewest, 2 * slots_.capacity()));
}

void CNodeObject::put(std::uint8_t number, CapabilitySlot capability) {
  slots_.insert(slots_.begin() + static_cast<std::ptrdiff_t>(rank(number)), std::move(capability));
  used_[number / 64] |= std::uint64_t{1} << (number % 64);
}

CapabilitySlot CNodeObject::take(std::uint8_t number) {
  const auto slot = slots_.begin() + static_cast<std::ptrdiff_t>(rank(number));
  CapabilitySlot capability = std::move(*slot);
  slots_.erase(slot);
  used_[number / 64] &= ~(std::uint64_t{1} << (number % 64));
  return capability;
}

std::vector<CNodeObject::Entry> CNodeObject::entries() {
  std::vector<Entry> entries;
  entries.reserve(slots_.size());
  for (unsigned number = 0; number < CNode::kSlots; ++number) {
    if (!has(static_cast<std::uint8_t>(number))) continue;
    entries.push_back({static_cast<std::uint8_t>(number), &slots_[entries.size()]});
  }
  return entries;
}

std::vector<CapabilitySlot> CNodeObject::take_all() {
  used_ = {};
  return std::exchange(slots_, {});
}

void end_capabilities(std::vector<CapabilitySlot> capabilities) noexcept {
  while (!capabilities.empty()) {
    CapabilitySlot capability = std::move(capabilities.back());
    capabilities.pop_back();
    const auto take_from = [&](CNodeObject& node) {
      for (CapabilitySlot& inner : node.take_all()) capabilities.push_back(std::move(inner));
    };
    // An owner may have been moved from, where something that was opened was given up half-way.
    if (auto* const node = std::get_if<std::unique_ptr<CNodeObject>>(&capability); node != nullptr && *node) {
      take_from(**node);
    } else if (auto* const instance = std::get_if<std::unique_ptr<InstanceObject>>(&capability);
               instance != nullptr && *instance) {
      take_from((*instance)->root());
    } else if (auto* const yielded = std::get_if<std::unique_ptr<YieldedCall>>(&capability);
               yielded != nullptr && *yielded) {
      for (Frame& frame : (*yielded)->frames) {
        if (frame.instance != nullptr) take_from(frame.instance->root());
      }
    }
  }
}

}  // namespace caisson::kernel
