// What the file calls do to files, and what they answer to bad arguments.
#include <linux/stat.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "linux/file_table.h"
#include "linux/guest_buffers.h"
#include "unit/linux_test_process.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kBad = TestProcess::kUnmapped;
constexpr std::uint64_t kWrapped = (std::uint64_t{1} << 32) + TestProcess::kScratch;  // must not be taken modulo 2^32

// struct stat of riscv64, by its offsets (asm-generic/stat.h).
struct RiscvStat {
  std::uint64_t st_dev, st_ino;
  std::uint32_t st_mode, st_nlink, st_uid, st_gid;
  std::uint64_t st_rdev, pad1;
  std::int64_t st_size;
  std::int32_t st_blksize, pad2;
  std::int64_t st_blocks, st_atime_sec, st_atime_nsec, st_mtime_sec, st_mtime_nsec, st_ctime_sec, st_ctime_nsec;
  std::uint32_t unused[2];
};

class FileCalls : public testing::Test {
 protected:
  FileCalls() {
    root_.write("file", "0123456789");
    root_.directory("directory");
    root_.link("link", "file");
    LinuxOptions options;
    options.root = root_.path();
    guest_ = std::make_unique<TestProcess>(options);
  }
  TestProcess& guest() { return *guest_; }
  RiscvStat stat(std::string_view path, std::uint32_t flags = 0) {
    const std::uint64_t buffer = guest().reserve(sizeof(RiscvStat));
    EXPECT_EQ(guest().call(sys_newfstatat, AT_FDCWD, guest().text(path), buffer, flags), 0) << path;
    return guest().load<RiscvStat>(buffer);
  }

  TemporaryDirectory root_;
  std::unique_ptr<TestProcess> guest_;
};

// Every call that takes a pointer, with the bad pointer in each place that is one.
TEST_F(FileCalls, BadPointersAreFaults) {
  const std::int64_t file = guest().open("/file", O_RDWR);
  const std::int64_t other = guest().open("/other", O_RDWR | O_CREAT, 0644);
  const std::int64_t directory = guest().open("/directory", O_RDONLY | O_DIRECTORY);
  const std::int64_t text_file = guest().open("/proc/version");
  const std::int64_t zeroes = guest().open("/dev/zero", O_RDWR);
  const std::int64_t random = guest().open("/dev/urandom");
  const std::uint64_t path = guest().text("/file"), attribute = guest().text("user.test"),
                      buffer = guest().reserve(4096);
  const std::uint64_t new_path = guest().text("/never");
  struct Case {
    const char* name;
    SystemCall call;
    std::vector<std::uint64_t> arguments;
  };
  const auto descriptor = [](std::int64_t number) { return static_cast<std::uint64_t>(number); };
  const std::uint64_t here = descriptor(AT_FDCWD);
  for (const std::uint64_t bad : {kBad, kWrapped, std::uint64_t{0}, ~std::uint64_t{0}, memory::kWindowSize - 1}) {
    std::vector<Case> cases = {
        {"openat", sys_openat, {here, bad, O_RDONLY}},
        {"openat2 path", sys_openat2, {here, bad, buffer, 24}},
        {"openat2 how", sys_openat2, {here, path, bad, 24}},
        {"memfd_create", sys_memfd_create, {bad, 0}},
        {"pipe2", sys_pipe2, {bad, 0}},
        {"fcntl F_GETLK", sys_fcntl, {descriptor(file), F_GETLK, bad}},
        {"fcntl F_SETLK", sys_fcntl, {descriptor(file), F_SETLK, bad}},
        {"ioctl FIONREAD", sys_ioctl, {descriptor(file), 0x541B, bad}},
        {"ioctl FIONBIO", sys_ioctl, {descriptor(file), 0x5421, bad}},
        {"read", sys_read, {descriptor(file), bad, 8}},
        {"read text", sys_read, {descriptor(text_file), bad, 8}},
        {"read zeroes", sys_read, {descriptor(zeroes), bad, 8}},
        {"read random", sys_read, {descriptor(random), bad, 8}},
        {"write", sys_write, {descriptor(file), bad, 8}},
        {"readv", sys_readv, {descriptor(file), bad, 1}},
        {"writev", sys_writev, {descriptor(file), bad, 1}},
        {"pread64", sys_pread64, {descriptor(file), bad, 8, 0}},
        {"pwrite64", sys_pwrite64, {descriptor(file), bad, 8, 0}},
        {"preadv", sys_preadv, {descriptor(file), bad, 1, 0}},
        {"pwritev", sys_pwritev, {descriptor(file), bad, 1, 0}},
        {"preadv2", sys_preadv2, {descriptor(file), bad, 1, 0, 0, 0}},
        {"pwritev2", sys_pwritev2, {descriptor(file), bad, 1, 0, 0, 0}},
        {"truncate", sys_truncate, {bad, 0}},
        {"getdents64", sys_getdents64, {descriptor(directory), bad, 4096}},
        {"getcwd", sys_getcwd, {bad, 4096}},
        {"chdir", sys_chdir, {bad}},
        {"mkdirat", sys_mkdirat, {here, bad, 0755}},
        {"mknodat", sys_mknodat, {here, bad, S_IFREG | 0644, 0}},
        {"unlinkat", sys_unlinkat, {here, bad, 0}},
        {"renameat from", sys_renameat, {here, bad, here, path}},
        {"renameat2 to", sys_renameat2, {here, path, here, bad, 0}},
        {"linkat from", sys_linkat, {here, bad, here, new_path, 0}},
        {"linkat to", sys_linkat, {here, path, here, bad, 0}},
        {"symlinkat target", sys_symlinkat, {bad, here, new_path}},
        {"symlinkat name", sys_symlinkat, {path, here, bad}},
        {"readlinkat path", sys_readlinkat, {here, bad, buffer, 64}},
        {"readlinkat buffer", sys_readlinkat, {here, guest().text("/link"), bad, 64}},
        {"fstat", sys_fstat, {descriptor(file), bad}},
        {"newfstatat path", sys_newfstatat, {here, bad, buffer, 0}},
        {"newfstatat buffer", sys_newfstatat, {here, path, bad, 0}},
        {"statx path", sys_statx, {here, bad, 0, STATX_BASIC_STATS, buffer}},
        {"statx buffer", sys_statx, {here, path, 0, STATX_BASIC_STATS, bad}},
        {"statfs path", sys_statfs, {bad, buffer}},
        {"statfs buffer", sys_statfs, {path, bad}},
        {"fstatfs", sys_fstatfs, {descriptor(file), bad}},
        {"faccessat", sys_faccessat, {here, bad, R_OK}},
        {"faccessat2", sys_faccessat2, {here, bad, R_OK, 0}},
        {"fchmodat", sys_fchmodat, {here, bad, 0644}},
        {"fchmodat2", sys_fchmodat2, {here, bad, 0644, 0}},
        {"fchownat", sys_fchownat, {here, bad, ~0ULL, ~0ULL, 0}},
        {"setxattr path", sys_setxattr, {bad, attribute, buffer, 4, 0}},
        {"setxattr name", sys_setxattr, {path, bad, buffer, 4, 0}},
        {"setxattr value", sys_setxattr, {path, attribute, bad, 4, 0}},
        {"fsetxattr value", sys_fsetxattr, {descriptor(file), attribute, bad, 4, 0}},
        {"getxattr path", sys_getxattr, {bad, attribute, buffer, 4}},
        {"lgetxattr name", sys_lgetxattr, {path, bad, buffer, 4}},
        {"listxattr path", sys_listxattr, {bad, buffer, 4}},
        {"removexattr path", sys_removexattr, {bad, attribute}},
        {"lremovexattr name", sys_lremovexattr, {path, bad}},
        {"ppoll", sys_ppoll, {bad, 1, 0, 0, 0}},
        {"pselect6 set", sys_pselect6, {8, bad == 0 ? kBad : bad, 0, 0, 0, 0}},
    };
    if (bad != 0) {  // a null pointer means something here
      cases.insert(cases.end(),
                   {{"sendfile", sys_sendfile, {descriptor(other), descriptor(file), bad, 4}},
                    {"copy_file_range in", sys_copy_file_range, {descriptor(file), bad, descriptor(other), 0, 4, 0}},
                    {"copy_file_range out", sys_copy_file_range, {descriptor(file), 0, descriptor(other), bad, 4, 0}},
                    {"utimensat path", sys_utimensat, {here, bad, 0, 0}},
                    {"utimensat times", sys_utimensat, {here, path, bad, 0}},
                    {"ppoll timeout", sys_ppoll, {buffer, 0, bad, 0, 0}},
                    {"ppoll mask", sys_ppoll, {buffer, 0, 0, bad, 8}},
                    {"pselect6 timeout", sys_pselect6, {0, 0, 0, 0, bad, 0}},
                    {"pselect6 mask", sys_pselect6, {0, 0, 0, 0, 0, bad}}});
    }
    for (const Case& bad_case : cases) {
      CallArguments arguments;
      std::ranges::copy(bad_case.arguments, arguments.a);
      EXPECT_EQ(bad_case.call(guest().process(), arguments), -EFAULT)
          << bad_case.name << " with pointer " << std::hex << bad;
    }
  }
  EXPECT_EQ(root_.text("file"), "0123456789");
  EXPECT_FALSE(std::filesystem::exists(root_.path("never")));
}

