// An address space as its users see it: directed cases. The random comparison with a model is address_space_model_test.cpp.
#include "memory/address_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "memory/fault_recovery.h"
#include "memory/window_pool.h"
#include "support/sanitizers.h"

namespace caisson::memory {
namespace {

constexpr Permissions kReadWrite = kRead | kWrite;
constexpr std::uint64_t kBase = 0x100000;

// A file without a name, of the given size, whose byte i is a function of i.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::size_t size) : fd_(memfd_create("caisson-test", MFD_CLOEXEC)) {
    std::vector<std::uint8_t> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_at(i);
    EXPECT_EQ(pwrite(fd_, bytes.data(), size, 0), static_cast<ssize_t>(size));
  }
  ~TemporaryFile() { close(fd_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int fd() const { return fd_; }
  static std::uint8_t byte_at(std::size_t offset) { return static_cast<std::uint8_t>(offset * 13 + offset / 4096 + 1); }

 private:
  int fd_;
};

class Recorder final : public CodeObserver {
 public:
  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override {
    calls.emplace_back(first_page, page_count);
  }
  // What was told since the last call.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> take() { return std::exchange(calls, {}); }

  std::vector<std::pair<std::uint32_t, std::uint32_t>> calls;
};

using Calls = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

class AddressSpaceTest : public testing::Test {
 protected:
  void SetUp() override { make(std::uint64_t{1} << 30); }
  void make(std::uint64_t commit_limit) {
    Result<std::unique_ptr<AddressSpace>> space = AddressSpace::create(pool_, commit_limit);
    ASSERT_TRUE(space) << space.error().to_string();
    space_ = std::move(*space);
    space_->add_code_observer(&recorder_);
  }

  bool readable(std::uint64_t address) const {
    std::uint64_t value = 0;
    return guarded_load64(space_->base() + address, &value);
  }
  bool writable(std::uint64_t address) const {
    std::uint64_t expected = 0;
    bool swapped = false;
    return guarded_compare_exchange64(space_->base() + address, &expected, expected, &swapped);
  }
  std::uint8_t byte(std::uint64_t address) const { return space_->read_value<std::uint8_t>(address).value_or(0xFF); }

  std::shared_ptr<WindowPool> pool_ = std::make_shared<WindowPool>();
  Recorder recorder_;
  std::unique_ptr<AddressSpace> space_;
};

constexpr MapStatus kOk = MapStatus::kOk;

// --- ranges ---

TEST_F(AddressSpaceTest, OnlyAlignedRangesWithinTheBoundsAreMapped) {
  const struct {
    std::uint64_t address, length;
  } invalid[] = {
      {kBase, 0},
      {kBase + 1, kPageSize},
      {kBase, kPageSize + 1},
      {0, kPageSize},
      {kLowestAddress - kPageSize, kPageSize},
      {kLowestAddress - kPageSize, 2 * kPageSize},
      {kHighestAddress, kPageSize},
      {kHighestAddress - kPageSize, 2 * kPageSize},
      {kWindowSize, kPageSize},
      {kBase, kWindowSize},
      {kBase, 0 - kPageSize},
      {0 - kPageSize, kPageSize},
      {0 - kPageSize, 2 * kPageSize},
  };
  const TemporaryFile file(kPageSize);
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
  for (const auto& [address, length] : invalid) {
    SCOPED_TRACE(testing::Message() << std::hex << address << ' ' << length);
    EXPECT_EQ(space_->map_anonymous(address, length, kRead), MapStatus::kInvalid);
    EXPECT_EQ(space_->map_file(address, length, kRead, false, file.fd(), 0), MapStatus::kInvalid);
    EXPECT_EQ(space_->unmap(address, length), MapStatus::kInvalid);
    EXPECT_EQ(space_->protect(address, length, kRead), MapStatus::kInvalid);
    EXPECT_EQ(space_->discard(address, length), MapStatus::kInvalid);
    EXPECT_EQ(space_->sync(address, length), MapStatus::kInvalid);
    EXPECT_EQ(space_->move(address, length, 0x4000000), MapStatus::kInvalid);
    EXPECT_EQ(space_->move(kBase, length, address), MapStatus::kInvalid);
    EXPECT_FALSE(space_->is_free(address, length));
    EXPECT_FALSE(space_->is_mapped(address, length));
  }
  EXPECT_EQ(space_->mappings().size(), 1u);
  EXPECT_EQ(space_->map_anonymous(kLowestAddress, kPageSize, kReadWrite), kOk);
  EXPECT_EQ(space_->map_anonymous(kHighestAddress - kPageSize, kPageSize, kReadWrite), kOk);
}

TEST_F(AddressSpaceTest, TheWholeRangeCanBeReservedForNothing) {
  make(kPageSize);
  EXPECT_EQ(space_->map_anonymous(kLowestAddress, kHighestAddress - kLowestAddress, kNone), kOk);
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_TRUE(space_->is_mapped(kLowestAddress, kHighestAddress - kLowestAddress));
  EXPECT_FALSE(readable(kBase));
  EXPECT_FALSE(space_->find_free(kPageSize, 0, kWindowSize));
}

// --- permissions ---

TEST_F(AddressSpaceTest, TheHostGrantsWhatTheGuestMayDo) {
  for (Permissions permissions = kNone; permissions <= (kRead | kWrite | kExecute); ++permissions) {
    ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, permissions), kOk);
    EXPECT_EQ(space_->permissions(kBase / kPageSize), permissions);
    EXPECT_EQ(readable(kBase), permissions != kNone) << int{permissions} << ": W and X imply R";
    EXPECT_EQ(writable(kBase), (permissions & kWrite) != 0) << int{permissions};
    EXPECT_EQ(space_->read_value<std::uint32_t>(kBase).has_value(), permissions != kNone);
    EXPECT_EQ(space_->write_value<std::uint32_t>(kBase, 0), (permissions & kWrite) != 0);
    EXPECT_EQ(space_->is_mixed(kBase / kPageSize), (permissions & (kWrite | kExecute)) == (kWrite | kExecute));
  }
  ASSERT_EQ(space_->unmap(kBase, kPageSize), kOk);
  EXPECT_EQ(space_->permissions(kBase / kPageSize), kNone);
  EXPECT_FALSE(space_->is_mixed(kBase / kPageSize));
}

