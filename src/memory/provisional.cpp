#include <algorithm>
#include <cstring>
#include "memory/memory_state.h"
namespace caisson::memory {
static const PageBytes kZero{};
const std::uint8_t* MemoryBase::page(std::uint32_t p) const {
  auto it = std::lower_bound(pages_.begin(), pages_.end(), p, [](auto& a, std::uint32_t b) { return a.first < b; });
  return it != pages_.end() && it->first == p ? it->second->data() : nullptr;
}
Result<std::shared_ptr<const MemoryBase>> MemoryBase::create(std::vector<BaseRegion> regions, const std::function<const std::uint8_t*(std::uint32_t)>& contents) {
  auto b = std::make_shared<MemoryBase>();
  b->regions_ = std::move(regions);
  for (auto& r : b->regions_)
    for (std::uint32_t i = 0; i < r.page_count; ++i)
      if (auto* c = contents(r.first_page + i)) { auto pg = std::make_unique<PageBytes>(); std::memcpy(pg->data(), c, kPageSize); b->pages_.emplace_back(r.first_page + i, std::move(pg)); }
  return b;
}
Result<void> AddressSpace::load(const MemoryState& s) {
  unmap(kLowestAddress, kHighestAddress - kLowestAddress);
  for (auto& r : s.base->regions()) {
    if (map_anonymous(r.first_page * kPageSize, r.page_count * kPageSize, 3) != MapStatus::kOk) return fail(ErrorCode::kOutOfMemory, "x");
    for (std::uint32_t i = 0; i < r.page_count; ++i) if (auto* p = s.base->page(r.first_page + i)) write((r.first_page + i) * kPageSize, p, kPageSize);
  }
  for (auto& c : s.changed) write(c.page * kPageSize, c.bytes->data(), kPageSize);
  for (auto& r : s.base->regions()) protect(r.first_page * kPageSize, r.page_count * kPageSize, r.permissions);
  base_state_ = s.base;
  return {};
}
Result<MemoryState> AddressSpace::state() {
  std::vector<BaseRegion> now;
  for (auto& m : mappings()) now.push_back({std::uint32_t(m.start / kPageSize), std::uint32_t((m.end - m.start) / kPageSize), m.permissions, m.name});
  bool same = base_state_ && now.size() == base_state_->regions().size();
  for (std::size_t i = 0; same && i < now.size(); ++i) same = now[i].first_page == base_state_->regions()[i].first_page && now[i].page_count == base_state_->regions()[i].page_count && now[i].permissions == base_state_->regions()[i].permissions;
  auto content = [&](std::uint32_t p) { return base() + p * kPageSize; };
  if (!same) {
    auto b = MemoryBase::create(now, [&](std::uint32_t p) -> const std::uint8_t* { return std::memcmp(content(p), kZero.data(), kPageSize) ? content(p) : nullptr; });
    base_state_ = *b;
    return MemoryState{*b, {}};
  }
  MemoryState s{base_state_, {}};
  for (auto& r : now) for (std::uint32_t i = 0; i < r.page_count; ++i) {
    std::uint32_t p = r.first_page + i; auto* o = base_state_->page(p);
    if (std::memcmp(content(p), o ? o : kZero.data(), kPageSize)) { auto pb = std::make_shared<PageBytes>(); std::memcpy(pb->data(), content(p), kPageSize); s.changed.push_back({p, pb}); }
  }
  return s;
}
}
