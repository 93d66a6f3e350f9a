// Names: whatever a guest or a changing tree does, a path leads to something beneath its mount or nowhere.
#include <sys/sysmacros.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "linux/path_resolution.h"
#include "unit/linux_test_process.h"

namespace caisson::linux_personality {
namespace {

constexpr std::string_view kOutside = "outside";

std::string failure(int error) { return "error " + std::to_string(error); }

// Every test runs with openat2 and with the component walk alone.
class Paths : public testing::TestWithParam<bool> {
 protected:
  Paths() {
    outside_.write("secret", kOutside);
    outside_.write("etc/passwd", kOutside);
    root_.write("etc/passwd", "inside");
    root_.directory("deep/er");
  }

  // After the tree is laid out.
  TestProcess& start(std::vector<LinuxDirectory> directories = {}) {
    LinuxOptions options;
    options.root = root_.path();
    options.directories = std::move(directories);
    process_ = std::make_unique<TestProcess>(options);
    if (!GetParam()) {
      process_->process().file_system.set_uses_openat2(false);
    } else if (!process_->process().file_system.uses_openat2()) {
      skip_ = true;
    }
    return *process_;
  }

  TemporaryDirectory root_, outside_, mounted_;
  std::unique_ptr<TestProcess> process_;
  bool skip_ = false;
};

#define START(...)                         \
  TestProcess& guest = start(__VA_ARGS__); \
  if (skip_) GTEST_SKIP() << "this kernel has no openat2"

TEST_P(Paths, FindsFilesFromTheRootAndFromDirectories) {
  root_.write("deep/er/file", "deep");
  START();
  EXPECT_EQ(guest.contents("/deep/er/file"), "deep");
  EXPECT_EQ(guest.contents("//deep/./er//file"), "deep");
  EXPECT_EQ(guest.contents("deep/er/file"), "deep");
  const auto directory = static_cast<std::int32_t>(guest.open("/deep", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(guest.contents("er/file", directory), "deep");
  EXPECT_EQ(guest.contents("../etc/passwd", directory), "inside");
  EXPECT_EQ(guest.contents("/etc/passwd", directory), "inside");
  EXPECT_EQ(guest.contents("er/file", 77), failure(EBADF));
  EXPECT_EQ(guest.contents("", directory), failure(ENOENT));
  EXPECT_EQ(guest.contents("/nothing"), failure(ENOENT));
  EXPECT_EQ(guest.contents("/etc/passwd/"), failure(ENOTDIR));
  EXPECT_EQ(guest.contents("/etc/passwd/x"), failure(ENOTDIR));
  EXPECT_EQ(guest.contents("/etc/passwd/.."), failure(ENOTDIR));
}

TEST_P(Paths, DotDotStopsAtTheRoot) {
  START();
  EXPECT_EQ(guest.contents("/../../../../../../etc/passwd"), "inside");
  EXPECT_EQ(guest.contents("/deep/../../../etc/passwd"), "inside");
  EXPECT_EQ(guest.contents(".." + outside_.path("secret")), failure(ENOENT));
  ASSERT_EQ(guest.call(sys_chdir, guest.text("/..")), 0);
  EXPECT_EQ(guest.working_directory(), "/");
  EXPECT_EQ(guest.contents("../../../.." + outside_.path("secret")), failure(ENOENT));
}

TEST_P(Paths, SymbolicLinksAreReadInTheGuestsNames) {
  root_.link("absolute", "/etc/passwd");
  root_.link("climbing", "../../../../../../etc/passwd");
  root_.link("deep/sideways", "../etc/passwd");
  root_.link("deep/er/winding", ".././/../deep/../etc/passwd");
  root_.link("deep/er/up", "..");
  root_.link("deep/er/here", ".");
  root_.link("deep/er/directory", "/deep/../etc");
  root_.link("escape", outside_.path("secret"));
  root_.link("escape_directory", outside_.path());
  root_.link("dangling", "/not/there");
  START();
  EXPECT_EQ(guest.contents("/absolute"), "inside");
  EXPECT_EQ(guest.contents("/climbing"), "inside");
  EXPECT_EQ(guest.contents("/deep/sideways"), "inside");
  EXPECT_EQ(guest.contents("/deep/er/winding"), "inside");
  EXPECT_EQ(guest.contents("/deep/er/here/up/sideways"), "inside");
  EXPECT_EQ(guest.contents("/deep/er/up/er/up/../etc/passwd"), "inside");
  EXPECT_EQ(guest.contents("/deep/er/directory/passwd"), "inside");
  EXPECT_EQ(guest.contents("/deep/er/directory/../deep/sideways"), "inside");
  EXPECT_EQ(guest.contents("/escape"), failure(ENOENT));
  EXPECT_EQ(guest.contents("/escape_directory/secret"), failure(ENOENT));
  EXPECT_EQ(guest.contents("/dangling"), failure(ENOENT));
  EXPECT_EQ(guest.open("/absolute", O_RDONLY | O_NOFOLLOW), -ELOOP);
  EXPECT_EQ(guest.link_text("/escape"), outside_.path("secret"));
  EXPECT_EQ(guest.link_text("/etc/passwd"), failure(EINVAL));
}

TEST_P(Paths, ATrailingSlashFollowsALinkToADirectory) {
  root_.link("directory", "deep");
  root_.link("file", "etc/passwd");
  START();
  EXPECT_GE(guest.open("/directory/", O_RDONLY | O_NOFOLLOW), 0);
  EXPECT_EQ(guest.open("/directory", O_RDONLY | O_NOFOLLOW), -ELOOP);
  EXPECT_EQ(guest.open("/file/"), -ENOTDIR);
  EXPECT_EQ(guest.open("/file/", O_PATH | O_NOFOLLOW), -ENOTDIR);
}

TEST_P(Paths, LinksAreFollowedFortyTimes) {
  root_.link("loop", "loop");
  root_.link("ping", "pong");
  root_.link("pong", "ping");
  root_.write("link0", "end");
  for (int number = 1; number <= 41; ++number)
    root_.link("link" + std::to_string(number), "link" + std::to_string(number - 1));
  START();
  EXPECT_EQ(guest.contents("/loop"), failure(ELOOP));
  EXPECT_EQ(guest.contents("/ping/x"), failure(ELOOP));
  EXPECT_EQ(guest.contents("/link40"), "end");
  EXPECT_EQ(guest.contents("/link41"), failure(ELOOP));
}

TEST_P(Paths, LengthsAreBounded) {
  START();
  EXPECT_EQ(guest.open("/" + std::string(255, 'n')), -ENOENT);
  EXPECT_EQ(guest.open("/" + std::string(256, 'n')), -ENAMETOOLONG);
  EXPECT_EQ(guest.open("/" + std::string(256, 'n') + "/x"), -ENAMETOOLONG);
  EXPECT_EQ(guest.open("/" + std::string(256, 'n'), O_CREAT | O_WRONLY, 0644), -ENAMETOOLONG);
  std::string path = "/etc/passwd";
  EXPECT_GE(guest.open(std::string(4095 - path.size(), '/') + path), 0);
  EXPECT_EQ(guest.open(std::string(4096 - path.size(), '/') + path), -ENAMETOOLONG);
}

TEST_P(Paths, ProcLinksStayInside) {
  START();
  EXPECT_EQ(guest.contents("/proc/self/root/etc/passwd"), "inside");
  EXPECT_EQ(guest.contents("/proc/self/root" + outside_.path("secret")), failure(ENOENT));
  EXPECT_EQ(guest.contents("/proc/self/cwd/etc/passwd"), "inside");
  EXPECT_EQ(guest.contents("/proc/self/cwd/../../.." + outside_.path("secret")), failure(ENOENT));
  EXPECT_EQ(guest.contents("/proc/1/root" + outside_.path("secret")), failure(ENOENT));
  EXPECT_EQ(guest.contents("/proc/" + std::to_string(::getpid()) + "/root" + outside_.path("secret")), failure(ENOENT));

  const std::int64_t directory = guest.open("/deep", O_RDONLY | O_DIRECTORY);
  const std::string link = "/proc/self/fd/" + std::to_string(directory);
  EXPECT_EQ(guest.link_text(link), "/deep");
  EXPECT_EQ(guest.contents(link + "/../etc/passwd"), "inside");
  EXPECT_EQ(guest.contents(link + "/../.." + outside_.path("secret")), failure(ENOENT));
  const std::int64_t file = guest.open("/etc/passwd");
  EXPECT_EQ(guest.contents("/proc/self/fd/" + std::to_string(file)), "inside");
  EXPECT_EQ(guest.contents("/dev/fd/" + std::to_string(file)), "inside");
  EXPECT_EQ(guest.link_text("/proc/self/fd/99"), failure(ENOENT));
}

TEST_P(Paths, MountsAreReachedByEveryWay) {
  mounted_.write("file", "mounted");
  mounted_.directory("sub");
  mounted_.link("sub/to_root", "/etc/passwd");
  mounted_.link("up", "../etc/passwd");
  mounted_.link("escape", outside_.path("secret"));
  root_.link("to_mount", "/data/in");
  root_.link("deep/relative", "../data/in/file");
  START({{mounted_.path(), "/data/in", false}});
  EXPECT_EQ(guest.contents("/data/in/file"), "mounted");
  EXPECT_EQ(guest.contents("/data/./in/../in/file"), "mounted");
  EXPECT_EQ(guest.contents("/to_mount/file"), "mounted");
  EXPECT_EQ(guest.contents("/deep/relative"), "mounted");
  EXPECT_EQ(guest.contents("/data/in/sub/to_root"), "inside");
  EXPECT_EQ(guest.contents("/data/in/sub/../../../etc/passwd"), "inside");
  EXPECT_EQ(guest.contents("/data/in/up"), failure(ENOENT));  // leads to /data/etc/passwd
  EXPECT_EQ(guest.contents("/data/in/escape"), failure(ENOENT));
  EXPECT_EQ(guest.contents("/data/in/../../../.." + outside_.path("secret")), failure(ENOENT));
  EXPECT_EQ(guest.contents("/data/other"), failure(ENOENT));
  // The host has no /data: it exists because a mount lies beneath it.
  EXPECT_EQ(guest.list("/data"), (std::vector<std::string>{".", "..", "in"}));
  ASSERT_EQ(guest.call(sys_chdir, guest.text("/to_mount/sub")), 0);
  EXPECT_EQ(guest.working_directory(), "/data/in/sub");
  EXPECT_EQ(guest.contents("../file"), "mounted");
  ASSERT_EQ(guest.call(sys_chdir, guest.text("../..")), 0);
  EXPECT_EQ(guest.working_directory(), "/data");
  EXPECT_EQ(guest.contents("in/file"), "mounted");
}

TEST_P(Paths, AMountHidesWhatTheRootHasThere) {
  root_.write("data/file", "hidden");
  mounted_.write("other", "mounted");
  START({{mounted_.path(), "/data", false}});
  EXPECT_EQ(guest.contents("/data/file"), failure(ENOENT));
  EXPECT_EQ(guest.contents("/data/other"), "mounted");
  EXPECT_EQ(guest.call(sys_unlinkat, AT_FDCWD, guest.text("/data"), AT_REMOVEDIR), -EBUSY);
  EXPECT_EQ(guest.call(sys_renameat2, AT_FDCWD, guest.text("/data"), AT_FDCWD, guest.text("/moved"), 0), -EBUSY);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, guest.text("/data"), 0755), -EEXIST);
  EXPECT_EQ(guest.call(sys_renameat2, AT_FDCWD, guest.text("/etc/passwd"), AT_FDCWD, guest.text("/data/x"), 0), -EXDEV);
  EXPECT_EQ(guest.call(sys_linkat, AT_FDCWD, guest.text("/etc/passwd"), AT_FDCWD, guest.text("/data/x"), 0), -EXDEV);
}

TEST_P(Paths, NewNamesStayInside) {
  root_.link("etc/away", outside_.path("made"));
  root_.link("etc/near", "/deep/made");
  root_.link("etc/away_directory", outside_.path());
  START();
  EXPECT_EQ(guest.open("/etc/away", O_CREAT | O_WRONLY, 0644), -ENOENT);
  EXPECT_EQ(guest.open("/etc/away_directory/made", O_CREAT | O_WRONLY, 0644), -ENOENT);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, guest.text("/etc/away_directory/made"), 0755), -ENOENT);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, guest.text("/etc/away"), 0755), -EEXIST);
  EXPECT_EQ(guest.call(sys_symlinkat, guest.text("x"), AT_FDCWD, guest.text("/etc/away_directory/made")), -ENOENT);
  EXPECT_FALSE(std::filesystem::exists(outside_.path("made")));
  EXPECT_EQ(guest.open("/etc/near", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
  EXPECT_GE(guest.open("/etc/near", O_CREAT | O_WRONLY, 0644), 0);
  EXPECT_TRUE(std::filesystem::exists(root_.path("deep/made")));
  // Removing a link removes the link.
  EXPECT_EQ(guest.call(sys_unlinkat, AT_FDCWD, guest.text("/etc/away_directory"), 0), 0);
  EXPECT_TRUE(std::filesystem::exists(outside_.path("secret")));
}

TEST_P(Paths, AHeldDirectoryOutlivesItsName) {
  root_.write("deep/er/file", "held");
  START();
  const auto directory = static_cast<std::int32_t>(guest.open("/deep/er", O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(guest.call(sys_fchdir, directory), 0);
  std::filesystem::rename(root_.path("deep"), root_.path("renamed"));
  EXPECT_EQ(guest.working_directory(), "/renamed/er");
  EXPECT_EQ(guest.contents("../../etc/passwd"), "inside");
  if (GetParam()) {
    EXPECT_EQ(guest.contents("file", directory), "held");
  }
  std::filesystem::rename(root_.path("renamed"), outside_.path("taken"));
  EXPECT_EQ(guest.working_directory(), failure(ENOENT));
  EXPECT_EQ(guest.contents("../../secret"), failure(ENOENT));
  EXPECT_EQ(guest.contents("../../../.." + outside_.path("secret")), failure(ENOENT));
}

TEST_P(Paths, DevicesSocketsAndFifosNeverBlockAndNeverOpenDevices) {
  ASSERT_EQ(::mkfifo(root_.path("fifo").c_str(), 0666), 0);
  const bool has_device = ::mknod(root_.path("zero").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0;
  ASSERT_EQ(::mknod(root_.path("socket").c_str(), S_IFSOCK | 0666, 0), 0);
  START();
  if (has_device) {
    EXPECT_EQ(guest.open("/zero"), -EACCES);
    EXPECT_EQ(guest.open("/zero", O_RDWR | O_CREAT, 0644), -EACCES);
    EXPECT_GE(guest.open("/zero", O_PATH), 0);
  }
  EXPECT_EQ(guest.open("/socket"), -ENXIO);
  EXPECT_EQ(guest.open("/fifo", O_WRONLY | O_NONBLOCK), -ENXIO);
  const std::int64_t reader = guest.open("/fifo", O_RDONLY);
  ASSERT_GE(reader, 0);
  const std::int64_t writer = guest.open("/fifo", O_WRONLY);
  ASSERT_GE(writer, 0);
  EXPECT_EQ(guest.write(writer, "through"), 7);
  EXPECT_EQ(guest.read(reader), "through");
  // Made through the guest: a FIFO, but no device.
  EXPECT_EQ(guest.call(sys_mknodat, AT_FDCWD, guest.text("/made"), S_IFIFO | 0666, 0), 0);
  EXPECT_EQ(guest.call(sys_mknodat, AT_FDCWD, guest.text("/device"), S_IFCHR | 0666, makedev(1, 5)), -EPERM);
}

TEST_P(Paths, ReadOnlyMountsRefuseEveryChange) {
  mounted_.write("file", "kept");
  mounted_.directory("directory");
  START({{mounted_.path(), "/data", true}});
  const std::uint64_t file = guest.text("/data/file"), made = guest.text("/data/made"),
                      directory = guest.text("/data/directory");
  const std::uint64_t attribute = guest.text("user.caisson");
  EXPECT_EQ(guest.contents("/data/file"), "kept");
  for (const std::uint32_t flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT}) {
    EXPECT_EQ(guest.open("/data/file", flags, 0644), -EROFS) << flags;
  }
  EXPECT_EQ(guest.open("/data/made", O_CREAT | O_WRONLY, 0644), -EROFS);
  EXPECT_EQ(guest.open("/data", O_TMPFILE | O_RDWR, 0644), -EROFS);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, made, 0755), -EROFS);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, directory, 0755), -EEXIST);
  EXPECT_EQ(guest.call(sys_mknodat, AT_FDCWD, made, S_IFREG | 0644, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_symlinkat, file, AT_FDCWD, made), -EROFS);
  EXPECT_EQ(guest.call(sys_linkat, AT_FDCWD, file, AT_FDCWD, made, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_unlinkat, AT_FDCWD, file, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_unlinkat, AT_FDCWD, directory, AT_REMOVEDIR), -EROFS);
  EXPECT_EQ(guest.call(sys_renameat2, AT_FDCWD, file, AT_FDCWD, made, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_truncate, file, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_fchmodat, AT_FDCWD, file, 0600), -EROFS);
  EXPECT_EQ(guest.call(sys_fchownat, AT_FDCWD, file, 0, 0, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_utimensat, AT_FDCWD, file, 0, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_setxattr, file, attribute, file, 4, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_removexattr, file, attribute), -EROFS);
  EXPECT_EQ(guest.call(sys_faccessat, AT_FDCWD, file, W_OK), -EROFS);
  EXPECT_EQ(guest.call(sys_faccessat, AT_FDCWD, file, R_OK), 0);

  // Nor through a descriptor that was opened for reading.
  const std::int64_t descriptor = guest.open("/data/file");
  EXPECT_EQ(guest.call(sys_fchmod, descriptor, 0600), -EROFS);
  EXPECT_EQ(guest.call(sys_fchown, descriptor, 0, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_utimensat, descriptor, 0, 0, 0), -EROFS);
  EXPECT_EQ(guest.call(sys_fsetxattr, descriptor, attribute, file, 4, 0), -EROFS);
  EXPECT_EQ(guest.write(descriptor, "x"), -EBADF);
  EXPECT_EQ(guest.call(sys_ftruncate, descriptor, 0), -EINVAL);
  EXPECT_EQ(guest.open("/proc/self/fd/" + std::to_string(descriptor), O_RDWR), -EROFS);
  const std::int64_t path = guest.open("/data/file", O_PATH);
  EXPECT_EQ(guest.open("/proc/self/fd/" + std::to_string(path), O_RDWR), -EROFS);
  EXPECT_EQ(guest.contents("/proc/self/fd/" + std::to_string(path)), "kept");
  EXPECT_EQ(mounted_.text("file"), "kept");
}