TEST_F(AddressSpaceTest, NoGuestPageIsHostExecutable) {
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kRead | kWrite | kExecute), kOk);
  const TemporaryFile file(kPageSize);
  ASSERT_EQ(space_->map_file(kBase + kPageSize, kPageSize, kRead | kExecute, true, file.fd(), 0), kOk);
  const auto window = reinterpret_cast<std::uintptr_t>(space_->base());
  std::ifstream maps("/proc/self/maps");
  std::string line;
  int inside = 0;
  while (std::getline(maps, line)) {
    const std::uintptr_t start = std::stoull(line, nullptr, 16);
    if (start < window || start >= window + kWindowSize) continue;
    ++inside;
    EXPECT_EQ(line[line.find(' ') + 3], '-') << line;
  }
  EXPECT_GE(inside, 2);
}

TEST_F(AddressSpaceTest, ProtectOverAHoleChangesNothing) {
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
  ASSERT_EQ(space_->map_anonymous(kBase + 2 * kPageSize, kPageSize, kReadWrite), kOk);
  EXPECT_EQ(space_->protect(kBase, 3 * kPageSize, kRead), MapStatus::kNotMapped);
  EXPECT_EQ(space_->discard(kBase, 3 * kPageSize), MapStatus::kNotMapped);
  EXPECT_EQ(space_->sync(kBase, 3 * kPageSize), MapStatus::kNotMapped);
  EXPECT_EQ(space_->move(kBase, 3 * kPageSize, 0x4000000), MapStatus::kNotMapped);
  EXPECT_TRUE(writable(kBase));
  EXPECT_EQ(space_->unmap(kBase, 3 * kPageSize), kOk) << "unmapping a hole is fine";
}

// --- commit accounting ---

TEST_F(AddressSpaceTest, TheLimitCountsWhatIsOrWasAccessible) {
  make(10 * kPageSize + 123);
  EXPECT_EQ(space_->commit_limit(), 10 * kPageSize);
  ASSERT_EQ(space_->map_anonymous(kBase, 6 * kPageSize, kReadWrite), kOk);
  EXPECT_EQ(space_->map_anonymous(kBase + 16 * kPageSize, 5 * kPageSize, kRead), MapStatus::kNoMemory);
  EXPECT_TRUE(space_->is_free(kBase + 16 * kPageSize, 5 * kPageSize));
  ASSERT_EQ(space_->map_anonymous(kBase + 16 * kPageSize, 5 * kPageSize, kNone), kOk);
  EXPECT_EQ(space_->protect(kBase + 16 * kPageSize, 5 * kPageSize, kExecute), MapStatus::kNoMemory);
  EXPECT_EQ(space_->permissions(kBase / kPageSize + 16), kNone);
  EXPECT_EQ(space_->protect(kBase + 16 * kPageSize, 4 * kPageSize, kExecute), kOk);
  EXPECT_EQ(space_->committed_bytes(), 10 * kPageSize);
  // Replacing credits what was there.
  EXPECT_EQ(space_->map_anonymous(kBase, 6 * kPageSize, kRead), kOk);
  EXPECT_EQ(space_->map_anonymous(kBase, 7 * kPageSize, kRead), MapStatus::kNoMemory);
  // Written pages keep their contents behind PROT_NONE, so they stay on the bill until they are dropped.
  ASSERT_EQ(space_->protect(kBase, 6 * kPageSize, kNone), kOk);
  EXPECT_EQ(space_->committed_bytes(), 10 * kPageSize);
  ASSERT_EQ(space_->discard(kBase, 2 * kPageSize), kOk);
  EXPECT_EQ(space_->committed_bytes(), 8 * kPageSize);
  ASSERT_EQ(space_->unmap(kBase, 6 * kPageSize), kOk);
  EXPECT_EQ(space_->committed_bytes(), 4 * kPageSize);
  EXPECT_EQ(space_->peak_committed_bytes(), 10 * kPageSize);
}

