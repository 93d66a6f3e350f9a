// The tables of optimised units: what a hostile artifact may say and what not.
#include "optimized/unit_format.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "caisson/code_blob.h"
#include "optimized/loaded_unit.h"

namespace caisson::optimized {
namespace {

constexpr std::size_t kCodeSize = 100;

UnitTables sample() {
  const Location gas{.kind = LocationKind::kRegister, .host = 3};
  return {.pages = {16, 17},
          .sites = {{.host = 4,
                     .guest = 0x10004,
                     .kind = SiteKind::kFault,
                     .gas_due = 12,
                     .gas = gas,
                     .registers = {{.guest = 10, .kind = LocationKind::kRegister, .host = 5},
                                   {.guest = 11, .kind = LocationKind::kStackSlot, .host = 6, .offset = -16},
                                   {.guest = 12, .kind = LocationKind::kConstant, .offset = -5},
                                   {.guest = 13, .kind = LocationKind::kLargeConstant, .constant = 1ULL << 40},
                                   {.guest = 42, .form = ValueForm::kComputed, .host = 17}}},
                    {.host = 60, .guest = 0x10010, .kind = SiteKind::kOutOfGas, .gas = gas}}};
}

CodeBlob blob_of(const UnitTables& tables) {
  return {.code = std::vector<std::uint8_t>(kCodeSize, 0xC3),
          .entries = {{.guest_pc = 0x10000, .offset = 0}},
          .pc_map = encode_tables(tables)};
}

TEST(UnitFormat, GivesBackWhatWasWritten) {
  const UnitTables tables = sample();
  const auto decoded = decode_tables(encode_tables(tables), kCodeSize);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, tables);
}

TEST(UnitFormat, RefusesEveryTruncationAndWhatIsTooLong) {
  std::vector<std::uint8_t> bytes = encode_tables(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_tables(std::span(bytes).first(size), kCodeSize)) << size;
  bytes.push_back(0);
  EXPECT_FALSE(decode_tables(bytes, kCodeSize));
}

// Whatever bits are wrong: what is accepted stays within the bounds that who reads it relies on.
TEST(UnitFormat, WhatIsAcceptedIsWithinBounds) {
  const std::vector<std::uint8_t> whole = encode_tables(sample());
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<std::uint8_t> bytes = whole;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    const auto decoded = decode_tables(bytes, kCodeSize);
    if (!decoded) continue;
    std::uint64_t previous = 0;
    for (const Site& site : decoded->sites) {
      EXPECT_GE(site.host, previous);
      EXPECT_LE(site.host, kCodeSize);
      previous = site.host + std::uint64_t{1};
      std::uint64_t seen = 0;
      for (const Location& location : site.registers) {
        EXPECT_GE(location.guest, 1);
        EXPECT_LT(location.guest, 64);
        EXPECT_EQ(seen >> location.guest & 1, 0U);
        seen |= std::uint64_t{1} << location.guest;
        if (location.kind == LocationKind::kStackSlot) EXPECT_TRUE(location.host == 6 || location.host == 7);
        if (location.kind == LocationKind::kRegister) EXPECT_LT(location.host, location.guest < 32 ? 17 : 33);
      }
    }
  }
}

TEST(UnitFormat, RefusesWhatNoCompilerWrites) {
  const auto refuses = [](auto change) {
    UnitTables tables = sample();
    change(tables);
    return !decode_tables(encode_tables(tables), kCodeSize);
  };
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[0].guest = 0; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[0].guest = 64; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[1].guest = 10; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[0].host = 17; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[0].host = 16; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[1].host = 5; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[1].offset = 1 << 20; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].registers[0].form = ValueForm::kSingle; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].gas_due = 1 << 20; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[0].guest = 0x10005; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[1].host = 4; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.sites[1].host = kCodeSize + 1; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.pages = {17, 16}; }));
  EXPECT_TRUE(refuses([](UnitTables& tables) { tables.pages = {1 << 20}; }));
}

TEST(LoadedUnit, LoadsNothingThatIsNotWhole) {
  const auto refuses = [](auto change) {
    CodeBlob blob = blob_of(sample());
    change(blob);
    return !LoadedUnit::load(blob);
  };
  ASSERT_TRUE(LoadedUnit::load(blob_of(sample())));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.code.clear(); }));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.entries.clear(); }));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.entries[0].offset = kCodeSize; }));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.entries[0].guest_pc = std::uint64_t{1} << 32; }));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.entries[0].guest_pc = 0x10001; }));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.relocations.emplace_back(); }));
  EXPECT_TRUE(refuses([](CodeBlob& blob) { blob.pc_map.pop_back(); }));
}

TEST(LoadedUnit, FindsSitesByHostAddress) {
  const auto unit = LoadedUnit::load(blob_of(sample())).value();
  ASSERT_NE(unit->site_at(unit->code() + 4), nullptr);
  EXPECT_EQ(unit->site_at(unit->code() + 4)->guest, 0x10004U);
  EXPECT_EQ(unit->site_at(unit->code() + 5), nullptr);
  EXPECT_FALSE(unit->contains(unit->code() - 1));
}

// Units of different functions do not all begin at the same place of their pages, and code of any size has room.
TEST(LoadedUnit, CodeBeginsWhereGuestCodeDoesInAPage) {
  for (const std::size_t size : {1U, 64U, 4000U, 4096U, 4097U, 9000U}) {
    for (const std::uint32_t pc : {0x10000U, 0x10040U, 0x10802U, 0x10FFEU}) {
      CodeBlob blob = blob_of({});
      blob.code.assign(size, 0xC3);
      blob.entries[0].guest_pc = pc;
      const auto unit = LoadedUnit::load(blob).value();
      const std::size_t place = reinterpret_cast<std::uintptr_t>(unit->code()) % 4096;
      EXPECT_EQ(place % 64, 0U);
      EXPECT_LE(place, pc % 4096);
      if (size == 1) EXPECT_EQ(place, pc % 4096 / 64 * 64);
      EXPECT_LE(place + size, unit->code_bytes());
      EXPECT_EQ(unit->code()[size - 1], 0xC3);
    }
  }
}

const void* ended = nullptr;

// gdb has to forget the code before something else is in its place.
TEST(LoadedUnit, TheEndOfWhatIsListedIsTold) {
  unit_end_observer = [](const void* code) { ended = code; };
  const CodeBlob blob{.code = {0xC3}, .entries = {{.guest_pc = 0x10000, .offset = 0}}, .pc_map = encode_tables({})};
  auto listed = LoadedUnit::load(blob), unlisted = LoadedUnit::load(blob);
  ASSERT_TRUE(listed && unlisted);
  EXPECT_TRUE((*listed)->take_listing());
  EXPECT_FALSE((*listed)->take_listing());
  unlisted->reset();
  EXPECT_EQ(ended, nullptr);
  const void* const code = (*listed)->code();
  listed->reset();
  EXPECT_EQ(ended, code);
  unit_end_observer = nullptr;
}

}  // namespace
}  // namespace caisson::optimized