// While one thread keeps replacing a directory by a link to a directory outside (and back), the guest opens a file through it.
TEST_P(Paths, NoRaceLeadsOutside) {
  constexpr int kLookUps = 100'000;
  root_.write("swapped/secret", "inside");
  root_.link("link", outside_.path());
  START();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> swaps{0};
  const std::string directory = root_.path("swapped"), link = root_.path("link");
  std::thread swapper([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      ::renameat2(AT_FDCWD, directory.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
      swaps.fetch_add(1, std::memory_order_relaxed);
    }
  });

  std::set<std::string> seen;
  std::set<std::int64_t> failures;
  for (int look_up_number = 0; look_up_number < kLookUps; ++look_up_number) {
    const auto place =
        look_up(guest.process().file_system, &guest.process(), *guest.process().file_system.working_directory(),
                look_up_number % 2 == 0 ? "/swapped/secret" : "/deep/../swapped/./secret");
    if (!place) {
      failures.insert(place.error());
      continue;
    }
    struct stat status;
    ASSERT_EQ(::fstat(place->descriptor.get(), &status), 0);
    if (status.st_size != 6) FAIL() << "found a file of " << status.st_size << " bytes outside the root";
    if (look_up_number % 1000 == 0) {
      guest.reset();
      seen.insert(guest.contents("/swapped/secret"));
    }
  }
  stop = true;
  swapper.join();
  EXPECT_GT(swaps.load(), 100U);
  EXPECT_FALSE(seen.contains(std::string(kOutside)));
  for (const std::int64_t error : failures)
    EXPECT_TRUE(error == -ENOENT || error == -ELOOP || error == -ENOTDIR) << error;
  for (const std::string& text : seen) EXPECT_TRUE(text == "inside" || text.starts_with("error")) << text;
}