TEST_F(AddressSpaceTest, AGuestCannotHideMemoryBehindProtNone) {
  make(16 * kPageSize);
  int rounds = 0;
  for (std::uint64_t address = kBase; rounds < 100; ++rounds, address += 16 * kPageSize) {
    if (space_->map_anonymous(address, 16 * kPageSize, kReadWrite) != kOk) break;
    ASSERT_EQ(space_->protect(address, 16 * kPageSize, kNone), kOk);
  }
  EXPECT_EQ(rounds, 1);
}

TEST_F(AddressSpaceTest, TheMappingBudgetEndsInNoMemoryAndCanBeFreed) {
  std::uint64_t address = kBase;
  int count = 0;
  while (space_->map_anonymous(address, kPageSize, kReadWrite) == kOk) {
    address += 2 * kPageSize;
    ++count;
  }
  EXPECT_GT(count, 10'000);
  EXPECT_LE(count, 16'000);
  EXPECT_EQ(space_->map_anonymous(address, kPageSize, kReadWrite), MapStatus::kNoMemory);
  EXPECT_GT(pool_->stats().host_mappings, 16'000u);
  // Another guest still has room, and the engine itself too.
  const Result<std::unique_ptr<AddressSpace>> other = AddressSpace::create(pool_, kPageSize);
  ASSERT_TRUE(other);
  EXPECT_EQ((*other)->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
  ASSERT_EQ(space_->unmap(kBase, address - kBase), kOk);
  EXPECT_EQ(space_->committed_bytes(), 0u);
  EXPECT_EQ(space_->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
}

TEST_F(AddressSpaceTest, AllGuestsTogetherStayWithinThePoolsBudget) {
  std::vector<std::unique_ptr<AddressSpace>> spaces;
  bool refused = false;
  for (int i = 0; i < 8 && !refused; ++i) {
    Result<std::unique_ptr<AddressSpace>> space = AddressSpace::create(pool_, std::uint64_t{1} << 30);
    ASSERT_TRUE(space);
    spaces.push_back(std::move(*space));
    for (std::uint64_t n = 0; n < 15'000 && !refused; ++n) {
      refused = spaces.back()->map_anonymous(kBase + 2 * n * kPageSize, kPageSize, kRead) == MapStatus::kNoMemory;
    }
  }
  EXPECT_TRUE(refused);
  EXPECT_LE(pool_->stats().host_mappings, pool_->mapping_budget());
  spaces.clear();
  space_.reset();
  EXPECT_EQ(pool_->stats().host_mappings, 0u);
}

// --- files ---

TEST_F(AddressSpaceTest, APrivateMappingReadsTheFileAndKeepsWritesToItself) {
  const TemporaryFile file(2 * kPageSize + 100);
  ASSERT_EQ(space_->map_file(kBase, 3 * kPageSize, kReadWrite, false, file.fd(), 0, "/file"), kOk);
  EXPECT_EQ(byte(kBase + 5), TemporaryFile::byte_at(5));
  EXPECT_EQ(byte(kBase + 2 * kPageSize + 99), TemporaryFile::byte_at(2 * kPageSize + 99));
  EXPECT_EQ(byte(kBase + 2 * kPageSize + 100), 0) << "zero up to the page's end";
  ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase + 5, 0xAB));
  std::uint8_t in_file = 0;
  ASSERT_EQ(pread(file.fd(), &in_file, 1, 5), 1);
  EXPECT_EQ(in_file, TemporaryFile::byte_at(5));
  ASSERT_EQ(space_->discard(kBase, kPageSize), kOk);
  EXPECT_EQ(byte(kBase + 5), TemporaryFile::byte_at(5)) << "as the file again";
}

TEST_F(AddressSpaceTest, PagesPastTheFileAreABusErrorForGuestsAndAFailureForCopies) {
  const TemporaryFile file(kPageSize);
  for (const bool shared : {false, true}) {
    ASSERT_EQ(space_->map_file(kBase, 3 * kPageSize, kReadWrite, shared, file.fd(), 0), kOk);
    EXPECT_TRUE(readable(kBase));
    EXPECT_FALSE(readable(kBase + kPageSize));
    std::vector<std::uint8_t> to(3 * kPageSize);
    EXPECT_EQ(space_->read(kBase, to.data(), to.size()), kPageSize);
    EXPECT_EQ(space_->write(kBase + kPageSize, to.data(), 8), 0u);
    ASSERT_EQ(ftruncate(file.fd(), 0), 0);
    EXPECT_EQ(space_->read(kBase, to.data(), to.size()), 0u) << "shortened behind the mapping";
    ASSERT_EQ(ftruncate(file.fd(), kPageSize), 0);
  }
}

TEST_F(AddressSpaceTest, ASharedMappingIsTheFile) {
  const TemporaryFile file(2 * kPageSize);
  ASSERT_EQ(space_->map_file(kBase, kPageSize, kReadWrite, true, file.fd(), kPageSize), kOk);
  ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase + 7, 0xAB));
  EXPECT_EQ(space_->sync(kBase, kPageSize), kOk);
  std::uint8_t in_file = 0;
  ASSERT_EQ(pread(file.fd(), &in_file, 1, kPageSize + 7), 1);
  EXPECT_EQ(in_file, 0xAB);
  EXPECT_EQ(space_->discard(kBase, kPageSize), kOk);
  EXPECT_EQ(byte(kBase + 7), 0xAB) << "a shared page is not lost";
}

TEST_F(AddressSpaceTest, PrivateCodeDoesNotFollowTheFile) {
  const TemporaryFile file(kPageSize + 50);
  ASSERT_EQ(space_->map_file(kBase, 3 * kPageSize, kRead | kExecute, false, file.fd(), 0), kOk);
  const std::uint8_t changed = 0xEE;
  ASSERT_EQ(pwrite(file.fd(), &changed, 1, 3), 1);
  ASSERT_EQ(ftruncate(file.fd(), 10), 0);
  EXPECT_EQ(byte(kBase + 3), TemporaryFile::byte_at(3));
  EXPECT_EQ(byte(kBase + kPageSize + 49), TemporaryFile::byte_at(kPageSize + 49));
  EXPECT_EQ(byte(kBase + 2 * kPageSize), 0) << "pages past the file are zero in a copy";
  EXPECT_FALSE(space_->is_mixed(kBase / kPageSize));
  EXPECT_FALSE(writable(kBase));
  EXPECT_EQ(space_->discard(kBase, kPageSize), kOk);
  EXPECT_EQ(byte(kBase + 3), TemporaryFile::byte_at(3));
}

TEST_F(AddressSpaceTest, SharedCodeIsMixed) {
  const TemporaryFile file(kPageSize);
  ASSERT_EQ(space_->map_file(kBase, kPageSize, kRead | kExecute, true, file.fd(), 0), kOk);
  EXPECT_TRUE(space_->is_mixed(kBase / kPageSize));
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kRead | kExecute, true), kOk);
  EXPECT_TRUE(space_->is_mixed(kBase / kPageSize));
}

