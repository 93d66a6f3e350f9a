#include "caisson/kernel.h"

#include <new>
#include <utility>

#include "kernel/kernel_guest.h"
#include "kernel/seal.h"
#include "kernel/slots.h"
#include "kernel/store_reference.h"
#include "runtime/boot_counters.h"
#include "runtime/engine_state.h"

namespace caisson {
namespace {

// Memory of the host that runs out is an Error like any other.
template <class Function>
auto without_exceptions(Function&& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  }
}

constexpr std::size_t kFewestResidents = 2;

// A host function asks something of the instance that called it.
std::unexpected<Error> busy() { return fail(ErrorCode::kBusy, "the instance is running"); }

Result<std::unique_ptr<kernel::KernelGuest>> open_guest(const std::shared_ptr<kernel::KernelState>& state,
                                                        const Hash& instance) {
  CAISSON_PERF_SCOPE(runtime::instantiate_counter);
  auto guest = std::make_unique<kernel::KernelGuest>(state);
  Result<std::vector<kernel::Frame>> frames = kernel::open_frames(guest->tree(), instance);
  if (!frames) return std::unexpected(frames.error());
  if (frames->size() == 1 && !frames->front().instance->on_its_way) {
    guest->set_root(std::move(frames->front().instance));
  } else {
    guest->set_frames(*std::move(frames));
  }
  return guest;
}

}  // namespace

Result<Kernel> Kernel::create(const Engine& engine, std::shared_ptr<CapabilityStore> store,
                              const KernelOptions& options) {
  return without_exceptions([&]() -> Result<Kernel> {
    if (store == nullptr) return fail(ErrorCode::kInvalidArgument, "a kernel needs a store");
    if (options.resident_instances < kFewestResidents)
      return fail(ErrorCode::kInvalidArgument, "a caller and its callee have to be resident", "resident_instances");
    if (options.max_depth == 0 || options.max_instances == 0)
      return fail(ErrorCode::kInvalidArgument, "at least one instance has to run",
                  options.max_depth == 0 ? "max_depth" : "max_instances");
    return Kernel(std::make_shared<kernel::KernelState>(
        kernel::CellOptions{.engine = engine.state(), .tier = options.tier}, std::move(store), options));
  });
}

Result<Hash> Kernel::build_image(std::span<const std::uint8_t> elf, const ImageOptions& options) const {
  return without_exceptions([&]() -> Result<Hash> {
    Result<BuiltImage> built = caisson::build_image(elf, options);
    if (!built) return std::unexpected(built.error());
    return put_image(*state_->store, *built);
  });
}

Result<Hash> put_image(CapabilityStore& store, const BuiltImage& built) {
  std::vector<Hash> held;
  const auto give_back = [&] {
    for (const Hash& hash : held) kernel::give_back(store, hash);
  };
  for (const Data& data : built.data) {
    const Result<Hash> hash = store.put(Capability(data));
    if (!hash) {
      give_back();
      return hash;
    }
    held.push_back(*hash);
  }
  Result<Hash> image = store.put(Capability(built.image));
  give_back();
  return image;
}

Result<InvocationResult> Kernel::invoke_cached(const Hash& instance, std::uint64_t endpoint,
                                               std::span<const std::uint64_t> arguments, std::uint64_t gas) const {
  return without_exceptions([&]() -> Result<InvocationResult> {
    kernel::KernelGuest guest(state_);
    CAISSON_PERF_SNIPPET(opening, runtime::instantiate_counter);
    Result<std::unique_ptr<kernel::InstanceObject>> root = kernel::open_instance(guest.tree(), instance);
    CAISSON_PERF_STOP(opening);
    if (!root) return std::unexpected(root.error());
    guest.set_root(*std::move(root));
    return guest.invoke(endpoint, arguments, gas);
  });
}

Result<Kernel::Successor> Kernel::invoke(const Hash& instance, std::uint64_t endpoint,
                                         std::span<const std::uint64_t> arguments, std::uint64_t gas) const {
  return without_exceptions([&]() -> Result<Successor> {
    kernel::KernelGuest guest(state_);
    CAISSON_PERF_SNIPPET(opening, runtime::instantiate_counter);
    Result<std::unique_ptr<kernel::InstanceObject>> root = kernel::open_instance(guest.tree(), instance);
    CAISSON_PERF_STOP(opening);
    if (!root) return std::unexpected(root.error());
    guest.set_root(*std::move(root));
    const Result<InvocationResult> result = guest.invoke(endpoint, arguments, gas);
    if (!result) return std::unexpected(result.error());
    const Result<Hash> successor = guest.seal();
    if (!successor) return std::unexpected(successor.error());
    return Successor{*result, *successor};
  });
}

Result<KernelInstance> Kernel::derive(const Hash& image) const {
  CAISSON_PERF_SCOPE(runtime::instantiate_counter);
  return without_exceptions([&]() -> Result<KernelInstance> {
    Result<std::shared_ptr<kernel::LoadedImage>> loaded = state_->load_image(image);
    if (!loaded) return std::unexpected(loaded.error());
    auto guest = std::make_unique<kernel::KernelGuest>(state_);
    guest->set_root(guest->tree().make_instance(*std::move(loaded)));
    return KernelInstance(std::move(guest));
  });
}