TEST_F(FileCalls, ReadOnlyGuestMemoryIsNotWrittenByTheHost) {
  const std::int64_t file = guest().open("/file");
  EXPECT_EQ(guest().call(sys_read, file, TestProcess::kReadOnly, 8), -EFAULT);
  EXPECT_EQ(guest().call(sys_fstat, file, TestProcess::kReadOnly), -EFAULT);
  EXPECT_EQ(guest().call(sys_getcwd, TestProcess::kReadOnly, 64), -EFAULT);
  EXPECT_EQ(guest().bytes(TestProcess::kReadOnly, 8), std::string(8, '\0'));
}

// A transfer that runs into inaccessible memory moves what comes before it.
TEST_F(FileCalls, TransfersStopAtInaccessibleMemory) {
  const std::uint64_t edge = TestProcess::kScratch + TestProcess::kScratchSize;
  root_.write("long", std::string(8192, 'l'));
  EXPECT_EQ(guest().call(sys_read, guest().open("/long"), edge - 4096, 8192), 4096);
  EXPECT_EQ(guest().bytes(edge - 4, 8), "llll");
  EXPECT_EQ(guest().call(sys_read, guest().open("/dev/zero"), edge - 4, 8), 4);
  EXPECT_EQ(guest().bytes(edge - 4, 8), std::string(4, '\0'));
  const std::int64_t out = guest().open("/out", O_WRONLY | O_CREAT, 0644);
  EXPECT_EQ(guest().call(sys_write, out, edge - 4096, 8192), 4096);
}

