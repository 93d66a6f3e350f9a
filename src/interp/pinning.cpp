#include "interp/pinning.h"

#include "gas/gas_schedule.h"

namespace caisson::interp {

void PinChooser::sample(const CodeCache& cache, std::uint32_t pc) {
  block_.clear();
  std::uint32_t cost = 0;
  const std::uint32_t page = pc / memory::kPageSize;
  while (pc / memory::kPageSize == page) {
    riscv::Decoded decoded;
    if (!cache.fetch(pc, &decoded)) break;
    block_.push_back(decoded);
    cost += gas::weight(decoded.op);
    pc += decoded.length;
    if (riscv::info(decoded.op).has(riscv::traits::kTerminator)) break;
  }
  if (cost == 0) return;
  chooser_.sample(block_, cost);
}

}  // namespace caisson::interp