// The same with a working directory that is moved out of the root and back while ".." is followed from it.
TEST_P(Paths, NoMovedDirectoryLeadsOutside) {
  constexpr int kLookUps = 5'000;
  root_.directory("a/b/c");
  START();
  ASSERT_EQ(guest.call(sys_chdir, guest.text("/a/b/c")), 0);
  std::atomic<bool> stop{false};
  const std::string inside = root_.path("a/b"), moved = outside_.path("moved");
  std::thread mover([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      ::rename(inside.c_str(), moved.c_str());
      ::rename(moved.c_str(), inside.c_str());
    }
  });
  int found_outside = 0;
  for (int number = 0; number < kLookUps; ++number) {
    for (const char* path : {"../../secret", "../../../secret", "../../etc/passwd"}) {
      const auto place = look_up(guest.process().file_system, &guest.process(),
                                 *guest.process().file_system.working_directory(), path);
      struct stat status;
      if (place && ::fstat(place->descriptor.get(), &status) == 0 &&
          status.st_size == static_cast<off_t>(kOutside.size()))
        ++found_outside;
    }
  }
  stop = true;
  mover.join();
  ::rename(moved.c_str(), inside.c_str());
  EXPECT_EQ(found_outside, 0);
}

INSTANTIATE_TEST_SUITE_P(LookUp, Paths, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) { return info.param ? "Openat2" : "Walk"; });

