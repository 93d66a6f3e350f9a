#include "caisson/instance.h"

#include <fmt/format.h>

#include <new>
#include <string>

#include "runtime/boot_counters.h"
#include "runtime/call_errors.h"
#include "runtime/instance_body.h"

namespace caisson {
namespace {

// Runs something of the guest, which has a window then.
template <class Run>
Result<InvocationResult> run_guest(runtime::InstanceBody& body, Run&& run) {
  CAISSON_PERF_SCOPE(runtime::invoke_counter);
  try {
    const Result<runtime::GuestInstance*> guest = body.resident();
    if (!guest) return std::unexpected(guest.error());
    Result<InvocationResult> result = run(**guest);
    body.leave();
    return result;
  } catch (const std::bad_alloc&) {
    return std::unexpected(runtime::out_of_memory());
  }
}

}  // namespace

Instance::Instance(std::unique_ptr<runtime::InstanceBody> body) : body_(std::move(body)) {}
Instance::Instance(Instance&&) noexcept = default;
Instance& Instance::operator=(Instance&&) noexcept = default;
Instance::~Instance() = default;

Result<runtime::GuestInstance*> Instance::resident_guest() {
  try {
    return body_->resident();
  } catch (const std::bad_alloc&) {
    return std::unexpected(runtime::out_of_memory());
  }
}

Result<runtime::GuestInstance*> Instance::pin() {
  try {
    return body_->pin();
  } catch (const std::bad_alloc&) {
    return std::unexpected(runtime::out_of_memory());
  }
}

runtime::GuestInstance& Instance::guest() { return *body_->guest(); }

Result<InvocationResult> Instance::start() {
  return run_guest(*body_, [](runtime::GuestInstance& guest) { return guest.start(); });
}

Result<InvocationResult> Instance::invoke(std::string_view function, std::span<const std::uint64_t> arguments,
                                          std::uint64_t gas) {
  return invoke(function, CallArguments(arguments), gas);
}

Result<InvocationResult> Instance::invoke(std::string_view function, const CallArguments& arguments,
                                          std::uint64_t gas) {
  return run_guest(*body_, [&](runtime::GuestInstance& guest) { return guest.invoke(function, arguments, gas); });
}

Result<InvocationResult> Instance::resume(std::uint64_t gas) {
  return run_guest(*body_, [&](runtime::GuestInstance& guest) { return guest.resume(gas); });
}

Result<Instance> Instance::fork() {
  try {
    Result<std::unique_ptr<runtime::InstanceBody>> copy = body_->fork();
    if (!copy) return std::unexpected(copy.error());
    return Instance(*std::move(copy));
  } catch (const std::bad_alloc&) {
    return std::unexpected(runtime::out_of_memory());
  }
}

void Instance::interrupt() { body_->interrupt(); }

void Instance::set_deadline(Clock::time_point deadline) { body_->set_deadline(deadline); }

std::uint64_t Instance::gas_used() const { return body_->gas_used(); }

std::uint64_t Instance::program_counter() const { return body_->program_counter(); }

std::uint64_t Instance::integer_register(unsigned number) const {
  return number < 32 ? body_->integer_register(number) : 0;
}

std::uint64_t Instance::float_register(unsigned number) const {
  return number < 32 ? body_->float_register(number) : 0;
}

std::string_view Instance::host_error() const {
  return body_->guest() == nullptr ? std::string_view() : body_->guest()->host_error();
}

bool Instance::read_memory(std::uint64_t address, std::span<std::uint8_t> to) const {
  const Result<runtime::GuestInstance*> guest = body_->resident();
  return guest && (*guest)->memory().read(address, to.data(), to.size()) == to.size();
}

bool Instance::write_memory(std::uint64_t address, std::span<const std::uint8_t> from) {
  const Result<runtime::GuestInstance*> guest = body_->resident();
  return guest && (*guest)->memory().write(address, from.data(), from.size()) == from.size();
}

std::uint64_t Instance::committed_bytes() const {
  const Result<runtime::GuestInstance*> guest = body_->resident();
  return guest ? (*guest)->memory().committed_bytes() : 0;
}

std::uint64_t Instance::peak_committed_bytes() const {
  const Result<runtime::GuestInstance*> guest = body_->resident();
  return guest ? (*guest)->memory().peak_committed_bytes() : 0;
}

Result<std::uint64_t> Instance::find_function(std::string_view function) const {
  const runtime::ModuleState& module = body_->module();
  const ExportedFunction* const found = module.find_export(function);
  if (found == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("no exported function '{}'", function), module.name);
  return found->address;
}

Result<void> Instance::call_registers(std::string_view function, const CallArguments& arguments) {
  const Result<InvocationResult> result = invoke(function, arguments, body_->options().call_gas);
  if (!result) return std::unexpected(result.error());
  if (result->exit_reason == ExitReason::kHostCall && result->exit_arg == 0) return {};
  return std::unexpected(runtime::call_error(*body_->guest(), *result, function));
}

}  // namespace caisson
