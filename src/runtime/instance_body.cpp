#include "runtime/instance_body.h"

#include <utility>

namespace caisson::runtime {

InstanceBody::InstanceBody(std::unique_ptr<GuestInstance> guest, std::shared_ptr<EngineState> engine)
    : engine_(std::move(engine)), options_(guest->options()), is_fork_(false), guest_(std::move(guest)) {}

InstanceBody::InstanceBody(GuestSnapshot snapshot, const InstanceOptions& options,
                           std::shared_ptr<Personality> personality, std::shared_ptr<EngineState> engine)
    : engine_(std::move(engine)),
      options_(options),
      is_fork_(true),
      snapshot_(std::move(snapshot)),
      personality_(std::move(personality)) {}

InstanceBody::~InstanceBody() {
  if (is_fork_ && guest_ != nullptr) engine_->resident_forks.fetch_sub(1, std::memory_order_relaxed);
}

Result<GuestInstance*> InstanceBody::take_window() {
  InstanceOptions options = options_;
  options.personality = personality_;
  Result<std::unique_ptr<GuestInstance>> guest =
      GuestInstance::restore(*snapshot_, engine_->windows, options, engine_->jit);
  if (!guest) return std::unexpected(guest.error());
  (*guest)->set_deadline(deadline_);
  const std::scoped_lock lock(interrupt_mutex_);
  if (std::exchange(interrupted_, false)) (*guest)->hart().interrupt.store(1, std::memory_order_relaxed);
  guest_ = *std::move(guest);
  snapshot_.reset();
  personality_.reset();
  engine_->resident_forks.fetch_add(1, std::memory_order_relaxed);
  return guest_.get();
}

Result<GuestInstance*> InstanceBody::pin() {
  pinned_ = true;
  return resident();
}

void InstanceBody::leave() {
  if (!is_fork_ || pinned_ || guest_ == nullptr) return;
  if (engine_->resident_forks.load(std::memory_order_relaxed) > engine_->most_resident_forks) park();
}

// Where it cannot be, it stays: the guest is worth more than the window.
void InstanceBody::park() {
  Result<GuestSnapshot> snapshot = guest_->snapshot();
  if (!snapshot) return;
  std::shared_ptr<Personality> personality;
  if (guest_->personality() != nullptr) {
    personality = guest_->personality()->make_another();
    if (personality == nullptr) return;
  }
  std::unique_ptr<GuestInstance> ended;
  {
    const std::scoped_lock lock(interrupt_mutex_);
    interrupted_ = guest_->hart().interrupt.load(std::memory_order_relaxed) != 0;
    ended = std::move(guest_);
  }
  snapshot_ = *std::move(snapshot);
  personality_ = std::move(personality);
  engine_->resident_forks.fetch_sub(1, std::memory_order_relaxed);
}

Result<std::unique_ptr<InstanceBody>> InstanceBody::fork() {
  const Personality* model = personality_.get();
  Result<GuestSnapshot> snapshot;
  if (guest_ != nullptr) {
    model = guest_->personality();
    snapshot = guest_->snapshot();
    if (!snapshot) return std::unexpected(snapshot.error());
  } else {
    snapshot = *snapshot_;
  }
  std::shared_ptr<Personality> personality;
  if (model != nullptr) {
    personality = model->make_another();
    if (personality == nullptr) return fail(ErrorCode::kUnsupported, "this personality is for one instance");
  }
  return std::make_unique<InstanceBody>(*std::move(snapshot), options_, std::move(personality), engine_);
}

void InstanceBody::interrupt() {
  const std::scoped_lock lock(interrupt_mutex_);
  if (guest_ != nullptr) {
    guest_->hart().interrupt.store(1, std::memory_order_relaxed);
  } else {
    interrupted_ = true;
  }
}

void InstanceBody::set_deadline(std::chrono::steady_clock::time_point deadline) {
  deadline_ = deadline;
  if (guest_ != nullptr) guest_->set_deadline(deadline);
}

}  // namespace caisson::runtime
