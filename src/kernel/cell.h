// A cell: a window of memory, registers and compiled code, into which instances of one image are put to run.
//
// Making one costs tens of microseconds, putting an instance into one that ran the same image before well below one: only pages
// that differ are copied. A cell without an occupant keeps the last one's bytes until the next instance is put there, which sees none of them.
//
// Thread safety: as for instances, one thread at a time.
#pragma once

#include <memory>

#include "caisson/instance.h"
#include "caisson/result.h"
#include "kernel/loaded_image.h"
#include "runtime/guest_instance.h"

namespace caisson::runtime {
struct EngineState;
}

namespace caisson::kernel {

class InstanceObject;
class Invocation;

struct CellOptions {
  std::shared_ptr<runtime::EngineState> engine;
  Tier tier = Tier::kAuto;
};

class Cell {
 public:
  // Errors: kOutOfMemory, kUnsupported (the tier).
  static Result<std::unique_ptr<Cell>> create(const LoadedImage& image, const CellOptions& options);
  ~Cell();

  runtime::GuestInstance& guest() { return *guest_; }
  riscv::HartState& hart() { return guest_->hart(); }

  // Puts an instance's memory, and registers where it stopped on its way, into the cell. Errors: kOutOfMemory.
  Result<void> load(InstanceObject& instance);
  // Takes them out into `instance`. Errors: kOutOfMemory; then the instance is still here.
  Result<void> save(InstanceObject& instance);

  InstanceObject* occupant = nullptr;
  // Whose calls the occupant's operations make, while it runs.
  Invocation* invocation = nullptr;

 private:
  explicit Cell(std::unique_ptr<runtime::GuestInstance> guest) : guest_(std::move(guest)) {}

  std::unique_ptr<runtime::GuestInstance> guest_;
};

}  // namespace caisson::kernel