TEST_F(AddressSpaceTest, AFilePageThatBecomesCodeIsCopiedWithWhatTheGuestWrote) {
  for (const Permissions before : {kReadWrite, kNone}) {
    const TemporaryFile file(2 * kPageSize);
    ASSERT_EQ(space_->map_file(kBase, 4 * kPageSize, kReadWrite, false, file.fd(), 0, "/lib"), kOk);
    ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase + 9, 0x77));
    ASSERT_EQ(space_->protect(kBase, 4 * kPageSize, before), kOk);
    const std::uint64_t committed = space_->committed_bytes();
    ASSERT_EQ(space_->protect(kBase, 3 * kPageSize, kRead | kExecute), kOk);
    ASSERT_EQ(ftruncate(file.fd(), 0), 0);
    EXPECT_EQ(byte(kBase + 9), 0x77);
    EXPECT_EQ(byte(kBase + 10), TemporaryFile::byte_at(10));
    EXPECT_EQ(byte(kBase + kPageSize), TemporaryFile::byte_at(kPageSize));
    EXPECT_EQ(byte(kBase + 2 * kPageSize), 0);
    EXPECT_FALSE(writable(kBase));
    EXPECT_EQ(space_->committed_bytes(), committed);
    const std::vector<Mapping> mappings = space_->mappings();
    ASSERT_EQ(mappings.size(), 2u);
    EXPECT_TRUE(mappings[0].file);
    EXPECT_EQ(mappings[0].name, "/lib");
    EXPECT_EQ(mappings[1].file_offset, 3 * kPageSize);
  }
}

TEST_F(AddressSpaceTest, WhatCannotBeMappedLeavesTheOldMapping) {
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
  ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase, 0x42));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const TemporaryFile file(kPageSize);
  const std::string read_only_path = "/proc/self/fd/" + std::to_string(file.fd());
  const int read_only = open(read_only_path.c_str(), O_RDONLY | O_CLOEXEC);
  const int write_only = open(read_only_path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(read_only, 0);
  for (const Permissions permissions : {kRead, kExecute}) {
    EXPECT_EQ(space_->map_file(kBase, kPageSize, permissions, false, -1, 0), MapStatus::kIo);
    EXPECT_EQ(space_->map_file(kBase, kPageSize, permissions, false, ends[0], 0), MapStatus::kIo);
    EXPECT_EQ(space_->map_file(kBase, kPageSize, permissions, false, write_only, 0), MapStatus::kIo);
  }
  EXPECT_EQ(space_->map_file(kBase, kPageSize, kReadWrite, true, read_only, 0), MapStatus::kIo);
  EXPECT_EQ(space_->map_file(kBase, kPageSize, kRead, false, file.fd(), 1), MapStatus::kInvalid);
  EXPECT_EQ(space_->map_file(kBase, kPageSize, kRead, false, file.fd(), 0 - kPageSize), MapStatus::kInvalid);
  EXPECT_EQ(space_->map_file(kBase, kPageSize, kRead, false, file.fd(), (std::uint64_t{1} << 63) - kPageSize),
            MapStatus::kInvalid);
  EXPECT_EQ(byte(kBase), 0x42);
  EXPECT_TRUE(writable(kBase));
  EXPECT_EQ(space_->committed_bytes(), kPageSize);

  ASSERT_EQ(space_->map_file(kBase + kPageSize, kPageSize, kRead, true, read_only, 0), kOk);
  ASSERT_EQ(space_->map_anonymous(kBase + 2 * kPageSize, kPageSize, kRead), kOk);
  EXPECT_EQ(space_->protect(kBase, 3 * kPageSize, kReadWrite), MapStatus::kIo) << "the file is not open for writing";
  EXPECT_FALSE(writable(kBase + kPageSize));
  EXPECT_FALSE(writable(kBase + 2 * kPageSize));
  EXPECT_EQ(space_->protect(kBase, 3 * kPageSize, kRead), kOk);
  EXPECT_EQ(space_->protect(kBase, 3 * kPageSize, kReadWrite), MapStatus::kIo);
  EXPECT_FALSE(writable(kBase)) << "what was changed before the refusal is changed back";
  for (const int fd : {ends[0], ends[1], read_only, write_only}) close(fd);
}

