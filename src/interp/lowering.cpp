#include "interp/lowering.h"

#include "interp/generic.h"

namespace caisson::interp {
namespace {

using riscv::Decoded;
using riscv::Form;
using riscv::Op;

std::uint8_t destination(std::uint8_t rd) { return rd == 0 ? riscv::kDiscardSlot : rd; }

Record lower_jal(const Decoded& decoded, std::uint32_t pc, const ClassMap& classes) {
  const std::uint8_t rd = destination(decoded.rd);
  Record record;
  record.a = rd;
  if (is_direct_transfer(decoded, pc)) {
    record.handler = select_jump(decoded.rd != 0, classes[rd], false);
    record.imm = static_cast<std::int32_t>(pc + static_cast<std::uint32_t>(decoded.imm));
  } else {
    record.handler = select_spilling(Op::kJal);
    record.imm = decoded.imm;
  }
  return record;
}

Record lower_integer_immediate(const Decoded& decoded, const ClassMap& classes) {
  const std::uint8_t rd = destination(decoded.rd);
  Record record;
  record.a = rd;
  record.b = decoded.rs1;
  record.imm = decoded.imm;
  if (decoded.op == Op::kAddi && decoded.rs1 == 0) {
    record.handler = select_load_immediate(classes[rd]);
  } else if (decoded.op == Op::kAddi && decoded.imm == 0) {
    record.handler = select_move(classes[rd], classes[decoded.rs1]);
  } else {
    record.handler = select_immediate_form(decoded.op, classes[rd], classes[decoded.rs1]);
  }
  return record;
}

Record lower_upper_immediate(const Decoded& decoded, std::uint32_t pc, const ClassMap& classes) {
  const std::uint8_t rd = destination(decoded.rd);
  Record record;
  record.a = rd;
  if (decoded.op == Op::kLui) {
    record.handler = select_load_immediate(classes[rd]);
    record.imm = decoded.imm;
  } else {
    const std::int64_t address = std::int64_t{pc} + decoded.imm;
    record.handler = select_load_address(classes[rd]);
    record.b = static_cast<std::uint8_t>(address >> 32);
    record.imm = static_cast<std::int32_t>(address);
  }
  return record;
}

// Floating-point loads and stores of doubles have handlers by the value's class, those of singles work on memory.
Record lower_memory(const Decoded& decoded, const ClassMap& classes) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  const bool is_float = row.has(riscv::traits::kFloatRd) || row.has(riscv::traits::kFloatRs2);
  const bool is_store = row.has(riscv::traits::kStore);
  const std::uint8_t value = is_store ? decoded.rs2 : is_float ? decoded.rd : destination(decoded.rd);
  Record record;
  record.handler = select_memory(decoded.op, is_float ? classes.floats[value] : classes[value], classes[decoded.rs1]);
  record.a = value;
  record.b = decoded.rs1;
  record.imm = decoded.imm;
  return record;
}

Record register_operands(const Decoded& decoded) {
  const bool float_rd = riscv::info(decoded.op).has(riscv::traits::kFloatRd);
  Record record;
  record.a = float_rd ? decoded.rd : destination(decoded.rd);
  record.b = decoded.rs1;
  record.set_operands(decoded.rs2, decoded.rs3, decoded.rm);
  return record;
}

// Integer instructions on registers; the handler is null where only the generic form exists.
Record lower_registers(const Decoded& decoded, const ClassMap& classes) {
  Record record = register_operands(decoded);
  if (riscv::info(decoded.op).form == Form::kUnary) {
    record.handler = select_immediate_form(decoded.op, classes[record.a], classes[decoded.rs1]);
  } else if (decoded.op == Op::kAdd && decoded.rs1 == 0) {
    record.b = decoded.rs2;
    record.handler = select_move(classes[record.a], classes[decoded.rs2]);
  } else if (riscv::info(decoded.op).form == Form::kR) {
    record.handler = select_register_form(decoded.op, classes[record.a], classes[decoded.rs1], classes[decoded.rs2]);
  }
  return record;
}

// Which operands a handler takes from memory although they may be pinned.
struct FromMemory {
  bool integers = false, float_sources = false, float_result = false;
};

// The record between those that write pinned sources to memory and the one that reads a pinned result again.
void surround(const Decoded& decoded, const Record& record, FromMemory from_memory, const ClassMap& classes,
              Lowered& lowered) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  const auto add = [&](Handler handler, std::uint8_t reg) {
    Record extra;
    extra.handler = handler;
    extra.a = reg;
    lowered.add(extra);
  };
  const auto write_back = [&](std::uint32_t reads, std::uint32_t is_float, std::uint8_t reg) {
    if (!row.has(reads)) return;
    if (row.has(is_float)) {
      if (from_memory.float_sources && classes.floats[reg] != kFloatMemoryClass)
        add(select_float_write_back(classes.floats[reg]), reg);
    } else if (from_memory.integers && classes[reg] != kMemoryClass) {
      add(select_write_back(classes[reg]), reg);
    }
  };
  write_back(riscv::traits::kReadsRs1, riscv::traits::kFloatRs1, decoded.rs1);
  write_back(riscv::traits::kReadsRs2, riscv::traits::kFloatRs2, decoded.rs2);
  write_back(riscv::traits::kReadsRs3, riscv::traits::kFloatRs3, decoded.rs3);
  lowered.add(record);
  if (row.has(riscv::traits::kWritesRd)) {
    if (row.has(riscv::traits::kFloatRd)) {
      if (from_memory.float_result && classes.floats[record.a] != kFloatMemoryClass)
        add(select_float_read_again(classes.floats[record.a]), record.a);
    } else if (from_memory.integers && classes[record.a] != kMemoryClass) {
      add(select_read_again(classes[record.a]), record.a);
    }
  }
}

