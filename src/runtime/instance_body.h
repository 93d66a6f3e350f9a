// What an Instance is: a guest in a window, or, for a fork between its runs, a snapshot of one.
//
// Thread safety: one thread at a time, but interrupt().
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>

#include "caisson/instance.h"
#include "runtime/engine_state.h"
#include "runtime/guest_instance.h"

namespace caisson::runtime {

class InstanceBody {
 public:
  // Of a guest that keeps its window.
  InstanceBody(std::unique_ptr<GuestInstance> guest, std::shared_ptr<EngineState> engine);
  // Of a fork. `personality`: one that no guest has yet; null where the guest has none.
  InstanceBody(GuestSnapshot snapshot, const InstanceOptions& options, std::shared_ptr<Personality> personality,
               std::shared_ptr<EngineState> engine);
  ~InstanceBody();
  InstanceBody(const InstanceBody&) = delete;
  InstanceBody& operator=(const InstanceBody&) = delete;

  // The guest in a window. Errors: GuestInstance::restore()'s.
  Result<GuestInstance*> resident() {
    if (guest_ != nullptr) [[likely]]
      return guest_.get();
    return take_window();
  }
  // It keeps its window from now on.
  Result<GuestInstance*> pin();
  // Null while it has no window.
  GuestInstance* guest() const { return guest_.get(); }
  // Behind a run: gives the window up where many forks have one.
  void leave();

  Result<std::unique_ptr<InstanceBody>> fork();
  void interrupt();
  void set_deadline(std::chrono::steady_clock::time_point deadline);

  std::uint64_t gas_used() const { return guest_ ? guest_->hart().gas_used() : snapshot_->registers.gas_used; }
  std::uint64_t program_counter() const { return guest_ ? guest_->hart().pc : snapshot_->registers.pc; }
  std::uint64_t integer_register(unsigned number) const {
    return guest_ ? guest_->hart().x[number] : snapshot_->registers.x[number];
  }
  std::uint64_t float_register(unsigned number) const {
    return guest_ ? guest_->hart().f[number] : snapshot_->registers.f[number];
  }
  const ModuleState& module() const { return guest_ ? guest_->module() : *snapshot_->module; }
  const InstanceOptions& options() const { return options_; }

 private:
  Result<GuestInstance*> take_window();
  void park();

  const std::shared_ptr<EngineState> engine_;
  const InstanceOptions options_;  // without the personality
  const bool is_fork_;
  bool pinned_ = false;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  std::optional<GuestSnapshot> snapshot_;  // while it has no window
  std::shared_ptr<Personality> personality_;  // of the guest that is made of snapshot_
  std::mutex interrupt_mutex_;  // guest_ comes and goes under it
  bool interrupted_ = false;  // guarded by interrupt_mutex_: while there was no window
  std::unique_ptr<GuestInstance> guest_;
};

}  // namespace caisson::runtime
