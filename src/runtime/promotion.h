// Which guest code gets optimised, and when its units become enterable.
//
// Heat is gas: what slices used is added to the loop in which they ended and to the function around it (code_places.h), and leaving
// optimised code costs a place some, too. A place that is hot is asked for at the JitBackend; until the answer is there, execution goes on as
// it was. Answers are looked for at slice ends. How hot that is, and whether execution waits for the answer instead, is the backend's
// configuration. Used by the instance's thread; compilation is the backend's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "baseline/baseline.h"
#include "caisson/jit_backend.h"
#include "memory/address_space.h"
#include "optimized/optimized.h"
#include "runtime/code_places.h"
#include "runtime/demoted_units.h"
#include "runtime/hot_threshold.h"
#include "runtime/jit_service.h"
#include "runtime/pace.h"
#include "runtime/unit_source.h"

namespace caisson::runtime {

// The start of the guest function that contains `pc`, where that is known.
using FunctionSource = std::optional<std::uint32_t> (*)(void* context, std::uint32_t pc);

// What is known of the guest's functions; the hooks may be null.
struct GuestFunctions {
  FunctionSource starts = nullptr;
  baseline::NameSource names = nullptr;
  void* context = nullptr;
};

struct PromotionStats {
  std::uint64_t found = 0;  // that were there: an earlier run compiled them, or another instance
  std::uint64_t requested = 0;  // of the backend
  std::uint64_t published = 0;
  std::uint64_t refused = 0;  // not for units, or compiling failed
  std::uint64_t demoted = 0;  // left too soon after entering, or slower than the baseline tier
  std::uint64_t pending = 0;
};

struct HotPlace {
  std::uint32_t pc = 0;
  std::uint64_t heat = 0;
};

class Promotion final : public memory::CodeObserver {
 public:
  Promotion(memory::AddressSpace& memory, optimized::Optimized& optimized, std::shared_ptr<JitService> jit,
            const GuestFunctions& functions);
  ~Promotion();

  // A slice ended at the block at `pc`, so much gas after the last one. `pace`: of what ran there at last; without time where that is not
  // known.
  void note_slice(std::uint32_t pc, std::uint64_t gas, const Pace& pace);
  // Optimised code was left at `pc`, where it has none. True where it has now.
  bool note_exit(std::uint32_t pc);
  // A unit that was entered from other tiers at `pc` was left for `left_for` after so much gas and time. True where it does not pay to go
  // there: stays are many and short, so that each costs more than it saves, or its code is slower than the baseline tier's was; `pace`
  // without ticks where is_slower() was asked meanwhile. Then the unit is not enterable any more; see DemotedUnits.
  bool note_stay(std::uint32_t pc, std::uint32_t left_for, const Pace& pace) {
    Stay& stay = stays_[pc / 2 % kStays];
    if (stay.pc != pc) [[unlikely]]
      stay = {.pc = pc};
    stay.left_for = left_for;
    stay.all += pace.gas;
    threshold_.note_stay(pace.gas);
    if (pace.gas >= kGasOfLongStay && pace.ticks != 0) stay.longer.add(pace, is_waiting());
    const bool is_due = ++stay.count == kCountOfStays || stay.longer.gas_seen() >= kGasOfComparison;
    return is_due && is_not_worth_it(stay);
  }
  // It is slower than the baseline tier was: is_slower().
  void demote_slow(std::uint32_t pc, std::uint32_t left_for);
  // Whether that is slower than the baseline tier was in the function of `pc`, as far as that is known.
  bool is_slower(std::uint32_t pc, const PacesByLoad& pace);
  // Makes units enterable that are there now, or are worth another try; gives the entries.
  std::vector<std::uint32_t> poll();
  // Whether compilers work, or will, for what was asked for.
  bool is_waiting() const { return !pending_.empty(); }
  // Whether poll() waits for what was asked for.
  bool is_blocking() const { return is_blocking_; }

  // Compiles now, if need be, and makes enterable. False where the block at `pc` is not for units.
  bool make_now(std::uint64_t pc);

  // The unit of `pc` is not enterable any more, and may be asked for again.
  void remove(std::uint32_t pc);
  // Units were released: they may be asked for again.
  void forget();

  // Places that were hot enough for a unit, hottest first, whatever became of them.
  std::vector<HotPlace> hot_places() const;

  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override;
  PromotionStats stats() const;

