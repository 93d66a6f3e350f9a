#include "kernel/sealed_memory.h"

#include <algorithm>
#include <utility>

namespace caisson::kernel {
namespace {

// Where a guest's page is in the data; the mappings ascend. The page must be mapped.
std::uint32_t data_page_of(const std::vector<ImageMapping>& mappings, std::uint32_t page) {
  const auto behind = std::ranges::upper_bound(mappings, page, {}, &ImageMapping::first_page);
  const ImageMapping& mapping = *std::prev(behind);
  return mapping.data_page + (page - mapping.first_page);
}

}  // namespace

Result<std::shared_ptr<const memory::MemoryBase>> make_base(const SealedMemory& memory) {
  std::vector<memory::BaseRegion> regions;
  regions.reserve(memory.mappings.size());
  for (const ImageMapping& mapping : memory.mappings)
    regions.push_back({mapping.first_page, mapping.page_count, mapping.permissions, {}});
  return memory::MemoryBase::create(std::move(regions), [&memory](std::uint32_t page) -> const std::uint8_t* {
    const Data::Page* const bytes = memory.data.page(data_page_of(memory.mappings, page));
    return bytes == nullptr ? nullptr : bytes->data();
  });
}

SealedMemory seal_base(const memory::MemoryBase& base) {
  SealedMemory sealed;
  std::uint32_t pages = 0;
  for (const memory::BaseRegion& region : base.regions()) {
    sealed.mappings.push_back({.first_page = region.first_page, .page_count = region.page_count, .permissions = region.permissions, .data = {}, .data_page = pages});
    pages += region.page_count;
  }
  sealed.data = Data::zeros(pages);
  for (const ImageMapping& mapping : sealed.mappings) {
    for (std::uint32_t i = 0; i < mapping.page_count; ++i) {
      const std::uint8_t* const bytes = base.page(mapping.first_page + i);
      if (bytes == nullptr) continue;
      Data::Page page;
      std::copy_n(bytes, page.size(), page.begin());
      sealed.data.set_page(mapping.data_page + i, page);
    }
  }
  return sealed;
}

SealedMemory seal_state(const SealedMemory& base, const memory::MemoryState& state) {
  SealedMemory sealed = base;
  for (const memory::ChangedPage& changed : state.changed)
    sealed.data.set_page(data_page_of(sealed.mappings, changed.page), changed.bytes);
  return sealed;
}

Result<memory::MemoryState> open_memory(const std::vector<ImageMapping>& mappings, const Data& data,
                                        const std::shared_ptr<const memory::MemoryBase>& base, const SealedMemory& sealed_base) {
  std::uint64_t pages = 0;
  for (const ImageMapping& mapping : mappings) {
    if (mapping.data_page != pages) return fail(ErrorCode::kInvalidImage, "mappings of a sealed instance do not follow each other");
    pages += mapping.page_count;
  }
  if (pages != data.page_count()) return fail(ErrorCode::kInvalidImage, "the memory of a sealed instance is not what its mappings say");
  memory::MemoryState state;
  if (mappings != sealed_base.mappings) {
    Result<std::shared_ptr<const memory::MemoryBase>> own = make_base({mappings, data});
    if (!own) return std::unexpected(own.error());
    state.base = *std::move(own);
    return state;
  }
  state.base = base;
  for (const ImageMapping& mapping : mappings) {
    for (std::uint32_t i = 0; i < mapping.page_count; ++i) {
      const std::uint32_t index = mapping.data_page + i;
      if (data.page(index) == sealed_base.data.page(index) || data.page_hash(index) == sealed_base.data.page_hash(index)) continue;
      std::shared_ptr<const Data::Page> bytes = data.share_page(index);
      if (bytes == nullptr) bytes = std::make_shared<const Data::Page>();
      state.changed.push_back({mapping.first_page + i, std::move(bytes)});
    }
  }
  return state;
}

}  // namespace caisson::kernel
