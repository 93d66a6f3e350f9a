#include "runtime/promotion.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "baseline/code_listing.h"
#include "isa/riscv/host_float.h"
#include "runtime/promotion_counters.h"

namespace caisson::runtime {

using memory::kPageSize;

Promotion::Promotion(memory::AddressSpace& memory, optimized::Optimized& optimized, std::shared_ptr<JitService> jit,
                     const GuestFunctions& functions)
    : memory_(memory),
      optimized_(optimized),
      jit_(std::move(jit)),
      threshold_(jit_->hot_threshold()),
      is_blocking_(jit_->is_blocking()),
      functions_(functions),
      places_(memory) {
  memory_.add_code_observer(this);
}

Promotion::~Promotion() { memory_.remove_code_observer(this); }

std::optional<Promotion::Request> Promotion::make_request(const JitBackend& backend, const memory::AddressSpace& memory,
                                                          std::uint32_t pc) {
  std::optional<UnitSource> source = unit_source(memory, pc);
  if (!source) return std::nullopt;
  return Request{.pc = pc,
                 .first_page = source->first_page,
                 .end_page = source->end_page,
                 .slot = backend.make_slot(std::move(source->input))};
}

// False where the code cannot be used, for good.
bool Promotion::publish(const Request& request) {
  CAISSON_PERF_SCOPE(publish_counter);
  const auto unit = std::dynamic_pointer_cast<const optimized::LoadedUnit>(request.slot->pin());
  if (unit == nullptr || unit->guest_pc() != request.pc || !optimized_.add(unit)) return false;
  ++stats_.published;
  if (baseline::CodeListing::process().is_enabled() && unit->take_listing()) list(*unit);
  return true;
}

// For tools of the host, beside what the baseline tier lists.
void Promotion::list(const optimized::LoadedUnit& unit) const {
  std::string name =
      functions_.names == nullptr ? std::string() : functions_.names(functions_.context, unit.guest_pc());
  if (name.empty()) name = fmt::format("{:#x}", unit.guest_pc());
  baseline::CodeListing::process().add(
      {.address = unit.code(), .size = unit.code_size(), .name = name + " [optimized]", .guest_pc = unit.guest_pc()});
}

bool Promotion::make_now(std::uint64_t at) {
  const riscv::OwnFloatState floats;
  if (at >= memory::kWindowSize || asked_.contains(static_cast<std::uint32_t>(at))) return false;
  const auto pc = static_cast<std::uint32_t>(at);
  if (asked_.size() >= kMostPlaces) asked_.clear();
  if (is_full()) return false;
  asked_.insert(pc);
  const Result<const JitBackend*> backend = jit_->backend_now();
  if (!backend) return false;
  const std::optional<Request> request = make_request(**backend, memory_, pc);
  if (!request) return false;
  ++stats_.requested;
  if ((*backend)->compile_jit_sync(*request->slot) && publish(*request)) return true;
  ++stats_.refused;
  return false;
}

bool Promotion::is_not_worth_it(Stay& stay) {
  const riscv::OwnFloatState floats;
  const bool is_short = stay.count >= kCountOfStays && stay.all / stay.count < HotThreshold::kLeastGasOfStay;
  const bool pays = !is_short && !is_slower(stay.pc, stay.longer);
  const std::uint32_t pc = stay.pc, left_for = stay.left_for;
  stay = {.pc = pc};
  if (pays) {
    demoted_.note_pays(pc);
  } else if (!is_short) {
    demote_slow(pc, left_for);
  } else if (auto unit = take_back(pc)) {
    demoted_.add_short(std::move(unit), left_for);
  }
  return !pays;
}

// Null where it has gone already.
std::shared_ptr<const optimized::LoadedUnit> Promotion::take_back(std::uint32_t pc) {
  std::shared_ptr<const optimized::LoadedUnit> unit = optimized_.unit(pc);
  if (unit == nullptr) return nullptr;
  optimized_.remove(pc);
  ++stats_.demoted;
  threshold_.note_loss();
  return unit;
}

// The baseline tier is measured anew for the next comparison.
void Promotion::demote_slow(std::uint32_t pc, std::uint32_t left_for) {
  const riscv::OwnFloatState floats;
  const std::uint32_t function = function_of(pc);
  paces_.erase(function);
  if (auto unit = take_back(pc)) demoted_.add_slow(std::move(unit), left_for, function);
}

bool Promotion::try_again(std::shared_ptr<const optimized::LoadedUnit> unit) {
  if (unit == nullptr || is_full()) return false;
  const std::uint32_t pc = unit->guest_pc();
  return !optimized_.has_unit(pc) && optimized_.add(std::move(unit));
}

bool Promotion::is_slower(std::uint32_t pc, const PacesByLoad& pace) {
  const riscv::OwnFloatState floats;
  const auto found = paces_.find(function_of(pc));
  const std::optional<bool> known = found == paces_.end() ? std::nullopt : pace.is_slower_than(found->second);
  // The function may have been in units as soon as it was hot.
  return known ? *known : pace.is_slower_than(all_).value_or(false);
}

// --- heat ---

void Promotion::note_slice(std::uint32_t pc, std::uint64_t gas, const Pace& pace) {
  const riscv::OwnFloatState floats;
  if (pace.ticks != 0) {
    if (paces_.size() >= kMostPlaces) paces_.clear();
    const std::uint32_t function = function_of(pc);
    paces_[function].add(pace, is_waiting());
    all_.add(pace, is_waiting());
    for (auto& unit : demoted_.note_baseline(function, pace.gas)) {
      const std::uint32_t entry = unit->guest_pc();
      if (try_again(std::move(unit))) again_.push_back(entry);
    }
  }
  add_heat_around(pc, gas);
}

// Which units are left, and how often, depends on which were there and were not demoted: with those of earlier runs there, what is left
// for has been asked for by one of them, or gets its heat by slices.
bool Promotion::note_exit(std::uint32_t pc) {
  const riscv::OwnFloatState floats;
  if (stats_.found == 0) add_heat_around(pc, kHeatOfExit);
  return try_again(demoted_.note_exit(pc));
}

std::uint32_t Promotion::function_of(std::uint32_t pc) {
  const std::optional<std::uint32_t> known = known_function_of(pc);
  if (known) return *known;
  return places_.entry_before(pc).value_or(static_cast<std::uint32_t>(pc / kPageSize * kPageSize));
}

void Promotion::add_heat_around(std::uint32_t pc, std::uint64_t heat) {
  const std::optional<std::uint32_t> known = known_function_of(pc);
  const std::optional<std::uint32_t> function = known ? known : places_.entry_before(pc);
  const std::optional<std::uint32_t> loop = places_.loop_header(pc, known.value_or(0));
  all_heat_ += heat;
  if (function) add_heat(*function, heat);
  if (loop && loop != function) add_heat(*loop, heat);
}

void Promotion::add_heat(std::uint32_t place, std::uint64_t heat) {
  if (heat_.size() >= kMostPlaces) heat_.clear();
  Heat& sum = heat_[place];
  sum.gas += heat;
  sum.all += heat;
  if (sum.gas < threshold_.value()) return;
  sum.gas = 0;
  ++sum.times;
  if (request(place, sum)) sum.times = 0;
}

// Whether earlier runs have compiled code of this program, as far as that is known by now.
bool Promotion::is_warm(const JitBackend& backend, std::uint32_t times_hot) const {
  return stats_.found != 0 || (times_hot == 1 && backend.stats().artifacts_preloaded != 0);
}

// False where it may be asked for when it has been hot more often.
bool Promotion::request(std::uint32_t pc, const Heat& heat) {
  if (is_full() || pending_.size() >= kMostPending) return false;
  if (asked_.contains(pc) || demoted_.contains(pc) || optimized_.has_unit(pc)) return true;
  const JitBackend* const backend = is_blocking_ ? jit_->backend_now().value_or(nullptr) : jit_->backend();
  if (backend == nullptr) return true;  // it is being made
  const bool is_too_cold = heat.times < kTimesHotBesideStored || heat.all < all_heat_ / kPartOfHeatBesideStored;
  const bool may_be_there = is_warm(*backend, heat.times);
  const bool waits = is_too_cold && may_be_there;
  // The store was looked at when it was hot for the first time; its key is a hash of all its code.
  if (is_queue_full() && (!may_be_there || heat.times != 1)) return false;
  if (waits && heat.times != 1) return false;
  std::optional<Request> made = make_request(*backend, memory_, pc);
  const bool is_there = made && made->slot->pin() != nullptr;
  if (made && !is_there && (waits || is_queue_full())) return false;
  if (asked_.size() >= kMostPlaces) asked_.clear();
  asked_.insert(pc);
  if (!made) return true;
  made->is_there = is_there;
  if (is_there) {
    ++stats_.found;
  } else {
    ++stats_.requested;
    // What is compiled is kept where there is a store. A full queue is no reason to wait.
    if (!backend->prepare_aot(*made->slot)) {
      asked_.erase(pc);
      return false;
    }
  }
  pending_.push_back(*std::move(made));
  return true;
}

std::vector<std::uint32_t> Promotion::poll() {
  const riscv::OwnFloatState floats;
  std::vector<std::uint32_t> published = std::exchange(again_, {});
  if (pending_.empty()) return published;
  const JitBackend& backend = *jit_->existing();
  if (!reader_) reader_ = backend.make_reader();
  for (std::size_t index = 0; index < pending_.size();) {
    InterpretReason reason;
    {
      CAISSON_PERF_SCOPE(lookup_counter);
      const ReadGuard guard(*reader_);
      reason = backend.lookup({*pending_[index].slot, *reader_, 0}).reason;
    }
    const bool waits = reason == InterpretReason::kPending || reason == InterpretReason::kCold;
    if (waits) {
      ++index;
      continue;
    }
    if (reason == InterpretReason::kNone && publish(pending_[index])) {
      const std::uint32_t pc = pending_[index].pc;
      published.push_back(pc);
      for (auto& unit : demoted_.note_published(pc)) {
        const std::uint32_t entry = unit->guest_pc();
        if (try_again(std::move(unit))) published.push_back(entry);
      }
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
  places_.forget();
  forget();
}

void Promotion::remove(std::uint32_t pc) {
  optimized_.remove(pc);
  asked_.erase(pc);
}

void Promotion::forget() {
  asked_.clear();
  demoted_.clear();
  again_.clear();
  for (const Request& request : pending_) asked_.insert(request.pc);
}

std::vector<HotPlace> Promotion::hot_places() const {
  std::vector<HotPlace> places;
  for (const auto& [pc, heat] : heat_) {
    if (heat.all >= threshold_.configured()) places.push_back({pc, heat.all});
  }
  std::ranges::sort(places, [](const HotPlace& one, const HotPlace& other) {
    return one.heat != other.heat ? one.heat > other.heat : one.pc < other.pc;
  });
  return places;
}

PromotionStats Promotion::stats() const {
  PromotionStats stats = stats_;
  stats.pending = pending_.size();
  return stats;
}

}  // namespace caisson::runtime
