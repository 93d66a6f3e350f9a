// The Linux personality towards the runtime: the ecall handlers made of the one table, traps as signals, slices.
#include "runtime/personality.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/linux.h"
#include "linux/call_counters.h"
#include "linux/file_calls.h"
#include "linux/linux_process.h"
#include "linux/memory_calls.h"
#include "linux/process_calls.h"
#include "linux/process_state.h"
#include "linux/program_start.h"
#include "linux/signal_calls.h"
#include "linux/signal_delivery.h"
#include "linux/time_calls.h"

namespace caisson::linux_personality {
namespace {

using runtime::EcallOutcome;
using runtime::GuestInstance;

// The answered calls in the order of the table; a row's index is where it is counted.
enum Row : unsigned {
#define CAISSON_SYSTEM_CALL(number, name) kRow_##name,
#define CAISSON_NAMED_SYSTEM_CALL(number, name)
#include "linux/system_calls.inc"
#undef CAISSON_SYSTEM_CALL
#undef CAISSON_NAMED_SYSTEM_CALL
  kRowCount,
};

struct CallName {
  std::uint64_t number;
  const char* name;
};
constexpr CallName kAnswered[] = {
#define CAISSON_SYSTEM_CALL(number, name) {number, #name},
#define CAISSON_NAMED_SYSTEM_CALL(number, name)
#include "linux/system_calls.inc"
#undef CAISSON_SYSTEM_CALL
#undef CAISSON_NAMED_SYSTEM_CALL
};
constexpr CallName kUnanswered[] = {
#define CAISSON_SYSTEM_CALL(number, name)
#define CAISSON_NAMED_SYSTEM_CALL(number, name) {number, #name},
#include "linux/system_calls.inc"
#undef CAISSON_SYSTEM_CALL
#undef CAISSON_NAMED_SYSTEM_CALL
};
static_assert(std::ranges::is_sorted(kAnswered, std::ranges::less{}, &CallName::number));

std::string name_of_unknown(std::uint64_t number) {
  const auto* const known = std::ranges::find(kUnanswered, number, &CallName::number);
  return known != std::end(kUnanswered) ? known->name : std::to_string(number);
}

class LinuxPersonality final : public runtime::Personality {
 public:
  explicit LinuxPersonality(LinuxOptions options) : options_(std::move(options)) {}

  // Called again, on an emptied instance, where gas fell short before.
  Result<void> start(GuestInstance& instance) override {
    if (Result<void> bound = bind(instance); !bound) return bound;
    Result<std::unique_ptr<LinuxProcess>> process = LinuxProcess::create(instance, options_);
    if (!process) return std::unexpected(process.error());
    process_ = std::move(*process);
    install_handlers(instance);
    return start_program(*process_, options_);
  }

  Result<std::vector<std::uint8_t>> save(GuestInstance& instance) override {
    if (process_ == nullptr || instance_ != &instance)
      return fail(ErrorCode::kInvalidArgument, "the program has not begun, so that there is no process to save");
    CallCounts counts{.unknown = unknown_, .further_unknown = further_unknown_};
    for (unsigned row = 0; row < kRowCount; ++row) {
      if (counts_[row] != 0) counts.answered[kAnswered[row].number] = counts_[row];
    }
    return save_process(*process_, counts);
  }

  Result<void> restore(GuestInstance& instance, std::span<const std::uint8_t> state) override {
    if (Result<void> bound = bind(instance); !bound) return bound;
    Result<RestoredProcess> restored = restore_process(instance, options_, state);
    if (!restored) return std::unexpected(restored.error());
    if (!set_counts(std::move(restored->counts)))
      return fail(ErrorCode::kInvalidArgument, "not a saved Linux process: it counts calls that nobody answers");
    process_ = std::move(restored->process);
    install_handlers(instance);
    return {};
  }

  std::shared_ptr<Personality> make_another() const override { return std::make_shared<LinuxPersonality>(options_); }

  bool on_trap(GuestInstance&, riscv::HartState&, const riscv::Trap& trap) override {
    force_signal(*process_, signal_of_trap(*process_, trap));
    return deliver_signals(*process_) == Delivery::kEntered;
  }

  void on_slice(GuestInstance&, riscv::HartState&) override {
    if (process_->timers.any_armed()) expire_timers(*process_);
    deliver_signals(*process_);
  }

  bool wants_slices() const override { return process_->timers.any_armed() || process_->signals.deliverable(); }

  std::vector<std::pair<std::string, std::uint64_t>> call_counts() const override {
    std::vector<std::pair<std::string, std::uint64_t>> counts;
    for (unsigned row = 0; row < kRowCount; ++row) {
      if (counts_[row] != 0) counts.emplace_back(kAnswered[row].name, counts_[row]);
    }
    return counts;
  }

