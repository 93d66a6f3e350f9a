// Which handler performs an instruction with given operand classes: the interface between lowering and the handlers_*.cpp.
// All functions are pure look-ups in constant tables; a null result means that the file has no such handler.
#pragma once

#include "interp/record.h"
#include "isa/riscv/instructions.h"

namespace caisson::interp {

// Records that are not one instruction's semantics.
enum class ControlRecord : std::uint8_t {
  kResolve,  // hart.pc says where to go: ask the decoder (record 0)
  kFallFar,  // imm = pc to fall into, a new block
  kLink,  // imm = byte distance to the record that continues this block
  kTrap,  // imm = TrapKind
  kFetchFault,  // second half of the instruction cannot be fetched
  kFence,
  kFullFence,
  kFenceI,
};

Handler select_control(ControlRecord kind);

// a = rs2, b = rs1; imm = byte distance (near) or target pc (far).
Handler select_branch(riscv::Op op, unsigned rs1_class, unsigned rs2_class, bool rs2_is_zero, bool near);
// jal: a = rd, imm as above. One that links needs the following record's pc to be its return address.
Handler select_jump(bool links, unsigned rd_class, bool near);
// jalr: a = rd, b = rs1, imm; linking as for jal.
Handler select_jump_register(bool links, unsigned rd_class, unsigned rs1_class);

// rd = op(rs1, rs2): a, b, c. Null where only the generic form exists.
Handler select_register_form(riscv::Op op, unsigned rd_class, unsigned rs1_class, unsigned rs2_class);
// rd = op(rs1, imm) and unary ones: a, b, imm.
Handler select_immediate_form(riscv::Op op, unsigned rd_class, unsigned rs1_class);
// rd = imm (sign-extended), and rd = pc-relative address (a = rd, imm = low 32 bits, b = bits 32…39 sign-extended).
Handler select_load_immediate(unsigned rd_class);
Handler select_load_address(unsigned rd_class);
Handler select_move(unsigned rd_class, unsigned rs1_class);
// Integer and FP loads (a = rd) and stores (a = rs2), b = rs1, imm. Those of singles ignore the class of a.
Handler select_memory(riscv::Op op, unsigned value_class, unsigned rs1_class);
// FP computational instructions: a = rd, b = rs1, c = rs2, d = rs3, e = the rounding mode, for the slow path. Null where the
// host cannot do it under this static rounding mode, or where there is no such handler.
// On doubles, by the class of every operand (integer or FP, as the instruction has it); fused ones leave rd in memory.
struct FloatClasses {
  unsigned rd = 0, rs1 = 0, rs2 = 0, rs3 = 0;
};
Handler select_double(riscv::Op op, std::uint8_t rounding_mode, const FloatClasses& classes);
Handler select_float_move(unsigned rd_class, unsigned rs1_class);
// With FP operands in memory, by the class of an integer operand.
Handler select_float(riscv::Op op, std::uint8_t rounding_mode, unsigned integer_class);
// Everything else, performed on the state in memory: a, b, c, d, e, or imm in place of c, d, e. Pinned sources must have been
// written by select_write_back() records, and a pinned rd is then read by a select_read_again() record: a = the register.
Handler select_generic(riscv::Op op);
Handler select_write_back(unsigned pin);
Handler select_read_again(unsigned pin);
Handler select_float_write_back(unsigned pin);
Handler select_float_read_again(unsigned pin);
// The same on any state of the pins.
Handler select_spilling(riscv::Op op);

// The host address to which fault recovery sends a handler's fault.
const void* fault_landing();

}  // namespace caisson::interp