// Doubles have handlers by class, other floating-point instructions work on memory but for their integer operand; what the
// host cannot do under a static rounding mode is generic.
void lower_float(const Decoded& decoded, const ClassMap& classes, Lowered& lowered) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  const bool float_rd = row.has(riscv::traits::kFloatRd), float_rs1 = row.has(riscv::traits::kFloatRs1);
  Record record = register_operands(decoded);
  const FloatClasses operands = {.rd = float_rd ? classes.floats[decoded.rd] : classes[record.a],
                                 .rs1 = float_rs1 ? classes.floats[decoded.rs1] : classes[decoded.rs1],
                                 .rs2 = classes.floats[decoded.rs2],
                                 .rs3 = classes.floats[decoded.rs3]};
  const bool is_move = decoded.op == Op::kFsgnjD && decoded.rs1 == decoded.rs2;
  if (const Handler handler =
          is_move ? select_float_move(operands.rd, operands.rs1) : select_double(decoded.op, decoded.rm, operands)) {
    record.handler = handler;
    return surround(decoded, record, {.float_result = row.form == Form::kR4}, classes, lowered);
  }
  record.handler = select_float(decoded.op, decoded.rm, float_rd ? operands.rs1 : operands.rd);
  const bool is_generic = record.handler == nullptr;
  if (is_generic) record.handler = select_generic(decoded.op);
  return surround(decoded, record, {.integers = is_generic, .float_sources = true, .float_result = true}, classes,
                  lowered);
}

Record csr_operands(const Decoded& decoded) {
  Record record;
  record.a = destination(decoded.rd);
  record.b = decoded.rs1;
  record.set_operands(0, 0, static_cast<std::uint16_t>(decoded.imm));
  return record;
}

Record trap_record(riscv::TrapKind kind) {
  return control_record(ControlRecord::kTrap, static_cast<std::int32_t>(kind));
}

Record lower_environment(const Decoded& decoded) {
  switch (decoded.op) {
    case Op::kEcall:
      return trap_record(riscv::TrapKind::kEcall);
    case Op::kEbreak:
      return trap_record(riscv::TrapKind::kEbreak);
    case Op::kFenceI:
      return control_record(ControlRecord::kFenceI);
    case Op::kPause:
    case Op::kFenceTso:
      return control_record(ControlRecord::kFence);
    default:
      return trap_record(riscv::TrapKind::kIllegal);
  }
}

}  // namespace

ClassMap::ClassMap(const Pins& pins) {
  integers.fill(kMemoryClass);
  floats.fill(kFloatMemoryClass);
  for (unsigned pin = 0; pin < kPinCount; ++pin) integers[pins.integers[pin]] = static_cast<std::uint8_t>(pin);
  for (unsigned pin = 0; pin < kFloatPinCount; ++pin) floats[pins.floats[pin]] = static_cast<std::uint8_t>(pin);
}

