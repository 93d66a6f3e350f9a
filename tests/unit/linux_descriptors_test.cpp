// Descriptors: the table against a model, what dup and fcntl share, pipes, polls and locks.
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "linux/file_table.h"
#include "linux/virtual_file.h"
#include "unit/linux_test_process.h"

namespace caisson::linux_personality {
namespace {

std::shared_ptr<OpenFile> some_file() { return std::make_shared<DeviceFile>(O_RDWR, "/dev/null", VirtualNode{}); }

// Random operations on the table and on a plain map that says what each must answer.
TEST(FileTable, BehavesAsItsModel) {
  constexpr int kOperations = 200'000;
  constexpr std::uint64_t kLimit = 48;
  struct Entry {
    std::shared_ptr<OpenFile> file;
    bool close_on_exec;
  };
  FileTable table;
  std::map<std::int32_t, Entry> model;
  std::mt19937_64 random(20240607);
  const auto pick = [&](std::uint64_t bound) { return random() % bound; };

  for (int operation = 0; operation < kOperations; ++operation) {
    const auto descriptor = static_cast<std::int32_t>(pick(kLimit + 4)) - 2;
    const bool close_on_exec = pick(2) == 0;
    switch (pick(8)) {
      case 0:
      case 1:
      case 2: {
        const auto lowest = static_cast<std::uint32_t>(pick(3) == 0 ? pick(kLimit) : 0);
        std::int32_t expected = static_cast<std::int32_t>(lowest);
        while (model.contains(expected)) ++expected;
        const auto file = some_file();
        const std::int64_t number = table.add(file, close_on_exec, lowest, kLimit);
        if (static_cast<std::uint64_t>(expected) >= kLimit) {
          ASSERT_EQ(number, -EMFILE);
        } else {
          ASSERT_EQ(number, expected);
          model[expected] = {file, close_on_exec};
        }
        break;
      }
      case 3: {
        const auto file = some_file();
        const std::int64_t result = table.replace(descriptor, file, close_on_exec, kLimit);
        if (descriptor < 0 || static_cast<std::uint64_t>(descriptor) >= kLimit) {
          ASSERT_EQ(result, -EBADF);
        } else {
          ASSERT_EQ(result, descriptor);
          model[descriptor] = {file, close_on_exec};
        }
        break;
      }
      case 4:
      case 5:
        ASSERT_EQ(table.close(descriptor), model.erase(descriptor) == 1 ? 0 : -EBADF);
        break;
      case 6:
        table.set_close_on_exec(descriptor, close_on_exec);
        if (model.contains(descriptor)) model[descriptor].close_on_exec = close_on_exec;
        break;
      default:
        if (pick(50) == 0) {
          table.close_for_exec();
          std::erase_if(model, [](const auto& entry) { return entry.second.close_on_exec; });
        }
    }
    const auto found = model.find(descriptor);
    ASSERT_EQ(table.get(descriptor), found == model.end() ? nullptr : found->second.file);
    ASSERT_EQ(table.close_on_exec(descriptor), found != model.end() && found->second.close_on_exec);
    ASSERT_EQ(table.end(), model.empty() ? 0U : static_cast<std::uint32_t>(model.rbegin()->first + 1));
  }
}

TEST(FileTable, CopiesShareFilesButNotNumbers) {
  FileTable table;
  table.add(some_file(), true, 0, 10);
  FileTable copy = table;
  EXPECT_EQ(copy.get(0), table.get(0));
  copy.close(0);
  EXPECT_EQ(copy.get(0), nullptr);
  EXPECT_NE(table.get(0), nullptr);
  EXPECT_EQ(copy.add(some_file(), false, 0, 10), 0);
  EXPECT_FALSE(copy.close_on_exec(0));
}

class Descriptors : public testing::Test {
 protected:
  Descriptors() {
    root_.write("file", "0123456789");
    LinuxOptions options;
    options.root = root_.path();
    guest_ = std::make_unique<TestProcess>(options);
  }
  TestProcess& guest() { return *guest_; }

