// Kernel: runs content-addressed instances, which may own, derive and call others.
//
//   auto store = caisson::CapabilityStore::in_memory();
//   caisson::Kernel kernel = caisson::Kernel::create(engine, store).value();
//   caisson::Hash image = kernel.build_image(elf_bytes, {.endpoints = {{0, "work"}}}).value();
//   caisson::KernelInstance instance = kernel.derive(image).value();
//   caisson::InvocationResult result = instance.invoke(0, {{3, 4}}, 1'000'000).value();
//   caisson::Hash sealed = instance.seal().value();                      // into the store, to be opened here or elsewhere
//   result = kernel.invoke_cached(sealed, 0, {{3, 4}}, 1'000'000).value();  // as published: nothing of the call remains
//
// Guests make the operations of docs/kernel-operations.md (guest/sdk/include/caisson/capabilities.h). Results, gas and hashes are the same in
// every tier, whatever is cached or resident. The clock of guests is driven by their gas.
//
// Images call the host functions of the engine (Engine::host_function), by name, as they were when the kernel first loaded the image. Such a function
// gets the instance that calls it as its Caller; it may use other KernelInstances, but what it asks of the one that is running is kBusy.
//
// Thread safety: a Kernel may be used from any thread; a KernelInstance from one at a time, but for interrupt().
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/capability.h"
#include "caisson/engine.h"
#include "caisson/gas.h"
#include "caisson/result.h"
#include "caisson/store.h"

namespace caisson {

namespace kernel {
struct KernelState;
class KernelGuest;
}  // namespace kernel

struct KernelOptions {
  Tier tier = Tier::kAuto;
  // How deep calls of instances may be nested, the outermost included.
  std::uint32_t max_depth = 1024;
  // Instances of one KernelInstance (itself, and all that it owns) that keep a window while they do not run, at least 2; the others are parked as
  // pages.
  std::size_t resident_instances = 64;
  // Of all KernelInstances together: past it one parks everything that it owns when its run ends.
  std::size_t resident_total = 512;
  // Of one KernelInstance: instances that it may own, and bytes of parked pages; data, images and CNodes that its guests make may take as much again, and
  // 16 MiB. Past them operations answer NoMemory, and fork() and open() are kLimit.
  std::size_t max_instances = 1'000'000;
  std::uint64_t parked_bytes = std::uint64_t{4} << 30;
  // Windows without an instance that wait for the next one of their image.
  std::size_t idle_cells = 512;
};

// Which of a program's functions are endpoints, and what the program starts with.
struct ImageOptions {
  struct NamedEndpoint {
    std::uint32_t number = 0;
    std::string function;
  };
  std::vector<NamedEndpoint> endpoints;  // none: every exported function, in the order of their addresses
  std::uint64_t stack_size = std::uint64_t{64} << 10;  // rounded up to pages
  std::uint64_t memory_limit = std::uint64_t{1} << 32;
  // A program with a `_start` runs under this until it calls caisson_ready(), on at most `start_gas`. A new one, e.g. make_linux_personality().
  std::shared_ptr<runtime::Personality> personality;
  std::uint64_t start_gas = 100'000'000'000;
};

// An image and the data that it refers to, not yet in a store.
struct BuiltImage {
  Image image;
  std::vector<Data> data;
};
// Of a program of functions: its segments, relocated, a stack, and what it imports. Of a program with a `_start`: memory as it is when the program calls
// caisson_ready(), its C library set up; system calls are answered until then and no longer, so files that it writes must be closed and what malloc() is to give
// later must be in its heap (docs/kernel.md, "Images of programs"). It runs deterministically: the same program gives the same image.
// Errors: those of Engine::load_bytes(), kNotFound (a function), kUnsupported (a `_start` without a personality; an open file or what else cannot be in an
// image, `where` names it), kGuestEnded (before it was ready, or start_gas fell short).
Result<BuiltImage> build_image(std::span<const std::uint8_t> elf, const ImageOptions& options = {});

// Puts both into a store; the caller holds a reference to the image. Errors: the store's.
Result<Hash> put_image(CapabilityStore& store, const BuiltImage& built);

// A snapshot.
struct KernelStats {
  // Runs of root instances, those by invoke_cached() too, by how they ended: returned or replied; out of gas and interrupted, which can be resumed; the guest's
  // failure; an Error.
  std::uint64_t runs_returned = 0, runs_out_of_gas = 0, runs_interrupted = 0, runs_failed = 0, runs_refused = 0;
  std::uint64_t gas_used = 0;  // by them, with what they called
  std::uint64_t resident_instances = 0, idle_cells = 0, loaded_images = 0;  // now
};

class KernelInstance;

class Kernel {
 public:
  // Errors: kInvalidArgument (options), kUnsupported (the tier).
  static Result<Kernel> create(const Engine& engine, std::shared_ptr<CapabilityStore> store,
                               const KernelOptions& options = {});

  // build_image() and put_image().
  Result<Hash> build_image(std::span<const std::uint8_t> elf, const ImageOptions& options = {}) const;