TEST_F(FileCalls, VectorsAreCheckedOnce) {
  const std::int64_t file = guest().open("/file");
  const std::uint64_t one = guest().reserve(8), two = guest().reserve(8);
  using Vectors = std::array<std::array<std::uint64_t, 2>, 3>;
  EXPECT_EQ(guest().call(sys_readv, file, guest().value(Vectors{{{one, 4}, {0, 0}, {two, 4}}}), 3), 8);
  EXPECT_EQ(guest().bytes(one, 4) + guest().bytes(two, 4), "01234567");
  EXPECT_EQ(guest().call(sys_preadv, file, guest().value(Vectors{{{one, 2}, {two, 2}}}), 2, 6), 4);
  EXPECT_EQ(guest().bytes(one, 2) + guest().bytes(two, 2), "6789");
  EXPECT_EQ(guest().call(sys_preadv2, file, guest().value(Vectors{{{one, 8}}}), 1, -1, 0, 0), 2);
  EXPECT_EQ(guest().call(sys_preadv2, file, guest().value(Vectors{{{one, 8}}}), 1, 0, 0, 16), -EOPNOTSUPP);
  EXPECT_EQ(guest().call(sys_readv, file, guest().value(Vectors{{{one, ~0ULL}}}), 1), -EINVAL);
  EXPECT_EQ(guest().call(sys_readv, file, guest().value(Vectors{{{one, 1ULL << 62}, {two, 1ULL << 62}}}), 2), -EINVAL);
  EXPECT_EQ(guest().call(sys_readv, file, guest().value(Vectors{{{one, 4}, {kWrapped, 4}}}), 2), -EFAULT);
  EXPECT_EQ(guest().call(sys_readv, file, one, 1025), -EINVAL);
  EXPECT_EQ(guest().call(sys_readv, file, one, 0), 0);
}