  std::array<std::int32_t, 2> pipe(std::uint32_t flags = 0) {
    const std::uint64_t ends = guest().reserve(8);
    EXPECT_EQ(guest().call(sys_pipe2, ends, flags), 0);
    return guest().load<std::array<std::int32_t, 2>>(ends);
  }
  std::int64_t poll(std::int32_t descriptor, std::int16_t events, std::int64_t timeout_ms,
                    std::int16_t* returned = nullptr) {
    const std::uint64_t entry = guest().value(pollfd{descriptor, events, 0});
    const std::uint64_t timeout = guest().value(timespec{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000});
    guest().process().wait_deadline_ns.reset();
    const std::int64_t result = guest().call(sys_ppoll, entry, 1, timeout, 0, 0);
    if (returned != nullptr) *returned = guest().load<pollfd>(entry).revents;
    return result;
  }

  TemporaryDirectory root_;
  std::unique_ptr<TestProcess> guest_;
};

TEST_F(Descriptors, AreGivenLowestFirstUpToTheLimit) {
  const std::int64_t first = guest().open("/file");
  EXPECT_EQ(first, 3);  // behind the standard streams
  EXPECT_EQ(guest().open("/file"), 4);
  EXPECT_EQ(guest().close(first), 0);
  EXPECT_EQ(guest().open("/file"), first);
  guest().process().limits[RLIMIT_NOFILE].current = 6;
  EXPECT_EQ(guest().open("/file"), 5);
  EXPECT_EQ(guest().open("/file"), -EMFILE);
  EXPECT_EQ(guest().call(sys_dup, 3), -EMFILE);
  EXPECT_EQ(guest().call(sys_dup3, 3, 6, 0), -EBADF);
  EXPECT_EQ(guest().call(sys_fcntl, 3, F_DUPFD, 6), -EINVAL);
  EXPECT_EQ(guest().call(sys_fcntl, 3, F_DUPFD, 5), -EMFILE);
  EXPECT_EQ(guest().call(sys_pipe2, guest().reserve(8), 0), -EMFILE);
  guest().close(5);
  EXPECT_EQ(guest().call(sys_pipe2, guest().reserve(8), 0), -EMFILE);  // room for one end only: none stays
  EXPECT_EQ(guest().open("/file"), 5);
}

TEST_F(Descriptors, DuplicatesShareOffsetAndFlagsButNotCloseOnExec) {
  const std::int64_t descriptor = guest().open("/file", O_RDWR | O_CLOEXEC);
  const std::int64_t copy = guest().call(sys_dup, descriptor);
  EXPECT_EQ(guest().read(descriptor, 4), "0123");
  EXPECT_EQ(guest().read(copy, 4), "4567");
  EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(guest().call(sys_fcntl, copy, F_GETFD), 0);
  EXPECT_EQ(guest().call(sys_fcntl, copy, F_SETFL, O_APPEND | O_NONBLOCK), 0);
  EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
            O_RDWR | O_APPEND | O_NONBLOCK);
  EXPECT_EQ(guest().write(descriptor, "end"), 3);
  EXPECT_EQ(root_.text("file"), "0123456789end");

  EXPECT_EQ(guest().call(sys_dup3, descriptor, 40, O_CLOEXEC), 40);
  EXPECT_EQ(guest().call(sys_fcntl, 40, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(guest().call(sys_dup3, descriptor, descriptor, 0), -EINVAL);
  EXPECT_EQ(guest().call(sys_dup3, descriptor, 41, O_APPEND), -EINVAL);
  EXPECT_EQ(guest().call(sys_dup3, 99, 41, 0), -EBADF);
  EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_DUPFD_CLOEXEC, 50), 50);
  EXPECT_EQ(guest().call(sys_fcntl, 50, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_SETOWN, 1), -EINVAL);  // not on the list
  EXPECT_EQ(guest().call(sys_ioctl, descriptor, FIONCLEX), 0);
  EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_GETFD), 0);
}

TEST_F(Descriptors, CloseRangeClosesOrMarks) {
  for (int number = 3; number < 10; ++number) ASSERT_EQ(guest().open("/file"), number);
  EXPECT_EQ(guest().call(sys_close_range, 4, 5, 0), 0);
  EXPECT_EQ(guest().close(4), -EBADF);
  EXPECT_EQ(guest().close(6), 0);
  EXPECT_EQ(guest().call(sys_close_range, 7, 8, 4), 0);
  EXPECT_EQ(guest().call(sys_fcntl, 8, F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(guest().call(sys_close_range, 3, ~0U, 0), 0);
  EXPECT_EQ(guest().process().files.end(), 3U);
  EXPECT_EQ(guest().call(sys_close_range, 5, 4, 0), -EINVAL);
  EXPECT_EQ(guest().call(sys_close_range, 3, 4, 8), -EINVAL);
}

TEST_F(Descriptors, NoHostNumberShows) {
  // The host's descriptors are higher by what the process holds open; none of them is the guest's.
  for (std::int32_t descriptor = 3; descriptor < 64; ++descriptor) {
    EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_GETFD), -EBADF) << descriptor;
  }
}

