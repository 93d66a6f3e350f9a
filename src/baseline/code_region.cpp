#include "baseline/code_region.h"

#include <algorithm>

namespace caisson::baseline {
namespace {

constexpr std::size_t kFirstBlock = 16 << 10, kLargestBlock = 512 << 10;
constexpr std::size_t kPlacesInBlock = 4096;  // of some three pages

// Scans are large; one a thread serves all its compilations.
PageScan& scan_of_thread() {
  thread_local const auto scan = std::make_unique<PageScan>();
  return *scan;
}

}  // namespace

// What is compiled of a page. A second compilation wants to know where the first has what; most pages never see one.
struct CodeRegion::Page final : CompiledPage {
  Page(const CodeRegion& code_region, std::uint32_t page_address) : region(code_region), address(page_address) {}

  const void* entry(std::uint32_t half_word) const override { return region.entry(address + half_word * 2); }
  const Middle* middle(std::uint32_t half_word) const override {
    return middles[half_word].native == nullptr ? nullptr : &middles[half_word];
  }

  // Before a compilation beside earlier ones.
  void index() {
    middles.resize(kHalfWords);
    for (; indexed < units.size(); ++indexed) {
      const std::uint8_t* const code = units[indexed];
      for (const InstructionPlace& place : region.units_.at(code).places) {
        if (!place.has(InstructionPlace::kSelfContained)) continue;
        middles[place.half_word()] = {code + place.native, place.cost, place.has(InstructionPlace::kUsesFloats)};
      }
    }
  }

