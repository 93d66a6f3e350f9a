// The SSZ encodings of capabilities (docs/capabilities.md has the layouts). A container's fields stand in the order of its struct.
#include <algorithm>
#include <map>
#include <utility>

#include "base/slab_pool.h"
#include "base/ssz.h"
#include "caisson/capability.h"
#include "capability/data_nodes.h"
#include "capability/limits.h"

namespace caisson {
namespace {

using namespace capability;
using base::Bytes;
using base::kVariableSize;
using base::SszWriter;

constexpr std::size_t kHashBytes = sizeof(Hash);
constexpr std::size_t kMappingBytes = 4 + 4 + 1 + kHashBytes + 4;
constexpr std::size_t kRegisterBytes = 1 + 8;
constexpr std::size_t kSlotBytes = 1 + 1 + kHashBytes + 1;
constexpr std::size_t kPendingBytes = 5 * 8;
constexpr std::size_t kReservationBytes = 8 + 8 + 4;
constexpr std::size_t kRegisterFileBytes = 32 * 8;

std::unexpected<Error> invalid(std::string where, std::string message) {
  return fail(ErrorCode::kInvalidImage, std::move(message), std::move(where));
}

template <class T>
T number(Bytes bytes) {
  return static_cast<T>(base::read_number(bytes));
}

Hash hash(Bytes bytes) { return {base::read_hash(bytes)}; }

// --- lists of items of fixed size

void put(SszWriter& writer, const ImageMapping& mapping) {
  writer.put_u32(mapping.first_page).put_u32(mapping.page_count).put_u8(mapping.permissions);
  writer.put_fixed(mapping.data.bytes).put_u32(mapping.data_page);
}

void put(SszWriter& writer, const InitialRegister& initial) { writer.put_u8(initial.number).put_u64(initial.value); }

void put(SszWriter& writer, const CNode::Slot& slot) {
  writer.put_u8(slot.number)
      .put_u8(static_cast<std::uint8_t>(slot.reference.kind))
      .put_fixed(slot.reference.hash.bytes)
      .put_u8(slot.owned ? 1 : 0);
}

template <class Item>
std::vector<std::uint8_t> encode_items(const std::vector<Item>& items) {
  SszWriter writer;
  for (const Item& item : items) put(writer, item);
  return writer.finish();
}

ImageMapping read_mapping(Bytes bytes) {
  return {number<std::uint32_t>(bytes.first(4)), number<std::uint32_t>(bytes.subspan(4, 4)), bytes[8],
          hash(bytes.subspan(9, kHashBytes)), number<std::uint32_t>(bytes.subspan(9 + kHashBytes, 4))};
}

InitialRegister read_register(Bytes bytes) { return {bytes[0], number<std::uint64_t>(bytes.subspan(1))}; }

CNode::Slot read_slot(Bytes bytes) {
  return {bytes[0],
          {static_cast<CapabilityKind>(bytes[1]), hash(bytes.subspan(2, kHashBytes))},
          bytes[2 + kHashBytes] != 0};
}

template <class Read>
auto decode_items(Bytes bytes, std::size_t item_bytes, std::uint64_t limit, std::string_view where, Read read)
    -> Result<std::vector<decltype(read(bytes))>> {
  const auto parts = base::split_list(bytes, item_bytes, limit, where);
  if (!parts) return std::unexpected(parts.error());
  std::vector<decltype(read(bytes))> items;
  items.reserve(parts->size());
  for (const Bytes part : *parts) items.push_back(read(part));
  return items;
}

// --- Data

std::vector<std::uint8_t> encode_value(const Data& data) {
  std::map<Hash, std::uint32_t> numbers;
  std::vector<const Data::Page*> distinct;
  SszWriter indices;
  for (std::uint32_t index = 0; index < data.page_count(); ++index) {
    const Data::Page* const page = data.page(index);
    if (page == nullptr) {
      indices.put_u32(0);
      continue;
    }
    const auto [place, is_new] =
        numbers.try_emplace(data.page_hash(index), static_cast<std::uint32_t>(distinct.size() + 1));
    if (is_new) distinct.push_back(page);
    indices.put_u32(place->second);
  }
  SszWriter pages;
  for (const Data::Page* const page : distinct) pages.put_fixed(*page);
  return SszWriter().put_u32(data.page_count()).put_variable(indices.finish()).put_variable(pages.finish()).finish();
}

struct HashedPage {
  std::shared_ptr<const Data::Page> page;
  base::Sha256 hash;
};

// Equal pages have equal hashes; sorted, they stand side by side.
bool has_duplicates(const std::vector<HashedPage>& pages) {
  std::vector<base::Sha256> hashes;
  hashes.reserve(pages.size());
  for (const HashedPage& page : pages) hashes.push_back(page.hash);
  std::ranges::sort(hashes);
  return std::ranges::adjacent_find(hashes) != hashes.end();
}

Result<Capability> decode_data(Bytes bytes) {
  const auto fields = base::split_container(bytes, {4, kVariableSize, kVariableSize}, "data");
  if (!fields) return std::unexpected(fields.error());
  const auto page_count = number<std::uint32_t>((*fields)[0]);
  const Bytes indices = (*fields)[1];
  if (page_count > kMostDataPages) return invalid("data.page_count", "is more than a Data holds");
  if (indices.size() != std::size_t{4} * page_count) return invalid("data.indices", "are not one for each page");
  const auto index_of = [indices](std::uint32_t page) {
    return number<std::uint32_t>(indices.subspan(std::size_t{4} * page, 4));
  };
  const auto parts = base::split_list((*fields)[2], kCapabilityPageSize, page_count, "data.pages");
  if (!parts) return std::unexpected(parts.error());
  // The order first: it takes no memory.
  std::uint32_t used = 0;
  for (std::uint32_t page = 0; page < page_count; ++page) {
    const std::uint32_t index = index_of(page);
    if (index > used + 1 || index > parts->size()) return invalid("data.indices", "name pages out of order, or none");
    used = std::max(used, index);
  }
  if (used != parts->size()) return invalid("data.pages", "hold one that is not used");

  std::vector<HashedPage> pages;
  pages.reserve(parts->size());
  for (const Bytes part : *parts) {
    if (std::ranges::all_of(part, [](std::uint8_t byte) { return byte == 0; }))
      return invalid("data.pages", "hold a page of zeros");
    auto page = std::allocate_shared<Data::Page>(base::SlabAllocator<Data::Page>());
    std::ranges::copy(part, page->begin());
    pages.push_back({std::move(page), base::sha256(part)});
  }
  if (has_duplicates(pages)) return invalid("data.pages", "hold a page twice");
  Data data = Data::zeros(page_count);
  for (std::uint32_t page = 0; page < page_count; ++page) {
    if (const std::uint32_t index = index_of(page); index != 0)
      set_hashed_page(data, page, pages[index - 1].page, pages[index - 1].hash);
  }
  return data;
}

// --- Image

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::vector<std::uint8_t> encode_endpoint(const Endpoint& endpoint) {
  return SszWriter()
      .put_u32(endpoint.number)
      .put_variable(bytes_of(endpoint.name))
      .put_u64(endpoint.pc)
      .put_variable(encode_items(endpoint.registers))
      .finish();
}

std::vector<std::uint8_t> encode_import(const ImageImport& import) {
  return SszWriter()
      .put_u32(import.number)
      .put_variable(bytes_of(import.name))
      .put_variable(bytes_of(import.signature))
      .finish();
}

std::vector<std::uint8_t> encode_value(const Image& image) {
  SszWriter imports;
  for (const ImageImport& import : image.imports) imports.put_variable(encode_import(import));
  SszWriter endpoints;
  for (const Endpoint& endpoint : image.endpoints) endpoints.put_variable(encode_endpoint(endpoint));
  return SszWriter()
      .put_u32(image.gas_schedule)
      .put_u8(static_cast<std::uint8_t>(image.personality))
      .put_variable(encode_items(image.mappings))
      .put_variable(endpoints.finish())
      .put_u64(image.memory_limit)
      .put_u64(image.stack_size)
      .put_fixed(image.program.bytes)
      .put_u64(image.program_size)
      .put_variable(imports.finish())
      .finish();
}

Result<Endpoint> decode_endpoint(Bytes bytes) {
  const auto fields = base::split_container(bytes, {4, kVariableSize, 8, kVariableSize}, "image.endpoints");
  if (!fields) return std::unexpected(fields.error());
  const Bytes name = (*fields)[1];
  if (name.size() > kMostEndpointName) return invalid("image.endpoints.name", "is longer than 255 bytes");
  auto registers =
      decode_items((*fields)[3], kRegisterBytes, kMostInitialRegisters, "image.endpoints.registers", read_register);
  if (!registers) return std::unexpected(registers.error());
  return Endpoint{.number = number<std::uint32_t>((*fields)[0]),
                  .name = std::string(name.begin(), name.end()),
                  .pc = number<std::uint64_t>((*fields)[2]),
                  .registers = *std::move(registers)};
}

Result<ImageImport> decode_import(Bytes bytes) {
  const auto fields = base::split_container(bytes, {4, kVariableSize, kVariableSize}, "image.imports");
  if (!fields) return std::unexpected(fields.error());
  const Bytes name = (*fields)[1], signature = (*fields)[2];
  if (name.size() > kMostImportName) return invalid("image.imports.name", "is longer than 255 bytes");
  if (signature.size() > kMostImportSignature) return invalid("image.imports.signature", "is longer than 1024 bytes");
  return ImageImport{.number = number<std::uint32_t>((*fields)[0]),
                     .name = std::string(name.begin(), name.end()),
                     .signature = std::string(signature.begin(), signature.end())};
}

Result<Capability> decode_image(Bytes bytes) {
  const auto fields =
      base::split_container(bytes, {4, 1, kVariableSize, kVariableSize, 8, 8, kHashBytes, 8, kVariableSize}, "image");
  if (!fields) return std::unexpected(fields.error());
  auto mappings = decode_items((*fields)[2], kMappingBytes, kMostImageMappings, "image.mappings", read_mapping);
  if (!mappings) return std::unexpected(mappings.error());
  const auto endpoints = base::split_variable_list((*fields)[3], kMostEndpoints, "image.endpoints");
  if (!endpoints) return std::unexpected(endpoints.error());
  const auto imports = base::split_variable_list((*fields)[8], kMostImports, "image.imports");
  if (!imports) return std::unexpected(imports.error());
  Image image{.gas_schedule = number<std::uint32_t>((*fields)[0]),
              .personality = static_cast<ImagePersonality>((*fields)[1][0]),
              .mappings = *std::move(mappings),
              .memory_limit = number<std::uint64_t>((*fields)[4]),
              .stack_size = number<std::uint64_t>((*fields)[5]),
              .program = hash((*fields)[6]),
              .program_size = number<std::uint64_t>((*fields)[7])};
  for (const Bytes part : *endpoints) {
    Result<Endpoint> endpoint = decode_endpoint(part);
    if (!endpoint) return std::unexpected(endpoint.error());
    image.endpoints.push_back(*std::move(endpoint));
  }
  for (const Bytes part : *imports) {
    Result<ImageImport> import = decode_import(part);
    if (!import) return std::unexpected(import.error());
    image.imports.push_back(*std::move(import));
  }
  return image;
}

// --- CNode

std::vector<std::uint8_t> encode_value(const CNode& node) {
  return SszWriter().put_variable(encode_items(node.slots)).finish();
}

Result<Capability> decode_cnode(Bytes bytes) {
  const auto fields = base::split_container(bytes, {kVariableSize}, "cnode");
  if (!fields) return std::unexpected(fields.error());
  auto slots = decode_items((*fields)[0], kSlotBytes, CNode::kSlots, "cnode.slots", read_slot);
  if (!slots) return std::unexpected(slots.error());
  for (std::size_t end = kSlotBytes; end <= (*fields)[0].size(); end += kSlotBytes) {
    if ((*fields)[0][end - 1] > 1) return invalid("cnode.slots.owned", "is neither 0 nor 1");
  }
  return CNode{*std::move(slots)};
}

// --- SealedInstance

std::vector<std::uint8_t> encode_registers(const std::array<std::uint64_t, 32>& registers) {
  SszWriter writer;
  for (const std::uint64_t value : registers) writer.put_u64(value);
  return writer.finish();
}

std::array<std::uint64_t, 32> read_registers(Bytes bytes) {
  std::array<std::uint64_t, 32> registers{};
  for (std::size_t index = 0; index < registers.size(); ++index)
    registers[index] = number<std::uint64_t>(bytes.subspan(8 * index, 8));
  return registers;
}

std::vector<std::uint8_t> encode_value(const SealedInstance& instance) {
  return SszWriter()
      .put_fixed(instance.image.bytes)
      .put_fixed(instance.next_image.bytes)
      .put_variable(encode_items(instance.mappings))
      .put_fixed(instance.memory.bytes)
      .put_fixed(instance.root.bytes)
      .put_fixed(encode_registers(instance.integer_registers))
      .put_fixed(encode_registers(instance.float_registers))
      .put_u32(instance.float_control)
      .put_u64(instance.pc)
      .put_u64(instance.gas_remaining)
      .put_u64(instance.gas_used)
      .put_u64(instance.reservation.address)
      .put_u64(instance.reservation.value)
      .put_u32(instance.reservation.width)
      .put_u8(static_cast<std::uint8_t>(instance.phase))
      .put_u64(instance.pending.slot_path)
      .put_u64(instance.pending.gas_share)
      .put_u64(instance.pending.gas_granted)
      .put_u64(instance.pending.catch_key)
      .put_u64(instance.pending.given_path)
      .put_fixed(instance.lineage.bytes)
      .put_variable(instance.runtime_state)
      .put_variable(instance.personality_state)
      .finish();
}

Result<Capability> decode_instance(Bytes bytes) {
  const auto fields = base::split_container(
      bytes,
      {kHashBytes, kHashBytes, kVariableSize, kHashBytes, kHashBytes, kRegisterFileBytes, kRegisterFileBytes, 4, 8, 8,
       8, kReservationBytes, 1, kPendingBytes, kHashBytes, kVariableSize, kVariableSize},
      "instance");
  if (!fields) return std::unexpected(fields.error());
  const auto field = [&fields](std::size_t index) { return (*fields)[index]; };
  auto mappings = decode_items(field(2), kMappingBytes, kMostInstanceMappings, "instance.mappings", read_mapping);
  if (!mappings) return std::unexpected(mappings.error());
  if (field(15).size() > kMostStateBytes) return invalid("instance.runtime_state", "is larger than 64 MiB");
  if (field(16).size() > kMostStateBytes) return invalid("instance.personality_state", "is larger than 64 MiB");
  const Bytes reservation = field(11);
  const Bytes pending = field(13);
  return SealedInstance{.image = hash(field(0)),
                        .next_image = hash(field(1)),
                        .mappings = *std::move(mappings),
                        .memory = hash(field(3)),
                        .root = hash(field(4)),
                        .integer_registers = read_registers(field(5)),
                        .float_registers = read_registers(field(6)),
                        .float_control = number<std::uint32_t>(field(7)),
                        .pc = number<std::uint64_t>(field(8)),
                        .gas_remaining = number<std::uint64_t>(field(9)),
                        .gas_used = number<std::uint64_t>(field(10)),
                        .reservation = {.address = number<std::uint64_t>(reservation.first(8)),
                                        .value = number<std::uint64_t>(reservation.subspan(8, 8)),
                                        .width = number<std::uint32_t>(reservation.subspan(16))},
                        .phase = static_cast<InstancePhase>(field(12)[0]),
                        .pending = {.slot_path = number<std::uint64_t>(pending.first(8)),
                                    .gas_share = number<std::uint64_t>(pending.subspan(8, 8)),
                                    .gas_granted = number<std::uint64_t>(pending.subspan(16, 8)),
                                    .catch_key = number<std::uint64_t>(pending.subspan(24, 8)),
                                    .given_path = number<std::uint64_t>(pending.subspan(32))},
                        .lineage = hash(field(14)),
                        .runtime_state = {field(15).begin(), field(15).end()},
                        .personality_state = {field(16).begin(), field(16).end()}};
}

Result<Capability> decode_kind(std::uint8_t selector, Bytes value) {
  switch (static_cast<CapabilityKind>(selector)) {
    case CapabilityKind::kData:
      return decode_data(value);
    case CapabilityKind::kImage:
      return decode_image(value);
    case CapabilityKind::kCNode:
      return decode_cnode(value);
    case CapabilityKind::kInstance:
      return decode_instance(value);
  }
  return invalid("selector", "is no kind of capability");
}

}  // namespace

std::vector<std::uint8_t> encode(const Capability& capability) {
  std::vector<std::uint8_t> value = std::visit([](const auto& kind) { return encode_value(kind); }, capability);
  value.insert(value.begin(), static_cast<std::uint8_t>(kind_of(capability)));
  return value;
}

Result<Capability> decode_capability(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return invalid("selector", "is missing");
  Result<Capability> capability = decode_kind(bytes[0], bytes.subspan(1));
  if (!capability) return capability;
  if (Result<void> checked = check(*capability); !checked)
    return invalid(checked.error().where, checked.error().message);
  return capability;
}

}  // namespace caisson