TEST_F(Descriptors, PathDescriptorsOnlyName) {
  const std::int64_t descriptor = guest().open("/file", O_PATH);
  const std::uint64_t buffer = guest().reserve(256);
  EXPECT_EQ(guest().read(descriptor), "error " + std::to_string(EBADF));
  EXPECT_EQ(guest().write(descriptor, "x"), -EBADF);
  EXPECT_EQ(guest().call(sys_lseek, descriptor, 0, SEEK_SET), -EBADF);
  EXPECT_EQ(guest().call(sys_fchmod, descriptor, 0600), -EBADF);
  EXPECT_EQ(guest().call(sys_fsync, descriptor), -EBADF);
  EXPECT_EQ(guest().call(sys_ioctl, descriptor, TCGETS, buffer), -EBADF);
  EXPECT_EQ(guest().call(sys_fstat, descriptor, buffer), 0);
  EXPECT_EQ(guest().call(sys_fcntl, descriptor, F_GETFL), O_PATH);
  EXPECT_EQ(guest().call(sys_flock, descriptor, LOCK_SH), -EBADF);
  EXPECT_EQ(guest().contents("/proc/self/fd/" + std::to_string(descriptor)), "0123456789");
}

TEST_F(Descriptors, PipesCarryBytesAndEnd) {
  const auto [reader, writer] = pipe();
  EXPECT_EQ(guest().write(writer, "hello"), 5);
  EXPECT_EQ(guest().read(reader, 3), "hel");
  EXPECT_EQ(guest().read(reader), "lo");
  EXPECT_EQ(guest().write(reader, "x"), -EBADF);
  EXPECT_EQ(guest().call(sys_lseek, reader, 0, SEEK_CUR), -ESPIPE);
  EXPECT_EQ(guest().call(sys_pread64, reader, guest().reserve(8), 8, 0), -ESPIPE);
  guest().close(writer);
  EXPECT_EQ(guest().read(reader), "");
}

TEST_F(Descriptors, NonBlockingPipesSayAgain) {
  const auto [reader, writer] = pipe(O_NONBLOCK);
  EXPECT_EQ(guest().read(reader), "error " + std::to_string(EAGAIN));
  const std::uint64_t buffer = guest().reserve(1 << 18);
  const std::int64_t filled = guest().call(sys_write, writer, buffer, 1 << 18);
  EXPECT_EQ(filled, 65536);
  EXPECT_EQ(guest().call(sys_write, writer, buffer, 1), -EAGAIN);
}

TEST_F(Descriptors, ABrokenPipeRaisesTheGuestsSignalAndNotTheHosts) {
  ASSERT_NE(::signal(SIGPIPE, SIG_DFL), SIG_ERR);
  const auto [reader, writer] = pipe();
  guest().close(reader);
  EXPECT_EQ(guest().write(writer, "x"), -EPIPE);
  EXPECT_TRUE((guest().process().signals.pending() & signal_bit(kSigPipe)) != 0);
}

TEST_F(Descriptors, ABlockedReadEndsWhenTheRunIsToStop) {
  const auto [reader, writer] = pipe();
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    guest().process().hart().interrupt.store(1);
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(guest().call(sys_read, reader, guest().reserve(16), 16), kRestartUnlessNoRestart);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  stopper.join();
  // A full pipe blocks the writer just so.
  const std::uint64_t buffer = guest().reserve(1 << 18);
  EXPECT_EQ(guest().call(sys_write, writer, buffer, 1 << 18), 65536);
  EXPECT_EQ(guest().call(sys_write, writer, buffer, 1), kRestartUnlessNoRestart);
}

