// Programs of an Engine, sealed between two runs and opened again.
#include <fmt/format.h>

#include <new>
#include <utility>

#include "caisson/kernel.h"
#include "kernel/lineage.h"
#include "kernel/program_state.h"
#include "kernel/sealed_memory.h"
#include "kernel/store_reference.h"
#include "runtime/engine_state.h"
#include "runtime/instance_body.h"

namespace caisson {
namespace {

using kernel::ProgramState;

// References of ours until something that refers to what was put is in the store.
class Putter {
 public:
  explicit Putter(CapabilityStore& store) : store_(store) {}
  ~Putter() {
    for (const Hash& hash : held_) kernel::give_back(store_, hash);
  }
  Result<Hash> put(const Capability& capability) {
    Result<Hash> hash = store_.put(capability);
    if (hash) held_.push_back(*hash);
    return hash;
  }

 private:
  CapabilityStore& store_;
  std::vector<Hash> held_;
};

Result<Hash> put_program(Putter& putter, const runtime::GuestSnapshot& snapshot, const InstanceOptions& options) {
  const std::span<const std::uint8_t> bytes = snapshot.module->bytes.span();
  Result<Data> program = Data::copy_of(bytes);
  if (!program) return std::unexpected(program.error());
  const Result<Hash> data = putter.put(Capability(*std::move(program)));
  if (!data) return data;
  return putter.put(Capability(Image{.personality = ImagePersonality::kLinux,
                                     .memory_limit = options.memory_limit,
                                     .stack_size = options.stack_size,
                                     .program = *data,
                                     .program_size = bytes.size()}));
}

ProgramState state_of(const runtime::GuestSnapshot& snapshot, const InstanceOptions& options) {
  const std::span<const memory::BaseRegion> layout = snapshot.memory.base->layout();
  return {.module_name = snapshot.module->name,
          .deterministic = options.deterministic,
          .phase = snapshot.phase,
          .mapped = snapshot.mapped,
          .runs_program = snapshot.runs_program,
          .in_call = snapshot.in_call,
          .resumable = snapshot.resumable,
          .has_personality = snapshot.personality.has_value(),
          .pending_call = snapshot.pending_call,
          .load_bias = snapshot.load_bias,
          .slice_used = snapshot.slice_used,
          .call_registers = snapshot.call_registers,
          .regions = {layout.begin(), layout.end()}};
}

Result<Hash> seal_snapshot(const runtime::GuestSnapshot& snapshot, const InstanceOptions& options,
                           CapabilityStore& store) {
  Putter putter(store);
  const Result<Hash> image = put_program(putter, snapshot, options);
  if (!image) return image;
  const kernel::SealedMemory memory = kernel::seal_state(kernel::seal_base(*snapshot.memory.base), snapshot.memory);
  const Result<Hash> data = putter.put(Capability(memory.data));
  if (!data) return data;
  const Result<Hash> root = putter.put(Capability(CNode()));
  if (!root) return root;
  const runtime::HartRegisters& registers = snapshot.registers;
  SealedInstance sealed{.image = *image,
                        .mappings = memory.mappings,
                        .memory = *data,
                        .root = *root,
                        .integer_registers = registers.x,
                        .float_registers = registers.f,
                        .float_control = registers.frm << 5 | registers.fflags,
                        .pc = registers.pc,
                        .gas_remaining = registers.gas,
                        .gas_used = registers.gas_used,
                        .phase = InstancePhase::kRunning,
                        .lineage = kernel::first_lineage(*image),
                        .runtime_state = kernel::encode_program_state(state_of(snapshot, options)),
                        .personality_state = snapshot.personality.value_or(std::vector<std::uint8_t>())};
  if (registers.reservation_width != 0)
    sealed.reservation = {registers.reservation_address, registers.reservation_value, registers.reservation_width};
  return store.put(Capability(std::move(sealed)));
}

template <class Kind>
Result<Kind> get_kind(CapabilityStore& store, const Hash& hash, std::string_view what) {
  Result<std::shared_ptr<const Capability>> found = store.get(hash);
  if (!found) return std::unexpected(found.error());
  if (*found == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("the store has no {} of this hash", what), hash.to_string());
  const auto* const value = std::get_if<Kind>(found->get());
  if (value == nullptr)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("this is the hash of a {}, not of {}", to_string(kind_of(**found)), what),
                hash.to_string());
  return *value;
}

Result<std::shared_ptr<const runtime::ModuleState>> open_module(CapabilityStore& store, const Image& image,
                                                                std::string name) {
  const Result<Data> program = get_kind<Data>(store, image.program, "program");
  if (!program) return std::unexpected(program.error());
  if (image.program_size > program->size())
    return fail(ErrorCode::kInvalidImage, "the program is shorter than its image says", "program_size");
  std::vector<std::uint8_t> bytes(image.program_size);
  program->read(0, bytes);
  Result<ProgramBytes> copy = ProgramBytes::copy_of(bytes);
  if (!copy) return std::unexpected(copy.error());
  return runtime::make_module(std::move(name), *std::move(copy));
}

Result<memory::MemoryState> open_memory(CapabilityStore& store, const SealedInstance& sealed,
                                        const ProgramState& state) {
  const Result<Data> data = get_kind<Data>(store, sealed.memory, "data");
  if (!data) return std::unexpected(data.error());
  std::vector<memory::BaseRegionSource> sources;
  std::uint64_t pages = 0;
  for (std::size_t i = 0; i < sealed.mappings.size(); ++i) {
    const ImageMapping& mapping = sealed.mappings[i];
    memory::BaseRegion region = state.regions[i];
    region.first_page = mapping.first_page;
    region.page_count = mapping.page_count;
    region.permissions = mapping.permissions;
    sources.push_back({std::move(region), [&data, pages](std::uint32_t page) {
                         const Data::Page* const bytes = data->page(static_cast<std::uint32_t>(pages) + page);
                         return bytes == nullptr ? nullptr : bytes->data();
                       }});
    pages += mapping.page_count;
  }
  if (pages != data->page_count())
    return fail(ErrorCode::kInvalidImage, "the memory is not what the mappings say", "memory");
  Result<std::shared_ptr<const memory::MemoryBase>> base = memory::MemoryBase::create(sources);
  if (!base) return std::unexpected(base.error());
  return memory::MemoryState{.base = *std::move(base), .changed = {}};
}

Result<Instance> open_sealed(const Engine& engine, CapabilityStore& store, const Hash& hash, InstanceOptions options) {
  const Result<SealedInstance> sealed = get_kind<SealedInstance>(store, hash, "sealed instance");
  if (!sealed) return std::unexpected(sealed.error());
  const Result<Image> image = get_kind<Image>(store, sealed->image, "image");
  if (!image) return std::unexpected(image.error());
  if (image->personality != ImagePersonality::kLinux)
    return fail(ErrorCode::kInvalidArgument, "an instance of the kernel, which Kernel::open() opens", hash.to_string());
  if (sealed->phase != InstancePhase::kRunning)
    return fail(ErrorCode::kInvalidImage, "not a sealed program", hash.to_string());
  Result<ProgramState> state = kernel::decode_program_state(sealed->runtime_state, sealed->mappings.size());
  if (!state) return std::unexpected(state.error());
  Result<std::shared_ptr<const runtime::ModuleState>> module = open_module(store, *image, state->module_name);
  if (!module) return std::unexpected(module.error());
  Result<memory::MemoryState> memory = open_memory(store, *sealed, *state);
  if (!memory) return std::unexpected(memory.error());
  Result<std::vector<runtime::BoundHostFunction>> functions = runtime::resolve_imports(*engine.state(), **module);
  if (!functions) return std::unexpected(functions.error());

  runtime::GuestSnapshot snapshot{.module = *std::move(module),
                                  .memory = *std::move(memory),
                                  .registers = {.x = sealed->integer_registers,
                                                .f = sealed->float_registers,
                                                .pc = sealed->pc,
                                                .gas = sealed->gas_remaining,
                                                .gas_used = sealed->gas_used,
                                                .frm = sealed->float_control >> 5,
                                                .fflags = sealed->float_control & 31,
                                                .reservation_address = sealed->reservation.address,
                                                .reservation_value = sealed->reservation.value,
                                                .reservation_width = sealed->reservation.width},
                                  .phase = state->phase,
                                  .mapped = state->mapped,
                                  .runs_program = state->runs_program,
                                  .in_call = state->in_call,
                                  .resumable = state->resumable,
                                  .pending_call = state->pending_call,
                                  .load_bias = state->load_bias,
                                  .slice_used = state->slice_used,
                                  .call_registers = state->call_registers,
                                  .host_functions = *std::move(functions)};
  if (state->has_personality) snapshot.personality = sealed->personality_state;
  options.deterministic = state->deterministic;
  options.memory_limit = image->memory_limit;
  options.stack_size = image->stack_size;
  auto guest = runtime::GuestInstance::restore(snapshot, engine.state()->windows, options, engine.state()->jit);
  if (!guest) return std::unexpected(guest.error());
  return Instance(std::make_unique<runtime::InstanceBody>(*std::move(guest), engine.state()));
}

}  // namespace

Result<Hash> seal_program(Instance& instance, CapabilityStore& store) {
  try {
    const Result<runtime::GuestInstance*> guest = instance.resident_guest();
    if (!guest) return std::unexpected(guest.error());
    Result<runtime::GuestSnapshot> snapshot = (*guest)->snapshot();
    if (!snapshot) return std::unexpected(snapshot.error());
    return seal_snapshot(*snapshot, (*guest)->options(), store);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  }
}

Result<Instance> open_program(const Engine& engine, CapabilityStore& store, const Hash& sealed,
                              InstanceOptions options) {
  try {
    return open_sealed(engine, store, sealed, std::move(options));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  }
}

}  // namespace caisson