Record control_record(ControlRecord kind, std::int32_t imm) {
  Record record;
  record.handler = select_control(kind);
  record.imm = imm;
  return record;
}

bool is_direct_transfer(const Decoded& decoded, std::uint32_t pc) {
  const Form form = riscv::info(decoded.op).form;
  if (form != Form::kB && form != Form::kJ) return false;
  return (std::int64_t{pc} + decoded.imm) >> 32 == 0;
}

Handler near_handler(const Decoded& decoded, const ClassMap& classes) {
  if (decoded.op == Op::kJal) return select_jump(decoded.rd != 0, classes[destination(decoded.rd)], true);
  return select_branch(decoded.op, classes[decoded.rs1], classes[decoded.rs2], decoded.rs2 == 0, true);
}

namespace {

const GenericRow* generic_row(Op op) {
  for (auto* find : {generic_integer_row, generic_atomic_row, generic_float_row, generic_system_row}) {
    if (const GenericRow* row = find(op)) return row;
  }
  return nullptr;
}

Record lower_branch(const Decoded& decoded, std::uint32_t pc, const ClassMap& classes) {
  Record record;
  record.handler = select_branch(decoded.op, classes[decoded.rs1], classes[decoded.rs2], decoded.rs2 == 0, false);
  record.a = decoded.rs2;
  record.b = decoded.rs1;
  record.imm = static_cast<std::int32_t>(pc + static_cast<std::uint32_t>(decoded.imm));
  return record;
}

Record lower_jalr(const Decoded& decoded, const ClassMap& classes) {
  const std::uint8_t rd = destination(decoded.rd);
  Record record;
  record.handler = select_jump_register(decoded.rd != 0, classes[rd], classes[decoded.rs1]);
  record.a = rd;
  record.b = decoded.rs1;
  record.imm = decoded.imm;
  return record;
}

// The one record of an instruction with handlers of its own; where there is none, its operands and no handler.
Record lower_to_record(const Decoded& decoded, std::uint32_t pc, const ClassMap& classes) {
  switch (riscv::info(decoded.op).form) {
    case Form::kU:
      return lower_upper_immediate(decoded, pc, classes);
    case Form::kJ:
      return lower_jal(decoded, pc, classes);
    case Form::kI:
    case Form::kShift:
    case Form::kShiftW:
      return lower_integer_immediate(decoded, classes);
    case Form::kLoad:
    case Form::kStore:
      return lower_memory(decoded, classes);
    case Form::kCsr:
    case Form::kCsrImmediate:
      return csr_operands(decoded);
    case Form::kNone:
      return lower_environment(decoded);
    case Form::kFence:
      return control_record(riscv::orders_store_before_load(decoded.ordering) ? ControlRecord::kFullFence
                                                                              : ControlRecord::kFence);
    case Form::kB:
      return lower_branch(decoded, pc, classes);
    case Form::kJalr:
      return lower_jalr(decoded, classes);
    default:
      return lower_registers(decoded, classes);
  }
}

}  // namespace

Handler select_generic(Op op) {
  const GenericRow* row = generic_row(op);
  return row == nullptr ? nullptr : row->generic;
}

Handler select_spilling(Op op) {
  const GenericRow* row = generic_row(op);
  return row == nullptr ? nullptr : row->spilling;
}

void lower(const Decoded& decoded, std::uint32_t pc, const ClassMap& classes, Lowered& lowered) {
  const riscv::InstructionInfo& row = riscv::info(decoded.op);
  const bool is_float =
      (row.traits & (riscv::traits::kFloatRd | riscv::traits::kFloatRs1 | riscv::traits::kFloatRs2)) != 0;
  const bool is_memory = row.form == Form::kLoad || row.form == Form::kStore;
  if (is_float && !is_memory) return lower_float(decoded, classes, lowered);
  Record record = lower_to_record(decoded, pc, classes);
  if (record.handler == nullptr) {
    record.handler = select_generic(decoded.op);
    return surround(decoded, record, {.integers = true}, classes, lowered);
  }
  if (decoded.op == Op::kFlw || decoded.op == Op::kFsw) {  // singles are loaded and stored through memory
    return surround(decoded, record, {.float_sources = true, .float_result = true}, classes, lowered);
  }
  lowered.add(record);
}

}  // namespace caisson::interp
