// Spec cases: what instructions do, as plain text (docs/testing.md has the format).
//
// A file holds cases; a case is a piece of code with rows, each row an initial state and what must have become of it. Whatever
// a row does not mention must be as it was, so a case also tests what an instruction leaves alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/result.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"

namespace caisson::spec {

// Where code and data lie unless a case says otherwise.
inline constexpr std::uint64_t kCodeAddress = 0x100000;
inline constexpr std::uint64_t kDataAddress = 0x200000;
inline constexpr std::uint64_t kDataSize = 2 * memory::kPageSize;

// Appended to the code of a case that is not `bare`, so that it ends in a trap that all tiers and the oracle know.
inline constexpr std::uint8_t kEndOfCode[] = {0x73, 0x00, 0x10, 0x00};  // ebreak

struct MemoryBytes {
  std::uint64_t address = 0;
  std::vector<std::uint8_t> bytes;
};

// The part of a machine's state that some line of a case names.
struct PartialState {
  std::map<unsigned, std::uint64_t> x, f;
  std::optional<std::uint32_t> frm, fflags;
  std::optional<std::uint64_t> pc, gas, address;
  std::optional<riscv::TrapKind> trap;
  std::vector<MemoryBytes> memory;

  // Adds what `later` names; where both name something, `later` wins.
  void merge(const PartialState& later);
};

struct Page {
  std::uint64_t address = 0;
  memory::Permissions permissions = memory::kNone;  // kNone: not mapped
};

struct Row {
  int line = 0;
  PartialState set, want;
  bool incomplete = false;  // `-> ?`: the oracle is asked for what to want
};

struct SpecCase {
  std::string name;
  int line = 0;
  std::vector<std::string> assembly;
  std::vector<std::uint8_t> code;  // from `words`
  std::uint64_t code_address = kCodeAddress;
  bool bare = false;  // nothing is appended to `code`
  std::string no_oracle;  // why qemu-riscv64 is not asked about this case; empty where it is
  std::vector<Page> pages;
  std::vector<Row> rows;

  // `code` and, unless bare, the ebreak behind it.
  std::vector<std::uint8_t> bytes() const;
  // Where a row ends unless it wants otherwise: at the appended ebreak.
  std::uint64_t end_address() const { return code_address + code.size(); }
};

// Errors name the line.
Result<std::vector<SpecCase>> parse_spec(std::string_view text);

// Parses a file; errors name it.
Result<std::vector<SpecCase>> load_spec(const std::string& path);

// The names of registers by number, e.g. "a0" and "fa0".
std::string_view integer_register_name(unsigned number);
std::string_view float_register_name(unsigned number);

// The spelling of a trap in `trap=`, e.g. "load-fault".
std::string_view trap_name(riscv::TrapKind kind);

}  // namespace caisson::spec
