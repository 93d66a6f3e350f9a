// DERIVE_SPAWN, SET_IMAGE, MAKE_IMAGE, IMAGE_LINEAGE, OPEN, SAVE: images and the instances made of them.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/image_description.h"
#include "kernel/kernel_counters.h"
#include "kernel/kernel_state.h"
#include "kernel/operations.h"
#include "kernel/seal.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

constexpr std::uint64_t kSelf = ~std::uint64_t{0};

// An image that counts as held by the tree of the guest that made it.
struct MadeImage {
  std::shared_ptr<LoadedImage> image;
  HeldShare share;
};

KernelError open_data(OperationContext& context, const Data& data) {
  const std::uint64_t address = context.operand(1), permissions = context.operand(2);
  if (permissions > 7 || address % memory::kPageSize != 0 || data.page_count() == 0) return KernelError::kBadArgument;
  if (address < memory::kLowestAddress || address >= memory::kHighestAddress ||
      data.size() > memory::kHighestAddress - address)
    return KernelError::kBadArgument;
  if (!context.charge_pages(data.page_count())) return KernelError::kOk;
  memory::AddressSpace& memory = context.memory();
  // Written as zeros first: the guest sees the pages only when they are whole.
  if (memory.map_anonymous(address, data.size(), memory::kRead | memory::kWrite, false, "data") !=
      memory::MapStatus::kOk)
    return KernelError::kNoMemory;
  for (std::uint32_t page = 0; page < data.page_count(); ++page) {
    const Data::Page* const bytes = data.page(page);
    if (bytes != nullptr) memory.write(address + page * memory::kPageSize, bytes->data(), bytes->size());
  }
  if (memory.protect(address, data.size(), static_cast<memory::Permissions>(permissions)) != memory::MapStatus::kOk) {
    memory.unmap(address, data.size());
    return KernelError::kNoMemory;
  }
  return KernelError::kOk;
}

}  // namespace

KernelError op_derive_spawn(OperationContext& context) {
  CAISSON_PERF_SCOPE(derive_spawn_counter);
  const auto from = find_place(context.root(), context.operand(0));
  if (!from) return from.error();
  std::shared_ptr<LoadedImage> image = context.self().shared_image();
  if (const CapabilitySlot* const slot = from->find(); slot != nullptr) {
    const auto* const held = std::get_if<std::shared_ptr<LoadedImage>>(slot);
    if (held == nullptr) return KernelError::kWrongKind;
    image = *held;
  }
  const auto to = find_place(context.root(), context.operand(1));
  if (!to) return to.error();
  if (to->is_taken()) return KernelError::kSlotTaken;
  if (!image->host_functions()) return KernelError::kBadImage;
  if (!context.charge_pages(image->page_count(), image->code_page_count())) return KernelError::kOk;
  std::unique_ptr<InstanceObject> instance = context.tree().make_instance(std::move(image));
  if (instance == nullptr) return KernelError::kNoMemory;
  to->put(std::move(instance));
  return KernelError::kOk;
}

KernelError op_set_image(OperationContext& context) {
  const auto slot = find_capability(context.root(), context.operand(0));
  if (!slot) return slot.error();
  const auto* const image = std::get_if<std::shared_ptr<LoadedImage>>(*slot);
  if (image == nullptr) return KernelError::kWrongKind;
  if (!(*image)->host_functions()) return KernelError::kBadImage;
  context.self().set_next_image(*image);
  return KernelError::kOk;
}

