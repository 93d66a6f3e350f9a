#include "isa/riscv/csr_semantics.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include <cstdint>

#include "isa/riscv/host_float.h"

namespace caisson::riscv {
namespace {

constexpr std::uint8_t kRd = 5, kRs1 = 6;

// The clock is driven by the gas that the hart has left.
std::uint64_t gas_of(void* context) { return static_cast<const HartState*>(context)->gas; }

class CsrSemantics : public testing::Test {
 protected:
  ~CsrSemantics() override { _mm_setcsr(host_mxcsr_); }

  std::uint64_t access(Op op, Csr csr, std::uint8_t rs1 = 0, std::uint64_t gas_left_in_slice = 0) {
    execute_csr(hart_, {.op = op, .rd = kRd, .rs1 = rs1, .number = static_cast<std::uint16_t>(csr)}, gas_left_in_slice,
                gas_of, &hart_);
    return hart_.x[kRd];
  }

  HartState hart_;

 private:
  std::uint32_t host_mxcsr_ = _mm_getcsr();
};

TEST_F(CsrSemantics, ChangesFlagsAndRoundingMode) {
  hart_.x[kRs1] = 0b011'10001;
  EXPECT_EQ(access(Op::kCsrrw, Csr::kFcsr, kRs1), 0u);
  EXPECT_EQ(hart_.frm, 3u);
  EXPECT_EQ(hart_.fflags, 0b10001u);
  hart_.x[kRs1] = 0b00110;
  EXPECT_EQ(access(Op::kCsrrs, Csr::kFflags, kRs1), 0b10001u);
  EXPECT_EQ(access(Op::kCsrrci, Csr::kFflags, 0b00010), 0b10111u);
  EXPECT_EQ(access(Op::kCsrrs, Csr::kFcsr), 0b011'10101u);
  EXPECT_EQ(access(Op::kCsrrwi, Csr::kFrm, 1), 3u);
  EXPECT_EQ(access(Op::kCsrrc, Csr::kFrm), 1u);
}

TEST_F(CsrSemantics, MovesFlagsAndModeFromAndToMxcsr) {
  _mm_setcsr(kMxcsrAllMasked | 0x20);  // inexact
  EXPECT_EQ(access(Op::kCsrrwi, Csr::kFrm, 3), 0u);
  EXPECT_EQ(hart_.fflags, kInexact);
  EXPECT_EQ(_mm_getcsr(), kMxcsrAllMasked | 2u << 13);
}

TEST_F(CsrSemantics, CountsWhatIsUsedOfASlice) {
  hart_.grant_gas(1000);
  hart_.gas -= 300;  // a slice, of which 100 are used
  EXPECT_EQ(access(Op::kCsrrs, Csr::kCycle, 0, 200), 100u);
  EXPECT_EQ(access(Op::kCsrrs, Csr::kInstret, 0, 200), 100u);
  EXPECT_EQ(access(Op::kCsrrs, Csr::kTime, 0, 200), 900u);
  EXPECT_EQ(hart_.gas, 700u);
}

TEST_F(CsrSemantics, ReadsBeforeItWritesAndDiscardsX0) {
  hart_.x[kRd] = 0b00101;
  EXPECT_EQ(access(Op::kCsrrw, Csr::kFflags, kRd), 0u);
  EXPECT_EQ(hart_.fflags, 0b00101u);
  execute_csr(hart_, {.op = Op::kCsrrwi, .rd = 0, .rs1 = 1, .number = 1}, 0, gas_of, &hart_);
  EXPECT_EQ(hart_.x[0], 0u);
}

}  // namespace
}  // namespace caisson::riscv
