// States of guest memory as their users see them: directed cases. The random comparison with a model is snapshots_model_test.cpp.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "memory/memory_base.h"
#include "memory/memory_state.h"
#include "memory/window_pool.h"
#include "support/sanitizers.h"

namespace caisson::memory {
namespace {

constexpr Permissions kReadWrite = kRead | kWrite;
constexpr std::uint64_t kBase = 0x100000;
constexpr std::uint32_t kFirst = kBase / kPageSize;
constexpr std::uint64_t kCommitLimit = std::uint64_t{256} << 20;

using Pages = std::vector<std::uint32_t>;
using Calls = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

class Recorder final : public CodeObserver {
 public:
  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override {
    calls.emplace_back(first_page, page_count);
  }
  Calls take() { return std::exchange(calls, {}); }

  Calls calls;
};

// Of a guest's window; the process has others that malloc and sanitizers need.
std::size_t kernel_mappings(const AddressSpace& space) {
  const auto base = reinterpret_cast<std::uintptr_t>(space.base());
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::uintptr_t start = std::stoull(line, nullptr, 16);
    count += start >= base && start < base + kWindowSize ? 1 : 0;
  }
  return count;
}

// Reservations of windows and views of bases.
std::size_t mappings_of_guests() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    const std::size_t dash = line.find('-');
    const std::uintptr_t length = std::stoull(line.substr(dash + 1), nullptr, 16) - std::stoull(line, nullptr, 16);
    const bool is_reservation = line.contains("---p") && length > kWindowSize / 2 && length < 2 * kWindowSize;
    // A sanitizer's allocator reserves as much for itself.
    count += line.contains("caisson-memory") || (is_reservation && !test::kHasSanitizer) ? 1 : 0;
  }
  return count;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

class SnapshotsTest : public testing::Test {
 protected:
  std::unique_ptr<AddressSpace> make_space(std::uint64_t commit_limit = kCommitLimit) {
    Result<std::unique_ptr<AddressSpace>> space = AddressSpace::create(pool_, commit_limit);
    EXPECT_TRUE(space) << space.error().to_string();
    return space ? std::move(*space) : nullptr;
  }

  static std::uint64_t address_of(std::uint32_t index) { return kBase + index * kPageSize; }

  // `pages` readable and writable ones, of which page i begins with i + 1.
  static void fill(AddressSpace& space, std::uint32_t pages) {
    ASSERT_EQ(space.map_anonymous(kBase, pages * kPageSize, kReadWrite, false, "[heap]"), MapStatus::kOk);
    for (std::uint32_t i = 0; i < pages; ++i) ASSERT_TRUE(space.write_value<std::uint64_t>(address_of(i), i + 1));
  }

  // As a guest's store: without a call to the address space beforehand.
  static bool guest_store(AddressSpace& space, std::uint64_t address, std::uint64_t value) {
    GuestScope scope{.window_base = space.base()};
    enter_guest(scope);
    const bool stored = guarded_copy(space.base() + address, &value, sizeof value, space.base() + address) == 0;
    leave_guest(scope);
    return stored;
  }

  static MemoryState take(AddressSpace& space) {
    Result<MemoryState> state = space.state();
    EXPECT_TRUE(state) << state.error().to_string();
    return state ? *std::move(state) : MemoryState{};
  }

  static void load(AddressSpace& space, const MemoryState& state) {
    const Result<void> loaded = space.load(state);
    ASSERT_TRUE(loaded) << loaded.error().to_string();
  }

  std::shared_ptr<WindowPool> pool_ = std::make_shared<WindowPool>();
};

