#include "kernel/sealed_memory.h"

#include <algorithm>
#include <utility>

#include "base/slab_pool.h"

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
  std::vector<memory::BaseRegionSource> sources;
  sources.reserve(memory.mappings.size());
  for (const ImageMapping& mapping : memory.mappings) {
    sources.push_back({.region = {.first_page = mapping.first_page,
                                  .page_count = mapping.page_count,
                                  .permissions = mapping.permissions,
                                  .name = {},
                                  .committed = true},
                       .contents = [&data = memory.data, first = mapping.data_page](std::uint32_t page) {
                         const Data::Page* const bytes = data.page(first + page);
                         return bytes == nullptr ? nullptr : bytes->data();
                       }});
  }
  return memory::MemoryBase::create(sources);
}

SealedMemory seal_base(const memory::MemoryBase& base) {
  SealedMemory sealed;
  std::uint32_t pages = 0;
  for (const memory::BaseRegion& region : base.layout()) {
    sealed.mappings.push_back({.first_page = region.first_page,
                               .page_count = region.page_count,
                               .permissions = region.permissions,
                               .data = {},
                               .data_page = pages});
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
    sealed.data.set_page(data_page_of(sealed.mappings, changed.page), {changed.contents, &changed.contents->bytes});
  return sealed;
}

SealedMemory SealedMemoryCache::seal(const memory::MemoryState& state, const memory::MemoryBase& image,
                                     const SealedMemory& image_base) {
  if (base_ != state.base) {
    last_ = state.base.get() == &image ? image_base : seal_base(*state.base);
    (void)last_.data.hash();  // once; what follows only changes it
    base_ = state.base;
    changed_.clear();
  }
  const auto set = [this](std::uint32_t page, std::shared_ptr<const Data::Page> bytes) {
    last_.data.set_page(data_page_of(last_.mappings, page), std::move(bytes));
  };
  // Both ascend. A page that did not change since is the same object.
  auto before = changed_.begin();
  const auto revert_below = [&](std::uint32_t page) {
    for (; before != changed_.end() && before->page < page; ++before) {
      const std::uint8_t* const bytes = base_->page(before->page);
      if (bytes == nullptr) {
        set(before->page, nullptr);
        continue;
      }
      auto copy = std::allocate_shared_for_overwrite<Data::Page>(base::SlabAllocator<Data::Page>());
      std::copy_n(bytes, copy->size(), copy->begin());
      set(before->page, std::move(copy));
    }
  };
  for (const memory::ChangedPage& changed : state.changed) {
    revert_below(changed.page);
    const bool is_known = before != changed_.end() && before->page == changed.page;
    if (!is_known || before->contents != changed.contents)
      set(changed.page, {changed.contents, &changed.contents->bytes});
    if (is_known) ++before;
  }
  revert_below(memory::kWindowSize / memory::kPageSize);
  changed_ = state.changed;
  return last_;
}

Result<memory::MemoryState> open_memory(const std::vector<ImageMapping>& mappings, const Data& data,
                                        const std::shared_ptr<const memory::MemoryBase>& base,
                                        const SealedMemory& sealed_base) {
  std::uint64_t pages = 0;
  for (const ImageMapping& mapping : mappings) pages += mapping.page_count;
  if (pages != data.page_count())
    return fail(ErrorCode::kInvalidImage, "the memory of a sealed instance is not what its mappings say");
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
      if (data.page(index) == sealed_base.data.page(index) ||
          data.page_hash(index) == sealed_base.data.page_hash(index))
        continue;
      auto contents =
          std::allocate_shared_for_overwrite<memory::PageContents>(base::SlabAllocator<memory::PageContents>());
      if (const Data::Page* const bytes = data.page(index)) {
        contents->bytes = *bytes;
      } else {
        contents->bytes.fill(0);
      }
      state.changed.push_back({mapping.first_page + i, std::move(contents)});
    }
  }
  return state;
}

}  // namespace caisson::kernel
