#include "optimized/loaded_unit.h"

#include <algorithm>
#include <cstring>

#include "memory/address_space.h"

namespace caisson::optimized {
namespace {

std::unexpected<Error> damaged(const char* what) {
  return fail(ErrorCode::kInvalidImage, std::string("compiled code has ") + what);
}

// Where in memory of whole pages code begins. Were it always the first byte, all units would compete for the same lines of the instruction
// cache and of the branch predictor. Guest code was laid out not to, so a unit begins where its guest code does in a page, as far as there is room.
// The kernels of `caisson bench compute`, of at most fifteen units, are no faster by it.
std::size_t place_in(std::size_t room, std::uint32_t guest_pc) {
  constexpr std::size_t kLine = 64, kPage = 4096;
  return std::min(guest_pc % kPage, room) / kLine * kLine;
}

}  // namespace

Result<std::shared_ptr<const LoadedUnit>> LoadedUnit::load(const CodeBlob& blob) {
  if (blob.code.empty()) return damaged("no code");
  if (blob.entries.size() != 1) return damaged("not one entry");
  const CodeBlob::Entry& entry = blob.entries.front();
  if (entry.offset >= blob.code.size()) return damaged("an entry outside its code");
  if (entry.guest_pc >= memory::kWindowSize || entry.guest_pc % 2 != 0) return damaged("an entry at no guest address");
  if (!blob.relocations.empty()) return damaged("relocations, of which units have none");
  std::optional<UnitTables> tables = decode_tables(blob.pc_map, blob.code.size());
  if (!tables) return damaged("tables that are not whole");
  const Result<memory::ExecutableMemory*> executable = memory::ExecutableMemory::process();
  if (!executable) return std::unexpected(executable.error());
  const std::optional<memory::CodeBlock> block = (*executable)->allocate_code(blob.code.size());
  if (!block) return fail(ErrorCode::kOutOfMemory, "no memory is left for compiled code");
  std::shared_ptr<LoadedUnit> unit(new LoadedUnit(**executable, *block));
  const std::size_t place = place_in(block->size - blob.code.size(), static_cast<std::uint32_t>(entry.guest_pc));
  std::memcpy(block->write + place, blob.code.data(), blob.code.size());
  unit->begin_ = block->execute + place;
  unit->size_ = blob.code.size();
  unit->guest_pc_ = static_cast<std::uint32_t>(entry.guest_pc);
  unit->entry_ = entry.offset;
  unit->tables_ = *std::move(tables);
  unit->table_bytes_ = unit->tables_.sites.size() * sizeof(Site);
  for (const Site& site : unit->tables_.sites) unit->table_bytes_ += site.registers.size() * sizeof(Location);
  return unit;
}

LoadedUnit::~LoadedUnit() {
  if (auto* const observer = unit_end_observer.load(std::memory_order_relaxed); observer != nullptr && is_listed_)
    observer(begin_);
  memory_.free_code(code_);
}

const Site* LoadedUnit::site_at(const void* host) const {
  const auto offset = static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(host) - begin_);
  const auto site = std::ranges::lower_bound(tables_.sites, offset, {}, &Site::host);
  return site != tables_.sites.end() && site->host == offset ? &*site : nullptr;
}

}  // namespace caisson::optimized