// --- moving ---

TEST_F(AddressSpaceTest, MovedPagesKeepTheirContentsAndLeaveNothingBehind) {
  constexpr std::uint64_t kTarget = 0x40000000;
  constexpr std::uint64_t kPages = 64;
  const TemporaryFile file(kPages * kPageSize);
  for (int kind = 0; kind < 4; ++kind) {
    const bool shared = kind == 1 || kind == 3;
    if (kind < 2) {
      ASSERT_EQ(space_->map_anonymous(kBase, kPages * kPageSize, kReadWrite, shared, "x"), kOk);
    } else {
      ASSERT_EQ(space_->map_file(kBase, kPages * kPageSize, kReadWrite, shared, file.fd(), 0, "x"), kOk);
    }
    for (std::uint64_t i = 0; i < kPages; i += 3) ASSERT_TRUE(space_->write_value(kBase + i * kPageSize, i + 1000));
    ASSERT_EQ(space_->map_anonymous(kTarget + kPageSize, kPageSize, kReadWrite), kOk) << "to be replaced";
    ASSERT_EQ(space_->move(kBase + kPageSize, (kPages - 2) * kPageSize, kTarget), kOk) << kind;
    EXPECT_FALSE(readable(kBase + kPageSize));
    EXPECT_FALSE(readable(kBase + (kPages - 2) * kPageSize));
    EXPECT_TRUE(space_->is_free(kBase + kPageSize, (kPages - 2) * kPageSize));
    EXPECT_TRUE(writable(kBase)) << "the rest stays";
    EXPECT_TRUE(writable(kBase + (kPages - 1) * kPageSize));
    for (std::uint64_t i = 3; i < kPages - 1; i += 3) {
      EXPECT_EQ(space_->read_value<std::uint64_t>(kTarget + (i - 1) * kPageSize), i + 1000) << kind << ' ' << i;
    }
    EXPECT_EQ(space_->committed_bytes(), kPages * kPageSize);
    EXPECT_EQ(space_->mappings().size(), 3u);
    ASSERT_EQ(space_->map_anonymous(kBase + kPageSize, kPageSize, kRead), kOk);
    EXPECT_EQ(byte(kBase + kPageSize), 0) << "what moved away is zero when mapped anew";
    ASSERT_EQ(space_->unmap(kBase, kTarget), kOk);
    ASSERT_EQ(space_->unmap(kTarget, kPages * kPageSize), kOk);
  }
}

TEST_F(AddressSpaceTest, ARegionOfSeveralKernelMappingsMoves) {
  // Pages that were touched apart cannot become one kernel mapping when the gap between them is filled.
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
  ASSERT_EQ(space_->map_anonymous(kBase + 2 * kPageSize, kPageSize, kReadWrite), kOk);
  ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase, 1));
  ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase + 2 * kPageSize, 3));
  ASSERT_EQ(space_->map_anonymous(kBase + kPageSize, kPageSize, kReadWrite), kOk);
  ASSERT_EQ(space_->mappings().size(), 1u);
  ASSERT_EQ(space_->move(kBase, 3 * kPageSize, kBase + 16 * kPageSize), kOk);
  EXPECT_EQ(byte(kBase + 16 * kPageSize), 1);
  EXPECT_EQ(byte(kBase + 17 * kPageSize), 0);
  EXPECT_EQ(byte(kBase + 18 * kPageSize), 3);
  EXPECT_TRUE(space_->is_free(kBase, 3 * kPageSize));
}

TEST_F(AddressSpaceTest, OverlappingMovesAreRefused) {
  ASSERT_EQ(space_->map_anonymous(kBase, 4 * kPageSize, kReadWrite), kOk);
  EXPECT_EQ(space_->move(kBase, 4 * kPageSize, kBase + kPageSize), MapStatus::kInvalid);
  EXPECT_EQ(space_->move(kBase, 4 * kPageSize, kBase), MapStatus::kInvalid);
  EXPECT_EQ(space_->move(kBase + 2 * kPageSize, 2 * kPageSize, kBase), kOk);
}

// --- code changes ---