TEST_F(Descriptors, PollWaitsForPipesAndKnowsFiles) {
  const auto [reader, writer] = pipe();
  std::int16_t returned = 0;
  EXPECT_EQ(poll(reader, POLLIN, 0), 0);
  EXPECT_EQ(poll(reader, POLLIN, 20), 0);
  EXPECT_EQ(poll(writer, POLLOUT, 0, &returned), 1);
  EXPECT_EQ(returned, POLLOUT);
  guest().write(writer, "x");
  EXPECT_EQ(poll(reader, POLLIN, -0, &returned), 1);
  EXPECT_EQ(returned, POLLIN);
  EXPECT_EQ(poll(99, POLLIN, 0, &returned), 1);
  EXPECT_EQ(returned, POLLNVAL);
  EXPECT_EQ(poll(-1, POLLIN, 0), 0);
  const auto file = static_cast<std::int32_t>(guest().open("/file"));
  EXPECT_EQ(poll(file, POLLIN | POLLOUT, 1000), 1);
  const auto text = static_cast<std::int32_t>(guest().open("/proc/version"));
  EXPECT_EQ(poll(text, POLLIN, 1000, &returned), 1);
  EXPECT_EQ(returned, POLLIN);
  guest().close(writer);
  guest().read(reader);
  EXPECT_EQ(poll(reader, POLLIN, 0, &returned), 1);
  EXPECT_EQ(returned, POLLHUP);
  EXPECT_EQ(guest().call(sys_ppoll, 0, 70000, 0, 0, 0), -EINVAL);
}

TEST_F(Descriptors, SelectShowsWhatIsReady) {
  const auto [reader, writer] = pipe();
  const auto bit = [](std::int32_t descriptor) { return std::uint64_t{1} << descriptor; };
  const std::uint64_t none = guest().value(timespec{0, 0});
  const std::uint64_t reads = guest().value(bit(reader)), writes = guest().value(bit(writer)),
                      errors = guest().value(bit(reader));
  EXPECT_EQ(guest().call(sys_pselect6, writer + 1, reads, writes, errors, none, 0), 1);
  EXPECT_EQ(guest().load<std::uint64_t>(reads), 0U);
  EXPECT_EQ(guest().load<std::uint64_t>(writes), bit(writer));
  EXPECT_EQ(guest().load<std::uint64_t>(errors), 0U);
  guest().write(writer, "x");
  guest().memory().write_value(reads, bit(reader));
  guest().process().wait_deadline_ns.reset();
  EXPECT_EQ(guest().call(sys_pselect6, writer + 1, reads, 0, 0, 0, 0), 1);
  EXPECT_EQ(guest().load<std::uint64_t>(reads), bit(reader));
  guest().memory().write_value(reads, bit(40));
  EXPECT_EQ(guest().call(sys_pselect6, 41, reads, 0, 0, none, 0), -EBADF);
  EXPECT_EQ(guest().call(sys_pselect6, -1, reads, 0, 0, none, 0), -EINVAL);
  EXPECT_EQ(guest().call(sys_pselect6, 41, TestProcess::kUnmapped, 0, 0, none, 0), -EFAULT);
}

TEST_F(Descriptors, APollWithAMaskEndsForItsSignal) {
  const auto [reader, writer] = pipe();
  LinuxProcess& process = guest().process();
  process.signals.blocked = signal_bit(kSigTerm);
  SignalInfo info;
  info.signal = kSigTerm;
  process.signals.raise(info, kNoLimit);
  const std::uint64_t entry = guest().value(pollfd{reader, POLLIN, 0});
  const std::uint64_t empty = guest().value(std::uint64_t{0}), full = guest().value(signal_bit(kSigTerm));
  const std::uint64_t timeout = guest().value(timespec{0, 1'000'000});
  EXPECT_EQ(guest().call(sys_ppoll, entry, 1, timeout, full, 8), 0);
  EXPECT_EQ(process.signals.blocked, signal_bit(kSigTerm));
  EXPECT_EQ(guest().call(sys_ppoll, entry, 1, 0, empty, 8), kRestartUnlessHandled);
  EXPECT_EQ(process.signals.mask_to_restore(), signal_bit(kSigTerm));
  EXPECT_EQ(guest().call(sys_ppoll, entry, 1, 0, empty, 4), -EINVAL);
}

