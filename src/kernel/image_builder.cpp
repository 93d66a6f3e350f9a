// From a program to an image: what the runtime maps for it, page by page, a program with a `_start` as it is once it is ready for calls.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "caisson/kernel.h"
#include "memory/window_pool.h"
#include "runtime/guest_instance.h"
#include "runtime/guest_layout.h"

namespace caisson {
namespace {

constexpr std::size_t kMostEndpoints = 4096;

// `registers`: x0…x5 of a call.
Result<std::vector<Endpoint>> make_endpoints(const runtime::ModuleState& module, const ImageOptions& options,
                                             std::uint64_t bias, const std::array<std::uint64_t, 6>& registers) {
  std::vector<Endpoint> endpoints;
  const auto add = [&](std::uint32_t number, const ExportedFunction& function) {
    Endpoint endpoint{.number = number, .name = function.name, .pc = function.address + bias, .registers = {}};
    for (const std::uint8_t each : {riscv::kSp, riscv::kGp, riscv::kTp}) {
      if (registers[each] != 0) endpoint.registers.push_back({each, registers[each]});
    }
    endpoints.push_back(std::move(endpoint));
  };
  if (options.endpoints.empty()) {
    std::vector<ExportedFunction> functions = module.exports();
    std::ranges::sort(functions, {}, &ExportedFunction::address);
    if (functions.size() > kMostEndpoints) functions.resize(kMostEndpoints);
    for (std::size_t i = 0; i < functions.size(); ++i) add(static_cast<std::uint32_t>(i), functions[i]);
  }
  for (const ImageOptions::NamedEndpoint& named : options.endpoints) {
    const ExportedFunction* const function = module.find_export(named.function);
    if (function == nullptr)
      return fail(ErrorCode::kNotFound, fmt::format("no exported function '{}'", named.function), module.name);
    add(named.number, *function);
  }
  std::ranges::sort(endpoints, {}, &Endpoint::number);
  return endpoints;
}

Result<std::optional<Data>> read_pages(const memory::AddressSpace& memory, const memory::Mapping& mapping) {
  const auto pages = static_cast<std::uint32_t>((mapping.end - mapping.start) / memory::kPageSize);
  Data data = Data::zeros(pages);
  bool any = false;
  for (std::uint32_t page = 0; page < pages; ++page) {
    Data::Page bytes;
    if (memory.read(mapping.start + page * memory::kPageSize, bytes.data(), bytes.size()) != bytes.size())
      return fail(ErrorCode::kInvalidImage, "a segment that cannot be read", fmt::format("{:#x}", mapping.start));
    if (std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; })) continue;
    data.set_page(page, bytes);
    any = true;
  }
  return any ? std::optional<Data>(std::move(data)) : std::nullopt;
}

// x0…x5 of calls of a program that is ready for them.
Result<std::array<std::uint64_t, 6>> run_until_ready(runtime::GuestInstance& guest) {
  const Result<InvocationResult> started = guest.start();
  if (!started) return std::unexpected(started.error());
  if (started->exit_reason != ExitReason::kHostCall || started->exit_arg != 0) {
    return fail(ErrorCode::kGuestEnded,
                fmt::format("the program ended ({}, {:#x}, status {}) without calling caisson_ready()",
                            to_string(started->exit_reason), started->exit_arg, started->return_value));
  }
  // What the personality cannot save, memory that is shared too, cannot be in an image.
  const Result<runtime::GuestSnapshot> snapshot = guest.snapshot();
  if (!snapshot) return std::unexpected(snapshot.error());
  return snapshot->call_registers;
}

Result<BuiltImage> build(std::span<const std::uint8_t> elf, const ImageOptions& options) {
  Result<ProgramBytes> bytes = ProgramBytes::copy_of(elf);
  if (!bytes) return std::unexpected(bytes.error());
  Result<std::shared_ptr<const runtime::ModuleState>> module = runtime::make_module("image", *std::move(bytes));
  if (!module) return std::unexpected(module.error());
  if ((*module)->has_start && options.personality == nullptr) {
    return fail(ErrorCode::kUnsupported,
                "a program with a `_start` needs a personality, under which it runs until it calls caisson_ready(); a "
                "collection "
                "of functions is linked with -nostdlib -Wl,-e,0");
  }
  auto guest = runtime::GuestInstance::create(*module, std::make_shared<memory::WindowPool>(0),
                                              {.gas = options.start_gas,
                                               .memory_limit = options.memory_limit,
                                               .stack_size = options.stack_size,
                                               .tier = Tier::kInterp,
                                               .deterministic = true,
                                               .personality = (*module)->has_start ? options.personality : nullptr});
  if (!guest) return std::unexpected(guest.error());
  std::array<std::uint64_t, 6> registers{};
  if ((*module)->has_start) {
    Result<std::array<std::uint64_t, 6>> ready = run_until_ready(**guest);
    if (!ready) return std::unexpected(ready.error());
    registers = *ready;
  } else {
    registers[riscv::kSp] = runtime::kStackTop;
    if ((*module)->elf.global_pointer != 0)
      registers[riscv::kGp] = (*module)->elf.global_pointer + (*guest)->load_bias();
  }
  const memory::AddressSpace& memory = (*guest)->memory();

  BuiltImage built;
  built.image.memory_limit = options.memory_limit;
  for (const memory::Mapping& mapping : memory.mappings()) {
    if (mapping.permissions == 0) continue;  // a guard: nobody will change that
    Result<std::optional<Data>> data = read_pages(memory, mapping);
    if (!data) return std::unexpected(data.error());
    ImageMapping record{.first_page = static_cast<std::uint32_t>(mapping.start / memory::kPageSize),
                        .page_count = static_cast<std::uint32_t>((mapping.end - mapping.start) / memory::kPageSize),
                        .permissions = mapping.permissions};
    if (*data) {
      record.data = hash_of(Capability(**data));
      built.data.push_back(**std::move(data));
    }
    built.image.mappings.push_back(record);
  }
  Result<std::vector<Endpoint>> endpoints = make_endpoints(**module, options, (*guest)->load_bias(), registers);
  if (!endpoints) return std::unexpected(endpoints.error());
  if (endpoints->empty())
    return fail(ErrorCode::kNotFound, "the program exports no function that could be an endpoint");
  built.image.endpoints = *std::move(endpoints);
  for (const ImportedFunction& import : (*module)->imports)
    built.image.imports.push_back({.number = import.number, .name = import.name, .signature = import.signature});
  std::ranges::sort(built.image.imports, {}, &ImageImport::number);
  if (Result<void> valid = check(Capability(built.image)); !valid) return std::unexpected(valid.error());
  return built;
}

}  // namespace

Result<BuiltImage> build_image(std::span<const std::uint8_t> elf, const ImageOptions& options) {
  try {
    return build(elf, options);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  }
}

}  // namespace caisson
