// Fault recovery with a tiny tier of its own: what is recovered, how it is described, and what must still crash.
#include "memory/fault_recovery.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "memory/address_space.h"
#include "memory/window_pool.h"
#include "support/sanitizers.h"

// A tier of three instructions, one load and two stores, each entered by a function of its own. It returns 0 where the access
// worked. The landing stores some of the registers that the tier had set, and returns 1.
//   rdi = GuestScope*, rsi = host address, rdx = std::uint64_t[4] for what the landing sees
__asm__(R"(
        .intel_syntax noprefix
        .macro  test_tier_entry name, instruction:vararg
        .globl  \name
\name:
        push    rbx
        push    r12
        push    r15
        mov     [rdi + 8], rsp
        mov     rbx, 0x1111
        mov     r12, 0x2222
        mov     r15, rdx
        mov     r11, 0x3333
        mov     rax, 0x4444
        sub     rsp, 4096
        jmp     test_tier_\name
        .pushsection .text.test_tier, "ax", @progbits
test_tier_\name:
        \instruction
        add     rsp, 4096
        pop     r15
        pop     r12
        pop     rbx
        xor     eax, eax
        ret
        .popsection
        .endm

        .pushsection .text.test_tier, "ax", @progbits
        .globl  test_tier_begin
test_tier_begin:
        .popsection

        .text
        test_tier_entry tier_load, mov r10, [rsi]
        test_tier_entry tier_store, mov qword ptr [rsi], 0x55
        test_tier_entry tier_vector_load, movups xmm0, [rsi]

        .globl  test_tier_landing
test_tier_landing:
        mov     [r15], rbx
        mov     [r15 + 8], r12
        mov     [r15 + 16], r11
        mov     [r15 + 24], rax
        pop     r15
        pop     r12
        pop     rbx
        mov     eax, 1
        ret

        .pushsection .text.test_tier, "ax", @progbits
        .globl  test_tier_end
test_tier_end:
        .popsection
        .att_syntax
)");

using TierEntry = int (*)(caisson::memory::GuestScope* scope, void* address, std::uint64_t* seen);
extern "C" {
int tier_load(caisson::memory::GuestScope* scope, void* address, std::uint64_t* seen);
int tier_store(caisson::memory::GuestScope* scope, void* address, std::uint64_t* seen);
int tier_vector_load(caisson::memory::GuestScope* scope, void* address, std::uint64_t* seen);
extern const char test_tier_begin[], test_tier_end[], test_tier_landing[];
}

namespace caisson::memory {
namespace {

static_assert(offsetof(GuestScope, host_stack) == 8, "the test tier stores rsp there");

struct Access {
  int faulted = 0;
  GuestScope scope;
  std::array<std::uint64_t, 4> seen{};
};

class FaultRecovery : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(install_fault_recovery());
    register_tier(test_tier_begin, test_tier_end, test_tier_landing);
    const Result<Window> window = pool_.acquire();
    ASSERT_TRUE(window) << window.error().to_string();
    window_ = *window;
  }
  void TearDown() override { pool_.release(window_, 0, kWindowSize); }

  void allow(std::uint64_t address, std::uint64_t length, int protection) {
    ASSERT_EQ(mprotect(window_.base + address, length, protection), 0);
  }

  Access run(TierEntry entry, std::uint64_t address) {
    Access access;
    access.scope.window_base = window_.base;
    enter_guest(access.scope);
    // As an integer, since some tests leave the window.
    const std::uintptr_t host_address = reinterpret_cast<std::uintptr_t>(window_.base) + address;
    access.faulted = entry(&access.scope, reinterpret_cast<void*>(host_address), access.seen.data());
    leave_guest(access.scope);
    return access;
  }

  WindowPool pool_;
  Window window_;
};

TEST_F(FaultRecovery, AnAllowedAccessIsNotDisturbed) {
  allow(0x10000, kPageSize, PROT_READ | PROT_WRITE);
  EXPECT_EQ(run(tier_store, 0x10000).faulted, 0);
  EXPECT_EQ(run(tier_load, 0x10000).faulted, 0);
  EXPECT_EQ(window_.base[0x10000], 0x55);
}

