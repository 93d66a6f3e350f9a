#include "baseline/baseline.h"

// The header of glibc 2.36 is C.
#define _Bool bool
#include <sys/platform/x86.h>
#undef _Bool
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

#include "baseline/baseline_counter.h"
#include "gas/gas_schedule.h"
#include "isa/riscv/float_format.h"
#include "isa/riscv/float_semantics.h"
#include "isa/riscv/host_float.h"
#include "isa/riscv/register_chooser.h"
#include "memory/fault_recovery.h"

namespace caisson::baseline {

using memory::kPageSize;
using riscv::HartState;
using riscv::TrapKind;

namespace {

constexpr std::size_t kPages = memory::kWindowSize / kPageSize;
constexpr std::size_t kMostRegions = 255;  // the directory has a byte for each page, and 0 is none
// Of the executable pages around the first pc that has no region, each way.
constexpr std::uint32_t kRegionReach = 2048;
// Entry tables of one instance's own regions; past it the oldest regions go. The process has 512 MiB for all
// (ExecutableMemory::kTableCapacity), which a guest with many executable mappings far from each other would otherwise use up, and all
// others would be interpreted. This is room for 64 MiB of executable pages: four regions of the largest reach.
constexpr std::size_t kMostTableBytes = std::size_t{128} << 20;
static_assert(kMostTableBytes >= 2 * kRegionReach * kPageSize / 2 * sizeof(EntrySlot));

constexpr std::uint32_t page_of(std::uint32_t address) { return address / static_cast<std::uint32_t>(kPageSize); }

}  // namespace

struct Baseline::Impl {
  using End = Baseline::End;
  using Cold = Baseline::Cold;

  Impl(memory::AddressSpace& address_space, const BaselineOptions& given, const ExecutableMemory& executable)
      : memory(address_space), options(given), code_origin(executable.code_begin()) {}
  ~Impl() {
    if (directory != nullptr) ::munmap(directory, kPages);
  }

  bool is_executable(std::uint32_t page) const { return (memory.permissions(page) & memory::kExecute) != 0; }

  // --- regions ---

  const void* find_entry(std::uint64_t pc) const {
    if (pc >= memory::kWindowSize) return nullptr;
    const auto address = static_cast<std::uint32_t>(pc);
    const EntrySlot slot = tables[directory[page_of(address)]].slot(address);
    return slot == 0 ? nullptr : code_origin + slot;
  }

  void set_directory(const CodeRegion& region, std::uint8_t index) {
    std::memset(directory + page_of(region.base()), index, region.size() / kPageSize);
  }

  // Code may be running: what goes stays alive until it is left.
  void remove_region(std::size_t index) {
    set_directory(*regions[index], 0);
    tables[index] = {};
    left.push_back(std::move(regions[index]));
    regions[index] = nullptr;
    if (index == shared_index) shared_index = 0;
    note_dropped_code();
  }

  void note_dropped_code() {
    ++context.generation;
    context.known = {};
  }

  // For good: this instance's code is not what the others' is any more.
  void leave_shared_code() {
    remove_region(shared_index);
    shared = nullptr;
    ++counted.left_shared_code;
  }

  void remove_all_regions() {
    for (std::size_t index = 1; index < regions.size(); ++index) {
      if (regions[index] != nullptr) remove_region(index);
    }
  }

  std::size_t add_region(std::shared_ptr<CodeRegion> region) {
    std::size_t index = 1;
    while (index < regions.size() && regions[index] != nullptr) ++index;
    if (index > kMostRegions) {
      remove_all_regions();
      attach_shared();
      index = shared_index == 1 ? 2 : 1;
    }
    if (index == regions.size()) regions.emplace_back();
    tables[index] = region->table();
    set_directory(*region, static_cast<std::uint8_t>(index));
    regions[index] = std::move(region);
    made_at[index] = ++regions_made;
    return index;
  }

  static std::size_t table_bytes(std::size_t guest_bytes) { return guest_bytes / 2 * sizeof(EntrySlot); }
  // Of the regions that are not shared.
  std::size_t table_bytes() const {
    std::size_t bytes = 0;
    for (std::size_t index = 1; index < regions.size(); ++index) {
      if (regions[index] != nullptr && index != shared_index) bytes += table_bytes(regions[index]->size());
    }
    return bytes;
  }