TEST_F(SnapshotsTest, AStateLoadedElsewhereIsTheSameMemory) {
  const std::unique_ptr<AddressSpace> from = make_space();
  fill(*from, 8);
  ASSERT_EQ(from->protect(address_of(2), kPageSize, kRead), MapStatus::kOk);
  ASSERT_EQ(from->protect(address_of(3), kPageSize, kRead | kExecute), MapStatus::kOk);
  ASSERT_EQ(from->protect(address_of(4), kPageSize, kNone), MapStatus::kOk);
  const MemoryState state = take(*from);
  EXPECT_TRUE(state.changed.empty());

  const std::unique_ptr<AddressSpace> to = make_space();
  ASSERT_EQ(to->map_anonymous(kBase + 0x400000, 16 * kPageSize, kReadWrite), MapStatus::kOk);
  load(*to, state);
  EXPECT_FALSE(to->is_mapped(kBase + 0x400000, kPageSize));
  EXPECT_EQ(to->committed_bytes(), from->committed_bytes());
  EXPECT_EQ(to->mappings().size(), from->mappings().size());
  EXPECT_EQ(to->mappings().front().name, "[heap]");
  for (std::uint32_t i = 0; i < 8; ++i) {
    EXPECT_EQ(to->permissions(kFirst + i), from->permissions(kFirst + i));
    EXPECT_EQ(to->read_value<std::uint64_t>(address_of(i)), from->read_value<std::uint64_t>(address_of(i)));
    EXPECT_EQ(guest_store(*to, address_of(i), 99), (to->permissions(kFirst + i) & kWrite) != 0);
  }
  // What one guest writes no other sees, and what was hidden is still there.
  EXPECT_EQ(from->read_value<std::uint64_t>(address_of(0)), 1);
  ASSERT_EQ(to->protect(address_of(4), kPageSize, kRead), MapStatus::kOk);
  EXPECT_EQ(to->read_value<std::uint64_t>(address_of(4)), 5);
}

TEST_F(SnapshotsTest, TakingAStateDoesNotDisturbTheGuest) {
  const std::unique_ptr<AddressSpace> space = make_space();
  Recorder recorder;
  space->add_code_observer(&recorder);
  fill(*space, 4);
  ASSERT_EQ(space->protect(address_of(1), kPageSize, kRead | kExecute), MapStatus::kOk);
  ASSERT_EQ(space->protect(address_of(2), kPageSize, kReadWrite | kExecute), MapStatus::kOk);
  recorder.take();
  for (int round = 0; round < 3; ++round) {
    take(*space);
    EXPECT_EQ(recorder.take(), Calls{});
    EXPECT_EQ(space->permissions(kFirst + 1), kRead | kExecute);
    EXPECT_TRUE(space->is_mixed(kFirst + 2));
    for (std::uint32_t i = 0; i < 4; ++i)
      EXPECT_EQ(space->read_value<std::uint64_t>(address_of(i)), i + 1 + (i == 3 ? round : 0));
    EXPECT_TRUE(guest_store(*space, address_of(3), 5 + static_cast<std::uint64_t>(round)));
    EXPECT_FALSE(guest_store(*space, address_of(1), 1));
  }
}

TEST_F(SnapshotsTest, OnlyPagesThatDifferArePartOfAState) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 32);
  const MemoryState first = take(*space);
  ASSERT_TRUE(guest_store(*space, address_of(3), 100));
  ASSERT_TRUE(guest_store(*space, address_of(20), 100));
  ASSERT_TRUE(guest_store(*space, address_of(9), 10));  // what it was
  const MemoryState second = take(*space);
  EXPECT_EQ(second.base, first.base);
  ASSERT_EQ(second.changed.size(), 2);
  EXPECT_EQ(second.changed[0].page, kFirst + 3);
  EXPECT_EQ(second.changed[1].page, kFirst + 20);
  EXPECT_EQ(space->dirty_pages(), (Pages{kFirst + 3, kFirst + 9, kFirst + 20}));

  // States share the pages that stay as they are.
  ASSERT_TRUE(guest_store(*space, address_of(20), 101));
  const MemoryState third = take(*space);
  EXPECT_EQ(third.changed[0].contents, second.changed[0].contents);
  EXPECT_NE(third.changed[1].contents, second.changed[1].contents);

  for (const auto& [state, at_3, at_20] :
       {std::tuple(first, 4U, 21U), {third, 100U, 101U}, {second, 100U, 100U}, {first, 4U, 21U}}) {
    load(*space, state);
    EXPECT_EQ(space->read_value<std::uint64_t>(address_of(3)), at_3);
    EXPECT_EQ(space->read_value<std::uint64_t>(address_of(20)), at_20);
    EXPECT_EQ(take(*space).changed.size(), state.changed.size());
  }
}

