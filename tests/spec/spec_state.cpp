#include "spec/spec_state.h"

#include <fmt/format.h>

namespace caisson::spec {
namespace {

using memory::kPageSize;

// False where a byte lies in no page.
bool write_bytes(MachineState& state, const MemoryBytes& piece) {
  for (std::size_t i = 0; i < piece.bytes.size(); ++i) {
    const std::uint64_t address = piece.address + i;
    const auto page = state.pages.find(address / kPageSize * kPageSize);
    if (page == state.pages.end()) return false;
    page->second.bytes[address % kPageSize] = piece.bytes[i];
  }
  return true;
}

void add_page(MachineState& state, std::uint64_t address, memory::Permissions permissions) {
  if (permissions == memory::kNone) {
    state.pages.erase(address);
  } else {
    state.pages[address].permissions = permissions;
  }
}

Result<void> apply(MachineState& state, const PartialState& change) {
  for (const auto& [number, value] : change.x) state.x[number] = value;
  for (const auto& [number, value] : change.f) state.f[number] = value;
  state.frm = change.frm.value_or(state.frm);
  state.fflags = change.fflags.value_or(state.fflags);
  state.pc = change.pc.value_or(state.pc);
  for (const MemoryBytes& piece : change.memory) {
    if (!write_bytes(state, piece))
      return caisson::fail(ErrorCode::kInvalidArgument, fmt::format("the case maps no memory at {:#x}", piece.address));
  }
  return {};
}

}  // namespace

Result<MachineState> initial_state(const SpecCase& spec_case, const Row& row) {
  MachineState state;
  for (unsigned i = 0; i < 32; ++i) {
    state.x[i] = i == 0 ? 0 : 0xc0de000000000000 | i;
    state.f[i] = 0x4242000000000000 | i;
  }
  state.pc = spec_case.code_address;

  const std::vector<std::uint8_t> code = spec_case.bytes();
  for (std::uint64_t offset = 0; offset < kDataSize; offset += kPageSize)
    add_page(state, kDataAddress + offset, memory::kRead | memory::kWrite);
  const std::uint64_t first_page = spec_case.code_address / kPageSize * kPageSize;
  for (std::uint64_t page = first_page; page < spec_case.code_address + code.size(); page += kPageSize) {
    add_page(state, page, memory::kRead | memory::kExecute);
  }
  for (const Page& page : spec_case.pages) add_page(state, page.address, page.permissions);
  // A page that the case takes away takes its part of the code with it.
  for (std::size_t i = 0; i < code.size(); ++i) write_bytes(state, {spec_case.code_address + i, {code[i]}});
  const Result<void> applied = apply(state, row.set);
  return applied ? Result<MachineState>(std::move(state)) : std::unexpected(applied.error());
}

std::vector<std::string> compare_state(const SpecCase& spec_case, const Row& row, const MachineState& found) {
  Result<MachineState> wanted = initial_state(spec_case, row);
  if (!wanted) return {wanted.error().to_string()};
  wanted->pc = spec_case.end_address();
  if (const Result<void> applied = apply(*wanted, row.want); !applied) return {applied.error().to_string()};

  std::vector<std::string> differences;
  const auto expect = [&](std::string_view what, std::uint64_t is, std::uint64_t want) {
    if (is != want) differences.push_back(fmt::format("{} is {:#x}, want {:#x}", what, is, want));
  };
  expect("pc", found.pc, wanted->pc);
  for (unsigned i = 0; i < 32; ++i) {
    expect(fmt::format("x{}", i), found.x[i], wanted->x[i]);
    expect(fmt::format("f{}", i), found.f[i], wanted->f[i]);
  }
  expect("frm", found.frm, wanted->frm);
  expect("fflags", found.fflags, wanted->fflags);
  for (const auto& [address, page] : wanted->pages) {
    for (std::size_t i = 0; i < kPageSize; ++i) {
      const std::uint8_t is = found.pages.at(address).bytes[i];
      if (is != page.bytes[i]) expect(fmt::format("the byte at {:#x}", address + i), is, page.bytes[i]);
    }
  }
  return differences;
}

}  // namespace caisson::spec