  // Makes room for so many bytes of tables. Compiled code is not running.
  void drop_oldest_regions(std::size_t wanted) {
    for (std::size_t bytes = table_bytes(); bytes + wanted > kMostTableBytes;) {
      std::size_t oldest = 0;
      for (std::size_t index = 1; index < regions.size(); ++index) {
        if (regions[index] == nullptr || index == shared_index) continue;
        if (oldest == 0 || made_at[index] < made_at[oldest]) oldest = index;
      }
      if (oldest == 0) break;
      bytes -= table_bytes(regions[oldest]->size());
      ++counted.regions_dropped;
      forget(*regions[oldest]);
      remove_region(oldest);
    }
    left.clear();
  }

  // A region of the executable pages around `page` that have none.
  bool make_region(std::uint32_t page) {
    const auto belongs = [&](std::uint32_t one) { return is_executable(one) && directory[one] == 0; };
    std::uint32_t first = page, end = page + 1;
    while (first > 0 && page - first < kRegionReach && belongs(first - 1)) --first;
    while (end < kPages && end - page < kRegionReach && belongs(end)) ++end;
    drop_oldest_regions(table_bytes((end - first) * kPageSize));
    auto region = CodeRegion::create(thunks, first * static_cast<std::uint32_t>(kPageSize),
                                     (end - first) * static_cast<std::uint32_t>(kPageSize));
    if (!region) return false;
    add_region(*std::move(region));
    return true;
  }

  void attach_shared() {
    if (shared == nullptr || shared_index != 0) return;
    std::shared_ptr<CodeRegion> region = shared->region(thunks, shared_base, shared_size);
    if (region == nullptr) {
      shared = nullptr;
      return;
    }
    shared_index = add_region(std::move(region));
  }