TEST_F(SnapshotsTest, SequentialWritesFaultRarelyAndReadsNever) {
  const std::unique_ptr<AddressSpace> space = make_space();
  constexpr std::uint32_t kPages = 4096;
  fill(*space, kPages);
  take(*space);
  const std::size_t mappings = kernel_mappings(*space);
  for (std::uint32_t i = 0; i < kPages; ++i) ASSERT_TRUE(space->read_value<std::uint64_t>(address_of(i)));
  EXPECT_TRUE(space->dirty_pages().empty());

  // A page becomes dirty by a fault of its own or along with its neighbour; count the former.
  std::uint32_t faults = 0;
  for (std::uint32_t i = 0; i < kPages; ++i) {
    const std::size_t before = space->dirty_pages().size();
    ASSERT_TRUE(guest_store(*space, address_of(i), i));
    faults += space->dirty_pages().size() != before ? 1 : 0;
  }
  EXPECT_LT(faults, kPages / 64 + 10);
  EXPECT_EQ(space->dirty_pages().size(), kPages);
  EXPECT_LE(kernel_mappings(*space), mappings + 3);
}

TEST_F(SnapshotsTest, AStackThatGrowsDownFaultsRarelyToo) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 1024);
  take(*space);
  std::uint32_t faults = 0;
  for (std::uint32_t i = 1024; i-- > 0;) {
    const std::size_t before = space->dirty_pages().size();
    ASSERT_TRUE(guest_store(*space, address_of(i), i));
    faults += space->dirty_pages().size() != before ? 1 : 0;
  }
  EXPECT_LT(faults, 1024 / 64 + 10);
}

TEST_F(SnapshotsTest, RunsOfPagesGrowOnlyOverPagesOfTheSameKind) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 8);
  ASSERT_EQ(space->protect(address_of(4), kPageSize, kRead), MapStatus::kOk);
  take(*space);
  for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(guest_store(*space, address_of(i), 50));
  EXPECT_EQ(space->dirty_pages(), (Pages{kFirst, kFirst + 1, kFirst + 2, kFirst + 3}));
  EXPECT_FALSE(guest_store(*space, address_of(4), 50));
}

TEST_F(SnapshotsTest, ScatteredWritesStayWithinTheBudget) {
  const std::unique_ptr<AddressSpace> space = make_space();
  constexpr std::uint32_t kPages = 8192;
  fill(*space, kPages);
  take(*space);
  const std::size_t mappings = kernel_mappings(*space);
  std::size_t most = 0;
  for (std::uint32_t i = 0; i < kPages; i += 3) {
    ASSERT_TRUE(guest_store(*space, address_of(i), 7));
    if (i % 63 == 0) most = std::max(most, kernel_mappings(*space));
  }
  // 256 runs with one mapping behind each, and then everything.
  EXPECT_GT(most, mappings + 100);
  EXPECT_LE(most, mappings + 2 * 256 + 2);
  EXPECT_EQ(space->dirty_pages().size(), kPages);
  const MemoryState state = take(*space);
  EXPECT_EQ(state.changed.size(), 0) << "so many changes make a base of their own";
  EXPECT_EQ(space->read_value<std::uint64_t>(address_of(3)), 7);
  EXPECT_EQ(space->read_value<std::uint64_t>(address_of(5)), 6);
}

TEST_F(SnapshotsTest, WithoutBudgetTheWholeRegionBecomesWritable) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 1024);
  take(*space);
  // Room for one more change of the regions, not for a run.
  constexpr std::uint64_t kRoom = 16;
  const std::uint64_t left = pool_->mapping_budget() - pool_->stats().host_mappings - kRoom;
  ASSERT_TRUE(pool_->charge_mappings(left));
  ASSERT_TRUE(guest_store(*space, address_of(500), 7));
  EXPECT_EQ(space->dirty_pages().size(), 1024);
  // A new base needs no more than the one before.
  ASSERT_EQ(space->protect(address_of(0), 1024 * kPageSize, kRead), MapStatus::kOk);
  EXPECT_EQ(take(*space).base, space->memory_base());

  const std::unique_ptr<AddressSpace> other = make_space();
  const Result<void> loaded = other->load(take(*space));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kOutOfMemory);
  EXPECT_TRUE(other->mappings().empty());
  pool_->credit_mappings(left);
  load(*other, take(*space));
  EXPECT_EQ(other->read_value<std::uint64_t>(address_of(500)), 7);
}

