// The rules of capabilities that their types cannot say.
#include <fmt/format.h>

#include <algorithm>

#include "caisson/capability.h"
#include "capability/limits.h"

namespace caisson {
namespace {

using namespace capability;

constexpr std::uint32_t kGuardPages = 16;  // at each end of an address space
constexpr std::uint64_t kAddressSpace = std::uint64_t{1} << 32;
constexpr std::uint32_t kAddressSpacePages = kAddressSpace / kCapabilityPageSize;
constexpr std::uint8_t kAllPermissions = kMapRead | kMapWrite | kMapExecute;
constexpr std::uint32_t kFloatControlBits = 0xFF;

std::unexpected<Error> broken(std::string where, std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message), std::move(where));
}

bool is_kind(CapabilityKind kind) { return kind >= CapabilityKind::kData && kind <= CapabilityKind::kInstance; }

// Where the pages lie, and that they ascend.
Result<void> check_places(const std::vector<ImageMapping>& mappings, std::uint64_t most, std::string_view kind) {
  if (mappings.size() > most) return broken(fmt::format("{}.mappings", kind), fmt::format("are more than {}", most));
  std::uint64_t free_from = kGuardPages;
  for (std::size_t index = 0; index < mappings.size(); ++index) {
    const ImageMapping& mapping = mappings[index];
    const std::uint64_t end = std::uint64_t{mapping.first_page} + mapping.page_count;
    const auto where = [&](const char* field) { return fmt::format("{}.mappings[{}].{}", kind, index, field); };
    if (mapping.page_count == 0) return broken(where("page_count"), "is zero");
    if (mapping.first_page < free_from)
      return broken(where("first_page"), "lies below 64 KiB, in another mapping or out of order");
    if (end > kAddressSpacePages - kGuardPages) return broken(where("page_count"), "ends behind 4 GiB - 64 KiB");
    if (mapping.permissions > kAllPermissions) return broken(where("permissions"), "has bits that mean nothing");
    free_from = end;
  }
  return {};
}

// Whether the pages lie within the largest Data.
bool is_within_data(const ImageMapping& mapping) {
  return std::uint64_t{mapping.data_page} + mapping.page_count <= kMostDataPages;
}

Result<void> check_image_contents(const Image& image) {
  for (std::size_t index = 0; index < image.mappings.size(); ++index) {
    const ImageMapping& mapping = image.mappings[index];
    const std::string where = fmt::format("image.mappings[{}].data_page", index);
    if (mapping.data.is_zero() && mapping.data_page != 0) return broken(where, "is not zero, but there is no data");
    if (!is_within_data(mapping)) return broken(where, "leads beyond the largest Data");
  }
  return {};
}

Result<void> check_endpoints(const std::vector<Endpoint>& endpoints) {
  if (endpoints.size() > kMostEndpoints)
    return broken("image.endpoints", fmt::format("are more than {}", kMostEndpoints));
  for (std::size_t index = 0; index < endpoints.size(); ++index) {
    const Endpoint& endpoint = endpoints[index];
    const auto where = [index](const char* field) { return fmt::format("image.endpoints[{}].{}", index, field); };
    if (index != 0 && endpoint.number <= endpoints[index - 1].number) return broken(where("number"), "does not ascend");
    if (endpoint.name.size() > kMostEndpointName) return broken(where("name"), "is longer than 255 bytes");
    if (endpoint.pc % 2 != 0) return broken(where("pc"), "is odd: no instruction is there");
    std::uint8_t last = 0;
    for (const InitialRegister& initial : endpoint.registers) {
      if (initial.number <= last || initial.number > kMostInitialRegisters)
        return broken(where("registers"), "are not ascending numbers of 1 to 31");
      last = initial.number;
    }
  }
  return {};
}

Result<void> check_imports(const std::vector<ImageImport>& imports) {
  if (imports.size() > kMostImports) return broken("image.imports", fmt::format("are more than {}", kMostImports));
  for (std::size_t index = 0; index < imports.size(); ++index) {
    const ImageImport& import = imports[index];
    const auto where = [index](const char* field) { return fmt::format("image.imports[{}].{}", index, field); };
    if (index != 0 && import.number <= imports[index - 1].number) return broken(where("number"), "does not ascend");
    if (import.number > kMostImportNumber)
      return broken(where("number"), fmt::format("is more than {}", kMostImportNumber));
    if (import.name.empty() || import.name.size() > kMostImportName)
      return broken(where("name"), "is not 1 to 255 bytes");
    if (import.signature.empty() || import.signature.size() > kMostImportSignature)
      return broken(where("signature"), "is not 1 to 1024 bytes");
  }
  return {};
}

struct Checker {
  Result<void> operator()(const Data&) const { return {}; }

