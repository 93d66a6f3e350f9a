#include "kernel/cell.h"

#include <utility>

#include "kernel/invocation.h"
#include "kernel/operations.h"
#include "runtime/engine_state.h"

namespace caisson::kernel {
namespace {

// What a cell's guest asks at the end of each slice: whether somebody wants its run to stop.
class CellPersonality final : public runtime::Personality {
 public:
  Result<void> start(runtime::GuestInstance&) override {
    return fail(ErrorCode::kUnsupported, "instances of the kernel have endpoints, no start");
  }
  bool on_trap(runtime::GuestInstance&, riscv::HartState&, const riscv::Trap&) override { return false; }
  void on_slice(runtime::GuestInstance& guest, riscv::HartState&) override {
    if (cell->invocation->take_stop_request()) guest.finish(ExitReason::kInterrupted, 0, 0);
  }
  bool wants_slices() const override { return cell->invocation->stop_requested(); }

  Cell* cell = nullptr;
};

}  // namespace

Result<std::unique_ptr<Cell>> Cell::create(const LoadedImage& image, const CellOptions& options) {
  const Result<HostFunctions>& functions = image.host_functions();
  if (!functions) return std::unexpected(functions.error());
  auto personality = std::make_shared<CellPersonality>();
  auto guest = runtime::GuestInstance::create(image.module(), options.engine->windows,
                                              {.memory_limit = image.image().memory_limit,
                                               .tier = options.tier,
                                               .deterministic = true,  // its clock is its gas
                                               .personality = personality},
                                              options.engine->jit);
  if (!guest) return std::unexpected(guest.error());
  std::unique_ptr<Cell> cell(new Cell(*std::move(guest)));
  personality->cell = cell.get();
  cell->guest_->make_callable();
  install_operations(*cell);
  cell->guest_->bind_host_functions(*functions);
  if (Result<void> loaded = cell->guest_->memory().load(image.fresh_memory()); !loaded)
    return std::unexpected(loaded.error());
  const LoadedImage::CodeRange code = image.code_range();
  if (code.size != 0) cell->guest_->adopt_code(code.base, code.size);
  return cell;
}

Cell::~Cell() = default;

Result<void> Cell::load(InstanceObject& instance) {
  const memory::MemoryState& state = instance.memory ? *instance.memory : instance.image().fresh_memory();
  if (Result<void> loaded = guest_->memory().load(state); !loaded) return loaded;
  riscv::HartState& hart = guest_->hart();
  hart.gas = 0;
  if (instance.registers != nullptr) {
    runtime::set_registers(hart, *instance.registers);
    guest_->note_registers_replaced();
  }
  hart.gas_granted = instance.gas_used() + hart.gas;
  occupant = &instance;
  return {};
}

Result<void> Cell::save(InstanceObject& instance) {
  Result<memory::MemoryState> state = guest_->memory().state();
  if (!state) return std::unexpected(state.error());
  instance.memory = *std::move(state);
  const riscv::HartState& hart = guest_->hart();
  instance.set_gas_used(hart.gas_used());
  if (!instance.on_its_way) return {};
  instance.registers = std::make_unique<runtime::HartRegisters>(runtime::registers_of(hart));
  return {};
}

}  // namespace caisson::kernel
