#include "runtime/host_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/guest_instance.h"

namespace caisson {

using riscv::TrapKind;
using runtime::EcallOutcome;

namespace {

// A copied string or span costs 1 gas for this many bytes each way (caisson/host.h).
constexpr std::uint64_t kCopiedBytesPerGas = 16;

}  // namespace

bool Caller::read_memory(std::uint64_t address, std::span<std::uint8_t> to) const {
  return guest_.memory().read(address, to.data(), to.size()) == to.size();
}

bool Caller::write_memory(std::uint64_t address, std::span<const std::uint8_t> from) {
  return guest_.memory().write(address, from.data(), from.size()) == from.size();
}

bool Caller::charge(std::uint64_t gas) {
  if (!goes_on()) return false;
  if (guest_.hart().charge(gas)) return true;
  outcome_ = EcallOutcome::kOutOfGas;
  return false;
}

std::uint64_t Caller::gas_remaining() const { return guest_.hart().gas; }

void Caller::fail(std::string_view message) noexcept {
  // A fault or lack of gas that ended the call before comes first.
  if (!goes_on()) return;
  outcome_ = EcallOutcome::kExit;
  try {
    guest_.set_host_error(std::string(message));
  } catch (...) {
    guest_.set_host_error({});  // no memory for the text; the exit says that the function failed
  }
  guest_.finish(ExitReason::kHostCall, guest_.hart().x[riscv::kA7], 0);
}

bool Caller::page_fault(std::uint64_t address, bool is_write) {
  guest_.hart().trap = {.kind = is_write ? TrapKind::kStoreFault : TrapKind::kLoadFault,
                        .address = address & 0xFFFF'FFFF};
  outcome_ = EcallOutcome::kFault;
  return false;
}

bool Caller::charge_copy(std::uint64_t length) {
  return charge((length + kCopiedBytesPerGas - 1) / kCopiedBytesPerGas);
}

bool Caller::take_string(std::uint64_t address, std::string& to) {
  std::optional<std::string> text = guest_.memory().read_string(address, kLongestHostString);
  if (!text) {
    // The first byte that cannot be read: every byte before it is readable and no NUL.
    std::uint64_t end = address;
    for (std::uint8_t byte; guest_.memory().read(end, &byte, 1) == 1;) end = (end | (memory::kPageSize - 1)) + 1;
    return page_fault(end, false);
  }
  if (text->size() > kLongestHostString) {
    fail(fmt::format("a string argument is longer than {} bytes", kLongestHostString));
    return false;
  }
  to = *std::move(text);
  return charge_copy(to.size() + 1);
}

bool Caller::accept_span(std::uint64_t count, std::size_t element_size) {
  if (count <= kLargestHostSpan / element_size) return true;
  fail(fmt::format("a span argument of {} elements is larger than {} bytes", count, kLargestHostSpan));
  return false;
}

bool Caller::take_bytes(std::uint64_t address, void* to, std::size_t length, bool writes_back) {
  if (length == 0) return true;
  if (!charge_copy(writes_back ? 2 * length : length)) return false;
  memory::AddressSpace& memory = guest_.memory();
  const std::size_t copied = memory.read(address, to, length);
  const std::uint64_t readable_end = address + copied;
  if (writes_back) {
    for (std::uint64_t at = address; at < readable_end; at = (at | (memory::kPageSize - 1)) + 1) {
      const auto page = static_cast<std::uint32_t>(at / memory::kPageSize);
      if ((memory.permissions(page) & memory::kWrite) == 0) return page_fault(at, true);
    }
  }
  return copied == length || page_fault(readable_end, writes_back);
}

bool Caller::give_bytes(std::uint64_t address, const void* from, std::size_t length) {
  const std::size_t copied = guest_.memory().write(address, from, length);
  return copied == length || page_fault(address + copied, true);
}

namespace runtime {

void GuestInstance::bind_host_functions(std::vector<BoundHostFunction> functions) {
  host_functions_ = std::move(functions);
  for (const BoundHostFunction& bound : host_functions_) {
    set_ecall(bound.number, {&call_host_function, const_cast<detail::HostFunction*>(bound.function.get())});
  }
}

}  // namespace runtime
}  // namespace caisson