TEST_F(SnapshotsTest, WhatARunIsChargedComesBack) {
  const std::uint64_t before = pool_->stats().host_mappings;
  std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 1024);
  take(*space);
  for (std::uint32_t i = 0; i < 1024; i += 10) ASSERT_TRUE(guest_store(*space, address_of(i), 7));
  EXPECT_GT(pool_->stats().host_mappings, before + 200);
  space.reset();
  EXPECT_EQ(pool_->stats().host_mappings, before);
  // The window's next owner tracks nothing.
  space = make_space();
  fill(*space, 16);
  EXPECT_EQ(space->memory_base(), nullptr);
  EXPECT_TRUE(space->dirty_pages().empty());
}

TEST_F(SnapshotsTest, WritesByTheHostNeedNoGuest) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 9);
  ASSERT_EQ(space->protect(address_of(6), kPageSize, kRead), MapStatus::kOk);
  take(*space);
  std::vector<std::uint8_t> bytes(3 * kPageSize, 0xAB);
  EXPECT_EQ(space->write(address_of(1) + 100, bytes.data(), bytes.size()), bytes.size());
  EXPECT_EQ(space->dirty_pages(), (Pages{kFirst + 1, kFirst + 2, kFirst + 3, kFirst + 4}));
  EXPECT_EQ(space->write(address_of(5), bytes.data(), bytes.size()), kPageSize);
  EXPECT_EQ(space->write(address_of(6), bytes.data(), 1), 0);
  EXPECT_EQ(space->write(kBase - 1, bytes.data(), 2), 0);

  // The kernel refuses a page that was not prepared.
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ASSERT_EQ(write(ends[1], "12345678", 8), 8);
  EXPECT_EQ(read(ends[0], space->base() + address_of(8), 4), -1);
  space->prepare_host_write(address_of(8), 8);
  EXPECT_EQ(read(ends[0], space->base() + address_of(8), 8), 8);
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(space->read_string(address_of(8), 8), "12345678");
}

TEST_F(SnapshotsTest, CodeStaysDecodedWhereItStaysTheSame) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 8);
  ASSERT_EQ(space->protect(kBase, 2 * kPageSize, kRead | kExecute), MapStatus::kOk);
  const MemoryState state = take(*space);
  Recorder recorder;
  space->add_code_observer(&recorder);
  ASSERT_TRUE(guest_store(*space, address_of(4), 50));
  load(*space, state);
  EXPECT_EQ(recorder.take(), Calls{});
  // A guest that rewrites its code through other permissions: the layout is the base's again, the bytes are not.
  ASSERT_EQ(space->protect(address_of(1), kPageSize, kReadWrite), MapStatus::kOk);
  ASSERT_TRUE(guest_store(*space, address_of(1), 50));
  ASSERT_EQ(space->protect(address_of(1), kPageSize, kRead | kExecute), MapStatus::kOk);
  const MemoryState rewritten = take(*space);
  EXPECT_EQ(rewritten.base, state.base);
  ASSERT_EQ(rewritten.changed.size(), 1);
  recorder.take();
  load(*space, state);
  EXPECT_EQ(recorder.take(), (Calls{{kFirst + 1, 1}}));
  EXPECT_EQ(space->read_value<std::uint64_t>(address_of(1)), 2);
  load(*space, state);
  EXPECT_EQ(recorder.take(), Calls{});
  load(*space, rewritten);
  EXPECT_EQ(recorder.take(), (Calls{{kFirst + 1, 1}}));
  EXPECT_EQ(space->read_value<std::uint64_t>(address_of(1)), 50);
  EXPECT_FALSE(guest_store(*space, address_of(1), 50));

  const std::unique_ptr<AddressSpace> other = make_space();
  fill(*other, 1);
  load(*space, take(*other));
  EXPECT_EQ(recorder.take(), (Calls{{kFirst, 2}}));
}

TEST_F(SnapshotsTest, ManyDirtyPagesAreDropped) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 1000);
  const MemoryState first = take(*space);
  ASSERT_TRUE(guest_store(*space, address_of(7), 70));
  const MemoryState second = take(*space);
  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_TRUE(guest_store(*space, address_of(i), 5000));
  const std::size_t mappings = kernel_mappings(*space);
  load(*space, second);
  EXPECT_EQ(space->dirty_pages(), (Pages{kFirst + 7}));
  EXPECT_LE(kernel_mappings(*space), mappings + 3);
  for (std::uint32_t i = 0; i < 1000; ++i)
    ASSERT_EQ(space->read_value<std::uint64_t>(address_of(i)), i == 7 ? 70 : i + 1);
  EXPECT_EQ(take(*space).changed.size(), 1);
  load(*space, first);
  EXPECT_EQ(space->read_value<std::uint64_t>(address_of(7)), 8);
}