TEST(VirtualRoot, HasTheVirtualFilesAndTheMounts) {
  TemporaryDirectory mounted;
  mounted.write("file", "mounted");
  LinuxOptions options;
  options.directories = {{mounted.path(), "/work/here", false}};
  options.workdir = "/work/here";
  TestProcess guest(options);
  EXPECT_EQ(guest.list("/"), (std::vector<std::string>{".", "..", "dev", "etc", "proc", "work"}));
  EXPECT_EQ(guest.working_directory(), "/work/here");
  EXPECT_EQ(guest.contents("file"), "mounted");
  EXPECT_TRUE(guest.contents("/etc/passwd").starts_with("root:x:0:0:"));
  EXPECT_EQ(guest.open("/made", O_CREAT | O_WRONLY, 0644), -EROFS);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, guest.text("/tmp"), 0755), -EROFS);
  EXPECT_EQ(guest.call(sys_mkdirat, AT_FDCWD, guest.text("/etc"), 0755), -EEXIST);
  EXPECT_EQ(guest.call(sys_unlinkat, AT_FDCWD, guest.text("/etc/passwd"), 0), -EROFS);
  EXPECT_EQ(guest.call(sys_unlinkat, AT_FDCWD, guest.text("/etc/nothing"), 0), -ENOENT);
}