TEST_F(FaultRecovery, ALoadFaultTellsItsAddress) {
  const Access access = run(tier_load, 0x12345678);
  EXPECT_EQ(access.faulted, 1);
  EXPECT_EQ(access.scope.fault_address, 0x12345678u);
  EXPECT_FALSE(access.scope.fault_is_write);
  EXPECT_FALSE(access.scope.fault_is_bus_error);
}

TEST_F(FaultRecovery, AStoreFaultIsToldFromALoadFault) {
  EXPECT_TRUE(run(tier_store, 0x20000).scope.fault_is_write);
  allow(0x20000, kPageSize, PROT_READ);
  const Access access = run(tier_store, 0x20000);
  EXPECT_EQ(access.faulted, 1);
  EXPECT_TRUE(access.scope.fault_is_write);
  EXPECT_EQ(run(tier_load, 0x20000).faulted, 0);
}

TEST_F(FaultRecovery, RegistersAreAsAtTheFault) {
  const Access access = run(tier_load, 0x30000);
  EXPECT_EQ(access.seen, (std::array<std::uint64_t, 4>{0x1111, 0x2222, 0x3333, 0x4444}));
}

TEST_F(FaultRecovery, AnAccessIntoTheNextPageTellsThatPage) {
  allow(0x40000, kPageSize, PROT_READ | PROT_WRITE);
  for (std::uint64_t inside = 1; inside < 8; ++inside) {
    const std::uint64_t address = 0x40000 + kPageSize - inside;
    EXPECT_EQ(run(tier_load, address).scope.fault_address, 0x40000 + kPageSize) << inside;
    EXPECT_EQ(run(tier_store, address).scope.fault_address, 0x40000 + kPageSize) << inside;
    for (std::uint64_t i = 0; i < inside; ++i)
      EXPECT_EQ(window_.base[address + i], 0) << "a store that faults writes nothing";
  }
  EXPECT_EQ(run(tier_load, 0x40000 + kPageSize - 8).faulted, 0);
  EXPECT_EQ(run(tier_vector_load, 0x40000 + kPageSize - 15).scope.fault_address, 0x40000 + kPageSize);
}

TEST_F(FaultRecovery, AnAccessOutOfAnInaccessiblePageTellsItsOwnAddress) {
  allow(0x51000, kPageSize, PROT_READ);
  EXPECT_EQ(run(tier_load, 0x51000 - 3).scope.fault_address, 0x51000u - 3);
}

TEST_F(FaultRecovery, TheUpperEndOfTheWindowWraps) {
  EXPECT_EQ(run(tier_load, kWindowSize - 1).scope.fault_address, kWindowSize - 1);
  allow(kWindowSize - kPageSize, kPageSize, PROT_READ | PROT_WRITE);
  EXPECT_EQ(run(tier_load, kWindowSize - 8).faulted, 0);
  for (const TierEntry entry : {tier_load, tier_store}) {
    const Access access = run(entry, kWindowSize - 1);
    EXPECT_EQ(access.faulted, 1);
    EXPECT_EQ(access.scope.fault_address, 0u);
  }
}

TEST_F(FaultRecovery, GuardsOnBothSidesAreWholeAndRecovered) {
  EXPECT_EQ(run(tier_load, 0).scope.fault_address, 0u);
  const auto below = static_cast<std::uint64_t>(-8);
  EXPECT_EQ(run(tier_load, below).scope.fault_address, 0xFFFFFFF8u);
  EXPECT_EQ(run(tier_load, 0 - kGuardSize).faulted, 1);
  EXPECT_EQ(run(tier_load, kWindowSize + kGuardSize - 8).faulted, 1);
}

