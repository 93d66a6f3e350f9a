#include "kernel/image_description.h"

#include <cstring>

#include "capability/limits.h"
#include "kernel/instance_object.h"
#include "kernel/slots.h"

namespace caisson::kernel {
namespace {

constexpr std::uint64_t kNoSlot = ~std::uint64_t{0};

// Little-endian, as guests write it.
struct Head {
  std::uint32_t version, mapping_count, endpoint_count, reserved;
};
struct MappingRecord {
  std::uint32_t first_page, page_count, permissions, data_page;
  std::uint64_t data;
};
struct EndpointRecord {
  std::uint32_t number, register_count;
  std::uint64_t pc;
};
struct RegisterRecord {
  std::uint64_t number, value;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  template <class T>
  bool read(T& value) {
    if (bytes_.size() < sizeof value) return false;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return true;
  }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace

std::expected<DescribedImage, KernelError> parse_image_description(std::span<const std::uint8_t> bytes,
                                                                   CNodeObject& root) {
  constexpr auto kBad = [] { return std::unexpected(KernelError::kBadArgument); };
  Reader reader(bytes);
  Head head{};
  if (!reader.read(head) || head.version != 1 || head.reserved != 0) return kBad();
  if (head.mapping_count > capability::kMostImageMappings || head.endpoint_count > capability::kMostEndpoints)
    return kBad();
  DescribedImage described;
  for (std::uint32_t i = 0; i < head.mapping_count; ++i) {
    MappingRecord record{};
    if (!reader.read(record) || record.permissions > 7) return kBad();
    ImageMapping mapping{.first_page = record.first_page,
                         .page_count = record.page_count,
                         .permissions = static_cast<std::uint8_t>(record.permissions),
                         .data_page = record.data_page};
    Data contents;
    if (record.data != kNoSlot) {
      const auto slot = find_capability(root, record.data);
      if (!slot) return std::unexpected(slot.error());
      const auto* const data = std::get_if<Data>(*slot);
      if (data == nullptr) return std::unexpected(KernelError::kWrongKind);
      if (record.data_page > data->page_count() || record.page_count > data->page_count() - record.data_page)
        return kBad();
      contents = *data;
      mapping.data = hash_of(Capability(*data));
    } else if (record.data_page != 0) {
      return kBad();
    }
    described.image.mappings.push_back(mapping);
    described.contents.push_back(std::move(contents));
    described.pages += record.page_count;
  }
  for (std::uint32_t i = 0; i < head.endpoint_count; ++i) {
    EndpointRecord record{};
    if (!reader.read(record) || record.register_count > 31) return kBad();
    Endpoint endpoint{.number = record.number, .name = {}, .pc = record.pc, .registers = {}};
    for (std::uint32_t j = 0; j < record.register_count; ++j) {
      RegisterRecord initial{};
      if (!reader.read(initial) || initial.number == 0 || initial.number > 31) return kBad();
      endpoint.registers.push_back({static_cast<std::uint8_t>(initial.number), initial.value});
    }
    described.image.endpoints.push_back(std::move(endpoint));
  }
  if (!reader.at_end() || !check(Capability(described.image))) return kBad();
  return described;
}

}  // namespace caisson::kernel
