// Control transfers: branches, jumps, block ends, and the ways out of the handlers.
#include <atomic>

#include "interp/handler_select.h"
#include "interp/handler_support.h"
#include "interp/operations.h"
#include "interp/resolve.h"

namespace caisson::interp {

CAISSON_HANDLER handler_leave(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SPILL();
  context_of(hart)->slice_gas = gas;
}

CAISSON_HANDLER handler_slice_end(CAISSON_INTERP_PARAMETERS) {
  Context* context = context_of(hart);
  gas += ip->cost;
  hart->pc = context->pc_of(ip);
  context->exit_kind = ExitKind::kSliceEnd;
  context->exit_cost = ip->cost;
  [[clang::musttail]] return handler_leave(CAISSON_INTERP_ARGUMENTS);
}

// Where fault recovery sends a faulting load or store: every register is as the handler had it.
CAISSON_HANDLER handler_fault(CAISSON_INTERP_PARAMETERS) {
  Context* context = context_of(hart);
  hart->pc = context->pc_of(ip);
  hart->trap = {.kind = context->scope.fault_is_write ? riscv::TrapKind::kStoreFault : riscv::TrapKind::kLoadFault,
                .bus_error = context->scope.fault_is_bus_error,
                .address = context->scope.fault_address};
  context->exit_kind = ExitKind::kTrap;
  [[clang::musttail]] return handler_leave(CAISSON_INTERP_ARGUMENTS);
}

CAISSON_HANDLER handler_generic_trap(CAISSON_INTERP_PARAMETERS) {
  Context* context = context_of(hart);
  hart->pc = context->pc_of(ip);
  context->exit_kind = ExitKind::kTrap;
  [[clang::musttail]] return handler_leave(CAISSON_INTERP_ARGUMENTS);
}

CAISSON_HANDLER handler_resolve(CAISSON_INTERP_PARAMETERS) {
  ip = resolve(*context_of(hart), *hart);
  if (ip == nullptr) [[unlikely]]
    [[clang::musttail]] return handler_leave(CAISSON_INTERP_ARGUMENTS);
  CAISSON_ENTER_BLOCK();
}

namespace {

#define CAISSON_FAR_TRANSFER(target)               \
  do {                                             \
    const std::uint32_t caisson_target = (target); \
    hart->pc = caisson_target;                     \
    ip = context_of(hart)->find(caisson_target);   \
    CAISSON_ENTER_BLOCK();                         \
  } while (0)

// The end of a decoded run: execution falls into code that lies elsewhere (another page, or not decoded yet).
CAISSON_HANDLER handler_fall_far(CAISSON_INTERP_PARAMETERS) {
  CAISSON_FAR_TRANSFER(static_cast<std::uint32_t>(ip->imm));
}

// The same inside a block, to a record that exists already: nothing is charged, the block was.
CAISSON_HANDLER handler_link(CAISSON_INTERP_PARAMETERS) {
  ip = reinterpret_cast<const Record*>(reinterpret_cast<const char*>(ip) + ip->imm);
  CAISSON_DISPATCH();
}

template <class Condition, unsigned A, unsigned B>
CAISSON_HANDLER branch_near(CAISSON_INTERP_PARAMETERS) {
  if (Condition::holds(CAISSON_GET(A, b), CAISSON_GET(B, a))) {
    ip = reinterpret_cast<const Record*>(reinterpret_cast<const char*>(ip) + ip->imm);
    CAISSON_ENTER_BLOCK();
  }
  ++ip;
  CAISSON_ENTER_BLOCK();
}

template <class Condition, unsigned A, unsigned B>
CAISSON_HANDLER branch_far(CAISSON_INTERP_PARAMETERS) {
  if (Condition::holds(CAISSON_GET(A, b), CAISSON_GET(B, a))) CAISSON_FAR_TRANSFER(static_cast<std::uint32_t>(ip->imm));
  ++ip;
  CAISSON_ENTER_BLOCK();
}

// Against x0, which no pin holds: the class kClassCount stands for it.
template <class Condition, unsigned A>
CAISSON_HANDLER branch_zero_near(CAISSON_INTERP_PARAMETERS) {
  if (Condition::holds(CAISSON_GET(A, b), 0)) {
    ip = reinterpret_cast<const Record*>(reinterpret_cast<const char*>(ip) + ip->imm);
    CAISSON_ENTER_BLOCK();
  }
  ++ip;
  CAISSON_ENTER_BLOCK();
}

template <class Condition, unsigned A>
CAISSON_HANDLER branch_zero_far(CAISSON_INTERP_PARAMETERS) {
  if (Condition::holds(CAISSON_GET(A, b), 0)) CAISSON_FAR_TRANSFER(static_cast<std::uint32_t>(ip->imm));
  ++ip;
  CAISSON_ENTER_BLOCK();
}

template <class Condition>
struct BranchNear {
  template <std::size_t I>
  static constexpr Handler handler = branch_near<Condition, I / kClassCount, I % kClassCount>;
};
template <class Condition>
struct BranchFar {
  template <std::size_t I>
  static constexpr Handler handler = branch_far<Condition, I / kClassCount, I % kClassCount>;
};
template <class Condition>
struct BranchZeroNear {
  template <std::size_t I>
  static constexpr Handler handler = branch_zero_near<Condition, I>;
};
template <class Condition>
struct BranchZeroFar {
  template <std::size_t I>
  static constexpr Handler handler = branch_zero_far<Condition, I>;
};

struct BranchTables {
  std::array<Handler, kClassCount * kClassCount> near, far;
  std::array<Handler, kClassCount> zero_near, zero_far;
};

template <class Condition>
constexpr BranchTables branch_tables() {
  constexpr auto pairs = std::make_index_sequence<kClassCount * kClassCount>();
  constexpr auto singles = std::make_index_sequence<kClassCount>();
  return {make_table<BranchNear<Condition>>(pairs), make_table<BranchFar<Condition>>(pairs),
          make_table<BranchZeroNear<Condition>>(singles), make_table<BranchZeroFar<Condition>>(singles)};
}

constexpr std::array<BranchTables, 6> kBranches = {
    branch_tables<operations::Beq>(), branch_tables<operations::Bne>(),  branch_tables<operations::Blt>(),
    branch_tables<operations::Bge>(), branch_tables<operations::Bltu>(), branch_tables<operations::Bgeu>(),
};

// jal with a link register, a = rd. The following record is that of the return address.
template <unsigned D>
CAISSON_HANDLER call_near(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, context_of(hart)->pc_of(ip + 1));
  ip = reinterpret_cast<const Record*>(reinterpret_cast<const char*>(ip) + ip->imm);
  CAISSON_ENTER_BLOCK();
}

template <unsigned D>
CAISSON_HANDLER call_far(CAISSON_INTERP_PARAMETERS) {
  CAISSON_SET(D, a, context_of(hart)->pc_of(ip + 1));
  CAISSON_FAR_TRANSFER(static_cast<std::uint32_t>(ip->imm));
}

CAISSON_HANDLER jump_near(CAISSON_INTERP_PARAMETERS) {
  ip = reinterpret_cast<const Record*>(reinterpret_cast<const char*>(ip) + ip->imm);
  CAISSON_ENTER_BLOCK();
}

CAISSON_HANDLER jump_far(CAISSON_INTERP_PARAMETERS) { CAISSON_FAR_TRANSFER(static_cast<std::uint32_t>(ip->imm)); }

#define CAISSON_INDIRECT_TRANSFER(target)                                   \
  do {                                                                      \
    const std::uint64_t caisson_pc = (target) & ~std::uint64_t{1};          \
    hart->pc = caisson_pc;                                                  \
    if (caisson_pc >> 32 != 0) [[unlikely]]                                 \
      [[clang::musttail]] return handler_resolve(CAISSON_INTERP_ARGUMENTS); \
    ip = context_of(hart)->find(static_cast<std::uint32_t>(caisson_pc));    \
    CAISSON_ENTER_BLOCK();                                                  \
  } while (0)

template <unsigned A>
CAISSON_HANDLER jump_register(CAISSON_INTERP_PARAMETERS) {
  CAISSON_INDIRECT_TRANSFER(CAISSON_GET(A, b) + static_cast<std::uint64_t>(static_cast<std::int64_t>(ip->imm)));
}

// jalr with a link register.
template <unsigned D, unsigned A>
CAISSON_HANDLER call_register(CAISSON_INTERP_PARAMETERS) {
  const std::uint64_t target = CAISSON_GET(A, b) + static_cast<std::uint64_t>(static_cast<std::int64_t>(ip->imm));
  CAISSON_SET(D, a, context_of(hart)->pc_of(ip + 1));
  CAISSON_INDIRECT_TRANSFER(target);
}

template <class Unused>
struct CallNear {
  template <std::size_t I>
  static constexpr Handler handler = call_near<I>;
};
template <class Unused>
struct CallFar {
  template <std::size_t I>
  static constexpr Handler handler = call_far<I>;
};
template <class Unused>
struct JumpRegister {
  template <std::size_t I>
  static constexpr Handler handler = jump_register<I>;
};
template <class Unused>
struct CallRegister {
  template <std::size_t I>
  static constexpr Handler handler = call_register<I / kClassCount, I % kClassCount>;
};

constexpr auto kCallNear = make_table<CallNear<void>>(std::make_index_sequence<kClassCount>());
constexpr auto kCallFar = make_table<CallFar<void>>(std::make_index_sequence<kClassCount>());
constexpr auto kJumpRegister = make_table<JumpRegister<void>>(std::make_index_sequence<kClassCount>());
constexpr auto kCallRegister = make_table<CallRegister<void>>(std::make_index_sequence<kClassCount * kClassCount>());

// Ends the run with the trap kind in the record (ecall, ebreak, illegal).
CAISSON_HANDLER handler_trap(CAISSON_INTERP_PARAMETERS) {
  Context* context = context_of(hart);
  hart->pc = context->pc_of(ip);
  hart->trap = {.kind = static_cast<riscv::TrapKind>(ip->imm)};
  context->exit_kind = ExitKind::kTrap;
  [[clang::musttail]] return handler_leave(CAISSON_INTERP_ARGUMENTS);
}

// An instruction of four bytes whose second half lies on a page that cannot be fetched.
CAISSON_HANDLER handler_fetch_fault(CAISSON_INTERP_PARAMETERS) {
  Context* context = context_of(hart);
  hart->pc = context->pc_of(ip);
  hart->trap = {.kind = riscv::TrapKind::kFetchFault, .address = hart->pc + 2};
  context->exit_kind = ExitKind::kTrap;
  [[clang::musttail]] return handler_leave(CAISSON_INTERP_ARGUMENTS);
}

CAISSON_HANDLER handler_fence(CAISSON_INTERP_PARAMETERS) { CAISSON_NEXT(); }

// x86 orders everything but a store before a later load.
CAISSON_HANDLER handler_full_fence(CAISSON_INTERP_PARAMETERS) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  CAISSON_NEXT();
}

