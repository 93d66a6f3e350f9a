// docs/kernel-operations.md is rendered from src/kernel/operations.inc and errors.inc; `CAISSON_UPDATE_PAGES=1 operations_page_test` writes it.
// The guest's header must have the same numbers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "kernel/operations.h"

namespace caisson::kernel {
namespace {

constexpr const char* kIntroduction = R"(# The operations of the kernel personality

A guest of the capability kernel makes an operation by `ecall` with a7 = 0x1000 + its number. This page is rendered from
`src/kernel/operations.inc` and `src/kernel/errors.inc`; a test fails where it is out of date, and
`CAISSON_UPDATE_PAGES=1 build/release/bin/operations_page_test` renders it again. `guest/sdk/include/caisson/capabilities.h` has a C function
for each; [kernel.md](kernel.md) follows one through the code.

- a1 is the error code, 0 = done. a0 is the result, 0 where none is named. No other register changes.
- An operation that is rejected has changed nothing but the gas; it never ends the guest.
- Gas: the floor, and what the operation declares times the prices per page and per page of code — pages that the callee or its image
  has mapped, pages that are mapped, minted or sealed, slots that are copied, opened or sealed, frames of a yielded call. Bytes that are copied cost 1 gas per 16. The `ecall` itself costs 40. All is paid before
  any effect, and nothing depends on what is cached or resident. Where gas falls short the run stops at the `ecall`, which is made again when it is resumed.
- A slot is a number 0…255 of the instance's own root CNode, or a path through CNodes: 2…6 numbers in the lowest bytes, the first in the lowest, and
  how many in the top byte. Nothing outside the own tree has a name.
- DERIVE_SPAWN of an *empty* slot takes the own image.
- HOST_CALL takes six argument words in t0…t5 (x5, x6, x7, x28, x29, x30), which are the callee's a0…a5. The callee is moved out of its slot for the
  call: whoever reaches for it meanwhile gets Moved. What is given lies in the callee's slot 255.
- A share of gas (a2) bounds what the callee uses, over all its runs of this call; running out of it is the callee's failure, and uses up all of it. Without a share the callee
  runs on the caller's gas, and running out of it stops the whole invocation, which can be resumed or sealed.
- HOST_YIELD goes to the nearest frame below whose HOST_CALL named the key in a4; what runs between waits with the yielding instance.

)";

std::string render_page() {
  std::string page = kIntroduction;
  page +=
      "## Operations\n\n| number | name | gas | per page | per code page | operands | result | effect |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const OperationRow& row : operation_rows()) {
    page += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", row.number, row.name, row.floor, row.per_page,
                        row.per_code_page, row.operands, row.result, row.effect);
  }
  page +=
      "\nNumbers from 0x1040 on are the host functions that the image imports (`CAISSON_IMPORT` of caisson/guest.h), "
      "in the order of\n"
      "the program; they cost what the embedder says.\n\n"
      "## Error codes\n\n| code | name | meaning |\n| --- | --- | --- |\n";
  for (unsigned code = 0; !name_of(static_cast<KernelError>(code)).empty(); ++code) {
    const auto error = static_cast<KernelError>(code);
    page += fmt::format("| {} | {} | {} |\n", code, name_of(error), meaning_of(error));
  }
  return page;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(OperationsPage, IsUpToDate) {
  const std::string path = CAISSON_SOURCE_DIR "/docs/kernel-operations.md";
  const std::string rendered = render_page();
  if (std::getenv("CAISSON_UPDATE_PAGES") != nullptr) std::ofstream(path) << rendered;
  EXPECT_TRUE(contents_of(path) == rendered) << path << " is out of date: run this with CAISSON_UPDATE_PAGES=1";
}

// BadSlot → BAD_SLOT.
std::string in_capitals(std::string_view name) {
  std::string capitals;
  for (const char character : name) {
    const bool is_upper = character >= 'A' && character <= 'Z';
    if (is_upper && !capitals.empty()) capitals += '_';
    capitals += is_upper ? character : static_cast<char>(character - 'a' + 'A');
  }
  return capitals;
}

TEST(OperationsPage, TheGuestsHeaderHasTheSameNumbers) {
  const std::string header = contents_of(CAISSON_SOURCE_DIR "/guest/sdk/include/caisson/capabilities.h");
  for (unsigned code = 0; !name_of(static_cast<KernelError>(code)).empty(); ++code) {
    const std::string line =
        fmt::format("CAISSON_ERROR_{} = {},", in_capitals(name_of(static_cast<KernelError>(code))), code);
    EXPECT_NE(header.find(line), std::string::npos) << line;
  }
  for (const OperationRow& row : operation_rows()) {
    const bool is_call = row.name == "HOST_CALL";
    const std::string use =
        is_call ? fmt::format("0x1000 + {};", row.number) : fmt::format("caisson_operation({}, ", row.number);
    EXPECT_NE(header.find(use), std::string::npos) << row.name;
  }
}

}  // namespace
}  // namespace caisson::kernel
