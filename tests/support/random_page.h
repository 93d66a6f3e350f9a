// Pages of guest code that nobody would write.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>

#include "baseline/page_scan.h"
#include "isa/riscv/instructions.h"

namespace caisson::test {

// Code of all kinds, with jumps to near by unless they are not wanted, padding between, and anything at all now and then.
inline std::unique_ptr<baseline::PageBytes> random_page(std::mt19937& random, bool has_jumps = true) {
  const auto below = [&random](std::uint32_t limit) { return static_cast<std::uint32_t>(random()) % limit; };
  auto page = std::make_unique<baseline::PageBytes>();
  page->address = 0x10000;
  page->count = below(4) == 0 ? below(baseline::kHalfWords + 1) : baseline::kHalfWords + below(2);
  const std::uint32_t strange = std::array{0U, 1U, 10U, 100U}[below(4)];  // in a hundred
  for (std::uint32_t at = 0; at <= baseline::kHalfWords;) {
    if (below(200) == 0) {
      for (std::uint32_t end = at + below(below(8) == 0 ? 500 : 40); at < end && at <= baseline::kHalfWords; ++at)
        page->half_words[at] = 0;
      continue;
    }
    auto bits = static_cast<std::uint32_t>(random());
    if (below(100) >= strange) {
      const riscv::InstructionInfo& row = riscv::kInstructions[1 + below(riscv::kOpCount - 1)];
      const riscv::Form base_form = riscv::info(row.base).form;
      if (!has_jumps && (base_form == riscv::Form::kB || base_form == riscv::Form::kJ)) continue;
      bits = (bits & ~row.mask) | row.match;
      // Short distances: branches and jumps whose upper bits are those of a small number.
      if (row.form == riscv::Form::kB || row.form == riscv::Form::kJ) bits &= 0x03FFFFFF;
      if (row.form == riscv::Form::kJ) bits &= ~(std::uint32_t{0xFF} << 12);
      if (below(2) == 0) bits &= ~(std::uint32_t{31} << 7) | row.mask;  // x0
    }
    page->half_words[at++] = static_cast<std::uint16_t>(bits);
    if (riscv::instruction_length(static_cast<std::uint16_t>(bits)) == 4 && at <= baseline::kHalfWords)
      page->half_words[at++] = static_cast<std::uint16_t>(bits >> 16);
  }
  return page;
}

}  // namespace caisson::test