KernelError op_make_image(OperationContext& context) {
  const auto to = find_place(context.root(), context.operand(2));
  if (!to) return to.error();
  if (to->is_taken()) return KernelError::kSlotTaken;
  const std::uint64_t address = context.operand(0), length = context.operand(1);
  if (length > kMostDescriptionBytes) return KernelError::kBadArgument;
  if (!context.charge_bytes(length)) return KernelError::kOk;
  std::vector<std::uint8_t> bytes(length);
  if (context.memory().read(address, bytes.data(), length) != length) return KernelError::kBadAddress;
  auto described = parse_image_description(bytes, context.root());
  if (!described) return described.error();
  if (!context.charge_pages(described->pages)) return KernelError::kOk;
  // Code that a guest makes reaches the functions of the embedder that its maker reaches, no others.
  described->image.imports = context.self().image().image().imports;
  // Who is allowed so much memory makes nobody who is allowed more.
  described->image.memory_limit = context.self().image().image().memory_limit;
  auto image = context.tree().kernel().make_image(described->image, std::move(described->contents));
  if (!image) return image.error().code == ErrorCode::kOutOfMemory ? KernelError::kNoMemory : KernelError::kBadImage;
  const memory::MemoryBase& base = *(*image)->fresh_memory().base;
  std::optional<HeldShare> share = context.tree().hold(Tree::kBytesOfBase + base.nonzero_pages() * memory::kPageSize);
  if (!share) return KernelError::kNoMemory;
  const auto made = std::make_shared<MadeImage>(*std::move(image), *std::move(share));
  to->put(std::shared_ptr<LoadedImage>(made, made->image.get()));
  return KernelError::kOk;
}

KernelError op_image_lineage(OperationContext& context) {
  Hash lineage = context.self().lineage();
  if (context.operand(0) != kSelf) {
    const auto slot = find_capability(context.root(), context.operand(0));
    if (!slot) return slot.error();
    if (const auto* const live = std::get_if<std::unique_ptr<InstanceObject>>(*slot)) {
      lineage = (*live)->lineage();
    } else if (const auto* const sealed = std::get_if<SealedReference>(*slot)) {
      lineage = sealed->instance().lineage;
    } else {
      return KernelError::kWrongKind;
    }
  }
  const std::size_t size = lineage.bytes.size();
  if (context.memory().write(context.operand(1), lineage.bytes.data(), size) != size) return KernelError::kBadAddress;
  return KernelError::kOk;
}

KernelError op_open(OperationContext& context) {
  const auto slot = find_capability(context.root(), context.operand(0));
  if (!slot) return slot.error();
  if (const auto* const data = std::get_if<Data>(*slot)) return open_data(context, *data);
  const auto* const sealed = std::get_if<SealedReference>(*slot);
  if (sealed == nullptr) return KernelError::kWrongKind;
  const SealedInstance& instance = sealed->instance();
  // A call that is under way in it would be neither a frame nor a yielded call here.
  if (instance.phase != InstancePhase::kIdle) return KernelError::kUnsupported;
  std::uint64_t pages = 0;
  for (const ImageMapping& mapping : instance.mappings) pages += mapping.page_count;
  if (!context.charge_pages(pages)) return KernelError::kOk;
  Result<std::unique_ptr<InstanceObject>> opened = open_instance(
      context.tree(), sealed->hash(), [&context](std::uint64_t pages) { return context.charge_pages(pages); });
  if (context.is_out_of_gas()) return KernelError::kOk;
  if (!opened) {
    const ErrorCode code = opened.error().code;
    return code == ErrorCode::kOutOfMemory || code == ErrorCode::kLimit ? KernelError::kNoMemory
                                                                        : KernelError::kBadInstance;
  }
  *find_capability(context.root(), context.operand(0)).value() = *std::move(opened);
  return KernelError::kOk;
}

KernelError op_save(OperationContext& context) {
  const auto slot = find_capability(context.root(), context.operand(0));
  if (!slot) return slot.error();
  const auto paid = pay_for_sealing(**slot, [&context](std::uint64_t pages) { return context.charge_pages(pages); });
  if (!paid) return paid.error();
  if (const Result<void> sealed = seal_slot(context.tree(), **slot); !sealed) {
    return sealed.error().code == ErrorCode::kUnsupported ? KernelError::kUnsupported : KernelError::kNoMemory;
  }
  return KernelError::kOk;
}

}  // namespace caisson::kernel