TEST_F(Descriptors, RecordLocksExcludeOtherGuests) {
  LinuxOptions options;
  options.root = root_.path();
  TestProcess other(options);
  const std::int64_t mine = guest().open("/file", O_RDWR), theirs = other.open("/file", O_RDWR);
  const struct flock whole{F_WRLCK, SEEK_SET, 0, 0, 0}, tail{F_RDLCK, SEEK_SET, 100, 10, 0},
      unlock{F_UNLCK, SEEK_SET, 0, 0, 0};
  const struct flock head{F_WRLCK, SEEK_SET, 0, 50, 0};
  EXPECT_EQ(guest().call(sys_fcntl, mine, F_SETLK, guest().value(head)), 0);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(whole)), -EAGAIN);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(tail)), 0);
  const std::uint64_t question = other.value(whole);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_GETLK, question), 0);
  EXPECT_EQ(other.load<struct flock>(question).l_type, F_WRLCK);
  EXPECT_EQ(other.load<struct flock>(question).l_len, 50);

  // A wait for a lock ends with the run, and when the lock is given back.
  other.process().hart().interrupt.store(1);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLKW, other.value(whole)), kRestartUnlessNoRestart);
  other.process().hart().interrupt.store(0);
  std::thread releaser([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    guest().call(sys_fcntl, mine, F_SETLK, guest().value(unlock));
  });
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLKW, other.value(whole)), 0);
  releaser.join();
  EXPECT_EQ(guest().call(sys_fcntl, mine, F_SETLK, guest().value(head)), -EAGAIN);
  other.close(theirs);
  EXPECT_EQ(guest().call(sys_fcntl, mine, F_SETLK, guest().value(head)), 0);
}

// fcntl(2): locks belong to the process and the file, whichever descriptor was used, and closing any of them gives them up.
TEST_F(Descriptors, RecordLocksBelongToTheProcess) {
  LinuxOptions options;
  options.root = root_.path();
  TestProcess other(options);
  const std::int64_t one = guest().open("/file", O_RDWR), two = guest().open("/file", O_RDWR),
                     theirs = other.open("/file", O_RDWR);
  const struct flock write{F_WRLCK, SEEK_SET, 0, 10, 0}, read{F_RDLCK, SEEK_SET, 0, 10, 0};
  EXPECT_EQ(guest().call(sys_fcntl, one, F_SETLK, guest().value(write)), 0);
  EXPECT_EQ(guest().call(sys_fcntl, two, F_SETLK, guest().value(read)), 0);  // converts it
  const std::uint64_t question = guest().value(write);
  EXPECT_EQ(guest().call(sys_fcntl, two, F_GETLK, question), 0);
  EXPECT_EQ(guest().load<struct flock>(question).l_type, F_UNLCK);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(write)), -EAGAIN);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(read)), 0);
  EXPECT_EQ(guest().call(sys_fcntl, one, F_SETLK, guest().value(write)), -EAGAIN);
  guest().close(two);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(write)), 0);
  // Relative to the descriptor's offset, and only for what the descriptor allows.
  guest().call(sys_lseek, one, 100, SEEK_SET);
  const struct flock relative{F_WRLCK, SEEK_CUR, 5, 1, 0}, absolute{F_WRLCK, SEEK_SET, 105, 1, 0};
  EXPECT_EQ(guest().call(sys_fcntl, one, F_SETLK, guest().value(relative)), 0);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(absolute)), -EAGAIN);
  EXPECT_EQ(guest().call(sys_dup3, 0, one, 0), one);
  EXPECT_EQ(other.call(sys_fcntl, theirs, F_SETLK, other.value(absolute)), 0);
  const std::int64_t reader = guest().open("/file");
  EXPECT_EQ(guest().call(sys_fcntl, reader, F_SETLK, guest().value(write)), -EBADF);
  EXPECT_EQ(guest().call(sys_fcntl, guest().open("/proc/version"), F_SETLK, guest().value(read)), -EINVAL);
  const struct flock owned{F_WRLCK, SEEK_SET, 0, 0, 7};
  EXPECT_EQ(guest().call(sys_fcntl, reader, F_OFD_SETLK, guest().value(owned)), -EINVAL);
}

TEST_F(Descriptors, WholeFileLocksExclude) {
  const std::int64_t one = guest().open("/file"), two = guest().open("/file");
  EXPECT_EQ(guest().call(sys_flock, one, LOCK_EX), 0);
  EXPECT_EQ(guest().call(sys_flock, two, LOCK_SH | LOCK_NB), -EAGAIN);
  guest().process().hart().interrupt.store(1);
  EXPECT_EQ(guest().call(sys_flock, two, LOCK_SH), kRestartUnlessNoRestart);
  EXPECT_EQ(guest().call(sys_flock, one, LOCK_UN), 0);
  EXPECT_EQ(guest().call(sys_flock, two, LOCK_SH), 0);
  EXPECT_EQ(guest().call(sys_flock, two, 99), -EINVAL);
}

