#include "optimized/window_segment.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <thread>

namespace caisson::optimized {
namespace {

using Window = std::array<std::uint8_t, 64>;

// What an access through GS finds at the window's begin.
std::uint8_t first_byte() {
  std::uint8_t byte = 0;
  asm volatile("movb %%gs:0, %0" : "=q"(byte));
  return byte;
}

template <class Segment>
class WindowSegmentTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Segment::is_supported()) GTEST_SKIP() << "this host has no such way to set GS";
  }
  Window one_{1}, other_{2};
};

using Segments = testing::Types<InstructionSegment, SystemCallSegment>;
TYPED_TEST_SUITE(WindowSegmentTest, Segments);

TYPED_TEST(WindowSegmentTest, ReachesTheWindowThatWasEnteredLast) {
  // A thread of its own begins with what nobody set there.
  std::thread([this] {
    for (int turn = 0; turn < 3; ++turn) {
      {
        const TypeParam segment(this->one_.data());
        EXPECT_EQ(first_byte(), 1);
      }
      {
        const TypeParam segment(this->one_.data());
        EXPECT_EQ(first_byte(), 1);
      }
      const TypeParam segment(this->other_.data());
      EXPECT_EQ(first_byte(), 2);
    }
  }).join();
}

TYPED_TEST(WindowSegmentTest, WhoIsInTheMiddleOfARunGetsItsWindowBack) {
  std::thread([this] {
    const TypeParam outer(this->one_.data());
    {
      const TypeParam inner(this->other_.data());
      EXPECT_EQ(first_byte(), 2);
      {
        const TypeParam same(this->other_.data());
        EXPECT_EQ(first_byte(), 2);
      }
      EXPECT_EQ(first_byte(), 2);
    }
    EXPECT_EQ(first_byte(), 1);
  }).join();
}

TYPED_TEST(WindowSegmentTest, ThreadsHaveTheirOwn) {
  const TypeParam outer(this->one_.data());
  std::thread([this] {
    const TypeParam segment(this->other_.data());
    EXPECT_EQ(first_byte(), 2);
  }).join();
  EXPECT_EQ(first_byte(), 1);
}

}  // namespace
}  // namespace caisson::optimized
