// The pages of docs/ that follow from tables. docs/isa.md is rendered from the instruction table and the gas schedule.
// `CAISSON_UPDATE_PAGES=1 isa_page_test` writes it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "gas/gas_schedule.h"
#include "isa/riscv/instructions.h"

namespace caisson {
namespace {

constexpr const char* kIntroduction = R"(# The instruction set

RV64IMAFDC with Zicsr, Zifencei, Zihintpause, Zba, Zbb, Zbs and Zicond. Every encoding is a row of these tables or illegal;
gas is what executing it adds to the cost of its block. This page is rendered from `src/isa/riscv/instructions.inc` and
`src/gas/gas_schedule.h`; a test fails where it is out of date, and `CAISSON_UPDATE_PAGES=1 build/dev/bin/isa_page_test`
renders it again.

A pattern lists the bits from the highest. 0 and 1 are fixed; letters are fields: `d` `a` `b` `c` are rd, rs1, rs2, rs3, `i` is
an immediate, `z` the 5-bit immediate of a CSR access, `m` a rounding mode (5 and 6 are illegal), `q` aq and rl, `p` `s` the
sets of a fence, `-` is ignored. Bits in capital letters must not all be 0. Where two rows fit, the first is meant. CSR
accesses are legal for fflags, frm and fcsr, and for reading cycle, time and instret.

)";

std::string render_page() {
  using riscv::InstructionInfo;
  std::string page = kIntroduction;
  page += "## Base instructions\n\n| instruction | pattern | gas | |\n| --- | --- | --- | --- |\n";
  for (const InstructionInfo& row : riscv::kInstructions) {
    if (row.op == riscv::Op::kIllegal || row.has(riscv::traits::kCompressed)) continue;
    page += fmt::format("| {} | `{}` | {} |{}|\n", row.mnemonic, row.pattern, gas::weight(row.op),
                        row.has(riscv::traits::kTerminator) ? " ends a block " : " ");
  }
  page += "\n## Compressed instructions\n\nEach does and costs what its base instruction does.\n\n";
  page += "| instruction | pattern | stands for |\n| --- | --- | --- |\n";
  for (const InstructionInfo& row : riscv::kInstructions) {
    if (!row.has(riscv::traits::kCompressed)) continue;
    page += fmt::format("| {} | `{}` | {} |\n", row.mnemonic, row.pattern, info(row.base).mnemonic);
  }
  return page;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(IsaPage, IsUpToDate) {
  const std::string path = CAISSON_SOURCE_DIR "/docs/isa.md";
  const std::string rendered = render_page();
  if (std::getenv("CAISSON_UPDATE_PAGES") != nullptr) std::ofstream(path) << rendered;
  EXPECT_TRUE(contents_of(path) == rendered)
      << path << " is out of date: run isa_page_test with CAISSON_UPDATE_PAGES=1";
}

TEST(GasPage, HasTheWeightsOfTheSchedule) {
  std::string table = fmt::format("## The schedule {}\n\n| class | weight |\n| --- | --- |\n", gas::kScheduleName);
  for (const gas::ClassWeight& entry : gas::kGasV1) table += fmt::format("| {} | {} |\n", entry.name, entry.weight);
  EXPECT_NE(contents_of(CAISSON_SOURCE_DIR "/docs/gas.md").find(table + "\n"), std::string::npos) << table;
}

}  // namespace
}  // namespace caisson