  // False where there is no memory for the code that `map` needs.
  bool set_map(const RegisterMap& map) {
    try {
      return change_map(map);
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  bool change_map(const RegisterMap& map) {
    Result<std::shared_ptr<const Thunks>> made = Thunks::of(map);
    if (!made) return false;
    remove_all_regions();
    left.clear();  // compiled code is not running
    thunks = *std::move(made);
    context.scope.landing = thunks->fault_landing();
    context.enter = thunks->enter();
    context.software_rounding = map.software_rounding;
    attach_shared();
    return true;
  }

  // --- code ---

  bool read_page(std::uint32_t page, PageBytes& bytes) const {
    bytes.address = page * static_cast<std::uint32_t>(kPageSize);
    auto count = memory.read(bytes.address, bytes.half_words.data(), kPageSize) / 2;
    if (count == kHalfWords && page + 1 < kPages && is_executable(page + 1)) {
      count += memory.read(std::uint64_t{bytes.address} + kPageSize, &bytes.half_words[kHalfWords], 2) / 2;
    }
    bytes.count = static_cast<std::uint32_t>(count);
    return count != 0;
  }

  // False where there is no memory, be it for the code or for what the compiler itself needs.
  bool compile(std::uint32_t pc) {
    CAISSON_PERF_SCOPE(baseline_counter);
    try {
      return compile_page(pc);
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  bool compile_page(std::uint32_t pc) {
    const std::uint32_t page = page_of(pc);
    PageBytes bytes;
    context.known = {};  // a block of a mixed page may get other code
    if (!is_executable(page)) return false;
    read_page(page, bytes);
    // A block may end in an instruction that reaches into the next page.
    const bool mixed = memory.is_mixed(page) || (page + 1 < kPages && memory.is_mixed(page + 1));
    const Reach reach = mixed ? Reach::kMixedBlock : options.whole_pages ? Reach::kPage : Reach::kReached;
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (directory[page] == 0 && !make_region(page)) return false;
      const std::size_t index = directory[page];
      CodeSources sources = options.sources;
      if (index == shared_index) sources.elsewhere = nullptr;  // others have other units, or none
      if (regions[index]->compile(bytes, pc, reach, sources)) return true;
      // Its budget, or the process's, is used up: most of it may be code of pages that are gone.
      const bool was_shared = index == shared_index;
      counted.regions_replaced += 1;
      forget(*regions[index]);
      remove_region(index);
      if (was_shared) attach_shared();
      if (!is_running()) left.clear();
    }
    return false;
  }

  // Whether compiled code of this instance is below on the stack: who called out of it.
  bool is_running() const {
    const memory::GuestScope* scope = memory::current_guest_scope;
    while (scope != nullptr && scope != &context.scope) scope = scope->outer;
    return scope != nullptr;
  }

  // Whether hart.pc can be fetched; if not, the trap is set.
  bool check_fetch(HartState& hart) const {
    const std::uint64_t pc = hart.pc;
    if (pc < memory::kHighestAddress && pc >= memory::kLowestAddress &&
        is_executable(page_of(static_cast<std::uint32_t>(pc))))
      return true;
    hart.trap = pc == riscv::kTrampolineAddress ? riscv::Trap{.kind = TrapKind::kTrampoline}
                                                : riscv::Trap{.kind = TrapKind::kFetchFault, .address = pc};
    return false;
  }

  // Calls each(decoded) for the instructions of the block at `pc`, which can be fetched, and returns its price.
  template <class Each>
  std::uint32_t price_block(std::uint32_t pc, const Each& each) const {
    std::uint32_t cost = 0;
    const std::uint32_t page = page_of(pc);
    while (page_of(pc) == page) {
      std::uint16_t halves[2] = {};
      const std::size_t wanted = page_of(pc + 2) == page || is_executable(page + 1) ? 4 : 2;
      const std::size_t count = memory.read(pc, halves, wanted) / 2;
      const std::uint8_t length = riscv::instruction_length(halves[0]);
      if (count < length / 2U) break;
      const riscv::Decoded decoded = riscv::decode(std::uint32_t{halves[1]} << 16 | halves[0]);
      each(decoded);
      cost += gas::weight(decoded.op);
      pc += length;
      if (riscv::info(decoded.op).has(riscv::traits::kTerminator)) break;
    }
    return cost;
  }

  // What runs at slice ends tells which registers are used. A sample costs about as much as a compilation, so once there is a first
  // choice few slices give one.
  void sample(std::uint32_t pc) {
    try {
      take_sample(pc);
    } catch (const std::bad_alloc&) {
      return;  // the map stays as it is
    }
  }

  void take_sample(std::uint32_t pc) {
    constexpr std::uint32_t kSlicesPerSample = 8;
    if (!chooser.wants_samples() && ++slices % kSlicesPerSample != 0) return;
    block.clear();
    const std::uint32_t cost = price_block(pc, [this](const riscv::Decoded& decoded) { block.push_back(decoded); });
    if (cost == 0) return;
    chooser.sample(block, cost);
    const std::optional<RegisterMap> better = chooser.choose(thunks->map());
    if (!better) return;
    ++counted.remaps;
    if (shared_index != 0) shared->set_preferred_map(*better);
    set_map(*better);
  }

  // --- from compiled code ---

  void collect_floats(HartState& hart) {
    if (hart.tier_words[static_cast<std::size_t>(TierWord::kFloatsLive)] != 0) [[unlikely]]
      baseline::collect_floats(context, hart);
  }
  // The floats are live.
  void settle_floats(HartState& hart) {
    context.left_mxcsr = _mm_getcsr();
    _mm_setcsr(context.host_mxcsr);
    collect_floats(hart);
  }

  bool perform(HartState& hart, std::uint32_t pc, std::uint32_t bits, bool stays_in_block) {
    const riscv::Decoded decoded = riscv::decode(bits);
    if (riscv::info(decoded.op).gas_class != riscv::GasClass::kCsr) {
      if (riscv::execute_float(hart, decoded)) return true;
      hart.pc = pc;
      hart.trap = {.kind = TrapKind::kIllegal};
      context.exit_kind = ExitKind::kTrap;
      settle_floats(hart);
      return false;
    }
    riscv::execute_csr(
        hart,
        {.op = decoded.op, .rd = decoded.rd, .rs1 = decoded.rs1, .number = static_cast<std::uint16_t>(decoded.imm)},
        static_cast<std::uint64_t>(context.slice_gas + context.held_gas), options.time, options.time_context);
    context.guest_mxcsr = riscv::mxcsr_of(hart);
    if (is_software_mode(hart) == thunks->map().software_rounding) return true;
    if (stays_in_block) {
      // Other code is for the blocks behind this one: none can be paid from here.
      context.held_gas += context.slice_gas;
      context.slice_gas = 0;
      return true;
    }
    // The rest of the block needs other code: its price goes back, and it is entered as a block of its own, which costs the same.
    settle_floats(hart);
    hart.pc = std::uint64_t{pc} + decoded.length;
    const auto next = static_cast<std::uint32_t>(hart.pc);
    if (page_of(next) == page_of(pc)) context.slice_gas += price_block(next, [](const riscv::Decoded&) {});
    context.exit_kind = ExitKind::kReenter;
    return false;
  }

  static void settle_nans(HartState& hart, const UnsettledFloats& unsettled) {
    for (std::uint32_t left = unsettled.registers; left != 0; left &= left - 1) {
      const auto reg = static_cast<unsigned>(std::countr_zero(left));
      const bool is_single = (unsettled.singles >> reg & 1) != 0;
      const bool is_nan = is_single ? riscv::is_nan<riscv::Single>(static_cast<std::uint32_t>(hart.f[reg]))
                                    : riscv::is_nan<riscv::Double>(hart.f[reg]);
      if (is_nan) hart.f[reg] = is_single ? riscv::kBox | riscv::kCanonicalSingle : riscv::kCanonicalDouble;
    }
  }

  // The first answer of a region, be it one that was removed while its code ran.
  template <class Find>
  std::invoke_result_t<Find, const CodeRegion&> find_in_regions(const Find& find) const {
    for (const auto& list : {&regions, &left}) {
      for (const std::shared_ptr<CodeRegion>& region : *list) {
        if (region == nullptr) continue;
        if (auto found = find(*region)) return found;
      }
    }
    std::fputs("caisson: compiled code left from where it has no guest instruction\n", stderr);
    std::abort();
  }

  void explain_fault(HartState& hart) {
    const auto place =
        find_in_regions([this](const CodeRegion& region) { return region.find(context.scope.fault_host_pc); });
    hart.pc = place->pc;
    for (std::size_t i = 0; i < place->integers.size(); ++i) {
      if (place->integers[i] != 0) hart.x[place->integers[i]] = context.fault_integers[i];
    }
    settle_nans(hart, place->unsettled);
    const bool is_store = context.scope.fault_is_write || place->faults_as_store;
    hart.trap = {.kind = place->is_entry_check ? TrapKind::kFetchFault
                         : is_store            ? TrapKind::kStoreFault
                                               : TrapKind::kLoadFault,
                 .bus_error = context.scope.fault_is_bus_error,
                 .address = context.scope.fault_address};
  }

  // --- the run ---

  // What a call that returns takes is here; all else is for the functions below.
  [[gnu::always_inline]] End run(HartState& hart, Cold cold) {
    for (;;) {
      const void* entry = hart.frm == 0 ? context.known_entry(hart.pc) : nullptr;
      if (entry == nullptr) [[unlikely]] {
        const Found found = make_entry(hart, cold);
        if (found.entry == nullptr) return found.end;
        entry = found.entry;
      }
      memory::enter_guest(context.scope);
      const Left how = enter_compiled(hart, context, entry, context.slice_gas);
      memory::leave_guest(context.scope);
      if (how.returned) [[likely]] {
        context.slice_gas = how.gas;
        hart.trap.kind = TrapKind::kTrampoline;
        return End::kTrap;
      }
      if (const std::optional<End> end = settle(hart, how.gas)) return *end;
    }
  }

  // What follows when compiled code left otherwise than by a plain return, as handle_exit().
  [[gnu::noinline]] std::optional<End> settle(HartState& hart, std::int64_t gas) {
    collect_floats(hart);
    const std::int64_t held = std::exchange(context.held_gas, 0);
    context.slice_gas = gas + held;
    return handle_exit(hart, held != 0);
  }

  End end_run(HartState& hart, std::uint64_t* slice, End end) {
    *slice = static_cast<std::uint64_t>(context.slice_gas) + std::exchange(context.slice_rest, 0);
    hart.gas += static_cast<std::uint64_t>(context.slice_gas);
    if (thrown != nullptr) [[unlikely]]
      std::rethrow_exception(std::exchange(thrown, nullptr));
    return end;
  }

  // The code of hart.pc that suits the hart, made where there is none; or how the run ends.
  struct Found {
    const void* entry;
    End end;
  };
  [[gnu::noinline]] Found make_entry(HartState& hart, Cold cold) {
    for (;;) {
      left.clear();
      if (is_software_mode(hart) != thunks->map().software_rounding) {
        RegisterMap map = thunks->map();
        map.software_rounding = is_software_mode(hart);
        if (!set_map(map)) return {nullptr, End::kNoMemory};
      }
      if (options.sources.elsewhere != nullptr && hart.pc < memory::kWindowSize &&
          options.sources.is_elsewhere(static_cast<std::uint32_t>(hart.pc)))
        return {nullptr, End::kElsewhere};
      if (const void* const entry = find_entry(hart.pc); entry != nullptr) {
        if (hart.frm == 0) context.known_at(hart.pc) = {hart.pc, entry};
        return {entry, End::kTrap};
      }
      if (!check_fetch(hart)) return {nullptr, End::kTrap};
      if (cold == Cold::kReturn) return {nullptr, End::kCold};
      if (!compile(static_cast<std::uint32_t>(hart.pc))) return {nullptr, End::kNoMemory};
    }
  }

  // What follows an exit of compiled code: how the run ends, or nothing where it goes on at hart.pc. `gas_was_held`: context.held_gas
  // was not 0.
  std::optional<End> handle_exit(HartState& hart, bool gas_was_held) {
    switch (context.exit_kind) {
      case ExitKind::kDeparture: {
        const auto unpaid = *find_in_regions(
            [this](const CodeRegion& region) { return region.find_departure(context.left_from, context.pushes); });
        hart.pc = unpaid.pc;
        context.slice_gas += unpaid.cost;
        if (gas_was_held || !unpaid.is_slice_end) return std::nullopt;
        if (context.slice_rest != 0) [[unlikely]] {
          if (hart.interrupt.load(std::memory_order_relaxed) != 0) {
            hart.trap.kind = TrapKind::kInterrupted;
            return End::kTrap;
          }
          hart.gas += static_cast<std::uint64_t>(context.slice_gas);
          grant_slice(context, hart, context.slice_rest + static_cast<std::uint64_t>(context.slice_gas));
          return std::nullopt;
        }
        if (hart.gas + static_cast<std::uint64_t>(context.slice_gas) < unpaid.cost) {
          hart.trap.kind = TrapKind::kOutOfGas;
          return End::kTrap;
        }
        sample(unpaid.pc);
        return End::kSliceEnd;
      }
      case ExitKind::kMissing:
      case ExitKind::kReenter:
        return std::nullopt;
      case ExitKind::kStale:
        ++counted.stale_blocks;
        if (!compile(static_cast<std::uint32_t>(hart.pc))) return End::kNoMemory;
        return std::nullopt;
      case ExitKind::kFault:
        explain_fault(hart);
        return End::kTrap;
      case ExitKind::kEcall:
        hart.trap.kind = TrapKind::kEcall;
        return End::kTrap;
      case ExitKind::kEbreak:
        hart.trap.kind = TrapKind::kEbreak;
        return End::kTrap;
      case ExitKind::kIllegal:
        hart.trap.kind = TrapKind::kIllegal;
        return End::kTrap;
      case ExitKind::kFetchFault:
        hart.trap = {.kind = TrapKind::kFetchFault, .address = hart.pc + 2};
        return End::kTrap;
      case ExitKind::kMisalignedAtomic:
        hart.trap.kind = TrapKind::kMisalignedAtomic;
        return End::kTrap;
      case ExitKind::kTrampoline:
        hart.trap.kind = TrapKind::kTrampoline;
        return End::kTrap;
      case ExitKind::kTrap:
        return End::kTrap;
    }
    return End::kTrap;
  }

  // Adds what a region that goes has compiled.
  void forget(const CodeRegion& region) { add_stats(counted.compiled, region.stats()); }
  static void add_stats(CompileStats& sum, const CompileStats& one) {
    sum.units += one.units;
    sum.guest_bytes += one.guest_bytes;
    sum.code_bytes += one.code_bytes;
    sum.pages_dropped += one.pages_dropped;
  }

  memory::AddressSpace& memory;
  const BaselineOptions options;
  const std::uint8_t* const code_origin;
  Context context;
  std::shared_ptr<const Thunks> thunks;
  std::uint8_t* directory = nullptr;  // kPages bytes, lazily committed
  std::vector<std::shared_ptr<CodeRegion>> regions{nullptr};
  std::array<RegionTable, kMostRegions + 1> tables{};
  std::array<std::uint64_t, kMostRegions + 1> made_at{};  // of each region: it was the how manieth
  std::uint64_t regions_made = 0;
  std::vector<std::shared_ptr<CodeRegion>> left;  // removed while their code may be running
  std::exception_ptr thrown;

  SharedCode* shared = nullptr;
  std::uint32_t shared_base = 0, shared_size = 0;
  std::size_t shared_index = 0;  // of its region, 0 where it is not attached

  riscv::RegisterChooser<RegisterMap> chooser;
  std::uint32_t slices = 0;  // that ended, since samples became rare
  std::vector<riscv::Decoded> block;  // the priced one, kept for its capacity
  BaselineStats counted;
};

namespace {

EcallAnswer leave_for_ecall(Context* context, HartState* hart) {
  if (hart->tier_words[static_cast<std::size_t>(TierWord::kFloatsLive)] != 0) collect_floats(*context, *hart);
  context->exit_kind = ExitKind::kEcall;
  return EcallAnswer::kLeave;
}

}  // namespace

// The floats were live; they are spilled and the host has its MXCSR again.
void collect_floats(Context& context, HartState& hart) {
  hart.tier_words[static_cast<std::size_t>(TierWord::kFloatsLive)] = 0;
  context.floats_changed = true;
  riscv::collect_flags(hart, context.left_mxcsr);
}

void keep_exception(Context& context) {
  static_cast<Baseline::Impl*>(context.owner)->thrown = std::current_exception();
}

EcallAnswer end_ecall(Context& context, HartState& hart, std::uint64_t next, bool stays) {
  context.held_gas = 0;
  context.slice_gas = 0;
  context.slice_rest = 0;
  if (next == 0) {
    context.exit_kind = ExitKind::kTrap;
    hart.trap = {.kind = TrapKind::kEcallAnswered};
    return EcallAnswer::kLeave;
  }
  grant_slice(context, hart, next);
  if (stays) return EcallAnswer::kGoOnWithOtherGas;
  context.exit_kind = ExitKind::kReenter;
  return EcallAnswer::kLeave;
}

bool Baseline::is_supported(const char** missing) {
  struct Feature {
    bool active;
    const char* name;
  };
  const Feature kNeeded[] = {{CPU_FEATURE_ACTIVE(AVX) != 0, "AVX"},   {CPU_FEATURE_ACTIVE(AVX2) != 0, "AVX2"},
                             {CPU_FEATURE_ACTIVE(FMA) != 0, "FMA"},   {CPU_FEATURE_ACTIVE(BMI1) != 0, "BMI1"},
                             {CPU_FEATURE_ACTIVE(BMI2) != 0, "BMI2"}, {CPU_FEATURE_ACTIVE(LZCNT) != 0, "LZCNT"}};
  for (const Feature& feature : kNeeded) {
    if (feature.active) continue;
    if (missing != nullptr) *missing = feature.name;
    return false;
  }
  return true;
}

Result<std::unique_ptr<Baseline>> Baseline::create(memory::AddressSpace& memory, const BaselineOptions& options) {
  const char* missing = nullptr;
  if (!is_supported(&missing)) {
    return fail(ErrorCode::kUnsupported, std::string("compiled code needs a processor with ") + missing +
                                             " (x86-64-v3); use the interpreter (--tier=interp)");
  }
  if (auto installed = memory::install_fault_recovery(); !installed) return std::unexpected(installed.error());
  const Result<ExecutableMemory*> executable = ExecutableMemory::process();
  if (!executable) return std::unexpected(executable.error());
  memory::register_tier((*executable)->code_begin(), (*executable)->code_end(), nullptr);

  auto impl = std::make_unique<Impl>(memory, options, **executable);
  void* const directory =
      ::mmap(nullptr, kPages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (directory == MAP_FAILED) return fail(ErrorCode::kOutOfMemory, "cannot reserve memory for compiled code");
  impl->directory = static_cast<std::uint8_t*>(directory);
  if (!impl->set_map(kFirstMap)) return fail(ErrorCode::kOutOfMemory, "no memory is left for compiled code");
  Context& context = impl->context;
  context.scope.window_base = memory.base();
  context.directory = impl->directory;
  context.regions = impl->tables.data();
  context.owner = impl.get();
  context.ecall = options.ecall == nullptr ? &leave_for_ecall : options.ecall;
  context.ecall_context = options.ecall_context;
  context.perform = [](Context* at, HartState* hart, std::uint32_t pc, std::uint32_t bits, std::uint32_t stays) {
    return static_cast<Impl*>(at->owner)->perform(*hart, pc, bits, stays != 0);
  };
  return std::unique_ptr<Baseline>(new Baseline(std::move(impl)));
}

Baseline::Baseline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), context_(impl_->context) {
  impl_->memory.add_code_observer(this);
}
Baseline::~Baseline() { impl_->memory.remove_code_observer(this); }

Baseline::End Baseline::run(HartState& hart, std::uint64_t* slice, Cold cold) {
  Impl& impl = *impl_;
  hart.trap = {};
  if (hart.interrupt.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    hart.trap.kind = TrapKind::kInterrupted;
    return End::kTrap;
  }
  grant_slice(context_, hart, *slice);
  hart.tier_context = &context_;
  return impl.end_run(hart, slice, impl.run(hart, cold));
}

Baseline::End Baseline::end_call(HartState& hart, std::int64_t gas, std::uint64_t* slice, Cold cold) {
  // As run() would have cleared it before.
  if (context_.exit_kind != ExitKind::kTrap) {
    const std::uint64_t address = context_.exit_kind == ExitKind::kMisalignedAtomic ? hart.trap.address : 0;
    hart.trap = {.address = address};
  }
  const std::optional<End> end = impl_->settle(hart, gas);
  return impl_->end_run(hart, slice, end ? *end : impl_->run(hart, cold));
}

bool Baseline::compile(std::uint32_t pc) { return impl_->compile(pc); }
void Baseline::forget_page_of(std::uint32_t pc) {
  const std::uint32_t page = page_of(pc);
  const std::size_t index = impl_->directory[page];
  if (index == 0) return;
  if (index == impl_->shared_index) {
    impl_->leave_shared_code();
  } else {
    impl_->regions[index]->drop_pages(page, page + 1);
    impl_->note_dropped_code();
  }
}

bool Baseline::has_code(std::uint64_t pc) const { return impl_->find_entry(pc) != nullptr; }

void Baseline::adopt(SharedCode& shared, std::uint32_t base, std::uint32_t size) {
  if (size == 0 || size > CodeRegion::kLargestSize) return;
  impl_->shared = &shared;
  impl_->shared_base = base;
  impl_->shared_size = size;
  RegisterMap map = shared.preferred_map();
  map.software_rounding = impl_->thunks->map().software_rounding;
  if (map == impl_->thunks->map() || !impl_->set_map(map)) impl_->attach_shared();
}

void Baseline::code_changed(std::uint32_t first_page, std::uint32_t page_count) {
  const std::uint32_t end = first_page + page_count;
  for (std::size_t index = 1; index < impl_->regions.size(); ++index) {
    CodeRegion* const region = impl_->regions[index].get();
    if (region == nullptr) continue;
    const std::uint32_t region_first = page_of(region->base());
    const std::uint32_t region_end = region_first + page_of(region->size());
    const bool touches = region_first < end && first_page < region_end;
    if (index == impl_->shared_index) {
      // Its last page may depend on the one behind it, whatever that is.
      if (!touches && first_page != region_end) continue;
      impl_->leave_shared_code();
      continue;
    }
    if (touches && region->drop_pages(std::max(first_page, region_first), std::min(end, region_end)) != 0)
      impl_->note_dropped_code();
    // The last instruction of the page before may reach into the first one.
    if (first_page > region_first && first_page <= region_end && region->straddles(first_page - 1) &&
        region->drop_pages(first_page - 1, first_page) != 0)
      impl_->note_dropped_code();
  }
}

void Baseline::release_code() {
  for (std::size_t index = 1; index < impl_->regions.size(); ++index) {
    if (impl_->regions[index] == nullptr || index == impl_->shared_index) continue;
    impl_->forget(*impl_->regions[index]);
    impl_->remove_region(index);
  }
  if (!impl_->is_running()) impl_->left.clear();
}

BaselineStats Baseline::stats() const {
  BaselineStats stats = impl_->counted;
  stats.table_bytes = impl_->table_bytes();
  for (const std::shared_ptr<CodeRegion>& region : impl_->regions) {
    if (region != nullptr) Impl::add_stats(stats.compiled, region->stats());
  }
  return stats;
}

}  // namespace caisson::baseline