TEST_F(FileCalls, ReadWriteAndSeek) {
  const std::int64_t file = guest().open("/file", O_RDWR);
  EXPECT_EQ(guest().call(sys_lseek, file, -3, SEEK_END), 7);
  EXPECT_EQ(guest().read(file), "789");
  EXPECT_EQ(guest().read(file), "");
  EXPECT_EQ(guest().call(sys_lseek, file, -1, SEEK_SET), -EINVAL);
  EXPECT_EQ(guest().call(sys_lseek, file, 0, 99), -EINVAL);
  EXPECT_EQ(guest().call(sys_pwrite64, file, guest().text("AB"), 2, 2), 2);
  EXPECT_EQ(guest().call(sys_pread64, file, guest().reserve(4), 4, -1), -EINVAL);
  EXPECT_EQ(root_.text("file"), "01AB456789");
  EXPECT_EQ(guest().call(sys_ftruncate, file, 4), 0);
  EXPECT_EQ(guest().call(sys_ftruncate, file, -1), -EINVAL);
  EXPECT_EQ(root_.text("file"), "01AB");
  EXPECT_EQ(guest().call(sys_truncate, guest().text("/link"), 2), 0);
  EXPECT_EQ(root_.text("file"), "01");
  EXPECT_EQ(guest().call(sys_truncate, guest().text("/directory"), 2), -EISDIR);
  EXPECT_EQ(guest().call(sys_fallocate, file, 0, 0, 100), 0);
  EXPECT_EQ(root_.text("file").size(), 100U);
  EXPECT_EQ(guest().call(sys_fsync, file), 0);
  EXPECT_EQ(guest().call(sys_fdatasync, file), 0);
  EXPECT_EQ(guest().call(sys_sync), 0);
  EXPECT_EQ(guest().call(sys_fadvise64, file, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
  const std::int64_t directory = guest().open("/directory");
  EXPECT_EQ(guest().read(directory), "error " + std::to_string(EISDIR));
  EXPECT_EQ(guest().call(sys_fsync, directory), 0);
  EXPECT_EQ(guest().call(sys_fsync, guest().open("/proc/version")), -EINVAL);
}

TEST_F(FileCalls, OpenFlags) {
  EXPECT_EQ(guest().open("/file", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
  EXPECT_EQ(guest().open("/link", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
  EXPECT_EQ(guest().open("/directory", O_WRONLY), -EISDIR);
  EXPECT_EQ(guest().open("/directory", O_CREAT | O_RDONLY, 0644), -EISDIR);
  EXPECT_EQ(guest().open("/file", O_DIRECTORY), -ENOTDIR);
  EXPECT_EQ(guest().open("/new/", O_CREAT | O_WRONLY, 0644), -EISDIR);
  EXPECT_EQ(guest().open("/no/new", O_CREAT | O_WRONLY, 0644), -ENOENT);
  EXPECT_EQ(guest().open("/file", O_TMPFILE | O_RDWR, 0644), -ENOTDIR);
  const std::int64_t appended = guest().open("/file", O_WRONLY | O_APPEND);
  guest().write(appended, "A");
  guest().call(sys_lseek, appended, 0, SEEK_SET);
  guest().write(appended, "B");
  EXPECT_EQ(root_.text("file"), "0123456789AB");
  guest().open("/file", O_WRONLY | O_TRUNC);
  EXPECT_EQ(root_.text("file"), "");
  const std::array<std::uint64_t, 3> how = {O_RDONLY, 0, 4}, unknown = {O_RDONLY, 0, 64},
                                     with_mode = {O_RDONLY, 0644, 0};
  EXPECT_EQ(guest().call(sys_openat2, AT_FDCWD, guest().text("/link"), guest().value(how), 24),
            -ELOOP);  // RESOLVE_NO_SYMLINKS
  EXPECT_GE(guest().call(sys_openat2, AT_FDCWD, guest().text("/file"), guest().value(how), 24), 0);
  EXPECT_EQ(guest().call(sys_openat2, AT_FDCWD, guest().text("/file"), guest().value(unknown), 24), -EINVAL);
  EXPECT_EQ(guest().call(sys_openat2, AT_FDCWD, guest().text("/file"), guest().value(with_mode), 24), -EINVAL);
  EXPECT_EQ(guest().call(sys_openat2, AT_FDCWD, guest().text("/file"), guest().value(how), 16), -EINVAL);
}

TEST_F(FileCalls, TemporaryFilesGetANameByLinking) {
  const std::int64_t file = guest().open("/directory", O_TMPFILE | O_RDWR, 0600);
  if (file == -EOPNOTSUPP) GTEST_SKIP() << "the temporary directory's file system has no O_TMPFILE";
  ASSERT_GE(file, 0);
  EXPECT_EQ(guest().write(file, "made"), 4);
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  EXPECT_EQ(guest().call(sys_linkat, AT_FDCWD, guest().text(link), AT_FDCWD, guest().text("/directory/named"),
                         AT_SYMLINK_FOLLOW),
            0);
  EXPECT_EQ(root_.text("directory/named"), "made");
}

TEST_F(FileCalls, TheGuestsUmaskAloneDecides) {
  const mode_t host_umask = ::umask(077);
  EXPECT_EQ(guest().call(sys_umask, 0), 022);
  guest().open("/a", O_CREAT | O_WRONLY, 0666);
  guest().call(sys_mkdirat, AT_FDCWD, guest().text("/d"), 0777);
  EXPECT_EQ(guest().call(sys_umask, 027), 0);
  guest().open("/b", O_CREAT | O_WRONLY, 0777);
  guest().open("/c", O_CREAT | O_WRONLY, 0400);
  ::umask(host_umask);
  EXPECT_EQ(stat("/a").st_mode, S_IFREG | 0666U);
  EXPECT_EQ(stat("/d").st_mode, S_IFDIR | 0777U);
  EXPECT_EQ(stat("/b").st_mode, S_IFREG | 0750U);
  EXPECT_EQ(stat("/c").st_mode, S_IFREG | 0400U);
}

TEST_F(FileCalls, NoSetUserIdProgramIsLeftOnTheHost) {
  guest().open("/a", O_CREAT | O_WRONLY, 06777);
  EXPECT_EQ(stat("/a").st_mode & 06000, 0U);
  EXPECT_EQ(guest().call(sys_fchmodat, AT_FDCWD, guest().text("/a"), 06755), 0);
  EXPECT_EQ(stat("/a").st_mode, S_IFREG | 0755U);
  EXPECT_EQ(guest().call(sys_fchmod, guest().open("/a", O_RDWR), 06711), 0);
  EXPECT_EQ(stat("/a").st_mode, S_IFREG | 0711U);
  EXPECT_EQ(guest().call(sys_mknodat, AT_FDCWD, guest().text("/b"), S_IFREG | 06755, 0), 0);
  EXPECT_EQ(stat("/b").st_mode & 06000, 0U);
  EXPECT_EQ(guest().call(sys_fchmodat2, AT_FDCWD, guest().text("/link"), 0600, AT_SYMLINK_NOFOLLOW), -EOPNOTSUPP);
}

TEST_F(FileCalls, StatShowsWhatTheHostHas) {
  const timespec times[2] = {{1'000'000'000, 111}, {1'100'000'000, 222}};
  EXPECT_EQ(guest().call(sys_utimensat, AT_FDCWD, guest().text("/file"), guest().value(times), 0), 0);
  struct stat host;
  ASSERT_EQ(::stat(root_.path("file").c_str(), &host), 0);
  const RiscvStat seen = stat("/link");
  EXPECT_EQ(seen.st_dev, host.st_dev);
  EXPECT_EQ(seen.st_ino, host.st_ino);
  EXPECT_EQ(seen.st_mode, host.st_mode);
  EXPECT_EQ(seen.st_nlink, host.st_nlink);
  EXPECT_EQ(seen.st_uid, host.st_uid);
  EXPECT_EQ(seen.st_gid, host.st_gid);
  EXPECT_EQ(seen.st_size, 10);
  EXPECT_EQ(seen.st_blksize, host.st_blksize);
  EXPECT_EQ(seen.st_blocks, host.st_blocks);
  EXPECT_EQ(seen.st_atime_sec, 1'000'000'000);
  EXPECT_EQ(seen.st_atime_nsec, 111);
  EXPECT_EQ(seen.st_mtime_sec, 1'100'000'000);
  EXPECT_EQ(seen.st_mtime_nsec, 222);
  EXPECT_EQ(seen.st_ctime_sec, host.st_ctim.tv_sec);
  EXPECT_TRUE(S_ISLNK(stat("/link", AT_SYMLINK_NOFOLLOW).st_mode));

  const std::uint64_t buffer = guest().reserve(256);
  const std::int64_t descriptor = guest().open("/file");
  ASSERT_EQ(guest().call(sys_fstat, descriptor, buffer), 0);
  EXPECT_EQ(guest().load<RiscvStat>(buffer).st_ino, host.st_ino);
  ASSERT_EQ(guest().call(sys_newfstatat, descriptor, guest().text(""), buffer, AT_EMPTY_PATH), 0);
  EXPECT_EQ(guest().load<RiscvStat>(buffer).st_ino, host.st_ino);
  EXPECT_EQ(guest().call(sys_newfstatat, descriptor, guest().text(""), buffer, 0), -ENOENT);
  EXPECT_EQ(guest().call(sys_newfstatat, descriptor, guest().text(""), buffer, 0x40), -EINVAL);
  ASSERT_EQ(guest().call(sys_statx, AT_FDCWD, guest().text("/file"), 0, STATX_BASIC_STATS, buffer), 0);
  const auto extended = guest().load<struct statx>(buffer);
  EXPECT_EQ(extended.stx_ino, host.st_ino);
  EXPECT_EQ(extended.stx_mtime.tv_sec, 1'100'000'000);
  EXPECT_EQ(guest().call(sys_statx, AT_FDCWD, guest().text("/file"), 0, 0x80000000U, buffer), -EINVAL);

  EXPECT_EQ(guest().call(sys_utimensat, AT_FDCWD, guest().text("/link"), guest().value(times), AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(stat("/link", AT_SYMLINK_NOFOLLOW).st_mtime_sec, 1'100'000'000);
  const timespec wrong[2] = {{0, 1'000'000'000}, {0, 0}};
  EXPECT_EQ(guest().call(sys_utimensat, AT_FDCWD, guest().text("/file"), guest().value(wrong), 0), -EINVAL);
  EXPECT_EQ(guest().call(sys_utimensat, descriptor, 0, 0, 0), 0);
  EXPECT_GT(stat("/file").st_mtime_sec, 1'100'000'000);

  struct statfs host_file_system;
  ASSERT_EQ(::statfs(root_.path().c_str(), &host_file_system), 0);
  ASSERT_EQ(guest().call(sys_statfs, guest().text("/"), buffer), 0);
  EXPECT_EQ(guest().load<struct statfs>(buffer).f_type, host_file_system.f_type);
  EXPECT_EQ(guest().load<struct statfs>(buffer).f_bsize, host_file_system.f_bsize);
  ASSERT_EQ(guest().call(sys_statfs, guest().text("/proc"), buffer), 0);
  EXPECT_EQ(guest().load<struct statfs>(buffer).f_type, 0x9fa0);
}

TEST_F(FileCalls, AccessAsksForThePermissions) {
  ::chmod(root_.path("file").c_str(), 0644);
  const auto access = [&](std::string_view path, int mode) {
    return guest().call(sys_faccessat, AT_FDCWD, guest().text(path), mode);
  };
  EXPECT_EQ(access("/file", F_OK), 0);
  EXPECT_EQ(access("/file", R_OK), 0);
  EXPECT_EQ(access("/file", X_OK), -EACCES);
  EXPECT_EQ(access("/nothing", F_OK), -ENOENT);
  EXPECT_EQ(access("/dev/null", R_OK | W_OK), 0);
  EXPECT_EQ(access("/proc/version", W_OK), -EACCES);
  EXPECT_EQ(access("/file", 8), -EINVAL);
  EXPECT_EQ(guest().call(sys_faccessat2, AT_FDCWD, guest().text("/link"), R_OK, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(guest().call(sys_faccessat2, AT_FDCWD, guest().text("/link"), R_OK, 1), -EINVAL);
}

TEST_F(FileCalls, NamesAreMadeMovedAndRemoved) {
  const auto text = [&](std::string_view path) { return guest().text(path); };
  EXPECT_EQ(guest().call(sys_mkdirat, AT_FDCWD, text("/directory/sub/"), 0755), 0);
  EXPECT_EQ(guest().call(sys_mkdirat, AT_FDCWD, text("/directory/sub"), 0755), -EEXIST);
  EXPECT_EQ(guest().call(sys_mkdirat, AT_FDCWD, text("/"), 0755), -EEXIST);
  EXPECT_EQ(guest().call(sys_mkdirat, AT_FDCWD, text("/no/sub"), 0755), -ENOENT);
  EXPECT_EQ(guest().call(sys_linkat, AT_FDCWD, text("/file"), AT_FDCWD, text("/hard"), 0), 0);
  EXPECT_EQ(stat("/hard").st_nlink, 2U);
  EXPECT_EQ(guest().call(sys_linkat, AT_FDCWD, text("/link"), AT_FDCWD, text("/hard_link"), 0), 0);
  EXPECT_EQ(guest().link_text("/hard_link"), "file");
  EXPECT_EQ(guest().call(sys_linkat, AT_FDCWD, text("/link"), AT_FDCWD, text("/hard_file"), AT_SYMLINK_FOLLOW), 0);
  EXPECT_EQ(stat("/hard").st_nlink, 3U);
  EXPECT_EQ(guest().call(sys_linkat, AT_FDCWD, text("/directory"), AT_FDCWD, text("/x"), 0), -EPERM);
  EXPECT_EQ(guest().call(sys_symlinkat, text("/file"), AT_FDCWD, text("/file")), -EEXIST);
  EXPECT_EQ(guest().call(sys_symlinkat, text(""), AT_FDCWD, text("/empty")), -ENOENT);
  EXPECT_EQ(guest().call(sys_symlinkat, text("any text"), AT_FDCWD, text("/soft")), 0);
  EXPECT_EQ(guest().link_text("/soft"), "any text");

  EXPECT_EQ(guest().call(sys_renameat2, AT_FDCWD, text("/hard"), AT_FDCWD, text("/directory/hard"), 0), 0);
  EXPECT_EQ(guest().call(sys_renameat2, AT_FDCWD, text("/file"), AT_FDCWD, text("/directory/hard"), 1), -EEXIST);
  EXPECT_EQ(guest().call(sys_renameat2, AT_FDCWD, text("/link"), AT_FDCWD, text("/directory/hard"), 2), 0);
  EXPECT_EQ(guest().link_text("/directory/hard"), "file");
  EXPECT_EQ(guest().call(sys_renameat2, AT_FDCWD, text("/link"), AT_FDCWD, text("/x"), 4), -EINVAL);
  EXPECT_EQ(guest().call(sys_renameat2, AT_FDCWD, text("/directory"), AT_FDCWD, text("/directory/sub/x"), 0), -EINVAL);
  EXPECT_EQ(guest().call(sys_renameat2, AT_FDCWD, text("/"), AT_FDCWD, text("/x"), 0), -EBUSY);

  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/directory"), 0), -EISDIR);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/directory"), AT_REMOVEDIR), -ENOTEMPTY);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/directory/sub/."), AT_REMOVEDIR), -EINVAL);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/directory/sub/.."), AT_REMOVEDIR), -ENOTEMPTY);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/directory/sub"), AT_REMOVEDIR), 0);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/file"), AT_REMOVEDIR), -ENOTDIR);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/file/"), 0), -ENOTDIR);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/file"), 1), -EINVAL);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/file"), 0), 0);
  EXPECT_EQ(guest().call(sys_unlinkat, AT_FDCWD, text("/file"), 0), -ENOENT);
  EXPECT_EQ(guest().call(sys_chroot, text("/directory")), -EPERM);
  EXPECT_EQ(guest().call(sys_mount, text("/directory")), -EPERM);
}

TEST_F(FileCalls, DirectoriesAreListedWholeAndInOrderWhenDeterministic) {
  for (int number = 0; number < 300; ++number) root_.write("many/" + std::to_string(number * 7919 % 300), "x");
  InstanceOptions deterministic;
  deterministic.deterministic = true;
  LinuxOptions options;
  options.root = root_.path();
  TestProcess ordered(options, deterministic);
  std::vector<std::string> names = guest().list("/many"), sorted = ordered.list("/many");
  EXPECT_TRUE(std::ranges::is_sorted(sorted));
  std::ranges::sort(names);
  EXPECT_EQ(names, sorted);
  EXPECT_EQ(names.size(), 302U);

  const std::int64_t directory = guest().open("/many");
  const std::uint64_t buffer = guest().reserve(4096);
  EXPECT_EQ(guest().call(sys_getdents64, directory, buffer, 8), -EINVAL);
  const std::int64_t first = guest().call(sys_getdents64, directory, buffer, 4096);
  EXPECT_GT(first, 0);
  const std::string head = guest().bytes(buffer, static_cast<std::size_t>(first));
  const auto second_offset = guest().load<std::int64_t>(buffer + 8);
  guest().call(sys_getdents64, directory, buffer, 4096);
  EXPECT_EQ(guest().call(sys_lseek, directory, second_offset, SEEK_SET), second_offset);
  EXPECT_GT(guest().call(sys_getdents64, directory, buffer, 4096), 0);
  EXPECT_EQ(guest().call(sys_lseek, directory, 0, SEEK_SET), 0);
  EXPECT_EQ(guest().call(sys_getdents64, directory, buffer, 4096), first);
  EXPECT_EQ(guest().bytes(buffer, static_cast<std::size_t>(first)), head);
  EXPECT_EQ(guest().call(sys_getdents64, guest().open("/file"), buffer, 4096), -ENOTDIR);
  std::vector<std::string> descriptors = guest().list("/proc/self/fd");
  EXPECT_TRUE(std::ranges::find(descriptors, std::to_string(directory)) != descriptors.end());
}

TEST_F(FileCalls, CopiesFromFileToFile) {
  std::string data(300'000, '\0');
  std::mt19937 random(7);
  std::ranges::generate(data, [&] { return static_cast<char>(random()); });
  root_.write("data", data);
  const std::int64_t in = guest().open("/data");
  const std::int64_t out = guest().open("/sent", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(guest().call(sys_sendfile, out, in, 0, 1'000'000), 300'000);
  EXPECT_EQ(root_.text("sent"), data);
  EXPECT_EQ(guest().call(sys_lseek, in, 0, SEEK_CUR), 300'000);
  const std::uint64_t offset = guest().value(std::int64_t{10});
  EXPECT_EQ(guest().call(sys_sendfile, out, in, offset, 5), 5);
  EXPECT_EQ(guest().load<std::int64_t>(offset), 15);
  EXPECT_EQ(guest().call(sys_sendfile, out, guest().open("/proc/version"), 0, 7), 7);
  EXPECT_EQ(root_.text("sent"), data + data.substr(10, 5) + "Linux v");

  const std::int64_t copy = guest().open("/copy", O_RDWR | O_CREAT, 0644);
  const std::uint64_t from = guest().value(std::int64_t{100}), to = guest().value(std::int64_t{1});
  EXPECT_EQ(guest().call(sys_copy_file_range, in, from, copy, to, 50, 0), 50);
  EXPECT_EQ(guest().load<std::int64_t>(from), 150);
  EXPECT_EQ(guest().load<std::int64_t>(to), 51);
  EXPECT_EQ(root_.text("copy"), std::string(1, '\0') + data.substr(100, 50));
  EXPECT_EQ(guest().call(sys_copy_file_range, in, 0, copy, 0, 50, 1), -EINVAL);
  EXPECT_EQ(guest().call(sys_copy_file_range, copy, 0, in, 0, 50, 0), -EBADF);
}

TEST_F(FileCalls, ExtendedAttributesOfTheUserNamespaceOnly) {
  if (::setxattr(root_.path("file").c_str(), "user.probe", "x", 1, 0) != 0)
    GTEST_SKIP() << "the temporary directory's file system has no user.* attributes";
  const std::uint64_t path = guest().text("/file"), name = guest().text("user.name"), value = guest().text("value"),
                      buffer = guest().reserve(256);
  EXPECT_EQ(guest().call(sys_setxattr, path, name, value, 5, 0), 0);
  EXPECT_EQ(guest().call(sys_setxattr, path, name, value, 5, XATTR_CREATE), -EEXIST);
  EXPECT_EQ(guest().call(sys_getxattr, path, name, buffer, 256), 5);
  EXPECT_EQ(guest().bytes(buffer, 5), "value");
  EXPECT_EQ(guest().call(sys_getxattr, path, name, 0, 0), 5);
  EXPECT_EQ(guest().call(sys_getxattr, path, name, buffer, 2), -ERANGE);
  ::setxattr(root_.path("file").c_str(), "trusted.hidden", "x", 1, 0);
  EXPECT_EQ(guest().call(sys_flistxattr, guest().open("/file"), buffer, 256), 21);
  EXPECT_EQ(guest().call(sys_listxattr, path, buffer, 3), -ERANGE);
  EXPECT_EQ(guest().call(sys_removexattr, path, name), 0);
  EXPECT_EQ(guest().call(sys_getxattr, path, name, buffer, 256), -ENODATA);
  for (const char* denied : {"security.capability", "trusted.x", "system.posix_acl_access"}) {
    EXPECT_EQ(guest().call(sys_setxattr, path, guest().text(denied), value, 5, 0), -EOPNOTSUPP) << denied;
    EXPECT_EQ(guest().call(sys_getxattr, path, guest().text(denied), buffer, 5), -EOPNOTSUPP) << denied;
  }
  EXPECT_EQ(guest().call(sys_setxattr, path, name, value, 100'000, 0), -E2BIG);
}

TEST_F(FileCalls, MemoryFilesHaveNoName) {
  const std::int64_t file = guest().call(sys_memfd_create, guest().text("scratch"), 0);
  ASSERT_GE(file, 0);
  EXPECT_EQ(guest().write(file, "bytes"), 5);
  EXPECT_EQ(guest().contents("/proc/self/fd/" + std::to_string(file)), "bytes");
  EXPECT_EQ(guest().link_text("/proc/self/fd/" + std::to_string(file)), "/memfd:scratch (deleted)");
  MappableFile mappable;
  EXPECT_EQ(guest().process().files.mappable(static_cast<std::int32_t>(file), &mappable), 0);
  EXPECT_TRUE(mappable.writable);
  EXPECT_EQ(guest().process().files.mappable(static_cast<std::int32_t>(guest().open("/proc/version")), &mappable),
            -ENODEV);
  EXPECT_EQ(guest().process().files.mappable(static_cast<std::int32_t>(guest().open("/file", O_WRONLY)), &mappable),
            -EACCES);
  EXPECT_EQ(guest().process().files.mappable(77, &mappable), -EBADF);
  EXPECT_EQ(guest().call(sys_memfd_create, guest().text(std::string(250, 'n')), 0), -EINVAL);
  EXPECT_EQ(guest().call(sys_memfd_create, guest().text("x"), 4), -EINVAL);
}

// What open files hold of the engine's memory is bounded by the guest's own limit, and comes back when they are closed.
TEST(FileMemory, IsBounded) {
  constexpr std::uint64_t kLimit = 16 << 20;
  TemporaryDirectory root;
  root.directory("many");
  for (int number = 0; number < 2000; ++number)
    root.write("many/" + std::string(100, 'n') + std::to_string(number), "");
  LinuxOptions options;
  options.root = root.path();
  InstanceOptions small;
  small.memory_limit = kLimit;
  TestProcess guest(options, small);
  const MemoryBudget& budget = *guest.process().files.memory_budget();

  const std::int64_t file = guest.call(sys_memfd_create, guest.text("x"), 0);
  EXPECT_EQ(guest.call(sys_ftruncate, file, kLimit / 2), 0);
  EXPECT_EQ(guest.call(sys_ftruncate, file, kLimit + 1), -ENOSPC);
  EXPECT_EQ(guest.call(sys_pwrite64, file, guest.text("x"), 1, std::uint64_t{1} << 40), -ENOSPC);
  EXPECT_EQ(guest.call(sys_pwrite64, file, guest.text("x"), 1, INT64_MAX), -EFBIG);
  EXPECT_EQ(guest.call(sys_fallocate, file, 0, 0, kLimit * 2), -ENOSPC);
  const std::int64_t again = guest.open("/proc/self/fd/" + std::to_string(file), O_RDWR);
  EXPECT_EQ(guest.call(sys_ftruncate, again, kLimit + 1), -ENOSPC);
  EXPECT_EQ(guest.call(sys_ftruncate, again, kLimit), 0);
  EXPECT_EQ(budget.used(), kLimit);
  EXPECT_EQ(guest.open("/proc/version"), -ENOMEM);
  const std::int64_t directory = guest.open("/many");
  EXPECT_EQ(guest.call(sys_getdents64, directory, guest.reserve(4096), 4096), -ENOMEM);
  guest.close(file);
  EXPECT_EQ(budget.used(), kLimit);
  guest.close(again);
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_GT(guest.call(sys_getdents64, directory, guest.reserve(4096), 4096), 0);
  EXPECT_GT(budget.used(), 200'000U);
  const std::int64_t text = guest.open("/proc/version");
  EXPECT_GE(text, 0);
  guest.close(directory);
  guest.close(text);
  EXPECT_EQ(budget.used(), 0U);
}

TEST_F(FileCalls, DevicesBehave) {
  const std::uint64_t buffer = guest().text("garbage");
  const std::int64_t null = guest().open("/dev/null", O_RDWR), zero = guest().open("/dev/zero", O_RDWR),
                     full = guest().open("/dev/full", O_RDWR);
  EXPECT_EQ(guest().read(null), "");
  EXPECT_EQ(guest().call(sys_write, null, buffer, 7), 7);
  EXPECT_EQ(guest().call(sys_read, zero, buffer, 4), 4);
  EXPECT_EQ(guest().bytes(buffer, 7), std::string(4, '\0') + "age");
  EXPECT_EQ(guest().call(sys_write, full, buffer, 7), -ENOSPC);
  const std::int64_t random = guest().open("/dev/urandom");
  EXPECT_NE(guest().read(random, 32), guest().read(random, 32));
  const RiscvStat status = stat("/dev/null");
  EXPECT_EQ(status.st_mode, S_IFCHR | 0666U);
  EXPECT_EQ(status.st_rdev, 0x103U);
  EXPECT_EQ(guest().call(sys_ftruncate, null, 0), -EINVAL);
}

TEST_F(FileCalls, ProcShowsTheGuestOnly) {
  LinuxProcess& process = guest().process();
  process.executable_path = "/bin/program";
  process.arguments = {"program", "-x"};
  process.environment = {"A=b"};
  process.command_name = "program";
  const std::string own = "/proc/" + std::to_string(process.ids.process);
  EXPECT_EQ(guest().link_text("/proc/self"), std::to_string(process.ids.process));
  EXPECT_EQ(guest().link_text("/proc/self/exe"), "/bin/program");
  EXPECT_EQ(guest().link_text(own + "/exe"), "/bin/program");
  EXPECT_EQ(guest().link_text("/proc/thread-self/exe"), "/bin/program");
  EXPECT_EQ(guest().contents("/proc/self/cmdline"), std::string("program\0-x\0", 11));
  EXPECT_EQ(guest().contents("/proc/self/environ"), std::string("A=b\0", 4));
  EXPECT_EQ(guest().contents(own + "/comm"), "program\n");
  EXPECT_EQ(guest().contents("/proc/self/task/" + std::to_string(process.ids.thread) + "/comm"), "program\n");
  EXPECT_EQ(guest().link_text("/proc/self/cwd"), "/");
  EXPECT_TRUE(guest().contents("/proc/self/status").starts_with("Name:\tprogram\n"));
  const std::string line = guest().contents("/proc/self/stat");
  EXPECT_EQ(std::ranges::count(line, ' '), 51);
  EXPECT_TRUE(line.starts_with(std::to_string(process.ids.process) + " (program) R "));
  EXPECT_NE(guest().contents("/proc/self/maps").find("00100000-00300000 rw-p"), std::string::npos);
  EXPECT_NE(guest().contents("/proc/self/limits").find("Max open files"), std::string::npos);
  EXPECT_NE(guest().contents("/proc/meminfo").find("MemTotal:"), std::string::npos);
  EXPECT_NE(guest().contents("/proc/cpuinfo").find("rv64imafdc"), std::string::npos);
  EXPECT_NE(guest().contents("/proc/mounts").find("proc /proc proc"), std::string::npos);
  EXPECT_EQ(guest().contents("/proc/1/status"), "error " + std::to_string(ENOENT));
  EXPECT_EQ(guest().open("/proc/version", O_RDWR), -EACCES);
  EXPECT_EQ(guest().open("/proc/new", O_CREAT | O_WRONLY, 0644), -EROFS);

  // Every file there is can be opened and read, and none tells where the root lies on the host.
  std::vector<std::string> directories = {"/proc", own, "/proc/sys"};
  int files = 0;
  while (!directories.empty()) {
    const std::string directory = directories.back();
    directories.pop_back();
    for (const std::string& name : guest().list(directory)) {
      if (name == "." || name == "..") continue;
      guest().reset();
      const std::string path = directory + "/" + name;
      const RiscvStat status = stat(path, AT_SYMLINK_NOFOLLOW);
      const std::string text = S_ISLNK(status.st_mode)   ? guest().link_text(path)
                               : S_ISREG(status.st_mode) ? guest().contents(path)
                                                         : "";
      EXPECT_EQ(text.find(root_.path()), std::string::npos) << path;
      EXPECT_FALSE(text.starts_with("error ")) << path << ": " << text;
      if (S_ISDIR(status.st_mode) && directory.starts_with("/proc/sys")) directories.push_back(path);
      ++files;
    }
  }
  EXPECT_GT(files, 40);
}

TEST_F(FileCalls, SmallVirtualFilesCanBeSoughtAndReadInParts) {
  const std::int64_t file = guest().open("/proc/version");
  const std::string whole = guest().read(file);
  EXPECT_TRUE(whole.starts_with("Linux version "));
  EXPECT_EQ(guest().call(sys_lseek, file, 6, SEEK_SET), 6);
  EXPECT_EQ(guest().read(file, 7), "version");
  EXPECT_EQ(guest().call(sys_lseek, file, -1, SEEK_CUR), 12);
  EXPECT_EQ(guest().call(sys_lseek, file, -100, SEEK_CUR), -EINVAL);
  EXPECT_EQ(guest().call(sys_lseek, file, INT64_MAX, SEEK_CUR), -EINVAL);
  EXPECT_EQ(guest().call(sys_lseek, file, INT64_MAX, SEEK_SET), INT64_MAX);
  EXPECT_EQ(guest().read(file), "");
  EXPECT_EQ(guest().call(sys_lseek, file, 0, SEEK_END), static_cast<std::int64_t>(whole.size()));
}

}  // namespace
}  // namespace caisson::linux_personality