  std::vector<std::pair<std::string, std::uint64_t>> unknown_call_counts() const override {
    std::vector<std::pair<std::string, std::uint64_t>> counts;
    counts.reserve(unknown_.size() + 1);
    for (const auto& [number, count] : unknown_) counts.emplace_back(name_of_unknown(number), count);
    if (further_unknown_ != 0) counts.emplace_back("others", further_unknown_);
    return counts;
  }

 private:
  Result<void> bind(GuestInstance& instance) {
    if (instance_ != nullptr && instance_ != &instance)
      return fail(ErrorCode::kBusy, "a Linux personality belongs to one instance");
    instance_ = &instance;
    process_.reset();
    return {};
  }

  // False where a count is of no row.
  bool set_counts(CallCounts counts) {
    counts_ = {};
    for (const auto& [number, count] : counts.answered) {
      const auto* const row = std::ranges::find(kAnswered, number, &CallName::number);
      if (row == std::end(kAnswered)) return false;
      counts_[static_cast<std::size_t>(row - kAnswered)] = count;
    }
    unknown_ = std::move(counts.unknown);
    further_unknown_ = counts.further_unknown;
    return true;
  }

  template <SystemCall kCall, Row kRow>
  static EcallOutcome answer(GuestInstance&, riscv::HartState& hart, void* context) {
    LinuxPersonality& self = *static_cast<LinuxPersonality*>(context);
    ++self.counts_[kRow];
    CAISSON_PERF_SCOPE(call_counter(kAnswered[kRow].number));
    CallArguments arguments;
    std::copy_n(hart.x.begin() + riscv::kA0, std::size(arguments.a), arguments.a);
    return self.conclude(hart, kCall(*self.process_, arguments));
  }

  static EcallOutcome answer_unknown(GuestInstance&, riscv::HartState& hart, void* context) {
    LinuxPersonality& self = *static_cast<LinuxPersonality*>(context);
    self.count_unknown(hart.x[riscv::kA7]);
    CAISSON_PERF_SCOPE(others_counter);
    return self.conclude(hart, -ENOSYS);
  }

  void install_handlers(GuestInstance& instance) {
#define CAISSON_SYSTEM_CALL(number, name) \
  instance.set_ecall(number, {&LinuxPersonality::answer<sys_##name, kRow_##name>, this});
#define CAISSON_NAMED_SYSTEM_CALL(number, name)
#include "linux/system_calls.inc"
#undef CAISSON_SYSTEM_CALL
#undef CAISSON_NAMED_SYSTEM_CALL
    instance.set_unknown_ecall({&LinuxPersonality::answer_unknown, this});
  }

  // A guest chooses the numbers, so only so many are told apart.
  void count_unknown(std::uint64_t number) {
    if (unknown_.size() < kMostUnknownNumbers || unknown_.contains(number)) {
      ++unknown_[number];
    } else {
      ++further_unknown_;
    }
  }

  // From a call's result to what the run loop does.
  EcallOutcome conclude(riscv::HartState& hart, std::int64_t result) {
    if (result == kRestartUnlessNoRestart || result == kRestartUnlessHandled) {
      // Where the call is made again it waits for what is left: the deadline stays.
      return deliver_signals(*process_, result) == Delivery::kNone ? EcallOutcome::kRestart : EcallOutcome::kJumped;
    }
    process_->wait_deadline_ns.reset();
    if (result == kCallOutOfGas) return EcallOutcome::kOutOfGas;
    if (result == kCallExit) return EcallOutcome::kExit;
    if (process_->signals.deliverable()) process_->instance().request_slice();
    if (result == kCallJumped) return EcallOutcome::kJumped;
    hart.x[riscv::kA0] = static_cast<std::uint64_t>(result);
    return EcallOutcome::kContinue;
  }

  LinuxOptions options_;
  GuestInstance* instance_ = nullptr;
  std::unique_ptr<LinuxProcess> process_;
  std::array<std::uint64_t, kRowCount> counts_{};
  std::map<std::uint64_t, std::uint64_t> unknown_;
  std::uint64_t further_unknown_ = 0;
};

}  // namespace
}  // namespace caisson::linux_personality

namespace caisson {

Result<std::shared_ptr<runtime::Personality>> make_linux_personality(LinuxOptions options) {
  for (const std::string& variable : options.environment) {
    if (variable.find('=') == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument, "an environment variable is NAME=value", variable);
    }
  }
  const Result<linux_personality::FileSystem> file_system = linux_personality::FileSystem::create(options);
  if (!file_system) return std::unexpected(file_system.error());
  return std::make_shared<linux_personality::LinuxPersonality>(std::move(options));
}

}  // namespace caisson
