#include "baseline/shared_code.h"

#include <algorithm>

namespace caisson::baseline {

std::shared_ptr<CodeRegion> SharedCode::region(const std::shared_ptr<const Thunks>& thunks, std::uint32_t base,
                                               std::uint32_t size) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(regions_, [](const auto& region) { return region->is_full(); });
  const auto found = std::ranges::find_if(regions_, [&](const auto& region) {
    return region->base() == base && region->size() == size && region->thunks().map() == thunks->map();
  });
  if (found != regions_.end()) return *found;
  // Instances that run code of the oldest keep it for as long as they need it.
  if (regions_.size() == kMostRegions) regions_.erase(regions_.begin());
  Result<std::shared_ptr<CodeRegion>> made = CodeRegion::create(thunks, base, size);
  if (!made) return nullptr;
  regions_.push_back(*made);
  return *std::move(made);
}

RegisterMap SharedCode::preferred_map() const {
  const std::scoped_lock lock(mutex_);
  return preferred_;
}

void SharedCode::set_preferred_map(const RegisterMap& map) {
  const std::scoped_lock lock(mutex_);
  preferred_ = map;
}

}  // namespace caisson::baseline
