// The guest that an input of the tier comparison describes: pages, their permissions, code, data, registers, gas, and where it is
// entered, once or again and again.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "memory/address_space.h"

namespace caisson::fuzz {

inline constexpr std::uint64_t kCodeAddress = 0x100000, kDataAddress = 0x200000;
inline constexpr std::size_t kCodePages = 3, kDataPages = 3;
inline constexpr std::size_t kCodeBytes = kCodePages * memory::kPageSize;
// Of which the second lies behind the end of its file.
inline constexpr std::size_t kFilePages = 2;
inline constexpr std::uint64_t kFileAddress = kDataAddress + kDataPages * memory::kPageSize;

// The first bytes of an input. Every value of every field means something.
struct Header {
  std::uint8_t mode;  // bits: see the accessors
  std::uint8_t pages;  // two bits for each page of code
  std::uint16_t place;  // where the code begins in its pages
  std::uint16_t entry;  // where the guest starts in the code, in half-words, modulo its length
  std::uint8_t gas;
  std::uint8_t portion;  // of gas, in the second run of each tier
  std::uint8_t slice;
  std::uint8_t fcsr;
  std::uint16_t seed;  // of registers and data

  bool chooses_rows() const { return (mode & 1) != 0; }
  bool tiles() const { return (mode & 2) != 0; }  // the code again and again, as far as the pages go
  bool changes_code() const { return (mode & 4) != 0; }  // the host writes an instruction at each of the first traps
  bool has_odd_rounding() const { return (mode & 8) != 0; }  // frm of 4 to 7
  bool points_at_code() const { return (mode & 16) != 0; }  // many registers do
  bool answers_traps() const { return (mode & 32) == 0; }
  bool has_entries() const { return (mode & 64) != 0; }  // a sequence of runs, and generated code
};
static_assert(sizeof(Header) == 12);

// What follows the header where Header::has_entries().
struct SequenceHeader {
  std::uint8_t entry_count;  // modulo kMostEntries, and one
  std::uint8_t code_length;  // of what is generated, in units of 8 bytes; 0: none is
  std::uint8_t code_shape;  // see overlapping_code()
  std::uint8_t rounds;  // the lowest bit: all entries twice, so that each is seen and then compiled
};
static_assert(sizeof(SequenceHeader) == 4);
inline constexpr unsigned kMostEntries = 16;

// One run of a sequence: into code that earlier ones have had compiled in other pieces.
struct EntryChoice {
  std::uint16_t place;  // in half-words, modulo the code's length
  std::uint16_t seed;  // of registers; 0: as the last run left them
  std::uint8_t gas;
  std::uint8_t
      before;  // three bits: a HostChange; the highest: goes on behind the last run's trap instead of at `place`
  std::uint16_t change;
};
static_assert(sizeof(EntryChoice) == 8);

// What the host does to code before a run.
enum class HostChange : std::uint8_t { kNothing, kHalfWord = 4, kWord, kCopy, kPermissions };

struct Entry {
  std::uint64_t pc = 0, gas = 0;
  bool goes_on = false, keeps_registers = false;
  std::array<std::uint64_t, 32> x{}, f{};
  HostChange change = HostChange::kNothing;
  std::uint64_t change_address = 0, change_from = 0;
  std::uint32_t change_bits = 0;
};

struct Guest {
  Header header{};
  std::size_t code_begin = 0, code_end = 0;  // in `code`, what the input gave
  std::array<std::uint8_t, kCodeBytes> code{};
  std::array<memory::Permissions, kCodePages> permissions{};
  std::array<std::uint8_t, kDataPages * memory::kPageSize> data{};
  std::array<std::uint64_t, 32> x{}, f{};
  std::uint64_t entry = 0;
  std::uint64_t gas = 0, portion = 0, slice = 0;
  std::vector<Entry> entries;  // empty: one run, from `entry` on

  bool has_mixed_pages() const {
    return std::ranges::any_of(permissions,
                               [](auto one) { return (one & (memory::kWrite | memory::kExecute)) == 6; }) ||
           std::ranges::any_of(entries, [](const Entry& one) { return one.change == HostChange::kPermissions; });
  }
};

Guest guest_of(std::span<const std::uint8_t> input);

std::string describe(const Guest& guest);

}  // namespace caisson::fuzz