TEST_F(Descriptors, IoctlIsAnAllowList) {
  const std::int64_t file = guest().open("/file");
  const std::uint64_t buffer = guest().reserve(64);
  EXPECT_EQ(guest().call(sys_ioctl, file, TCGETS, buffer), -ENOTTY);
  EXPECT_EQ(guest().call(sys_ioctl, file, TIOCSTI, buffer), -ENOTTY);
  EXPECT_EQ(guest().call(sys_ioctl, file, FIONREAD, buffer), 0);
  EXPECT_EQ(guest().load<std::int32_t>(buffer), 10);
  const auto [reader, writer] = pipe();
  guest().write(writer, "abc");
  EXPECT_EQ(guest().call(sys_ioctl, reader, FIONREAD, buffer), 0);
  EXPECT_EQ(guest().load<std::int32_t>(buffer), 3);
  EXPECT_EQ(guest().call(sys_ioctl, reader, TIOCSTI, buffer), -ENOTTY);
  EXPECT_EQ(guest().call(sys_ioctl, reader, FIONBIO, guest().value(std::int32_t{1})), 0);
  guest().read(reader);
  EXPECT_EQ(guest().read(reader), "error " + std::to_string(EAGAIN));
}

TEST(Terminals, ShowTheirSettingsAndTheGuestsOwnGroup) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0)
    GTEST_SKIP() << "this machine gives no pseudo-terminals";
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  LinuxOptions options;
  options.standard_input = options.standard_output = options.standard_error = terminal;
  {
    TestProcess guest(options);
    const std::uint64_t buffer = guest.reserve(64);
    EXPECT_EQ(guest.call(sys_ioctl, 0, TCGETS, buffer), 0);
    EXPECT_EQ(guest.call(sys_ioctl, 0, TCSETS, buffer), 0);
    EXPECT_EQ(guest.call(sys_ioctl, 0, TIOCGWINSZ, buffer), 0);
    EXPECT_EQ(guest.call(sys_ioctl, 0, TIOCSTI, buffer), -ENOTTY);
    EXPECT_EQ(guest.call(sys_ioctl, 0, TIOCGPGRP, buffer), 0);
    EXPECT_EQ(guest.load<std::uint32_t>(buffer), guest.process().ids.process_group);
    EXPECT_EQ(guest.call(sys_ioctl, 0, TCGETS, TestProcess::kUnmapped), -EFAULT);
    EXPECT_EQ(guest.link_text("/proc/self/fd/0"), "/dev/tty");
    ASSERT_EQ(::write(master, "typed\n", 6), 6);
    EXPECT_EQ(guest.contents("/dev/tty"), "typed\n");
    EXPECT_EQ(guest.write(1, "shown"), 5);
  }
  std::array<char, 64> shown{};
  EXPECT_GT(::read(master, shown.data(), shown.size()), 0);
  ::close(terminal);
  ::close(master);
}

TEST(StandardStreams, KeepTheHostsDescriptionsAndCloseOnlyTheirOwn) {
  TemporaryDirectory directory;
  directory.write("input", "from the host");
  const int input = ::open(directory.path("input").c_str(), O_RDONLY);
  LinuxOptions options;
  options.standard_input = input;
  options.standard_output = -1;
  {
    TestProcess guest(options);
    EXPECT_EQ(guest.read(0, 4), "from");
    EXPECT_EQ(guest.write(0, "x"), -EBADF);
    EXPECT_EQ(guest.write(1, "x"), -EBADF);
    // What the embedder opened for reading does not become writable by its name.
    EXPECT_EQ(guest.open("/proc/self/fd/0", O_RDWR), -EACCES);
    EXPECT_EQ(guest.open("/dev/stdin", O_WRONLY), -EACCES);
    EXPECT_EQ(guest.contents("/dev/stdin"), " the host");
    EXPECT_EQ(guest.close(0), 0);
  }
  EXPECT_EQ(::lseek(input, 0, SEEK_CUR), 13);
  ::close(input);
  options.standard_input = 9999;
  EXPECT_EQ(FileTable::create(options).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace caisson::linux_personality
