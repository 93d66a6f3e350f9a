// DATA_READ, DATA_MINT: bytes between memory and data capabilities.
#include <algorithm>
#include <utility>

#include "kernel/operations.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

constexpr std::uint64_t pages_of(std::uint64_t bytes) {
  return bytes / kCapabilityPageSize + (bytes % kCapabilityPageSize != 0 ? 1 : 0);
}

// Whether the caller can write all of it, so that a copy is whole or nothing.
bool is_writable(const memory::AddressSpace& memory, std::uint64_t address, std::uint64_t length) {
  if (length == 0) return true;
  if (address >= memory::kWindowSize || length > memory::kWindowSize - address) return false;
  const std::uint64_t end = (address + length - 1) / memory::kPageSize;
  for (std::uint64_t page = address / memory::kPageSize; page <= end; ++page) {
    if ((memory.permissions(static_cast<std::uint32_t>(page)) & memory::kWrite) == 0) return false;
  }
  return true;
}

// A page that counts as held by the tree of the guest that made it, however many share it.
struct MintedPage {
  Data::Page bytes;
  HeldShare share;
};

}  // namespace

KernelError op_data_read(OperationContext& context) {
  const std::uint64_t offset = context.operand(1), address = context.operand(2), length = context.operand(3);
  const auto slot = find_capability(context.root(), context.operand(0));
  if (!slot) return slot.error();
  const auto* const data = std::get_if<Data>(*slot);
  if (data == nullptr) return KernelError::kWrongKind;
  if (offset > data->size() || length > data->size() - offset) return KernelError::kBadArgument;
  if (!context.charge_bytes(length)) return KernelError::kOk;
  if (!is_writable(context.memory(), address, length)) return KernelError::kBadAddress;
  std::array<std::uint8_t, kCapabilityPageSize> piece;
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t count = std::min<std::uint64_t>(piece.size(), length - done);
    data->read(offset + done, std::span(piece).first(count));
    if (context.memory().write(address + done, piece.data(), count) != count) return KernelError::kBadAddress;
    done += count;
  }
  context.set_value(data->size());
  return KernelError::kOk;
}

KernelError op_data_mint(OperationContext& context) {
  const std::uint64_t address = context.operand(0), length = context.operand(1);
  const auto to = find_place(context.root(), context.operand(2));
  if (!to) return to.error();
  if (to->is_taken()) return KernelError::kSlotTaken;
  if (length > memory::kWindowSize) return KernelError::kBadArgument;
  if (!context.charge_pages(pages_of(length)) || !context.charge_bytes(length)) return KernelError::kOk;
  Data data = Data::zeros(static_cast<std::uint32_t>(pages_of(length)));
  for (std::uint32_t page = 0; page < data.page_count(); ++page) {
    const std::uint64_t offset = page * kCapabilityPageSize;
    const std::uint64_t count = std::min(kCapabilityPageSize, length - offset);
    std::optional<HeldShare> share = context.tree().hold(kCapabilityPageSize);
    if (!share) return KernelError::kNoMemory;
    const auto minted = std::make_shared<MintedPage>(Data::Page{}, *std::move(share));
    if (context.memory().read(address + offset, minted->bytes.data(), count) != count) return KernelError::kBadAddress;
    data.set_page(page, {minted, &minted->bytes});
  }
  to->put(std::move(data));
  return KernelError::kOk;
}

}  // namespace caisson::kernel
