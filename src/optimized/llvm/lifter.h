// A guest unit as an LLVM function.
//
// Guest registers become SSA values: each has a variable that LLVM promotes. A block needs some of them at its entry
// (UnitBlock::needed); they are loaded from the hart where the unit is entered and behind calls, and what was changed is written back
// where the unit is left. Memory accesses are patchpoints: calls to LLVM, with the guest's state as operands, whose bytes are filled in
// by access_encoder.h. So LLVM allocates registers freely, and tells where everything is.
//
// The state that an access keeps is not its own but that of its *anchor*: a place on the only path to the access from which everything
// can be done a second time. Where the access faults, execution goes back to the anchor, and other tiers come to the fault again. So what
// was computed since needs not be kept, and a long computation that begins where the hart holds everything keeps nothing at all. A store
// can be done again where nothing was loaded from there since the anchor.
//
// Gas is one variable less kGasReserve. Prices of blocks are taken off where gas is looked at; until then they are due, a constant that
// sites know. Where paths meet, those that are dearer than the cheapest pay the difference.
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "optimized/llvm/guest_unit.h"
#include "optimized/unit_format.h"

namespace caisson::optimized {

// How a guest memory access looks to the host.
enum class Access : std::uint8_t {
  kLoad8Signed,
  kLoad8,
  kLoad16Signed,
  kLoad16,
  kLoad32Signed,
  kLoad32,  // also as 32 bits
  kLoad64,
  kLoadSingle,
  kLoadDouble,
  kStore8,
  kStore16,
  kStore32,
  kStore64,
  kStoreSingle,
  kStoreDouble,
  kExit,  // no access: the call of the hart's exit function
};

// Which registers an address is the sum of, besides its displacement; they are the access's first arguments, in this order.
struct AddressForm {
  bool has_base = true;
  bool has_index = false;
  unsigned scale = 0;  // of the index, as a shift: 0 … 3

  unsigned registers() const { return unsigned{has_base} + unsigned{has_index}; }
};

// A patchpoint, by its number in the stack map.
struct LiftedSite {
  std::uint32_t guest = 0;  // where execution goes on
  SiteKind kind = SiteKind::kFault;
  Access access = Access::kLoad64;
  AddressForm address;  // of kExit: a base, the hart
  std::int32_t displacement = 0;
  std::int32_t gas_due = 0;
  std::int32_t repeated = 0;
  struct Register {
    std::uint8_t guest = 0;
    ValueForm form = ValueForm::kWord;
  };
  // In the order of the patchpoint's operands behind its arguments, of which the first is the gas.
  std::vector<Register> registers;
};

struct LiftedUnit {
  llvm::Function* function = nullptr;
  std::vector<LiftedSite> sites;
};

// Adds a function named `name` for `unit` to `module`.
LiftedUnit lift(llvm::Module& module, const GuestUnit& unit, const char* name);

class Lifter {
 public:
  Lifter(llvm::Module& module, const GuestUnit& unit, const char* name);
  LiftedUnit lift();

 private:
  using Decoded = riscv::Decoded;
  using Value = llvm::Value;
  using Row = void (Lifter::*)(const Decoded&);

  // --- lifter.cpp: blocks, registers, gas ---
  void declare(const char* name);
  void lift_block(std::size_t index);
  void begin_address(const UnitBlock& block, std::size_t at, std::span<const RegisterSet> live);
  std::size_t end_of_address(const UnitBlock& block, std::size_t at, std::span<const RegisterSet> live) const;
  void lift_instruction(const UnitInstruction& instruction);
  void check_gas(const UnitBlock& block);
  void pay(std::int32_t rest = 0);  // what is due but this
  void load(RegisterSet registers);  // from the hart
  void fetch(unsigned reg);  // if it is not out of the hart
  void bring_home();  // homed registers, to the hart
  void flush(RegisterSet registers = ~RegisterSet{0});  // what is dirty of these, to the hart
  Value* hart();
  Value* hart_field(std::size_t offset);
  Value* word(UnitWord which);
  Value* get(unsigned reg);
  Value* get_half(unsigned reg);  // the low 32 bits
  void set(unsigned reg, Value* value);  // 64 bits, or 32 that the register holds sign-extended
  void increase(unsigned reg, std::int32_t by);  // 64 bits
  void forget_words();  // registers are as the hart has them
  Value* constant(std::uint64_t value) { return builder_.getInt64(value); }

  // --- sites.cpp ---
  // The value of a patchpoint (or null), with the state of the anchor as operands.
  Value* site(const LiftedSite& what, llvm::Type* result, std::span<Value* const> arguments);
  // `displacement`: from the first argument to the address.
  Value* access(Access access, const Decoded& decoded, std::int32_t displacement, llvm::Type* result,
                std::span<Value* const> arguments);
  struct Place;
  struct Range;
  Range range_of(Access access, const Decoded& decoded) const;
  void touch(Access access, const Decoded& decoded);  // before what may be where a float was stored
  void settle_anchor(const Place& here);
  void move_anchor(const Place& here);
  void drop_anchor(const Place& here);

  // --- lift_control.cpp ---
  void end_block(const UnitBlock& block);
  llvm::BasicBlock* edge_to(int block, std::uint64_t pc);
  void branch(const UnitBlock& block);
  Value* compare(llvm::CmpInst::Predicate condition, unsigned first, unsigned second);  // of registers
  void call(const UnitBlock& block);
  void indirect_jump(const UnitBlock& block);
  Value* goes_around(const LoopCount& count);  // as often as it says, at least
  void counted(const UnitBlock& block);
  void inlined_return(const UnitBlock& block);
  void leave(Value* pc);  // returns to the caller
  void jump_away(Value* pc);  // to other code, if there is any
  Value* find_code(Value* pc);
  void give(std::span<Value* const> state);
  std::vector<Value*> state(Value* pc);  // what is passed between units; behind flush_unpassed()
  llvm::CallInst* call_code(Value* code, Value* pc);
  void flush_unpassed();
  void reconcile(const UnitBlock& next);
  void enter(std::size_t block);