TEST_F(SnapshotsTest, DiscardedMemoryReadsAsZeroAndNotAsTheBase) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 8);
  const MemoryState state = take(*space);
  ASSERT_EQ(space->discard(address_of(2), 3 * kPageSize), MapStatus::kOk);
  EXPECT_EQ(space->read_value<std::uint64_t>(address_of(1)), 2);
  for (std::uint32_t i = 2; i < 5; ++i) EXPECT_EQ(space->read_value<std::uint64_t>(address_of(i)), 0);
  EXPECT_EQ(space->mappings().size(), 1);
  const MemoryState discarded = take(*space);
  EXPECT_EQ(discarded.base, state.base);
  EXPECT_EQ(discarded.changed.size(), 3);
  load(*space, state);
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(space->read_value<std::uint64_t>(address_of(i)), i + 1);
}

TEST_F(SnapshotsTest, DiscardingPiecesOfABaseNeedsNoKernelMappings) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 2000);
  const MemoryState state = take(*space);
  const std::uint64_t charged = pool_->stats().host_mappings;
  for (std::uint32_t i = 0; i < 2000; i += 2) ASSERT_EQ(space->discard(address_of(i), kPageSize), MapStatus::kOk);
  EXPECT_LE(pool_->stats().host_mappings, charged + 2 * 256 + 64);
  ASSERT_EQ(space->discard(address_of(1000), 1000 * kPageSize), MapStatus::kOk);
  for (std::uint32_t i = 0; i < 2000; ++i)
    ASSERT_EQ(space->read_value<std::uint64_t>(address_of(i)), i % 2 == 0 || i >= 1000 ? 0 : i + 1);
  load(*space, state);
  for (std::uint32_t i = 0; i < 2000; ++i) ASSERT_EQ(space->read_value<std::uint64_t>(address_of(i)), i + 1);
}

TEST_F(SnapshotsTest, HiddenChangesAreNotLost) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 4);
  ASSERT_EQ(space->protect(address_of(1), kPageSize, kNone), MapStatus::kOk);
  const MemoryState state = take(*space);
  ASSERT_EQ(space->protect(address_of(1), kPageSize, kReadWrite), MapStatus::kOk);
  ASSERT_TRUE(guest_store(*space, address_of(1), 50));
  ASSERT_EQ(space->protect(address_of(1), kPageSize, kNone), MapStatus::kOk);
  const MemoryState hidden = take(*space);
  for (const auto& [from, value] : {std::pair(state, 2U), {hidden, 50U}}) {
    load(*space, from);
    EXPECT_EQ(space->permissions(kFirst + 1), kNone);
    ASSERT_EQ(space->protect(address_of(1), kPageSize, kRead), MapStatus::kOk);
    EXPECT_EQ(space->read_value<std::uint64_t>(address_of(1)), value);
  }
}

TEST_F(SnapshotsTest, MappingsAfterASnapshotMergeMoveAndGrowAsBefore) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 4);
  take(*space);
  // A heap that grows is one mapping, and can be moved as one (mremap(2)).
  ASSERT_EQ(space->map_anonymous(address_of(4), 4 * kPageSize, kReadWrite, false, "[heap]"), MapStatus::kOk);
  EXPECT_EQ(space->mappings().size(), 1);
  ASSERT_TRUE(guest_store(*space, address_of(5), 6));
  ASSERT_EQ(space->move(kBase, 8 * kPageSize, address_of(100)), MapStatus::kOk);
  EXPECT_EQ(space->mappings().size(), 1);
  for (std::uint32_t i : {0U, 1U, 2U, 3U, 5U}) EXPECT_EQ(space->read_value<std::uint64_t>(address_of(100 + i)), i + 1);
  const MemoryState state = take(*space);
  const std::unique_ptr<AddressSpace> other = make_space();
  load(*other, state);
  EXPECT_FALSE(other->is_mapped(kBase, kPageSize));
  EXPECT_EQ(other->read_value<std::uint64_t>(address_of(105)), 6);
}

