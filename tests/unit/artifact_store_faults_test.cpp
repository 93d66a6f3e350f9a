// Each write of the store made to fail in turn: what was stored before stays, and the store goes on when the disk does.
//
// The functions through which LMDB and the store write are replaced in this program; the LMDB that it is tested with is linked
// statically and comes here.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "caisson/artifact_administration.h"
#include "caisson/artifact_store.h"
#include "support/sample_artifact.h"
#include "support/scratch_directory.h"

namespace {

constexpr long kNever = -1;
std::atomic<long> writes_until_failure = kNever;
std::atomic<long> failures_left = 0;
std::atomic<int> failure = 0;
std::atomic<bool> has_failed = false;

// Whether this call is one that fails; errno is set then.
bool is_made_to_fail() {
  if (writes_until_failure == kNever || writes_until_failure-- > 0) return false;
  writes_until_failure = 0;
  if (failures_left-- <= 0) {
    writes_until_failure = kNever;
    return false;
  }
  has_failed = true;
  errno = failure;
  return true;
}

}  // namespace

extern "C" {
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  return is_made_to_fail() ? -1 : syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}
ssize_t write(int descriptor, const void* bytes, size_t size) {
  return is_made_to_fail() ? -1 : syscall(SYS_write, descriptor, bytes, size);
}
ssize_t writev(int descriptor, const iovec* pieces, int count) {
  return is_made_to_fail() ? -1 : syscall(SYS_writev, descriptor, pieces, count);
}
int fdatasync(int descriptor) { return is_made_to_fail() ? -1 : static_cast<int>(syscall(SYS_fdatasync, descriptor)); }
int fsync(int descriptor) { return is_made_to_fail() ? -1 : static_cast<int>(syscall(SYS_fsync, descriptor)); }
int ftruncate(int descriptor, off_t size) noexcept {
  return is_made_to_fail() ? -1 : static_cast<int>(syscall(SYS_ftruncate, descriptor, size));
}
}

namespace caisson {
namespace {

using test::numbered_artifact;

constexpr std::size_t kCodeBytes = 9000;
const ArtifactContext kContext = test::small_artifact().context;

void fail_from(long write, long failures, int error_number) {
  failure = error_number;
  has_failed = false;
  failures_left = failures;
  writes_until_failure = write;
}

void stop_failing() { writes_until_failure = kNever; }

bool is_whole(ArtifactStore& store, const Artifact& expected) {
  const auto found = store.load(expected.key, kContext, nullptr);
  return found && found->has_value() && (*found)->blob == expected.blob;
}

// (errors in a row, error)
class EachWriteFails : public testing::TestWithParam<std::tuple<long, int>> {};

TEST_P(EachWriteFails, WhileStoring) {
  const auto [failures, error_number] = GetParam();
  const test::ScratchDirectory scratch;
  const std::string path = scratch / "store";
  auto store = open_artifact_store(path).value();
  std::vector<Artifact> stored = {numbered_artifact(0, kCodeBytes)};
  ASSERT_TRUE(store->store(stored[0]));
  int failed = 0;
  for (long write = 0;; ++write) {
    const Artifact next = numbered_artifact(static_cast<std::uint64_t>(write) + 1, kCodeBytes);
    fail_from(write, failures, error_number);
    const Result<void> result = store->store(next);
    stop_failing();
    if (result) {
      stored.push_back(next);
    } else {
      ++failed;
      EXPECT_EQ(result.error().code, error_number == ENOSPC ? ErrorCode::kLimit : ErrorCode::kIo)
          << result.error().to_string();
    }
    for (const Artifact& artifact : stored) ASSERT_TRUE(is_whole(*store, artifact)) << "write " << write;
    ASSERT_TRUE(store->store(next)) << "write " << write;
    if (!result) stored.push_back(next);
    // As another process finds it.
    store.reset();
    store = open_artifact_store(path).value();
    for (const Artifact& artifact : stored) ASSERT_TRUE(is_whole(*store, artifact)) << "write " << write;
    if (!has_failed) break;
    ASSERT_LT(write, 100);
  }
  EXPECT_GE(failed, 3);  // pages, sync, LMDB's last page
}

TEST_P(EachWriteFails, WhileMakingAStore) {
  const auto [failures, error_number] = GetParam();
  int failed = 0;
  for (long write = 0;; ++write) {
    const test::ScratchDirectory scratch;
    const std::string path = scratch / "store";
    fail_from(write, failures, error_number);
    const auto opened = open_artifact_store(path);
    stop_failing();
    failed += opened ? 0 : 1;
    const auto store = opened ? *opened : open_artifact_store(path).value();
    ASSERT_TRUE(store->store(numbered_artifact(1))) << "write " << write;
    EXPECT_EQ(list_artifacts(path, {.is_full = true}).value()[0].state, ArtifactState::kGood);
    if (!has_failed) break;
    ASSERT_LT(write, 100);
  }
  EXPECT_GE(failed, 5);
}

INSTANTIATE_TEST_SUITE_P(Faults, EachWriteFails,
                         testing::Combine(testing::Values(1, 1000), testing::Values(ENOSPC, EIO)));

}  // namespace
}  // namespace caisson