  const CodeRegion& region;
  const std::uint32_t address;
  bool straddles = false;
  std::vector<const std::uint8_t*> units;
  std::size_t indexed = 0;
  std::vector<Middle> middles;
};

CodeRegion::CodeRegion(std::shared_ptr<const Thunks> thunks, ExecutableMemory& memory, TableBlock table,
                       const RegionLayout& layout)
    : thunks_(std::move(thunks)),
      memory_(memory),
      layout_(layout),
      emitter_(*thunks_, layout),
      table_(std::move(table)) {}

Result<std::shared_ptr<CodeRegion>> CodeRegion::create(std::shared_ptr<const Thunks> thunks, std::uint32_t base,
                                                       std::uint32_t size) {
  const Result<ExecutableMemory*> memory = ExecutableMemory::process();
  if (!memory) return std::unexpected(memory.error());
  std::optional<TableBlock> table = (*memory)->allocate_table(std::size_t{size} / 2 * sizeof(EntrySlot));
  if (!table) return fail(ErrorCode::kOutOfMemory, "no memory is left for tables of compiled code");
  const RegionLayout layout{.base = base, .size = size, .table = table->memory};
  return std::shared_ptr<CodeRegion>(new CodeRegion(std::move(thunks), **memory, *std::move(table), layout));
}

CodeRegion::~CodeRegion() {
  if (CodeListing& listing = CodeListing::process(); listing.is_enabled()) {
    for (const auto& [code, unit] : units_) {
      for (const InstructionPlace& place : unit.places) listing.remove(code + place.native);
    }
  }
  for (const CodeBlock& block : blocks_) memory_.free_code(block);
  memory_.free_table(std::move(table_));
}

bool CodeRegion::reserve(std::size_t bytes) {
  if (!blocks_.empty() && blocks_.back().size - used_ >= bytes) return true;
  const std::size_t size =
      std::max(bytes, std::min(kFirstBlock << std::min<std::size_t>(blocks_.size(), 8), kLargestBlock));
  if (code_size_ + size > kCodeLimit) {
    code_size_ = kCodeLimit;  // full
    return false;
  }
  const std::optional<CodeBlock> block = memory_.allocate_code(size);
  if (!block) return false;
  blocks_.push_back(*block);
  used_ = 0;
  code_size_ += block->size;
  return true;
}

InstructionPlace* CodeRegion::reserve_places(std::size_t count) {
  if (free_places_.size() < count) {
    const std::size_t size = std::max(count, kPlacesInBlock);
    place_blocks_.push_back(std::make_unique_for_overwrite<InstructionPlace[]>(size));
    free_places_ = {place_blocks_.back().get(), size};
  }
  return free_places_.data();
}

bool CodeRegion::compile(const PageBytes& bytes, std::uint32_t pc, Reach reach, const CodeSources& sources) {
  const bool mixed = reach == Reach::kMixedBlock;
  const std::scoped_lock lock(mutex_);
  if (!mixed && entry(pc) != nullptr) return true;  // by another thread meanwhile
  auto found = pages_.find(bytes.address / kGuestPage);
  if (found == pages_.end()) {
    found = pages_.emplace(bytes.address / kGuestPage, std::make_unique<Page>(*this, bytes.address)).first;
    memory_.commit(table_, (bytes.address - layout_.base) / 2 * sizeof(EntrySlot));
  }
  const std::unique_ptr<Page>& page = found->second;
  const bool beside_others = !mixed && !page->units.empty();
  if (beside_others) page->index();
  // The first compilation has seen the whole page.
  if (beside_others && reach == Reach::kPage) reach = Reach::kReached;
  PageScan& scan = scan_of_thread();
  scan.scan(bytes, pc % kGuestPage / 2, reach, beside_others ? page.get() : nullptr);

  InstructionPlace* const places = reserve_places(scan.instruction_count());
  // Of a page that is compiled as a whole hardly anything is compiled again.
  const bool is_listed = CodeListing::process().is_enabled();
  const auto kept = reach == Reach::kPage && !is_listed ? UnitEmitter::Places::kAccesses : UnitEmitter::Places::kAll;
  std::size_t estimate = std::size_t{scan.instruction_count()} * 48 + 1024;
  CodeBlock space;
  for (;; estimate *= 2) {
    if (!reserve(estimate)) return false;
    space = {blocks_.back().write + used_, blocks_.back().execute + used_, blocks_.back().size - used_};
    if (emitter_.emit(scan, bytes, mixed, space, places, kept, sources)) break;
    if (space.size > estimate) estimate = space.size;
  }
  constexpr std::size_t kAlignment = 16;
  used_ += (emitter_.size() + kAlignment - 1) & ~(kAlignment - 1);

  Unit& unit = units_[space.execute];
  unit = {.page_address = bytes.address,
          .size = emitter_.size(),
          .entry_pc = pc,
          .is_mixed = mixed,
          .places = emitter_.places(),
          .unsettled = emitter_.unsettled(),
          .departures = emitter_.departures(),
          .host_changes = emitter_.host_changes().to_vector()};
  free_places_ = free_places_.subspan(unit.places.size());
  page->units.push_back(space.execute);
  page->straddles |= scan.straddles();
  ++stats_.units;
  stats_.code_bytes += emitter_.size();
  stats_.guest_bytes += scan.guest_bytes();
  if (is_listed) list(unit, space.execute, sources.names, sources.names_context);
  // Only now can anyone run it.
  const auto distance = static_cast<EntrySlot>(space.execute - memory_.code_begin());
  std::atomic<EntrySlot>* const slots = &slot(bytes.address);
  for (const UnitEntry& made : emitter_.entries())
    slots[made.half_word].store(distance + made.native, std::memory_order_release);
  return true;
}

// A piece for each function that the unit's code runs through, in the order of the code.
void CodeRegion::list(const Unit& unit, const std::uint8_t* code, NameSource names, void* names_context) const {
  std::string name;
  std::uint32_t begin = 0, pc = unit.entry_pc;
  const auto add = [&](std::uint32_t end) {
    if (end > begin) CodeListing::process().add({code + begin, end - begin, name, pc});
  };
  for (const InstructionPlace& place : unit.places) {
    const std::uint32_t at = unit.page_address + place.half_word() * 2;
    std::string here = names == nullptr ? std::string() : names(names_context, at);
    if (here == name && place.native != 0) continue;
    add(place.native);
    begin = place.native;
    pc = at;
    name = std::move(here);
  }
  add(unit.size);
}

std::size_t CodeRegion::drop_pages(std::uint32_t first, std::uint32_t end) {
  const std::scoped_lock lock(mutex_);
  const auto begin = pages_.lower_bound(first), behind = pages_.lower_bound(end);
  const auto dropped = static_cast<std::size_t>(std::distance(begin, behind));
  for (auto page = begin; page != behind; ++page) {
    for (std::uint32_t half_word = 0; half_word < kHalfWords; ++half_word)
      slot(page->second->address + half_word * 2).store(0, std::memory_order_release);
  }
  pages_.erase(begin, behind);
  stats_.pages_dropped += dropped;
  return dropped;
}

bool CodeRegion::straddles(std::uint32_t page) const {
  const std::scoped_lock lock(mutex_);
  const auto found = pages_.find(page);
  return found != pages_.end() && found->second->straddles;
}

const CodeRegion::Unit* CodeRegion::unit_of(const void* host_pc, std::uint32_t* offset) const {
  const auto* const at = static_cast<const std::uint8_t*>(host_pc);
  auto unit = units_.upper_bound(at);
  if (unit == units_.begin()) return nullptr;
  --unit;
  const auto& [code, found] = *unit;
  *offset = static_cast<std::uint32_t>(at - code);
  return *offset < found.size ? &found : nullptr;
}

std::optional<CodeRegion::FoundPlace> CodeRegion::find(const void* host_pc) const {
  const std::scoped_lock lock(mutex_);
  std::uint32_t offset = 0;
  const Unit* const found = unit_of(host_pc, &offset);
  if (found == nullptr) return std::nullopt;
  auto place = std::ranges::upper_bound(found->places, offset, {}, &InstructionPlace::native);
  FoundPlace result{.pc = found->entry_pc, .integers = thunks_->map().integers};
  if (place == found->places.begin()) {
    if (!found->is_mixed) return std::nullopt;
    result.is_entry_check = true;
    return result;
  }
  --place;
  result.pc = found->page_address + place->half_word() * 2;
  result.faults_as_store = place->has(InstructionPlace::kFaultsAsStore);
  for (const HostChange& change : found->host_changes) {
    if (change.native > offset) break;
    result.integers[change.host] = change.guest;
  }
  const auto unsettled = std::ranges::lower_bound(found->unsettled, place->native, {}, &UnsettledFloats::native);
  if (unsettled != found->unsettled.end() && unsettled->native == place->native) result.unsettled = *unsettled;
  return result;
}

std::optional<CodeRegion::FoundDeparture> CodeRegion::find_departure(const void* left_from,
                                                                     std::uint32_t pushes) const {
  const std::scoped_lock lock(mutex_);
  std::uint32_t call = 0;  // the offset of its last byte
  const Unit* const unit = unit_of(static_cast<const std::uint8_t*>(left_from) - 1, &call);
  if (unit == nullptr) return std::nullopt;
  const std::optional<Departure> departure = unit->departures.of(call + 1, pushes);
  if (!departure) return std::nullopt;
  return FoundDeparture{unit->page_address + departure->half_word * std::uint32_t{2}, departure->cost,
                        departure->is_slice_end != 0};
}

CompileStats CodeRegion::stats() const {
  const std::scoped_lock lock(mutex_);
  return stats_;
}

}  // namespace caisson::baseline