TEST_F(FaultRecovery, AFileThatBecameShorterIsABusError) {
  char name[] = "/tmp/caisson-fault-XXXXXX";
  const int fd = mkstemp(name);
  ASSERT_GE(fd, 0);
  unlink(name);
  ASSERT_EQ(ftruncate(fd, 2 * kPageSize), 0);
  for (const int sharing : {MAP_SHARED, MAP_PRIVATE}) {
    ASSERT_NE(mmap(window_.base + 0x60000, 2 * kPageSize, PROT_READ | PROT_WRITE, sharing | MAP_FIXED, fd, 0),
              MAP_FAILED);
    EXPECT_EQ(run(tier_load, 0x61000).faulted, 0);
    ASSERT_EQ(ftruncate(fd, kPageSize), 0);
    const Access access = run(tier_store, 0x61008);
    EXPECT_EQ(access.faulted, 1);
    EXPECT_TRUE(access.scope.fault_is_bus_error);
    EXPECT_EQ(access.scope.fault_address, 0x61008u);
    EXPECT_EQ(run(tier_load, 0x60000).faulted, 0);
    std::uint8_t byte = 0;
    EXPECT_EQ(guarded_copy(&byte, window_.base + 0x61000, 1, window_.base + 0x61000), 1u);
    ASSERT_EQ(ftruncate(fd, 2 * kPageSize), 0);
  }
  close(fd);
}

TEST_F(FaultRecovery, ScopesNest) {
  const Result<Window> other = pool_.acquire();
  ASSERT_TRUE(other);
  Access outer;
  outer.scope.window_base = window_.base;
  enter_guest(outer.scope);
  Access inner;
  inner.scope.window_base = other->base;
  enter_guest(inner.scope);
  EXPECT_EQ(tier_load(&inner.scope, other->base + 0x70000, inner.seen.data()), 1);
  leave_guest(inner.scope);
  EXPECT_EQ(tier_load(&outer.scope, window_.base + 0x80000, outer.seen.data()), 1);
  leave_guest(outer.scope);
  EXPECT_EQ(inner.scope.fault_address, 0x70000u);
  EXPECT_EQ(outer.scope.fault_address, 0x80000u);
  EXPECT_EQ(current_guest_scope, nullptr);
  pool_.release(*other, 0, 0);
}