TEST_F(SnapshotsTest, AGuestCannotUseUpKernelMappingsByHolesInABase) {
  const std::unique_ptr<AddressSpace> space = make_space();
  constexpr std::uint32_t kPages = 40'000;
  ASSERT_EQ(space->map_anonymous(kBase, kPages * kPageSize, kReadWrite), MapStatus::kOk);
  ASSERT_TRUE(space->write_value<std::uint64_t>(address_of(0), 1));
  ASSERT_TRUE(space->write_value<std::uint64_t>(address_of(kPages - 1), 1));
  take(*space);
  MapStatus status = MapStatus::kOk;
  std::uint32_t holes = 0;
  // The books call it one mapping all the time.
  for (std::uint32_t i = 1; i < kPages && status == MapStatus::kOk; i += 2, ++holes)
    status = space->map_anonymous(address_of(i), kPageSize, kReadWrite);
  EXPECT_EQ(status, MapStatus::kNoMemory);
  EXPECT_EQ(space->mappings().size(), 1);
  EXPECT_LE(pool_->stats().host_mappings, pool_->mapping_budget());
  EXPECT_LT(kernel_mappings(*space), pool_->mapping_budget());
  // Taking a state puts it in order.
  take(*space);
  EXPECT_EQ(space->map_anonymous(address_of(1), kPageSize, kReadWrite), MapStatus::kOk);
}

TEST_F(SnapshotsTest, SharedMappingsAreRefusedByName) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 1);
  ASSERT_EQ(space->map_anonymous(0x200000, kPageSize, kReadWrite, true, "/dev/zero"), MapStatus::kOk);
  const Result<MemoryState> state = space->state();
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(state.error().where, "mapping 200000-201000 /dev/zero");
  EXPECT_EQ(space->memory_base(), nullptr);
  ASSERT_EQ(space->unmap(0x200000, kPageSize), MapStatus::kOk);
  EXPECT_TRUE(space->state());
}

TEST_F(SnapshotsTest, PrivateFilesBecomePartOfTheBase) {
  const int fd = memfd_create("caisson-test", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(fd, 3 * kPageSize), 0);
  ASSERT_EQ(pwrite(fd, "first", 5, 0), 5);
  ASSERT_EQ(pwrite(fd, "second", 6, kPageSize), 6);
  std::unique_ptr<AddressSpace> space = make_space();
  ASSERT_EQ(space->map_file(kBase, 5 * kPageSize, kReadWrite, false, fd, 0, "/file"), MapStatus::kOk);
  ASSERT_EQ(space->map_file(0x200000, kPageSize, kNone, false, fd, kPageSize, "/file"), MapStatus::kOk);
  ASSERT_TRUE(guest_store(*space, address_of(2), 77));
  const MemoryState state = take(*space);
  ASSERT_EQ(ftruncate(fd, 0), 0);
  close(fd);
  const std::unique_ptr<AddressSpace> other = make_space();
  load(*other, state);
  for (AddressSpace* each : {space.get(), other.get()}) {
    EXPECT_EQ(each->read_string(kBase, 10), "first");
    EXPECT_EQ(each->read_string(address_of(1), 10), "second");
    EXPECT_EQ(each->read_value<std::uint64_t>(address_of(2)), 77);
    EXPECT_EQ(each->read_value<std::uint64_t>(address_of(4)), 0);  // past the end
    ASSERT_EQ(each->protect(0x200000, kPageSize, kRead), MapStatus::kOk);
    EXPECT_EQ(each->read_string(0x200000, 10), "second");
    EXPECT_TRUE(each->mappings().front().file);
    EXPECT_EQ(each->mappings().front().name, "/file");
    EXPECT_EQ(each->mappings().back().file_offset, kPageSize);
    // The copy keeps what it has.
    ASSERT_EQ(each->discard(kBase, kPageSize), MapStatus::kOk);
    EXPECT_EQ(each->read_string(kBase, 10), "first");
  }
}