  // Calls an endpoint of a sealed instance with up to six arguments. Errors: kNotFound (the instance, something it refers to, the endpoint), kInvalidArgument
  // (more arguments, not an instance, or one that stopped on its way), kOutOfMemory, kLimit, and the store's.
  Result<InvocationResult> invoke_cached(const Hash& instance, std::uint64_t endpoint,
                                         std::span<const std::uint64_t> arguments = {},
                                         std::uint64_t gas = kUnlimitedGas) const;
  // The same, and the instance as the call left it, sealed into the store (one reference of the caller's).
  struct Successor {
    InvocationResult result;
    Hash instance;
  };
  Result<Successor> invoke(const Hash& instance, std::uint64_t endpoint, std::span<const std::uint64_t> arguments = {},
                           std::uint64_t gas = kUnlimitedGas) const;

  // A new live instance of an image. Errors: kNotFound, kInvalidArgument, kUnsupported, kOutOfMemory, and the store's. Host functions that the image imports
  // and the engine does not have are an error of the first call (kUnresolvedImport, kSignatureMismatch).
  Result<KernelInstance> derive(const Hash& image) const;
  // A live instance that goes on where it was sealed. Errors: as derive().
  Result<KernelInstance> open(const Hash& instance) const;

  const std::shared_ptr<CapabilityStore>& store() const;
  KernelStats stats() const;

  explicit Kernel(std::shared_ptr<kernel::KernelState> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<kernel::KernelState> state_;
};

class KernelInstance {
 public:
  KernelInstance(KernelInstance&&) noexcept;
  KernelInstance& operator=(KernelInstance&&) noexcept;
  ~KernelInstance();

  // Calls an endpoint. A call that stopped before (kOutOfGas, kInterrupted) is given up first. Errors: kNotFound (endpoint), kInvalidArgument, kOutOfMemory, kLimit.
  Result<InvocationResult> invoke(std::uint64_t endpoint, std::span<const std::uint64_t> arguments = {},
                                  std::uint64_t gas = kUnlimitedGas);
  // Goes on after kOutOfGas or kInterrupted with `gas` more, wherever in the tree of calls it stopped. Errors: kInvalidArgument, kOutOfMemory.
  Result<InvocationResult> resume(std::uint64_t gas = kUnlimitedGas);
  void interrupt();
  void set_deadline(std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());

  // What the last host function that failed said, in this instance or one that it called; empty where none did.
  std::string_view host_error() const;

  // Into the store, with everything that it owns; one reference of the caller's. The instance lives on. Errors: the store's, kOutOfMemory.
  Result<Hash> seal();
  // A second one in the same state, with all that it owns and the calls that are under way; memory that neither changes is shared.
  // Errors: kOutOfMemory, kLimit, kBusy, kUnsupported (memory that is shared with others).
  Result<KernelInstance> fork();

  Hash image() const;
  Hash lineage() const;
  // Gas used by its own runs and those it called.
  std::uint64_t gas_used() const;
  // Copies memory of its root instance; false where that itself could not access all of it, or while it runs.
  bool read_memory(std::uint64_t address, std::span<std::uint8_t> to);
  bool write_memory(std::uint64_t address, std::span<const std::uint8_t> from);

  // Its root CNode. Puts a capability of the store (data, image, CNode, sealed instance) into an empty slot. Errors: kNotFound, kInvalidArgument (number, taken).
  Result<void> put_capability(std::uint8_t slot, const Hash& capability);
  // The hash of what is there, sealed if need be; nothing for an empty slot. Errors: as seal().
  Result<std::optional<CNode::Reference>> capability(std::uint8_t slot);
  Result<void> drop_capability(std::uint8_t slot);

  // How many instances it is, with all that it owns; how many of them are resident.
  std::size_t instance_count() const;
  std::size_t resident_count() const;

  explicit KernelInstance(std::unique_ptr<kernel::KernelGuest> guest);

 private:
  std::unique_ptr<kernel::KernelGuest> guest_;
};

// Programs of an Engine — under the Linux personality, or functions of a module — between two runs: after start(), invoke() or resume() has returned, at
// any block boundary where gas ended or interrupt() stopped it.
//
//   instance.resume(1'000'000);                                         // kOutOfGas, half-way
//   caisson::Hash sealed = caisson::seal_program(instance, *store).value();
//   // … in another process, with a personality of its own:
//   caisson::Instance again = caisson::open_program(engine, *store, sealed, options).value();
//   again.resume();                                                     // to the same result and gas
//
// One reference of the caller's. The instance lives on. Errors: kBusy, kUnsupported (`where` names what holds it: an open file, shared memory), kOutOfMemory,
// and the store's.
Result<Hash> seal_program(Instance& instance, CapabilityStore& store);
// `options` says the tier, call_gas and the personality, which must be new; the rest is as it was. Errors: kNotFound, kInvalidArgument (an instance of the kernel; a
// personality is missing or there is none to go on), kInvalidImage (damaged), kUnresolvedImport, kSignatureMismatch, kOutOfMemory, and the store's.
Result<Instance> open_program(const Engine& engine, CapabilityStore& store, const Hash& sealed,
                              InstanceOptions options = {});

}  // namespace caisson