  // --- lift_integer.cpp ---
  bool lift_integer(const Decoded& decoded, std::uint32_t pc);

  // --- lift_memory.cpp ---
  bool lift_memory(const Decoded& decoded);
  // Of which the low 32 bits count: the sum of both.
  struct Address {
    Value* base = nullptr;
    std::int32_t displacement = 0;
  };
  Address address(const Decoded& decoded);

  // --- lift_float.cpp ---
  bool lift_float(const Decoded& decoded);
  void fetch_float(unsigned reg);  // if it is not out of the hart
  Value* get_double(unsigned reg);  // for arithmetic: a NaN may be any
  Value* get_exact(unsigned reg);  // a double with the register's 64 bits
  Value* get_single(unsigned reg);  // for arithmetic
  Value* get_exact_single(unsigned reg);
  void set_double(unsigned reg, Value* value, FloatKind kind);
  void set_single(unsigned reg, Value* value, FloatKind kind);
  void make_exact(unsigned reg);  // the 64 bits are in the double's variable, the kind becomes kExact
  void make_canonical(unsigned reg);  // the variable has no NaN that means another one
  struct StoredFloat;
  void note_stored_float(const StoredFloat& stored);
  void check_stored_floats(const StoredFloat* other = nullptr);  // and of `other`
  Value* canonical(Value* value);
  bool is_opaque(const Value* value) const;
  void set_opaque(unsigned reg, const Value* value);
  Value* unknown(Value* value, std::initializer_list<const Value*> others);
  Value* box(Value* single);
  Value* convert_to_integer(Value* value, bool is_wide, bool truncates);
  void raise_for_product(Value* first, Value* second, Value* third);
  void make_minimum(const Decoded& decoded, bool is_double, bool is_maximum);

  // A place in guest code.
  struct Place {
    std::uint32_t pc = 0;
    RegisterSet live = 0;
    std::int32_t ahead = 0;  // what is charged already of what comes next
  };
  // Guest memory: [what `base` held at the anchor + offset, + size).
  struct Range {
    unsigned base = 0;  // 0: anywhere
    std::int32_t offset = 0, size = 0;
    bool contains(const Range& other) const {
      return base != 0 && base == other.base && offset <= other.offset && other.offset + other.size <= offset + size;
    }
    // Also where two pages next to each other are the same memory.
    bool is_apart_from(const Range& other) const {
      const bool is_disjoint = offset + size <= other.offset || other.offset + other.size <= offset;
      constexpr std::int32_t kPage = 4096;
      const std::int32_t span = std::max(offset + size, other.offset + other.size) - std::min(offset, other.offset);
      return base != 0 && base == other.base && is_disjoint && span <= kPage;
    }
  };
  struct Anchor {
    bool is_valid = false;
    std::uint32_t pc = 0;
    std::int32_t charged = 0;  // for what comes behind it
    RegisterSet dirty = 0;  // there
    RegisterSet defined = 0;  // since
    RegisterSet read = 0;  // since
    // Since, by what cannot fault or go elsewhere, and not read before that: a fault's way from here makes them anew.
    RegisterSet killed = 0;
    std::vector<LiftedSite::Register> registers;
    std::vector<Value*> values;  // of these
    // Since: what was loaded that was not stored before, and what was stored.
    std::vector<Range> loaded, stored;
    bool has_stores = false, has_flags = false;  // since: memory was stored to, floats may have raised flags
    bool is_at_block = false;  // it is where a block begins
  };

  // What a store stored as it was computed.
  struct StoredFloat {
    Value* value = nullptr;
    Access access = Access::kStoreDouble;
    Address at;
    Range range;
  };

  // What a register that was increased holds: a value, and how much more. Pointers that walk through memory are so the same value with
  // displacements, along straight-line code.
  struct Sum {
    Value* base = nullptr;  // null: nothing is known
    std::int32_t more = 0;
  };
  using Sums = std::array<Sum, 32>;

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> builder_;
  const GuestUnit& unit_;
  LiftedUnit made_;
  llvm::Function* function_ = nullptr;
  llvm::StructType* result_type_ = nullptr;
  Value* hart_ = nullptr;  // variable: units return it, so that nobody has to keep it
  Value* gas_ = nullptr;  // variable
  std::array<Value*, 32> integers_{}, halves_{}, doubles_{}, singles_{};  // variables
  std::vector<llvm::BasicBlock*> blocks_;
  std::vector<Anchor> anchors_;  // at the entry of each block that one edge leads to
  std::vector<Sums> sums_at_entry_;  // the same

  // While a block is lifted.
  std::size_t block_ = 0;
  RegisterSet dirty_ = 0;
  RegisterSet present_ = 0;  // registers that are out of the hart, dirty or not
  FloatKinds kinds_{};
  RegisterSet opaque_ = 0;  // float registers of whose values LLVM knows nothing
  WordKinds words_{};
  Constants constants_;
  WordKind result_kind_ = WordKind::kWide;  // of the integer that the instruction gives
  std::int32_t due_ = 0;
  Anchor anchor_;
  std::optional<StoredFloat> stored_float_;  // since the anchor; a NaN has still to be looked for
  Sums sums_{};
  Place here_;  // before the instruction
  // Of the instructions that compute an address: the number of the one behind the access, and whether the anchor is before the first.
  std::size_t address_end_ = 0;
  bool is_anchored_ = false;
  bool is_in_address_ = false;  // the instruction is one of these, or the access
};

}  // namespace caisson::optimized