TEST_F(SnapshotsTest, ABaseIsMadeOfItsParts) {
  std::vector<std::uint8_t> bytes(2 * kPageSize + 10, 0x11);
  std::fill_n(bytes.begin() + kPageSize, kPageSize, 0);
  const std::vector<BaseRegionSource> parts = {
      {.region = {.first_page = 0x100, .page_count = 3, .permissions = kRead | kExecute, .name = "code"},
       .contents = contents_of(bytes)},
      {.region = {.first_page = 0x103, .page_count = 10'000, .permissions = kReadWrite, .name = "heap"},
       .contents = {}},
      {.region = {.first_page = 0x10000, .page_count = 100'000, .permissions = kNone}, .contents = {}}};
  const Result<std::shared_ptr<const MemoryBase>> base = MemoryBase::create(parts);
  ASSERT_TRUE(base) << base.error().to_string();
  EXPECT_EQ((*base)->layout().size(), 3);
  EXPECT_EQ((*base)->mapped_pages(), 110'003);
  EXPECT_EQ((*base)->nonzero_pages(), 2);
  EXPECT_EQ((*base)->committed_bytes(), 10'003 * kPageSize);
  ASSERT_NE((*base)->page(0x100), nullptr);
  EXPECT_EQ((*base)->page(0x100)[kPageSize - 1], 0x11);
  EXPECT_EQ((*base)->page(0x101), nullptr);
  ASSERT_NE((*base)->page(0x102), nullptr);
  EXPECT_EQ((*base)->page(0x102)[9], 0x11);
  EXPECT_EQ((*base)->page(0x102)[10], 0);
  EXPECT_EQ((*base)->page(0x103), nullptr);
  EXPECT_EQ((*base)->page(0xFF), nullptr);
  EXPECT_EQ((*base)->region_of(0xFF), nullptr);
  EXPECT_EQ((*base)->region_of(0x103)->name, "heap");

  const std::unique_ptr<AddressSpace> space = make_space();
  load(*space, {.base = *base, .changed = {}});
  EXPECT_EQ(space->read_value<std::uint8_t>(0x100FFF), 0x11);
  EXPECT_EQ(space->read_value<std::uint8_t>(0x101000), 0);
  EXPECT_TRUE(guest_store(*space, 0x103000, 1));
  EXPECT_FALSE(space->read_value<std::uint8_t>(0x10000 * kPageSize));
  EXPECT_EQ(take(*space).changed.size(), 1);
}

TEST_F(SnapshotsTest, WhatIsNoBaseOrStateIsRefused) {
  const auto create = [](std::vector<BaseRegion> regions) {
    std::vector<BaseRegionSource> sources;
    for (BaseRegion& region : regions) sources.push_back({.region = std::move(region), .contents = {}});
    const Result<std::shared_ptr<const MemoryBase>> base = MemoryBase::create(sources);
    return base ? MemoryState{.base = *base, .changed = {}} : MemoryState{};
  };
  EXPECT_EQ(create({{.first_page = 0xF, .page_count = 1}}).base, nullptr);
  EXPECT_EQ(create({{.first_page = 0x10, .page_count = 0}}).base, nullptr);
  EXPECT_EQ(create({{.first_page = 0x10, .page_count = 0xFFFFFFFF}}).base, nullptr);
  EXPECT_EQ(create({{.first_page = 0xFFFFF, .page_count = 1}}).base, nullptr);
  EXPECT_EQ(create({{.first_page = 0x10, .page_count = 1, .permissions = 8}}).base, nullptr);
  EXPECT_EQ(create({{.first_page = 0x10, .page_count = 2}, {.first_page = 0x11, .page_count = 2}}).base, nullptr);
  EXPECT_EQ(create({{.first_page = 0x10, .page_count = 1, .file = true}}).base, nullptr);

  const MemoryState good = create({{.first_page = 0x10, .page_count = 4, .permissions = kReadWrite},
                                   {.first_page = 0x20, .page_count = 4, .permissions = kNone}});
  ASSERT_NE(good.base, nullptr);
  const auto contents = std::make_shared<PageContents>();
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 1);
  const auto refused = [&](std::vector<ChangedPage> changed) {
    const Result<void> loaded = space->load({.base = good.base, .changed = std::move(changed)});
    return !loaded && loaded.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_FALSE(space->load({}));
  EXPECT_TRUE(refused({{.page = 0x10, .contents = nullptr}}));
  EXPECT_TRUE(refused({{.page = 0x14, .contents = contents}}));
  EXPECT_TRUE(refused({{.page = 0x20, .contents = contents}}));
  EXPECT_TRUE(refused({{.page = 0x11, .contents = contents}, {.page = 0x10, .contents = contents}}));
  EXPECT_TRUE(refused({{.page = 0x11, .contents = contents}, {.page = 0x11, .contents = contents}}));
  EXPECT_EQ(space->read_value<std::uint64_t>(kBase), 1) << "a refused state changes nothing";

  const std::unique_ptr<AddressSpace> small = make_space(3 * kPageSize);
  const Result<void> loaded = small->load(good);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kOutOfMemory);
}

TEST_F(SnapshotsTest, AThousandForksAndNothingLeft) {
  const std::size_t descriptors = open_descriptors();
  const std::size_t mappings = mappings_of_guests();
  const std::uint64_t charged = pool_->stats().host_mappings;
  {
    const std::unique_ptr<AddressSpace> space = make_space();
    fill(*space, 64);
    const MemoryState parent = take(*space);
    std::vector<MemoryState> forks;
    for (std::uint32_t i = 0; i < 1000; ++i) {
      load(*space, parent);
      ASSERT_TRUE(guest_store(*space, address_of(i % 64), 1000 + i));
      forks.push_back(take(*space));
    }
    EXPECT_EQ(open_descriptors(), descriptors + 1);
    EXPECT_GT(mappings_of_guests(), mappings);
    const std::unique_ptr<AddressSpace> other = make_space();
    for (std::uint32_t i = 0; i < 1000; ++i) {
      ASSERT_EQ(forks[i].base, parent.base);
      ASSERT_EQ(forks[i].changed.size(), 1);
      load(i % 2 == 0 ? *space : *other, forks[i]);
      AddressSpace& loaded = i % 2 == 0 ? *space : *other;
      ASSERT_EQ(loaded.read_value<std::uint64_t>(address_of(i % 64)), 1000 + i);
      ASSERT_EQ(loaded.read_value<std::uint64_t>(address_of((i + 1) % 64)), (i + 1) % 64 + 1);
      std::uint64_t first = 0;
      std::memcpy(&first, forks[i].page(kFirst + i % 64), sizeof first);
      ASSERT_EQ(first, 1000 + i);
    }
  }
  EXPECT_EQ(pool_->stats().host_mappings, charged);
  EXPECT_EQ(open_descriptors(), descriptors);
  pool_.reset();
  EXPECT_EQ(mappings_of_guests(), mappings);
}

TEST_F(SnapshotsTest, GuestsOnSeveralThreadsShareABase) {
  const std::unique_ptr<AddressSpace> parent = make_space();
  fill(*parent, 256);
  const MemoryState state = take(*parent);
  std::vector<std::uint32_t> wrong(4, 0);
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        const std::unique_ptr<AddressSpace> space = make_space();
        for (std::uint32_t round = 0; round < 50; ++round) {
          if (!space->load(state)) ++wrong[thread];
          for (std::uint32_t i = thread; i < 256; i += 7) wrong[thread] += !guest_store(*space, address_of(i), thread);
          for (std::uint32_t i = 0; i < 256; ++i) {
            const std::uint64_t expected = i >= thread && (i - thread) % 7 == 0 ? thread : i + 1;
            wrong[thread] += space->read_value<std::uint64_t>(address_of(i)) != expected;
          }
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<std::uint32_t>(4, 0));
}

TEST_F(SnapshotsTest, ThreadsOfOneGuestMayTouchAPageFirstAtTheSameTime) {
  const std::unique_ptr<AddressSpace> space = make_space();
  fill(*space, 512);
  const MemoryState state = take(*space);
  for (int round = 0; round < 20; ++round) {
    load(*space, state);
    std::vector<std::uint32_t> failed(3, 0);
    {
      std::vector<std::jthread> threads;
      for (std::uint32_t thread = 0; thread < 3; ++thread) {
        threads.emplace_back([&, thread] {
          for (std::uint32_t i = 0; i < 512; ++i)
            failed[thread] += !guest_store(*space, address_of(i) + 8 * (thread + 1), i);
        });
      }
    }
    ASSERT_EQ(failed, std::vector<std::uint32_t>(3, 0));
    for (std::uint32_t i = 0; i < 512; ++i) {
      for (std::uint32_t thread = 0; thread < 3; ++thread)
        ASSERT_EQ(space->read_value<std::uint64_t>(address_of(i) + 8 * (thread + 1)), i);
    }
  }
}

}  // namespace
}  // namespace caisson::memory