Result<KernelInstance> Kernel::open(const Hash& instance) const {
  return without_exceptions([&]() -> Result<KernelInstance> {
    auto guest = open_guest(state_, instance);
    if (!guest) return std::unexpected(guest.error());
    return KernelInstance(*std::move(guest));
  });
}

const std::shared_ptr<CapabilityStore>& Kernel::store() const { return state_->store; }
KernelStats Kernel::stats() const { return state_->stats(); }

KernelInstance::KernelInstance(std::unique_ptr<kernel::KernelGuest> guest) : guest_(std::move(guest)) {}
KernelInstance::KernelInstance(KernelInstance&&) noexcept = default;
KernelInstance& KernelInstance::operator=(KernelInstance&&) noexcept = default;
KernelInstance::~KernelInstance() = default;

Result<InvocationResult> KernelInstance::invoke(std::uint64_t endpoint, std::span<const std::uint64_t> arguments,
                                                std::uint64_t gas) {
  return without_exceptions([&] { return guest_->invoke(endpoint, arguments, gas); });
}

Result<InvocationResult> KernelInstance::resume(std::uint64_t gas) {
  return without_exceptions([&] { return guest_->resume(gas); });
}

void KernelInstance::interrupt() { guest_->invocation().request_stop(); }

void KernelInstance::set_deadline(std::chrono::steady_clock::time_point deadline) {
  guest_->invocation().set_deadline(deadline);
}

Result<Hash> KernelInstance::seal() {
  if (guest_->is_running()) return busy();
  return without_exceptions([&] { return guest_->seal(); });
}

Result<KernelInstance> KernelInstance::fork() {
  if (guest_->is_running()) return busy();
  return without_exceptions([&]() -> Result<KernelInstance> {
    auto copy = guest_->clone();
    if (!copy) return std::unexpected(copy.error());
    return KernelInstance(*std::move(copy));
  });
}

std::string_view KernelInstance::host_error() const { return guest_->invocation().host_error(); }

Hash KernelInstance::image() const { return guest_->root().image().hash(); }
Hash KernelInstance::lineage() const { return guest_->root().lineage(); }
std::uint64_t KernelInstance::gas_used() const { return guest_->root().gas_used(); }

bool KernelInstance::read_memory(std::uint64_t address, std::span<std::uint8_t> to) {
  if (guest_->is_running()) return false;
  const auto read = without_exceptions([&]() -> Result<bool> {
    kernel::InstanceObject& root = guest_->root();
    if (!guest_->tree().make_resident(root)) return false;
    return root.cell->guest().memory().read(address, to.data(), to.size()) == to.size();
  });
  return read && *read;
}

bool KernelInstance::write_memory(std::uint64_t address, std::span<const std::uint8_t> from) {
  if (guest_->is_running()) return false;
  const auto written = without_exceptions([&]() -> Result<bool> {
    kernel::InstanceObject& root = guest_->root();
    if (!guest_->tree().make_resident(root)) return false;
    return root.cell->guest().memory().write(address, from.data(), from.size()) == from.size();
  });
  return written && *written;
}

Result<void> KernelInstance::put_capability(std::uint8_t slot, const Hash& capability) {
  if (guest_->is_running()) return busy();
  return without_exceptions([&]() -> Result<void> {
    if (guest_->root().root().find(slot) != nullptr)
      return fail(ErrorCode::kInvalidArgument, "the slot is taken", std::to_string(slot));
    const auto found = guest_->tree().kernel().store->get(capability);
    if (!found) return std::unexpected(found.error());
    if (*found == nullptr)
      return fail(ErrorCode::kNotFound, "the store has no capability of this hash", capability.to_string());
    Result<kernel::CapabilitySlot> opened = kernel::open_reference(guest_->tree(), {kind_of(**found), capability});
    if (!opened) return std::unexpected(opened.error());
    guest_->root().root().put(slot, *std::move(opened));
    return {};
  });
}

Result<std::optional<CNode::Reference>> KernelInstance::capability(std::uint8_t slot) {
  if (guest_->is_running()) return busy();
  return without_exceptions([&]() -> Result<std::optional<CNode::Reference>> {
    kernel::CapabilitySlot* const held = guest_->root().root().find(slot);
    if (held == nullptr) return std::nullopt;
    Result<CNode::Reference> reference = kernel::seal_capability(guest_->tree(), *held);
    if (!reference) return std::unexpected(reference.error());
    return *reference;
  });
}

Result<void> KernelInstance::drop_capability(std::uint8_t slot) {
  if (guest_->is_running()) return busy();
  return without_exceptions([&]() -> Result<void> {
    if (guest_->root().root().find(slot) == nullptr)
      return fail(ErrorCode::kNotFound, "the slot is empty", std::to_string(slot));
    std::vector<kernel::CapabilitySlot> dropped;
    dropped.push_back(guest_->root().root().take(slot));
    kernel::end_capabilities(std::move(dropped));
    return {};
  });
}

std::size_t KernelInstance::instance_count() const { return guest_->tree().instance_count(); }
std::size_t KernelInstance::resident_count() const { return guest_->tree().resident_count(); }

}  // namespace caisson