TEST(VirtualRoot, ARootsOwnFilesComeFirst) {
  TemporaryDirectory root;
  root.write("etc/passwd", "its own");
  root.write("proc/cpuinfo", "fake");
  LinuxOptions options;
  options.root = root.path();
  TestProcess guest(options);
  EXPECT_EQ(guest.contents("/etc/passwd"), "its own");
  EXPECT_TRUE(guest.contents("/etc/group").starts_with("root:x:0:"));
  EXPECT_NE(guest.contents("/proc/cpuinfo"), "fake");
  EXPECT_EQ(guest.open("/etc/hostname", O_WRONLY), -EACCES);
  EXPECT_GE(guest.open("/etc/hostname", O_WRONLY | O_CREAT, 0644), 0);
  EXPECT_TRUE(std::filesystem::exists(root.path("etc/hostname")));
  EXPECT_EQ(guest.contents("/etc/hostname"), "");
  EXPECT_TRUE(std::ranges::count(guest.list("/"), "dev") == 1);
  EXPECT_TRUE(std::ranges::count(guest.list("/etc"), "group") == 1);
}

TEST(Mounting, RefusesWhatCannotBeMeant) {
  FileSystem file_system;
  TemporaryDirectory directory;
  directory.write("file", "x");
  EXPECT_EQ(file_system.mount(directory.path(), "relative", false).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(file_system.mount(directory.path(), "/proc/x", false).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(file_system.mount(directory.path(), "/x/../dev", false).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(file_system.mount(directory.path("nothing"), "/x", false).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(file_system.mount(directory.path("file"), "/x", false).error().code, ErrorCode::kInvalidArgument);
  LinuxOptions options;
  options.root = directory.path();
  options.workdir = "/nothing";
  EXPECT_EQ(FileSystem::create(options).error().code, ErrorCode::kNotFound);
  options.workdir = "relative";
  EXPECT_EQ(FileSystem::create(options).error().code, ErrorCode::kInvalidArgument);
}

TEST(Mounting, OpensProgramsThatMayBeExecuted) {
  TemporaryDirectory root;
  root.write("bin/program", "program");
  root.link("program", "/bin/program");
  root.link("away", "/etc/../../../../bin/program");
  ::chmod(root.path("bin/program").c_str(), 0755);
  root.write("text", "text");
  ::chmod(root.path("text").c_str(), 0644);
  LinuxOptions options;
  options.root = root.path();
  Result<FileSystem> file_system = FileSystem::create(options);
  ASSERT_TRUE(file_system);
  const HostDescriptor program(static_cast<int>(file_system->open_program("/program")));
  EXPECT_TRUE(program);
  EXPECT_EQ(file_system->open_program("/bin"), -EACCES);
  EXPECT_EQ(file_system->open_program("/text"), -EACCES);
  EXPECT_EQ(file_system->open_program("/nothing"), -ENOENT);
  EXPECT_EQ(file_system->open_program("/dev/null"), -EACCES);
}

TEST(PathText, IsNormalised) {
  EXPECT_EQ(normalize_path("/"), "/");
  EXPECT_EQ(normalize_path(""), "/");
  EXPECT_EQ(normalize_path("/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(normalize_path("/a/b/../c"), "/a/c");
  EXPECT_EQ(normalize_path("/../../a/.."), "/");
  EXPECT_EQ(normalize_path("a/..b/c."), "/a/..b/c.");
  EXPECT_TRUE(path_is_within("/a/b", "/a"));
  EXPECT_TRUE(path_is_within("/a", "/a"));
  EXPECT_FALSE(path_is_within("/ab", "/a"));
  EXPECT_TRUE(path_is_within("/ab", "/"));
}

}  // namespace
}  // namespace caisson::linux_personality