// fence.i ends its block. Code changes other than into mixed pages drop their records at once, and mixed pages compare.
CAISSON_HANDLER handler_fence_i(CAISSON_INTERP_PARAMETERS) {
  ++ip;
  CAISSON_ENTER_BLOCK();
}

}  // namespace

Handler select_branch(riscv::Op op, unsigned rs1_class, unsigned rs2_class, bool rs2_is_zero, bool near) {
  const BranchTables& tables = kBranches[static_cast<unsigned>(op) - static_cast<unsigned>(riscv::Op::kBeq)];
  if (rs2_is_zero) return near ? tables.zero_near[rs1_class] : tables.zero_far[rs1_class];
  const unsigned index = rs1_class * kClassCount + rs2_class;
  return near ? tables.near[index] : tables.far[index];
}

Handler select_jump(bool links, unsigned rd_class, bool near) {
  if (!links) return near ? jump_near : jump_far;
  return near ? kCallNear[rd_class] : kCallFar[rd_class];
}

Handler select_jump_register(bool links, unsigned rd_class, unsigned rs1_class) {
  return links ? kCallRegister[rd_class * kClassCount + rs1_class] : kJumpRegister[rs1_class];
}

Handler select_control(ControlRecord kind) {
  switch (kind) {
    case ControlRecord::kResolve:
      return handler_resolve;
    case ControlRecord::kFallFar:
      return handler_fall_far;
    case ControlRecord::kLink:
      return handler_link;
    case ControlRecord::kTrap:
      return handler_trap;
    case ControlRecord::kFetchFault:
      return handler_fetch_fault;
    case ControlRecord::kFence:
      return handler_fence;
    case ControlRecord::kFullFence:
      return handler_full_fence;
    case ControlRecord::kFenceI:
      return handler_fence_i;
  }
  return nullptr;
}

const void* fault_landing() { return reinterpret_cast<const void*>(handler_fault); }

}  // namespace caisson::interp