TEST_F(AddressSpaceTest, TheObserverHearsOfEveryChangeOfCode) {
  constexpr auto kPage = static_cast<std::uint32_t>(kBase / kPageSize);
  ASSERT_EQ(space_->map_anonymous(kBase, 4 * kPageSize, kReadWrite), kOk);
  ASSERT_TRUE(space_->write_value<std::uint32_t>(kBase, 1));
  EXPECT_EQ(recorder_.take(), Calls{}) << "data";
  ASSERT_EQ(space_->protect(kBase, 2 * kPageSize, kRead | kExecute), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage, 2}})) << "an instruction of the page before may reach into it";
  ASSERT_EQ(space_->protect(kBase, 2 * kPageSize, kRead | kExecute), kOk);
  EXPECT_EQ(recorder_.take(), Calls{}) << "nothing changed";
  ASSERT_EQ(space_->protect(kBase + kPageSize, kPageSize, kRead | kWrite | kExecute), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage + 1, 1}})) << "W added";
  ASSERT_TRUE(space_->write_value<std::uint32_t>(kBase + 2 * kPageSize - 2, 1));
  EXPECT_EQ(recorder_.take(), (Calls{{kPage + 1, 1}})) << "host write";
  space_->note_host_write(kBase + kPageSize - 1, 2 * kPageSize);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage, 2}})) << "host write by the kernel";
  ASSERT_EQ(space_->discard(kBase, 4 * kPageSize), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage, 1}, {kPage + 1, 1}}));
  ASSERT_EQ(space_->map_anonymous(kBase, 1 * kPageSize, kRead), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage, 1}})) << "replaced";
  ASSERT_EQ(space_->move(kBase + kPageSize, kPageSize, kBase + 8 * kPageSize), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage + 1, 1}, {kPage + 8, 1}}));
  ASSERT_EQ(space_->protect(kBase + 8 * kPageSize, kPageSize, kRead), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage + 8, 1}})) << "X removed";
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kExecute), kOk);
  recorder_.take();
  ASSERT_EQ(space_->unmap(kBase - kPageSize, 3 * kPageSize), kOk);
  EXPECT_EQ(recorder_.take(), (Calls{{kPage, 1}})) << "unmapped";
  space_->note_host_write(kWindowSize - 1, SIZE_MAX);
  space_->note_host_write(UINT64_MAX, 2);
  EXPECT_EQ(recorder_.take(), Calls{});
}

// --- copies and strings ---

TEST_F(AddressSpaceTest, CopiesEndAtTheFirstInaccessibleByteAndNeverWrap) {
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kReadWrite), kOk);
  ASSERT_EQ(space_->map_anonymous(kBase + kPageSize, kPageSize, kExecute), kOk);
  std::vector<std::uint8_t> bytes(4 * kPageSize, 7);
  EXPECT_EQ(space_->write(kBase + 100, bytes.data(), bytes.size()), kPageSize - 100) << "the next page is not writable";
  EXPECT_EQ(space_->read(kBase + 100, bytes.data(), bytes.size()), 2 * kPageSize - 100) << "X implies R";
  EXPECT_EQ(space_->read(kBase - 1, bytes.data(), 2), 0u);
  for (const std::uint64_t address :
       {kWindowSize, kWindowSize + kBase, UINT64_MAX, UINT64_MAX - kPageSize, std::uint64_t{0}}) {
    EXPECT_EQ(space_->read(address, bytes.data(), 16), 0u) << address;
    EXPECT_EQ(space_->write(address, bytes.data(), 16), 0u) << address;
  }
  EXPECT_EQ(space_->read(kWindowSize - 4, bytes.data(), 8), 0u);
  EXPECT_EQ(space_->read(kBase, bytes.data(), 0), 0u);
}

TEST_F(AddressSpaceTest, StringsEndAtTheirNulTheLimitOrTheMapping) {
  ASSERT_EQ(space_->map_anonymous(kBase, 2 * kPageSize, kReadWrite), kOk);
  const auto place = [this](std::uint64_t address, std::string_view text) {
    ASSERT_EQ(space_->write(address, text.data(), text.size()), text.size());
  };
  place(kBase + kPageSize - 3, "straddles");
  EXPECT_EQ(space_->read_string(kBase + kPageSize - 3, 100), "straddles");
  EXPECT_EQ(space_->read_string(kBase + kPageSize - 3, 9), "straddles") << "exactly the limit";
  EXPECT_EQ(space_->read_string(kBase + kPageSize - 3, 8), "straddles")
      << "one more than the limit tells that it is longer";
  EXPECT_EQ(space_->read_string(kBase + kPageSize - 3, 3), "stra");
  EXPECT_EQ(space_->read_string(kBase, 100), "");
  place(kBase + 2 * kPageSize - 3, "abc");
  EXPECT_EQ(space_->read_string(kBase + 2 * kPageSize - 3, 100), std::nullopt) << "no NUL before the end";
  EXPECT_EQ(space_->read_string(kBase + 2 * kPageSize - 3, 2), "abc") << "long enough before the end";
  EXPECT_EQ(space_->read_string(kBase + 2 * kPageSize, 100), std::nullopt);
  EXPECT_EQ(space_->read_string(UINT64_MAX, 100), std::nullopt);
}

// --- finding room ---

