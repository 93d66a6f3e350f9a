#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>
#include "memory/address_space.h"
namespace caisson::memory {
struct BaseRegion {
  std::uint32_t first_page = 0, page_count = 0;
  Permissions permissions = 0;
  std::string name;
};
class MemoryBase {
 public:
  const std::uint8_t* page(std::uint32_t page) const;
  const std::vector<BaseRegion>& regions() const { return regions_; }
  std::uint64_t committed_pages() const { std::uint64_t n = 0; for (auto& r : regions_) n += r.page_count; return n; }
  static Result<std::shared_ptr<const MemoryBase>> create(std::vector<BaseRegion> regions, const std::function<const std::uint8_t*(std::uint32_t)>& contents);
  std::vector<BaseRegion> regions_;
  std::vector<std::pair<std::uint32_t, std::unique_ptr<std::array<std::uint8_t, kPageSize>>>> pages_;
};
}  // namespace caisson::memory
