// What a unit knows of where its instructions are, whichever it keeps.
#include "baseline/unit_emitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "baseline/op_facts.h"
#include "baseline/thunks.h"
#include "memory/executable_memory.h"
#include "support/random_page.h"

namespace caisson::baseline {
namespace {

constexpr std::size_t kCodeSize = 1 << 20;
constexpr std::uint32_t kRegionBase = 0x10000, kRegionSize = 0x10000;

class UnitEmitterTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto memory = ExecutableMemory::process();
    ASSERT_TRUE(memory.has_value());
    memory_ = *memory;
    thunks_ = Thunks::of(kFirstMap).value();
    code_ = memory_->allocate_code(kCodeSize).value();
    table_ = memory_->allocate_table(kRegionSize / 2 * sizeof(EntrySlot)).value();
    emitter_ = std::make_unique<UnitEmitter>(
        *thunks_, RegionLayout{.base = kRegionBase, .size = kRegionSize, .table = table_.memory});
  }
  void TearDown() override {
    if (memory_ == nullptr) return;
    memory_->free_code(code_);
    memory_->free_table(std::move(table_));
  }

  struct Unit {
    std::vector<std::uint8_t> code;
    std::vector<InstructionPlace> places;
    std::vector<UnsettledFloats> unsettled;
  };
  Unit emit(const PageScan& scan, const PageBytes& bytes, UnitEmitter::Places kept) {
    std::vector<InstructionPlace> places(scan.instruction_count());
    EXPECT_TRUE(emitter_->emit(scan, bytes, false, code_, places.data(), kept));
    places.resize(emitter_->places().size());
    return {{code_.write, code_.write + emitter_->size()}, places, emitter_->unsettled()};
  }

 private:
  ExecutableMemory* memory_ = nullptr;
  std::shared_ptr<const Thunks> thunks_;
  CodeBlock code_;
  TableBlock table_;
  std::unique_ptr<UnitEmitter> emitter_;
};

// The code is the same. A place of an access lies within what all places say of it, and nothing that can fault is missing.
TEST_F(UnitEmitterTest, PlacesOfAccessesAreAmongThoseOfAll) {
  std::mt19937 random(20261129);
  auto scan = std::make_unique<PageScan>();
  std::size_t fewer = 0, unsettled = 0;
  for (int round = 0; round < 600; ++round) {
    // Jumps, and entries anywhere, lead into the middle of other instructions.
    const bool may_overlap = round % 2 == 0;
    const auto page = test::random_page(random, may_overlap);
    if (page->count == 0) continue;
    const auto anywhere = static_cast<std::uint32_t>(random()) % std::min(page->count, kHalfWords);
    scan->scan(*page, may_overlap ? anywhere : 0, Reach::kPage, nullptr);
    const Unit all = emit(*scan, *page, UnitEmitter::Places::kAll);
    const Unit accesses = emit(*scan, *page, UnitEmitter::Places::kAccesses);
    ASSERT_EQ(accesses.code, all.code) << round;
    ASSERT_EQ(accesses.unsettled.size(), all.unsettled.size()) << round;
    for (std::size_t index = 0; index < all.unsettled.size(); ++index) {
      ASSERT_EQ(accesses.unsettled[index].native, all.unsettled[index].native) << round;
      ASSERT_EQ(accesses.unsettled[index].registers, all.unsettled[index].registers) << round;
      ASSERT_EQ(accesses.unsettled[index].singles, all.unsettled[index].singles) << round;
    }
    unsettled += all.unsettled.size();
    ASSERT_EQ(all.places.size(), scan->instruction_count()) << round;
    if (scan->in_order().size() != scan->instruction_count()) {
      ASSERT_EQ(accesses.places.size(), all.places.size()) << round;
      continue;
    }
    fewer += accesses.places.size() < all.places.size() ? 1 : 0;
    std::size_t at = 0;
    for (std::size_t index = 0; index < all.places.size(); ++index) {
      const InstructionPlace& place = all.places[index];
      const std::uint32_t half_word = place.half_word();
      if (!scan->has(half_word, PageScan::kCutOff) && !has_fact(scan->instruction(half_word).row, kUsesMemory))
        continue;
      ASSERT_LT(at, accesses.places.size()) << round << " " << half_word;
      const InstructionPlace& access = accesses.places[at++];
      ASSERT_EQ(access.half_word(), half_word) << round;
      ASSERT_EQ(access.has(InstructionPlace::kFaultsAsStore), place.has(InstructionPlace::kFaultsAsStore)) << round;
      ASSERT_GE(access.native, place.native) << round << " " << half_word;
      const bool is_last = index + 1 == all.places.size();
      ASSERT_LT(access.native, is_last ? all.code.size() : all.places[index + 1].native) << round << " " << half_word;
    }
    ASSERT_EQ(at, accesses.places.size()) << round;
  }
  EXPECT_GT(fewer, 50u);
  EXPECT_GT(unsettled, 100u);
}

}  // namespace
}  // namespace caisson::baseline
