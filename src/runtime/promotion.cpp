#include "runtime/promotion.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "optimized/riscv_compiler.h"

namespace caisson::runtime {

using memory::kPageSize;

Promotion::Promotion(memory::AddressSpace& memory, optimized::Optimized& optimized, std::shared_ptr<JitService> jit,
                     FunctionSource functions, void* context)
    : memory_(memory),
      optimized_(optimized),
      jit_(std::move(jit)),
      hot_threshold_(jit_->hot_threshold()),
      is_blocking_(jit_->is_blocking()),
      functions_(functions),
      context_(context) {
  memory_.add_code_observer(this);
}

Promotion::~Promotion() { memory_.remove_code_observer(this); }

std::optional<Promotion::Request> Promotion::make_request(const JitBackend& backend, std::uint32_t pc) const {
  constexpr auto kPages = static_cast<std::uint32_t>(memory::kWindowSize / kPageSize);
  const auto suits = [&](std::uint32_t page) {
    return (memory_.permissions(page) & memory::kExecute) != 0 && !memory_.is_mixed(page);
  };
  const auto page = static_cast<std::uint32_t>(pc / kPageSize);
  if (!suits(page)) return std::nullopt;
  std::uint32_t first = page, end = page + 1;
  while (first > 0 && page - first < kReach && suits(first - 1)) --first;
  while (end < kPages && end - page < kReach && suits(end)) ++end;
  std::vector<std::uint8_t> bytes(std::size_t{end - first} * kPageSize);
  const auto base = first * static_cast<std::uint32_t>(kPageSize);
  bytes.resize(memory_.read(base, bytes.data(), bytes.size()));
  return Request{
      .pc = pc,
      .first_page = first,
      .end_page = end,
      .slot = backend.make_slot(optimized::unit_input(base, std::move(bytes), pc, fmt::format("unit at {:#x}", pc)))};
}

// False where the code cannot be used, for good.
bool Promotion::publish(const Request& request) {
  const auto unit = std::dynamic_pointer_cast<const optimized::LoadedUnit>(request.slot->pin());
  if (unit == nullptr || unit->guest_pc() != request.pc || !optimized_.add(unit)) return false;
  ++stats_.published;
  return true;
}

bool Promotion::make_now(std::uint64_t at) {
  if (at >= memory::kWindowSize || asked_.contains(static_cast<std::uint32_t>(at))) return false;
  const auto pc = static_cast<std::uint32_t>(at);
  if (asked_.size() >= kMostPlaces) asked_.clear();
  if (is_full()) return false;
  asked_.insert(pc);
  const Result<const JitBackend*> backend = jit_->backend_now();
  if (!backend) return false;
  const std::optional<Request> request = make_request(**backend, pc);
  if (!request) return false;
  ++stats_.requested;
  if ((*backend)->compile_jit_sync(*request->slot) && publish(*request)) return true;
  ++stats_.refused;
  return false;
}

bool Promotion::is_not_worth_it(Stay& stay) {
  const bool is_short = stay.count >= kCountOfStays && stay.all / stay.count < kLeastGasOfStay;
  const bool pays = !is_short && !is_slower(stay.pc, stay.longer);
  const std::uint32_t pc = stay.pc;
  stay = {.pc = pc};
  if (pays) return false;
  optimized_.remove(pc);
  if (demoted_.size() >= kMostPlaces) demoted_.clear();
  demoted_.insert(pc);
  ++stats_.demoted;
  return true;
}

bool Promotion::is_slower(std::uint32_t pc, const Pace& pace) const {
  const auto found = paces_.find(function_of(pc));
  constexpr std::uint64_t kLeastGas = 500'000;  // of both, to be compared
  // The function may have been in units as soon as it was hot.
  const Pace& baseline = found == paces_.end() || found->second.gas < kLeastGas ? all_ : found->second;
  if (baseline.gas < kLeastGas || pace.gas < kLeastGas) return false;
  const auto ticks_of_gas = [](const Pace& one) {
    return static_cast<double>(one.ticks) / static_cast<double>(one.gas);
  };
  constexpr double kClearly = 1.1;
  return ticks_of_gas(pace) > kClearly * ticks_of_gas(baseline);
}

// --- heat ---

void Promotion::note_slice(std::uint32_t pc, std::uint64_t gas, const Pace& pace) {
  if (pace.ticks != 0) {
    if (paces_.size() >= kMostPlaces) paces_.clear();
    Pace& sum = paces_[function_of(pc)];
    sum.gas += pace.gas;
    sum.ticks += pace.ticks;
    all_.gas += pace.gas;
    all_.ticks += pace.ticks;
  }
  add_heat(pc, gas);
}
void Promotion::note_exit(std::uint32_t pc) { add_heat(pc, kHeatOfExit); }

void Promotion::add_heat(std::uint32_t pc, std::uint64_t heat) {
  const std::uint32_t function = function_of(pc);
  if (heat_.size() >= kMostPlaces) heat_.clear();
  std::uint64_t& sum = heat_[function];
  sum += heat;
  if (sum < hot_threshold_) return;
  sum = 0;
  if (function != pc) request(function);
  request(pc);
}

void Promotion::request(std::uint32_t pc) {
  if (is_full()) return;
  if (pending_.size() >= kMostPending || asked_.contains(pc) || demoted_.contains(pc) || optimized_.has_unit(pc))
    return;
  const JitBackend* const backend = is_blocking_ ? jit_->backend_now().value_or(nullptr) : jit_->backend();
  if (backend == nullptr) return;  // it is being made
  if (asked_.size() >= kMostPlaces) asked_.clear();
  asked_.insert(pc);
  std::optional<Request> made = make_request(*backend, pc);
  if (!made) return;
  ++stats_.requested;
  // What is compiled is kept where there is a store. A full queue is no reason to wait.
  if (!backend->prepare_aot(*made->slot)) {
    asked_.erase(pc);
    return;
  }
  pending_.push_back(*std::move(made));
}

std::vector<std::uint32_t> Promotion::poll() {
  std::vector<std::uint32_t> published;
  if (pending_.empty()) return published;
  const JitBackend& backend = *jit_->existing();
  if (!reader_) reader_ = backend.make_reader();
  for (std::size_t index = 0; index < pending_.size();) {
    InterpretReason reason;
    {
      const ReadGuard guard(*reader_);
      reason = backend.lookup({*pending_[index].slot, *reader_, 0}).reason;
    }
    const bool waits = reason == InterpretReason::kPending || reason == InterpretReason::kCold;
    if (waits) {
      ++index;
      continue;
    }
    if (reason == InterpretReason::kNone && publish(pending_[index])) {
      published.push_back(pending_[index].pc);
    } else {
      ++stats_.refused;
    }
    pending_[index] = std::move(pending_.back());
    pending_.pop_back();
  }
  return published;
}

void Promotion::code_changed(std::uint32_t first_page, std::uint32_t page_count) {
  const std::uint32_t end = first_page + page_count;
  std::erase_if(pending_,
                [&](const Request& request) { return request.first_page < end && first_page < request.end_page; });
  // What was refused may be other code now.
  demoted_.clear();
  forget();
}

void Promotion::remove(std::uint32_t pc) {
  optimized_.remove(pc);
  asked_.erase(pc);
}

void Promotion::forget() {
  asked_.clear();
  for (const Request& request : pending_) asked_.insert(request.pc);
}

PromotionStats Promotion::stats() const {
  PromotionStats stats = stats_;
  stats.pending = pending_.size();
  return stats;
}

}  // namespace caisson::runtime