  Result<void> operator()(const Image& image) const {
    if (image.gas_schedule != 1) return broken("image.gas_schedule", "is not 1 (gas-v1)");
    if (image.personality > ImagePersonality::kLinux) return broken("image.personality", "is neither 0 nor 1");
    if (image.memory_limit > kAddressSpace) return broken("image.memory_limit", "is more than 4 GiB");
    if (image.stack_size > kAddressSpace) return broken("image.stack_size", "is more than 4 GiB");
    if (image.personality == ImagePersonality::kKernel) {
      if (image.stack_size != 0) return broken("image.stack_size", "is not zero: the stack is a mapping");
      if (!image.program.is_zero()) return broken("image.program", "is not zero: there are only mappings");
      if (image.program_size != 0) return broken("image.program_size", "is not zero: there is no program");
    } else {
      if (image.program.is_zero()) return broken("image.program", "is missing");
      if (image.program_size == 0 || image.program_size > kAddressSpace)
        return broken("image.program_size", "is not 1 byte to 4 GiB");
      if (!image.imports.empty()) return broken("image.imports", "are those of the program");
    }
    if (auto places = check_places(image.mappings, kMostImageMappings, "image"); !places) return places;
    if (auto contents = check_image_contents(image); !contents) return contents;
    if (auto endpoints = check_endpoints(image.endpoints); !endpoints) return endpoints;
    return check_imports(image.imports);
  }

  Result<void> operator()(const CNode& node) const {
    for (std::size_t index = 0; index < node.slots.size(); ++index) {
      const CNode::Slot& slot = node.slots[index];
      const auto where = [index](const char* field) { return fmt::format("cnode.slots[{}].{}", index, field); };
      if (index != 0 && slot.number <= node.slots[index - 1].number) return broken(where("number"), "does not ascend");
      if (!is_kind(slot.reference.kind)) return broken(where("kind"), "is no kind of capability");
      if (slot.reference.hash.is_zero()) return broken(where("hash"), "is zero: empty slots are absent");
      if (slot.owned && slot.reference.kind != CapabilityKind::kInstance)
        return broken(where("owned"), "is only for instances");
    }
    return {};
  }

  Result<void> operator()(const SealedInstance& instance) const {
    if (instance.image.is_zero()) return broken("instance.image", "is missing");
    if (instance.memory.is_zero()) return broken("instance.memory", "is missing");
    if (instance.root.is_zero()) return broken("instance.root", "is missing");
    if (auto places = check_places(instance.mappings, kMostInstanceMappings, "instance"); !places) return places;
    std::uint64_t pages = 0;
    for (std::size_t index = 0; index < instance.mappings.size(); ++index) {
      const ImageMapping& mapping = instance.mappings[index];
      const auto where = [index](const char* field) { return fmt::format("instance.mappings[{}].{}", index, field); };
      if (!mapping.data.is_zero()) return broken(where("data"), "is not zero: the pages are those of `memory`");
      if (mapping.data_page != pages) return broken(where("data_page"), "is not that behind the mapping before");
      if (!is_within_data(mapping)) return broken(where("data_page"), "leads beyond the largest Data");
      pages += mapping.page_count;
    }
    if (instance.integer_registers[0] != 0)
      return broken("instance.integer_registers", "begin with an x0 that is not zero");
    if (instance.pc % 2 != 0) return broken("instance.pc", "is odd: no instruction is there");
    if (instance.float_control > kFloatControlBits)
      return broken("instance.float_control", "has bits beyond fcsr's eight");
    const Reservation& reservation = instance.reservation;
    if (reservation.width != 0 && reservation.width != 4 && reservation.width != 8)
      return broken("instance.reservation", "is not 0, 4 or 8 bytes wide");
    if (reservation.width == 0 && reservation != Reservation())
      return broken("instance.reservation", "is not zero, but nothing is reserved");
    if (instance.phase > InstancePhase::kYielded) return broken("instance.phase", "is not 0 to 3");
    const bool may_wait = instance.phase == InstancePhase::kCalling || instance.phase == InstancePhase::kYielded;
    if (!may_wait && instance.pending != PendingCall())
      return broken("instance.pending", "is not zero, but no call is under way");
    if (instance.phase == InstancePhase::kYielded && instance.gas_remaining != 0)
      return broken("instance.gas_remaining", "is not zero, but the call waits for who resumes it");
    if (instance.runtime_state.size() > kMostStateBytes)
      return broken("instance.runtime_state", "is larger than 64 MiB");
    if (instance.personality_state.size() > kMostStateBytes)
      return broken("instance.personality_state", "is larger than 64 MiB");
    return {};
  }
};

}  // namespace

Result<void> check(const Capability& capability) { return std::visit(Checker{}, capability); }

}  // namespace caisson
