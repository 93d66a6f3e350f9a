#include "spec/gas_prediction.h"

#include <cstring>

#include "gas/gas_schedule.h"
#include "isa/riscv/decoder.h"
#include "memory/address_space.h"

namespace caisson::spec {

std::optional<std::uint64_t> predict_straight_line_gas(std::span<const std::uint8_t> code, std::uint64_t code_address,
                                                       std::uint64_t start_pc, std::uint64_t end_pc) {
  std::uint64_t gas = 0;
  bool passed_end = false;
  for (std::uint64_t pc = start_pc; pc >= code_address && pc + 2 <= code_address + code.size();) {
    std::uint16_t low;
    std::memcpy(&low, code.data() + (pc - code_address), sizeof low);
    std::uint32_t bits = low;
    if (riscv::instruction_length(low) == 4) {
      if (pc + 4 > code_address + code.size()) return std::nullopt;
      std::memcpy(&bits, code.data() + (pc - code_address), sizeof bits);
    }
    const riscv::Decoded decoded = riscv::decode(bits);
    gas += gas::weight(decoded.op);
    passed_end |= pc == end_pc;
    const std::uint64_t next = pc + decoded.length;
    const bool ends_page = pc / memory::kPageSize != next / memory::kPageSize;
    const bool ends_block = riscv::info(decoded.op).has(riscv::traits::kTerminator);
    if (passed_end && (ends_block || ends_page)) return gas;
    if (ends_block) return std::nullopt;
    pc = next;
  }
  return std::nullopt;
}

}  // namespace caisson::spec