TEST_F(AddressSpaceTest, FindsTheHighestRoom) {
  EXPECT_EQ(space_->find_free(kPageSize, 0, UINT64_MAX), kHighestAddress - kPageSize);
  EXPECT_EQ(space_->find_free(1, 0, kBase), kBase - kPageSize) << "lengths are rounded up";
  EXPECT_EQ(space_->find_free(kWindowSize, 0, UINT64_MAX), std::nullopt);
  EXPECT_EQ(space_->find_free(0, 0, UINT64_MAX), std::nullopt);
  EXPECT_EQ(space_->find_free(UINT64_MAX, 0, UINT64_MAX), std::nullopt);
  EXPECT_EQ(space_->find_free(kHighestAddress - kLowestAddress, 0, UINT64_MAX), kLowestAddress);
  EXPECT_EQ(space_->find_free(kPageSize, UINT64_MAX, UINT64_MAX), std::nullopt);
  EXPECT_EQ(space_->find_free(2 * kPageSize, kBase, kBase + kPageSize), std::nullopt);
  ASSERT_EQ(space_->map_anonymous(kBase, kPageSize, kNone), kOk);
  EXPECT_EQ(space_->find_free(kPageSize, kBase - kPageSize, kBase + kPageSize), kBase - kPageSize)
      << "PROT_NONE is not free";
}

TEST_F(AddressSpaceTest, TakingRoomFromTheTopStaysFastWithManyMappings) {
  // Alternating permissions, so that nothing merges.
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 12'000; ++i) {
    const std::optional<std::uint64_t> address = space_->find_free(kPageSize, kLowestAddress, kHighestAddress);
    ASSERT_EQ(address, kHighestAddress - kPageSize * static_cast<std::uint64_t>(i + 1));
    ASSERT_EQ(space_->map_anonymous(*address, kPageSize, i % 2 == 0 ? kRead : kReadWrite), kOk);
  }
  const auto elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_LT(elapsed, std::chrono::seconds(5)) << "about 3 µs each without a sanitizer";
}

// --- cost of an idle instance, and of the pool's reuse ---

TEST_F(AddressSpaceTest, MappingsAreListedInOrder) {
  ASSERT_EQ(space_->map_anonymous(kBase + 4 * kPageSize, kPageSize, kReadWrite, false, "[heap]"), kOk);
  ASSERT_EQ(space_->map_anonymous(kBase, 2 * kPageSize, kRead, true), kOk);
  const std::vector<Mapping> mappings = space_->mappings();
  ASSERT_EQ(mappings.size(), 2u);
  EXPECT_EQ(mappings[0].start, kBase);
  EXPECT_EQ(mappings[0].end, kBase + 2 * kPageSize);
  EXPECT_TRUE(mappings[0].shared);
  EXPECT_FALSE(mappings[0].file);
  EXPECT_EQ(mappings[0].permissions, kRead);
  EXPECT_EQ(mappings[1].name, "[heap]");
  EXPECT_FALSE(mappings[1].shared);
}

