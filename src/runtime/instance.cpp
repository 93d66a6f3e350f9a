#include "caisson/instance.h"

#include <fmt/format.h>

#include <new>
#include <string>

#include "runtime/call_errors.h"
#include "runtime/guest_instance.h"

namespace caisson {
namespace {

template <class Run>
Result<InvocationResult> run_guest(Run&& run) {
  try {
    return run();
  } catch (const std::bad_alloc&) {
    return std::unexpected(runtime::out_of_memory());
  }
}

}  // namespace

Instance::Instance(std::unique_ptr<runtime::GuestInstance> guest) : guest_(std::move(guest)) {}
Instance::Instance(Instance&&) noexcept = default;
Instance& Instance::operator=(Instance&&) noexcept = default;
Instance::~Instance() = default;

Result<InvocationResult> Instance::start() {
  return run_guest([&] { return guest_->start(); });
}

Result<InvocationResult> Instance::invoke(std::string_view function, std::span<const std::uint64_t> arguments,
                                          std::uint64_t gas) {
  return invoke(function, CallArguments(arguments), gas);
}

Result<InvocationResult> Instance::invoke(std::string_view function, const CallArguments& arguments,
                                          std::uint64_t gas) {
  return run_guest([&] { return guest_->invoke(function, arguments, gas); });
}

Result<InvocationResult> Instance::resume(std::uint64_t gas) {
  return run_guest([&] { return guest_->resume(gas); });
}

void Instance::interrupt() { guest_->hart().interrupt.store(1, std::memory_order_relaxed); }

void Instance::set_deadline(Clock::time_point deadline) { guest_->set_deadline(deadline); }

std::uint64_t Instance::gas_used() const { return guest_->hart().gas_used(); }

std::uint64_t Instance::program_counter() const { return guest_->hart().pc; }

std::uint64_t Instance::integer_register(unsigned number) const { return number < 32 ? guest_->hart().x[number] : 0; }

std::uint64_t Instance::float_register(unsigned number) const { return number < 32 ? guest_->hart().f[number] : 0; }

std::string_view Instance::host_error() const { return guest_->host_error(); }

bool Instance::read_memory(std::uint64_t address, std::span<std::uint8_t> to) const {
  return guest_->memory().read(address, to.data(), to.size()) == to.size();
}

bool Instance::write_memory(std::uint64_t address, std::span<const std::uint8_t> from) {
  return guest_->memory().write(address, from.data(), from.size()) == from.size();
}

std::uint64_t Instance::committed_bytes() const { return guest_->memory().committed_bytes(); }

std::uint64_t Instance::peak_committed_bytes() const { return guest_->memory().peak_committed_bytes(); }

Result<std::uint64_t> Instance::find_function(std::string_view function) const {
  const ExportedFunction* const found = guest_->module().find_export(function);
  if (found == nullptr) {
    return fail(ErrorCode::kNotFound, fmt::format("no exported function '{}'", function), guest_->module().name);
  }
  return found->address;
}

Result<void> Instance::call_registers(std::string_view function, const CallArguments& arguments) {
  const Result<InvocationResult> result = invoke(function, arguments, guest_->options().call_gas);
  if (!result) return std::unexpected(result.error());
  if (result->exit_reason == ExitReason::kHostCall && result->exit_arg == 0) return {};
  return std::unexpected(runtime::call_error(*guest_, *result, function));
}

}  // namespace caisson