TEST_F(FaultRecovery, EachThreadHasItsOwnScope) {
  std::vector<std::thread> threads;
  std::array<std::uint64_t, 4> wrong{};
  for (std::uint64_t number = 0; number < wrong.size(); ++number) {
    threads.emplace_back([this, number, &wrong] {
      for (std::uint64_t i = 0; i < 500; ++i) {
        const std::uint64_t address = 0x1000000 * (number + 1) + 8 * i;
        const Access access = run(tier_load, address);
        if (access.faulted != 1 || access.scope.fault_address != address) ++wrong[number];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::array<std::uint64_t, 4>{}));
}

TEST_F(FaultRecovery, RegisteringATierAgainTakesNoSlot) {
  for (int i = 0; i < 1000; ++i) register_tier(test_tier_begin, test_tier_end, test_tier_landing);
  EXPECT_EQ(run(tier_load, 0x30000).faulted, 1);
}

// --- copies ---

// Copies of `length` bytes of which the last `beyond` lie in an inaccessible page.
struct CopyCase {
  std::size_t length;
  std::size_t beyond;
};

std::vector<CopyCase> copy_cases() {
  std::vector<CopyCase> cases;
  for (std::size_t length = 0; length <= 136; ++length) {
    for (std::size_t beyond = 0; beyond <= length; ++beyond) cases.push_back({length, beyond});
  }
  for (const std::size_t length : {255, 256, 257, 511, 512, 513, 4096}) {
    for (const std::size_t beyond :
         {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{33}, length - 1, length}) {
      cases.push_back({length, beyond});
    }
  }
  return cases;
}

TEST_F(FaultRecovery, AReadStopsExactlyAtTheFirstInaccessibleByte) {
  constexpr std::uint64_t kEnd = 0x92000;
  allow(kEnd - 2 * kPageSize, 2 * kPageSize, PROT_READ | PROT_WRITE);
  for (std::uint64_t i = 0; i < 2 * kPageSize; ++i)
    window_.base[kEnd - 1 - i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  allow(kEnd - 2 * kPageSize, 2 * kPageSize, PROT_READ);
  for (const auto& [length, beyond] : copy_cases()) {
    std::vector<std::uint8_t> to(length + 8, 0xEE);
    const std::uint8_t* const from = window_.base + kEnd - (length - beyond);
    ASSERT_EQ(guarded_copy(to.data(), from, length, from), beyond) << length;
    ASSERT_TRUE(std::equal(to.begin(), to.end() - 8 - static_cast<std::ptrdiff_t>(beyond), from))
        << length << ' ' << beyond;
    ASSERT_TRUE(std::all_of(to.end() - 8 - static_cast<std::ptrdiff_t>(beyond), to.end(),
                            [](int byte) { return byte == 0xEE; }));
  }
}

TEST_F(FaultRecovery, AWriteStopsExactlyAtTheFirstInaccessibleByte) {
  constexpr std::uint64_t kEnd = 0xA2000;
  allow(kEnd - 2 * kPageSize, 2 * kPageSize, PROT_READ | PROT_WRITE);
  allow(kEnd, kPageSize, PROT_READ);
  std::vector<std::uint8_t> from(kPageSize);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::uint8_t>(i * 11 + i / 256 + 1);
  for (const auto& [length, beyond] : copy_cases()) {
    std::uint8_t* const to = window_.base + kEnd - (length - beyond);
    std::memset(window_.base + kEnd - 2 * kPageSize, 0, 2 * kPageSize);
    ASSERT_EQ(guarded_copy(to, from.data(), length, to), beyond) << length;
    ASSERT_TRUE(std::equal(to, window_.base + kEnd, from.data())) << length << ' ' << beyond;
    ASSERT_EQ(to[-1], 0);
    ASSERT_EQ(window_.base[kEnd], 0);
  }
}

TEST_F(FaultRecovery, GuardedLoadsAndCompareExchanges) {
  allow(0xB0000, kPageSize, PROT_READ | PROT_WRITE);
  std::uint8_t* const word = window_.base + 0xB0000;
  std::uint32_t value32 = 0;
  std::uint64_t value64 = 0;
  bool swapped = false;

  std::uint64_t expected64 = 0;
  EXPECT_TRUE(guarded_compare_exchange64(word, &expected64, 0x1122334455667788, &swapped));
  EXPECT_TRUE(swapped);
  EXPECT_TRUE(guarded_load64(word, &value64));
  EXPECT_EQ(value64, 0x1122334455667788u);
  expected64 = 5;
  EXPECT_TRUE(guarded_compare_exchange64(word, &expected64, 6, &swapped));
  EXPECT_FALSE(swapped);
  EXPECT_EQ(expected64, 0x1122334455667788u);

  std::uint32_t expected32 = 0x55667788;
  EXPECT_TRUE(guarded_compare_exchange32(word, &expected32, 0xAABBCCDD, &swapped));
  EXPECT_TRUE(swapped);
  EXPECT_TRUE(guarded_load32(word, &value32));
  EXPECT_EQ(value32, 0xAABBCCDDu);
  EXPECT_TRUE(guarded_load64(word, &value64));
  EXPECT_EQ(value64, 0x11223344AABBCCDDu) << "the upper half is not touched";
  expected32 = 1;
  EXPECT_TRUE(guarded_compare_exchange32(word, &expected32, 2, &swapped));
  EXPECT_FALSE(swapped);
  EXPECT_EQ(expected32, 0xAABBCCDDu);

  allow(0xB0000, kPageSize, PROT_READ);
  EXPECT_FALSE(guarded_compare_exchange64(word, &expected64, 1, &swapped));
  EXPECT_FALSE(guarded_compare_exchange32(word, &expected32, 1, &swapped)) << "a failing comparison needs W as well";
  EXPECT_TRUE(guarded_load32(word, &value32));
  EXPECT_FALSE(guarded_load32(word + kPageSize, &value32));
  EXPECT_FALSE(guarded_load64(word + kPageSize, &value64));
}

// --- what must crash ---

// Sanitizers report the fault and exit; otherwise the process dies of it.
bool crashed(int status) { return test::kHasSanitizer ? status != 0 : testing::KilledBySignal(SIGSEGV)(status); }

class FaultRecoveryDeathTest : public FaultRecovery {
 protected:
  FaultRecoveryDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(FaultRecoveryDeathTest, AFaultInOtherCodeCrashesEvenInsideTheWindow) {
  GuestScope scope;
  scope.window_base = window_.base;
  enter_guest(scope);
  EXPECT_EXIT(*static_cast<volatile std::uint8_t*>(window_.base) = 1, crashed, "");
  leave_guest(scope);
}

TEST_F(FaultRecoveryDeathTest, ATierFaultOutsideTheWindowCrashes) {
  EXPECT_EXIT(
      run(tier_load, 0 - kGuardSize - (std::uint64_t{1} << 32) - reinterpret_cast<std::uintptr_t>(window_.base)),
      crashed, "");
  EXPECT_EXIT(run(tier_load, 0 - reinterpret_cast<std::uintptr_t>(window_.base)), crashed, "") << "null";
  constexpr std::uint64_t kNonCanonical = std::uint64_t{1} << 63;
  EXPECT_EXIT(run(tier_load, kNonCanonical - reinterpret_cast<std::uintptr_t>(window_.base)), crashed, "")
      << "no address is reported";
}

TEST_F(FaultRecoveryDeathTest, ATierFaultWithoutAScopeCrashes) {
  Access access;
  access.scope.window_base = window_.base;
  EXPECT_EXIT(tier_load(&access.scope, window_.base + 0x10000, access.seen.data()), crashed, "");
}

TEST_F(FaultRecoveryDeathTest, ACopyThatFaultsOnTheHostsSideCrashes) {
  allow(0x10000, kPageSize, PROT_READ | PROT_WRITE);
  const std::uint8_t* const guest = window_.base + 0x10000;
  std::uint8_t* const unmapped_host = window_.base - kGuardSize;
  EXPECT_EXIT(guarded_copy(unmapped_host, guest, 64, guest), crashed, "");
  EXPECT_EXIT(guarded_copy(unmapped_host, guest, 4096, guest), crashed, "");
}

TEST_F(FaultRecoveryDeathTest, ASentSignalKills) { EXPECT_EXIT(raise(SIGSEGV), crashed, ""); }

// Run in a process of its own, since the handlers of this one are installed.
TEST(FaultRecoveryChainDeathTest, TheEmbeddersHandlersStillSeeTheirFaults) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault = [](auto prepare) {
    prepare();
    if (!install_fault_recovery()) _exit(1);
    *static_cast<volatile int*>(nullptr) = 1;
    _exit(2);
  };
  EXPECT_EXIT(fault([] {
                struct sigaction action{};
                action.sa_flags = SA_SIGINFO;
                action.sa_sigaction = [](int, siginfo_t* info, void*) { _exit(info->si_addr == nullptr ? 42 : 43); };
                sigaction(SIGSEGV, &action, nullptr);
              }),
              testing::ExitedWithCode(42), "");
  EXPECT_EXIT(fault([] { signal(SIGSEGV, [](int number) { _exit(number == SIGSEGV ? 44 : 45); }); }),
              testing::ExitedWithCode(44), "");
  EXPECT_EXIT(fault([] { signal(SIGSEGV, SIG_DFL); }), crashed, "");
  EXPECT_EXIT(fault([] { signal(SIGSEGV, SIG_IGN); }), crashed, "");
}

TEST(FaultRecoveryChainDeathTest, AnIgnoredSentSignalStaysIgnored) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        signal(SIGSEGV, SIG_IGN);
        if (!install_fault_recovery()) _exit(1);
        raise(SIGSEGV);
        _exit(46);
      },
      testing::ExitedWithCode(46), "");
}

}  // namespace
}  // namespace caisson::memory
