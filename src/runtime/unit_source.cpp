#include "runtime/unit_source.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "optimized/riscv_compiler.h"

namespace caisson::runtime {

using memory::kPageSize;

namespace {

// Pages on each side of an entry that its unit may take code from.
constexpr std::uint32_t kReach = 16;

}  // namespace

std::optional<UnitSource> unit_source(const memory::AddressSpace& memory, std::uint32_t pc) {
  constexpr auto kPages = static_cast<std::uint32_t>(memory::kWindowSize / kPageSize);
  const auto suits = [&](std::uint32_t page) {
    return (memory.permissions(page) & memory::kExecute) != 0 && !memory.is_mixed(page);
  };
  const auto page = static_cast<std::uint32_t>(pc / kPageSize);
  if (!suits(page)) return std::nullopt;
  std::uint32_t first = page, end = page + 1;
  while (first > 0 && page - first < kReach && suits(first - 1)) --first;
  while (end < kPages && end - page < kReach && suits(end)) ++end;
  std::vector<std::uint8_t> bytes(std::size_t{end - first} * kPageSize);
  const auto base = first * static_cast<std::uint32_t>(kPageSize);
  bytes.resize(memory.read(base, bytes.data(), bytes.size()));
  return UnitSource{.pc = pc,
                    .first_page = first,
                    .end_page = end,
                    .input = optimized::unit_input(base, std::move(bytes), pc, fmt::format("unit at {:#x}", pc))};
}

}  // namespace caisson::runtime
