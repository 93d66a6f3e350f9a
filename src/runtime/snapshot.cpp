// Snapshots: a guest taken apart between two runs, and put together again.
#include <algorithm>
#include <utility>

#include "runtime/guest_instance.h"

namespace caisson::runtime {

Result<GuestSnapshot> GuestInstance::snapshot() {
  if (run_state_.load(std::memory_order_relaxed) == RunState::kRunning)
    return fail(ErrorCode::kBusy, "the instance is running");
  if (crosscheck_ != nullptr)
    return fail(ErrorCode::kUnsupported, "an instance that is checked against the interpreter has no snapshot");
  GuestSnapshot snapshot{.module = module_,
                         .phase = phase_,
                         .mapped = mapped_,
                         .runs_program = runs_program_,
                         .in_call = in_call_,
                         .resumable = resumable_,
                         .pending_call = pending_call_,
                         .load_bias = load_bias_,
                         .slice_used = hart_.gas_used() - slice_start_,
                         .call_registers = call_registers_,
                         .host_functions = host_functions_};
  if (personality_ != nullptr && phase_ != Phase::kNew) {
    Result<std::vector<std::uint8_t>> state = personality_->save(*this);
    if (!state) return std::unexpected(state.error());
    snapshot.personality = *std::move(state);
  }
  Result<memory::MemoryState> memory = memory_->state();
  if (!memory) return std::unexpected(memory.error());
  snapshot.memory = *std::move(memory);
  snapshot.registers = registers_of(hart_);
  return snapshot;
}

Result<std::unique_ptr<GuestInstance>> GuestInstance::restore(const GuestSnapshot& snapshot,
                                                              std::shared_ptr<memory::WindowPool> windows,
                                                              const InstanceOptions& options,
                                                              std::shared_ptr<JitService> jit) {
  auto made = create(snapshot.module, std::move(windows), options, std::move(jit), Loading::kBySnapshot);
  if (!made) return made;
  GuestInstance& guest = **made;
  if (Result<void> loaded = guest.memory_->load(snapshot.memory); !loaded) return std::unexpected(loaded.error());
  guest.phase_ = snapshot.phase;
  guest.mapped_ = snapshot.mapped;
  guest.runs_program_ = snapshot.runs_program;
  guest.in_call_ = snapshot.in_call;
  guest.resumable_ = snapshot.resumable;
  guest.pending_call_ = snapshot.pending_call;
  guest.load_bias_ = snapshot.load_bias;
  guest.call_registers_ = snapshot.call_registers;
  set_registers(guest.hart_, snapshot.registers);
  guest.slice_start_ = snapshot.registers.gas_used - snapshot.slice_used;
  guest.floats_are_zero_ = false;
  guest.bind_host_functions(snapshot.host_functions);
  guest.adopt_loaded_code();
  if (guest.phase_ == Phase::kNew) return made;
  if (!snapshot.personality) {
    guest.personality_.reset();
  } else if (guest.personality_ == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "the program was sealed under a personality, which it needs to go on");
  } else if (Result<void> restored = guest.personality_->restore(guest, *snapshot.personality); !restored) {
    return std::unexpected(restored.error());
  }
  return made;
}

// The one executable mapping that lies where the module has its code and cannot be written is the module's own.
void GuestInstance::adopt_loaded_code() {
  const memory::Mapping* code = nullptr;
  const std::vector<memory::Mapping> mappings = memory_->mappings();
  const std::uint64_t low = module_->elf.lowest_address + load_bias_, high = module_->elf.end_address + load_bias_;
  for (const memory::Mapping& mapping : mappings) {
    if ((mapping.permissions & memory::kExecute) == 0 || mapping.start < low || mapping.end > high) continue;
    if (code != nullptr || (mapping.permissions & memory::kWrite) != 0) return;
    code = &mapping;
  }
  if (code == nullptr || !is_code_of_module(*code)) return;
  adopt_code(static_cast<std::uint32_t>(code->start), static_cast<std::uint32_t>(code->end - code->start));
}

// Compiled code is shared by range, so the bytes there must be the file's.
bool GuestInstance::is_code_of_module(const memory::Mapping& mapping) const {
  const std::span<const std::uint8_t> file = module_->bytes.span();
  std::array<std::uint8_t, memory::kPageSize> page;
  for (const image::Segment& segment : module_->elf.segments) {
    const std::uint64_t start = (segment.address + load_bias_) & ~(memory::kPageSize - 1);
    if (!segment.executable || start != mapping.start) continue;
    // As map_segments() maps it: the file's bytes around the segment too.
    const std::uint64_t offset = segment.file_offset - (segment.address + load_bias_ - start);
    for (std::uint64_t at = 0; at < mapping.end - mapping.start; at += page.size()) {
      if (memory_->read(start + at, page.data(), page.size()) != page.size()) return false;
      for (std::size_t i = 0; i < page.size(); ++i) {
        const std::uint64_t in_file = offset + at + i;
        if (page[i] != (in_file < file.size() ? file[in_file] : 0)) return false;
      }
    }
    return true;
  }
  return false;
}

}  // namespace caisson::runtime