TEST_F(AddressSpaceTest, AReusedWindowReadsAsZeroWithoutPermissions) {
  std::uint8_t* const base = space_->base();
  ASSERT_EQ(space_->map_anonymous(kBase, 64 * kPageSize, kRead | kWrite | kExecute), kOk);
  for (std::uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(space_->write_value<std::uint8_t>(kBase + i * kPageSize, 1));
  space_.reset();
  make(std::uint64_t{1} << 30);
  ASSERT_EQ(space_->base(), base);
  for (std::uint32_t page = 0; page < kWindowSize / kPageSize; ++page) {
    ASSERT_EQ(space_->permissions(page), kNone);
    ASSERT_FALSE(space_->is_mixed(page));
  }
  EXPECT_FALSE(readable(kBase));
  ASSERT_EQ(space_->map_anonymous(kBase, 64 * kPageSize, kRead), kOk);
  for (std::uint64_t i = 0; i < 64; ++i) EXPECT_EQ(byte(kBase + i * kPageSize), 0);
}

TEST_F(AddressSpaceTest, AnIdleInstanceCostsLittle) {
  if (test::kHasSanitizer) GTEST_SKIP() << "sanitizers keep memory of their own for each page";
  const auto kilobytes = [] {
    // Resident pages and page tables.
    std::ifstream status("/proc/self/status");
    std::string line;
    std::uint64_t sum = 0;
    while (std::getline(status, line)) {
      if (line.starts_with("VmRSS:") || line.starts_with("VmPTE:")) sum += std::stoull(line.substr(6));
    }
    return sum;
  };
  constexpr std::uint64_t kInstances = 64;
  std::vector<std::unique_ptr<AddressSpace>> spaces;
  const std::uint64_t before = kilobytes();
  for (std::uint64_t i = 0; i < kInstances; ++i) {
    Result<std::unique_ptr<AddressSpace>> space = AddressSpace::create(pool_, std::uint64_t{1} << 32);
    ASSERT_TRUE(space);
    // The layout of a static program: code, data, heap, a library's place and an 8 MiB stack; four pages touched.
    const struct {
      std::uint64_t address, length;
      Permissions permissions;
    } layout[] = {{0x10000, 0x80000, kRead | kExecute},
                  {0x90000, 0x8000, kReadWrite},
                  {0x98000, 0x21000, kReadWrite},
                  {0x7F000000, 0x200000, kReadWrite},
                  {0xFF7E0000, 0x800000, kReadWrite}};
    for (const auto& [address, length, permissions] : layout) {
      ASSERT_EQ((*space)->map_anonymous(address, length, permissions), kOk);
      if ((permissions & kWrite) != 0) ASSERT_TRUE((*space)->write_value<std::uint64_t>(address + length - 8, 1));
    }
    spaces.push_back(std::move(*space));
  }
  EXPECT_LE((kilobytes() - before) / kInstances, 100u) << "KiB; 200 with the rest of an instance";
}

// --- the host at its limits ---

// What can be seen of an address space, to tell that a refused change changed nothing.
struct Snapshot {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, Permissions>> mappings;
  std::vector<std::pair<bool, std::uint64_t>> contents;
  std::uint64_t committed = 0;
  bool operator==(const Snapshot&) const = default;
};

constexpr std::uint64_t kArenaPages = 40;

Snapshot snapshot(const AddressSpace& space) {
  Snapshot result{.mappings = {}, .contents = {}, .committed = space.committed_bytes()};
  for (const Mapping& mapping : space.mappings()) {
    result.mappings.emplace_back(mapping.start, mapping.end, mapping.permissions);
  }
  for (std::uint64_t page = 0; page < kArenaPages; ++page) {
    std::uint64_t value = 0;
    const bool accessible = space.read(kBase + page * kPageSize, &value, sizeof value) == sizeof value;
    result.contents.emplace_back(accessible, value);
    // The books say what the host does.
    if (accessible != (space.permissions(static_cast<std::uint32_t>(kBase / kPageSize + page)) != kNone)) return {};
  }
  return result;
}

// Uses up the process's kernel mappings but for `left`.
bool exhaust_kernel_mappings(std::size_t left) {
  std::vector<void*> single_pages;
  single_pages.reserve(100'000);
  for (int i = 0; i < 200'000; ++i) {
    void* const page = mmap(nullptr, kPageSize, i % 2 == 0 ? PROT_READ : PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (page == MAP_FAILED) {
      for (std::size_t k = 0; k < left && k < single_pages.size(); ++k) munmap(single_pages[k * 2], kPageSize);
      return true;
    }
    if (single_pages.size() < single_pages.capacity()) single_pages.push_back(page);
  }
  return false;
}

TEST_F(AddressSpaceTest, WithoutKernelMappingsChangesAreRefusedWhole) {
  if (test::kHasSanitizer)
    GTEST_SKIP() << "a sanitizer ends the process when the host has no memory mappings left for itself";
  for (std::uint64_t i = 0; i < kArenaPages; ++i) {
    ASSERT_EQ(space_->map_anonymous(kBase + i * kPageSize, kPageSize, i / 8 % 2 == 0 ? kReadWrite : kRead), kOk);
    if (i / 8 % 2 == 0) ASSERT_TRUE(space_->write_value(kBase + i * kPageSize, i + 1));
  }
  const TemporaryFile file(kArenaPages * kPageSize);
  const auto at = [](std::uint64_t page) { return kBase + page * kPageSize; };
  using Change = MapStatus (*)(AddressSpace&, int, decltype(at));
  const Change changes[] = {
      [](AddressSpace& space, int, decltype(at) page) { return space.protect(page(2), 1 * kPageSize, kNone); },
      [](AddressSpace& space, int, decltype(at) page) { return space.protect(page(4), 16 * kPageSize, kExecute); },
      [](AddressSpace& space, int, decltype(at) page) { return space.unmap(page(11), 2 * kPageSize); },
      [](AddressSpace& space, int, decltype(at) page) { return space.map_anonymous(page(18), kPageSize, kRead); },
      [](AddressSpace& space, int, decltype(at) page) { return space.map_anonymous(page(20), kPageSize, kRead, true); },
      [](AddressSpace& space, int fd, decltype(at) page) {
        return space.map_file(page(26), kPageSize, kRead, false, fd, 0);
      },
      [](AddressSpace& space, int fd, decltype(at) page) {
        return space.map_file(page(28), kPageSize, kExecute, false, fd, 0);
      },
      [](AddressSpace& space, int, decltype(at) page) { return space.move(page(34), 2 * kPageSize, page(13)); },
      [](AddressSpace& space, int, decltype(at) page) { return space.discard(page(34), 3 * kPageSize); },
  };
  int refused = 0;
  for (const std::size_t left : {0, 2, 4, 6, 8}) {
    const pid_t child = fork();
    if (child == 0) {
      if (!exhaust_kernel_mappings(left)) _exit(255);
      int refusals = 0;
      for (const Change change : changes) {
        const Snapshot before = snapshot(*space_);
        const MapStatus status = change(*space_, file.fd(), at);
        const Snapshot after = snapshot(*space_);
        if (after.contents.empty()) _exit(254);
        if (status == kOk) continue;
        if (status != MapStatus::kNoMemory) _exit(253);
        if (after != before) _exit(252);
        ++refusals;
      }
      _exit(refusals);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status)) << left;
    ASSERT_LE(WEXITSTATUS(status), 9) << left;
    refused += WEXITSTATUS(status);
  }
  EXPECT_GT(refused, 5) << "the limit was met";
}

}  // namespace
}  // namespace caisson::memory
