// Images of programs with a C library: memory as it is once the program is ready for calls.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "caisson/linux.h"
#include "kernel_guests.h"
#include "support/scratch_directory.h"

namespace caisson {
namespace {

using test::KernelWorld;

constexpr char kProgram[] = R"guest(
#include <caisson/capabilities.h>
#include <caisson/guest.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char text[256];
static unsigned long table[1000];
CAISSON_EXPORT unsigned long where(void) { return (unsigned long)text; }
// Uses malloc(), stdio's formatting and errno, which are in thread-local memory.
CAISSON_EXPORT unsigned long format(unsigned long n) {
  char* piece = malloc(20000);
  if (piece == 0) return ~0ul;
  memset(piece, 'x', 19999);
  piece[n] = 0;
  errno = 7;
  int length = snprintf(text, sizeof text, "%lu %.3f %s %d %lu", n, n / 7.0, piece, errno, table[n]);
  free(piece);
  return length;
}
CAISSON_EXPORT unsigned long in_child(unsigned long n) {
  if (caisson_derive_spawn(CAISSON_OWN_IMAGE, 1)) return ~0ul;
  struct caisson_result r = caisson_host_call(1, 1, n, 0, 0, 0, 0, 0);
  caisson_drop(1);
  return r.error ? r.error : r.value;
}
CAISSON_EXPORT unsigned long asks_linux(void) { return fputs("no", fopen("/x", "r")); }
int main(int count, char** words) {
  for (unsigned long i = 0; i < 1000; ++i) table[i] = i * i + count;
  mallopt(M_TOP_PAD, 1 << 20);
  free(malloc(1000));
  if (count > 2 && fopen("/out/file", words[2]) == 0) return 4;
  if (count > 1 && words[1][0] == 'e') return 3;
  if (count > 1 && words[1][0] == 's') for (;;) table[0]++;
  caisson_ready();
  return 0;
}
)guest";

class ProgramImage : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    const auto elf = test::compile_guest({{"program.c", kProgram}}, {"-O2", "-static"});
    ASSERT_TRUE(elf) << elf.error().to_string();
    elf_ = *elf;
  }
  ImageOptions options(std::vector<std::string> words = {"program"}) const {
    LinuxOptions linux{.arguments = std::move(words), .program = "/program", .standard_input = -1};
    linux.directories = {{.host = scratch_.path(), .guest = "/out"}};
    return {.endpoints = {{0, "where"}, {1, "format"}, {2, "in_child"}, {3, "asks_linux"}},
            .personality = make_linux_personality(linux).value()};
  }

  test::ScratchDirectory scratch_;
  std::vector<std::uint8_t> elf_;
};

TEST_F(ProgramImage, CallsFindTheirLibrarySetUp) {
  std::vector<std::uint64_t> gas;
  for (const Tier tier : test::kKernelTiers) {
    KernelWorld world(tier);
    const Result<Hash> hash = world.kernel().build_image(elf_, options());
    ASSERT_TRUE(hash) << hash.error().to_string();
    KernelInstance instance = world.kernel().derive(*hash).value();
    const std::uint64_t where = instance.invoke(0)->return_value;
    for (const std::uint64_t n : {3u, 12u}) {
      const std::string expected = std::to_string(n) + (n == 3 ? " 0.429 xxx 7 10" : " 1.714 xxxxxxxxxxxx 7 145");
      const auto result = instance.invoke(1, std::array<std::uint64_t, 1>{n});
      ASSERT_TRUE(result) << result.error().to_string();
      EXPECT_EQ(result->exit_reason, ExitReason::kHostCall);
      EXPECT_EQ(result->return_value, expected.size());
      std::array<std::uint8_t, 256> text{};
      EXPECT_TRUE(instance.read_memory(where, text));
      EXPECT_STREQ(reinterpret_cast<const char*>(text.data()), expected.c_str());
      EXPECT_EQ(instance.invoke(2, std::array<std::uint64_t, 1>{n})->return_value, expected.size());
    }
    gas.push_back(instance.gas_used());
    // There is no Linux behind it any more.
    const auto asked = instance.invoke(3);
    EXPECT_EQ(asked->exit_reason, ExitReason::kEcall);
    const Hash sealed = instance.seal().value();
    EXPECT_EQ(world.kernel().open(sealed)->seal().value(), sealed);
  }
  EXPECT_EQ(gas, std::vector<std::uint64_t>(gas.size(), gas[0]));
}

TEST_F(ProgramImage, AreTheSameEachTime) {
  const Result<BuiltImage> once = build_image(elf_, options()), again = build_image(elf_, options());
  ASSERT_TRUE(once) << once.error().to_string();
  EXPECT_EQ(hash_of(Capability(once->image)), hash_of(Capability(again->image)));
}

TEST_F(ProgramImage, ProgramsThatAreNotReadyAreAnError) {
  const auto code = [this](ImageOptions with) {
    const Result<BuiltImage> built = build_image(elf_, with);
    return built ? ErrorCode::kInternal : built.error().code;
  };
  EXPECT_EQ(code(options({"program", "ends"})), ErrorCode::kGuestEnded);
  ImageOptions spins = options({"program", "spins"});
  spins.start_gas = 3'000'000;
  EXPECT_EQ(code(spins), ErrorCode::kGuestEnded);
  ImageOptions bare = options();
  bare.personality.reset();
  EXPECT_EQ(code(bare), ErrorCode::kUnsupported);
  // What is not written yet would be lost; what was read is in memory.
  const Result<BuiltImage> writes = build_image(elf_, options({"program", "writes", "w"}));
  ASSERT_FALSE(writes);
  EXPECT_EQ(writes.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(writes.error().to_string().find("/out/file"), std::string::npos) << writes.error().to_string();
  const Result<BuiltImage> reads = build_image(elf_, options({"program", "reads", "r"}));
  EXPECT_TRUE(reads) << reads.error().to_string();
}

}  // namespace
}  // namespace caisson