 private:
  struct Request {
    std::uint32_t pc = 0;
    std::uint32_t first_page = 0, end_page = 0;  // what it was made from
    std::shared_ptr<CodeSlot> slot;
    bool is_there = false;
  };
  static std::optional<Request> make_request(const JitBackend& backend, const memory::AddressSpace& memory,
                                             std::uint32_t pc);
  // How long execution stayed in the unit of a pc.
  struct Stay {
    std::uint32_t pc = 0;
    std::uint32_t left_for = 0;  // at last
    std::uint32_t count = 0;
    std::uint64_t all = 0;  // gas
    PacesByLoad longer;  // of stays of which the time tells something
  };
  // Of a place.
  struct Heat {
    std::uint64_t gas = 0;  // since it was last hot
    std::uint64_t all = 0;
    std::uint32_t times = 0;  // that it was hot and not asked for
  };
  bool is_not_worth_it(Stay& stay);
  // The function around `pc`; of code without symbols what was entered before it, of code without that its page.
  std::uint32_t function_of(std::uint32_t pc);
  void add_heat_around(std::uint32_t pc, std::uint64_t heat);
  void add_heat(std::uint32_t place, std::uint64_t heat);
  bool request(std::uint32_t pc, const Heat& heat);
  bool is_queue_full() const { return std::ranges::count(pending_, false, &Request::is_there) >= kMostCompiling; }
  bool is_warm(const JitBackend& backend, std::uint32_t times_hot) const;
  bool publish(const Request& request);
  std::shared_ptr<const optimized::LoadedUnit> take_back(std::uint32_t pc);
  bool try_again(std::shared_ptr<const optimized::LoadedUnit> unit);
  void list(const optimized::LoadedUnit& unit) const;
  std::optional<std::uint32_t> known_function_of(std::uint32_t pc) const {
    return functions_.starts == nullptr ? std::nullopt : functions_.starts(functions_.context, pc);
  }
  bool is_full() const { return optimized_.stats().units >= kMostUnits || optimized_.stats().code_bytes >= kMostCode; }

  // What an earlier run did not compile has to be so many times as hot: a sample of heat is another one in every run, and what was just not
  // hot enough would else be compiled by the next run, or the one after it.
  static constexpr std::uint32_t kTimesHotBesideStored = 4;
  // And have such a part of all heat, so that long runs do not go on to find more and more of what hardly counts.
  static constexpr std::uint64_t kPartOfHeatBesideStored = 1024;
  // Some times what leaving optimised code and coming back costs, below.
  static constexpr std::uint64_t kHeatOfExit = 2'000;
  static constexpr std::uint32_t kCountOfStays = 1024;
  static constexpr std::size_t kStays = 1024;
  static constexpr std::uint64_t kGasOfLongStay = 1'000;
  // Some milliseconds.
  static constexpr std::uint64_t kGasOfComparison = 5'000'000;
  static constexpr std::size_t kMostPlaces = 1 << 14;
  static constexpr std::size_t kMostPending = 64;
  // Of these, so many are to be compiled. What is hotter is hot again sooner, and so comes before what is hardly hot.
  static constexpr std::ptrdiff_t kMostCompiling = 4;
  // Of one instance. Executable memory is one for all (ExecutableMemory::kCodeCapacity).
  static constexpr std::uint64_t kMostUnits = 4096;
  static constexpr std::uint64_t kMostCode = std::uint64_t{32} << 20;

  memory::AddressSpace& memory_;
  optimized::Optimized& optimized_;
  const std::shared_ptr<JitService> jit_;
  HotThreshold threshold_;
  const bool is_blocking_;
  const GuestFunctions functions_;
  std::optional<CodeReader> reader_;
  CodePlaces places_;
  std::unordered_map<std::uint32_t, Heat> heat_;  // by place; forgotten as a whole when there are many
  std::uint64_t all_heat_ = 0;
  std::unordered_set<std::uint32_t> asked_;  // entries that are enterable, pending or refused; the same
  std::vector<Request> pending_;
  std::vector<Stay> stays_{kStays};
  std::unordered_map<std::uint32_t, PacesByLoad> paces_;  // of the baseline tier, by function; bounded as heat_ is
  PacesByLoad all_;  // the same of all functions
  DemotedUnits demoted_;
  std::vector<std::uint32_t> again_;  // entries of demoted units that are enterable again, since poll()
  PromotionStats stats_;
};

}  // namespace caisson::runtime
