// A Linux process saved and restored: what goes on as before, what is refused, and states that nobody saved.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "linux/memory_calls.h"
#include "linux/process_calls.h"
#include "linux/process_state.h"
#include "linux/signal_calls.h"
#include "linux/signal_delivery.h"
#include "linux/time_calls.h"
#include "linux/virtual_files.h"
#include "support/guest_compiler.h"
#include "unit/linux_test_process.h"

namespace caisson::linux_personality {
namespace {

using State = std::vector<std::uint8_t>;

InstanceOptions deterministic_options(std::uint64_t seed = 1) {
  InstanceOptions options;
  options.deterministic = true;
  options.seed = seed;
  return options;
}

State save(TestProcess& guest) {
  auto state = save_process(guest.process(), {});
  if (!state) throw std::runtime_error(state.error().to_string());
  return std::move(*state);
}

// The process in its own memory again, but made of nothing but its state.
void reincarnate(TestProcess& guest, const LinuxOptions& options = {}) {
  auto restored = restore_process(guest.instance(), options, save(guest));
  if (!restored) throw std::runtime_error(restored.error().to_string());
  guest.become(std::move(restored->process));
}

Error restore_error(TestProcess& guest, const LinuxOptions& options, const State& state) {
  const auto restored = restore_process(guest.instance(), options, state);
  if (restored) throw std::runtime_error("it can be restored");
  return restored.error();
}

Error save_error(TestProcess& guest) {
  const auto state = save_process(guest.process(), {});
  if (state) throw std::runtime_error("it can be saved");
  return state.error();
}

// A pipe of the host whose write end a guest has as a standard stream.
class HostPipe {
 public:
  HostPipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
  }
  HostPipe(const HostPipe&) = delete;
  ~HostPipe() {
    for (const int end : ends_) ::close(end);
  }
  int write_end() const { return ends_[1]; }
  std::string read() const {
    std::string text(65536, '\0');
    const ssize_t count = ::read(ends_[0], text.data(), text.size());
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }

 private:
  std::array<int, 2> ends_{};
};

// --- what goes on ---

TEST(LinuxState, NumbersAndNamesStay) {
  TestProcess guest({}, deterministic_options());
  LinuxProcess& before = guest.process();
  before.umask = 027;
  before.credentials.effective_user = 42;
  before.credentials.supplementary_groups = {7, 8, 9};
  before.ids.process_group = 12;
  before.limits[RLIMIT_DATA] = {1000, 2000};
  before.layout = {0x10000, 0x12345, 0x20000, 0x30000, 1, 2, 3, 4};
  before.executable_path = "/bin/tool";
  before.arguments = {"tool", "", std::string("a\0b", 3)};
  before.environment = {"A=1"};
  before.auxiliary_vector = {1, 2, 3, 255};
  before.command_name = "renamed";
  before.wait_deadline_ns = 77;
  before.next_pipe_number = 5;
  before.robust_list_head = 0x1111;
  before.clear_child_tid = 0x2222;
  before.personality_flags = 0x40000;
  before.nice = -7;
  before.parent_death_signal = 9;
  before.dumpable = false;
  before.no_new_privileges = true;
  before.skip_time(123'456);
  const std::uint64_t clock = before.monotonic_ns();

  reincarnate(guest);
  LinuxProcess& after = guest.process();
  EXPECT_EQ(after.umask, 027u);
  EXPECT_EQ(after.credentials.effective_user, 42u);
  EXPECT_EQ(after.credentials.supplementary_groups, (std::vector<std::uint32_t>{7, 8, 9}));
  EXPECT_EQ(after.ids.process_group, 12u);
  EXPECT_EQ(after.limits[RLIMIT_DATA].current, 1000u);
  EXPECT_EQ(after.limits[RLIMIT_DATA].maximum, 2000u);
  EXPECT_EQ(after.layout.break_end, 0x12345u);
  EXPECT_EQ(after.layout.environment_end, 4u);
  EXPECT_EQ(after.executable_path, "/bin/tool");
  EXPECT_EQ(after.arguments, (std::vector<std::string>{"tool", "", std::string("a\0b", 3)}));
  EXPECT_EQ(after.environment, std::vector<std::string>{"A=1"});
  EXPECT_EQ(after.auxiliary_vector, (std::vector<std::uint8_t>{1, 2, 3, 255}));
  EXPECT_EQ(after.command_name, "renamed");
  EXPECT_EQ(after.wait_deadline_ns, 77u);
  EXPECT_EQ(after.next_pipe_number, 5u);
  EXPECT_EQ(after.robust_list_head, 0x1111u);
  EXPECT_EQ(after.clear_child_tid, 0x2222u);
  EXPECT_EQ(after.personality_flags, 0x40000u);
  EXPECT_EQ(after.nice, -7);
  EXPECT_EQ(after.parent_death_signal, 9);
  EXPECT_FALSE(after.dumpable);
  EXPECT_TRUE(after.no_new_privileges);
  EXPECT_EQ(after.monotonic_ns(), clock);
}

TEST(LinuxState, HeapGrowsOnWhereItEnded) {
  TestProcess guest({}, deterministic_options());
  guest.instance().hart().grant_gas(1'000'000);
  guest.process().layout.break_start = guest.process().layout.break_end = 0x10000000;
  ASSERT_EQ(guest.call(sys_brk, 0x10000800), 0x10000800);
  reincarnate(guest);
  EXPECT_EQ(guest.call(sys_brk, 0), 0x10000800);
  EXPECT_EQ(guest.call(sys_brk, 0x10003000), 0x10003000);
  EXPECT_TRUE(guest.memory().is_mapped(0x10000000, 0x3000));
}

TEST(LinuxState, SignalsAreDeliveredAsTheyWouldHaveBeen) {
  TestProcess guest({}, deterministic_options());
  SignalState& before = guest.process().signals;
  before.actions[kSigTerm] = {0x4000, 0, signal_bit(3)};
  before.actions[40] = {0x5000, 0, 0};
  before.blocked = signal_bit(kSigTerm) | signal_bit(40);
  before.alternate_stack = {0x100000, 0, 0, 0x4000};
  for (const std::uint64_t value : {11u, 22u}) {
    SignalInfo info;
    info.signal = 40;
    info.code = kSentByQueue;
    info.sender = {1000, 0, value};
    ASSERT_TRUE(raise_signal(guest.process(), info));
  }
  raise_signal(guest.process(), kSigTerm);
  before.replace_mask(signal_bit(5));

  reincarnate(guest);
  SignalState& after = guest.process().signals;
  EXPECT_EQ(after.actions[kSigTerm].handler, 0x4000u);
  EXPECT_EQ(after.actions[kSigTerm].mask, signal_bit(3));
  EXPECT_EQ(after.alternate_stack.size, 0x4000u);
  EXPECT_EQ(after.blocked, signal_bit(5));
  EXPECT_EQ(after.pending(), signal_bit(kSigTerm) | signal_bit(40));
  EXPECT_TRUE(after.deliverable());
  after.restore_mask();
  EXPECT_EQ(after.blocked, signal_bit(kSigTerm) | signal_bit(40));
  EXPECT_EQ(after.take(signal_bit(40))->sender.value, 11u);
  EXPECT_EQ(after.take(signal_bit(40))->sender.value, 22u);
  EXPECT_FALSE(after.take(signal_bit(40)));

  after.blocked = 0;
  guest.process().hart().pc = 0x1234;
  guest.process().hart().x[riscv::kSp] = TestProcess::kScratch + 0x10000;
  EXPECT_EQ(deliver_signals(guest.process()), Delivery::kEntered);
  EXPECT_EQ(guest.process().hart().pc, 0x4000u);
}

TEST(LinuxState, TimersKeepTheTimeThatIsLeft) {
  for (const bool deterministic : {true, false}) {
    InstanceOptions options;
    options.deterministic = deterministic;
    TestProcess guest({}, options);
    // struct itimerval: an interval of 5 s, and 1000 s left.
    const std::uint64_t timer = guest.value(std::array<std::int64_t, 4>{5, 0, 1000, 0});
    ASSERT_EQ(guest.call(sys_setitimer, Timers::kReal, timer, 0), 0);
    ASSERT_EQ(guest.call(sys_setitimer, Timers::kProfiling, timer, 0), 0);
    const std::uint64_t clock = guest.process().monotonic_ns();
    reincarnate(guest);
    for (const unsigned which : {Timers::kReal, Timers::kProfiling}) {
      ASSERT_EQ(guest.call(sys_getitimer, which, timer), 0);
      const auto left = guest.load<std::array<std::int64_t, 4>>(timer);
      EXPECT_EQ(left[0], 5);
      EXPECT_GE(left[2], 999 - 60);
      EXPECT_LE(left[2], 1000);
    }
    EXPECT_GE(guest.process().monotonic_ns(), clock);
  }
}

// A clock that has not run for as long as the state lay in a drawer: as if the other instance's host had just been started.
TEST(LinuxState, MonotonicClockGoesOnWhereItStood) {
  TestProcess guest;
  guest.process().skip_time(std::uint64_t{1} << 62);
  const std::uint64_t clock = guest.process().monotonic_ns();
  reincarnate(guest);
  EXPECT_GE(guest.process().monotonic_ns(), clock);
  EXPECT_LT(guest.process().monotonic_ns(), clock + 60'000'000'000);
}

TEST(LinuxState, SeededRandomnessGoesOnWithinABlock) {
  for (const std::size_t drawn : {0u, 1u, 31u, 32u, 33u, 100u}) {
    TestProcess guest({}, deterministic_options(9)), other({}, deterministic_options(9));
    std::vector<std::uint8_t> expected(drawn + 50), got(drawn + 50);
    other.process().random.fill(expected);
    guest.process().random.fill(std::span(got).first(drawn));
    reincarnate(guest);
    guest.process().random.fill(std::span(got).subspan(drawn));
    EXPECT_EQ(got, expected) << drawn;
  }
}

TEST(LinuxState, DuplicatesOfStandardStreamsWriteToTheNewOnes) {
  const HostPipe first, second;
  TestProcess guest({.standard_output = first.write_end()}, deterministic_options());
  ASSERT_EQ(guest.call(sys_fcntl, 1, F_DUPFD_CLOEXEC, 10), 10);
  ASSERT_EQ(guest.call(sys_dup3, 1, 7, 0), 7);
  ASSERT_EQ(guest.close(1), 0);
  ASSERT_EQ(guest.close(0), 0);
  ASSERT_EQ(guest.call(sys_fcntl, 7, F_SETFL, O_NONBLOCK | O_APPEND), 0);
  ASSERT_EQ(guest.write(7, "one"), 3);

  reincarnate(guest, {.standard_output = second.write_end()});
  EXPECT_EQ(guest.write(10, "two"), 3);
  EXPECT_EQ(first.read(), "one");
  EXPECT_EQ(second.read(), "two");
  EXPECT_EQ(guest.write(1, "x"), -EBADF);
  EXPECT_EQ(guest.read(0, 1), "error 9");
  EXPECT_EQ(guest.call(sys_fcntl, 10, F_GETFD, 0), FD_CLOEXEC);
  EXPECT_EQ(guest.call(sys_fcntl, 7, F_GETFD, 0), 0);
  EXPECT_EQ(guest.call(sys_fcntl, 10, F_GETFL, 0), O_WRONLY | O_NONBLOCK | O_APPEND);
  // One description: what one descriptor changes shows at the other.
  EXPECT_EQ(guest.call(sys_fcntl, 7, F_SETFL, 0), 0);
  EXPECT_EQ(guest.call(sys_fcntl, 10, F_GETFL, 0), O_WRONLY);
  // The lowest free number is given.
  EXPECT_EQ(guest.call(sys_dup, 7), 0);

  const State state = save(guest);
  EXPECT_EQ(restore_error(guest, {.standard_output = -1}, state).where, "standard output");
}

TEST(LinuxState, VirtualFilesKeepBytesOffsetsAndSharing) {
  TestProcess guest({}, deterministic_options());
  guest.process().command_name = "before";
  const std::int64_t file = guest.open("/proc/self/comm");
  ASSERT_EQ(guest.read(file, 2), "be");
  const std::int64_t shared = guest.call(sys_dup, file);
  const std::int64_t zero = guest.open("/dev/zero"), full = guest.open("/dev/full", O_WRONLY | O_CLOEXEC);
  const std::int64_t names = guest.open("/proc", O_RDONLY | O_DIRECTORY);
  const std::uint64_t buffer = guest.reserve(4096);
  const std::int64_t first = guest.call(sys_getdents64, names, buffer, 100);
  ASSERT_GT(first, 0);
  const std::int64_t path = guest.open("/etc/passwd", O_PATH);
  guest.process().command_name = "after";

  reincarnate(guest);
  EXPECT_EQ(guest.read(file, 3), "for");
  EXPECT_EQ(guest.read(shared), "e\n");
  EXPECT_EQ(guest.contents("/proc/self/comm"), "after\n");
  EXPECT_EQ(guest.read(zero, 3), std::string(3, '\0'));
  EXPECT_EQ(guest.write(full, "x"), -ENOSPC);
  EXPECT_EQ(guest.call(sys_fcntl, full, F_GETFD, 0), FD_CLOEXEC);
  // The listing goes on behind what was read: together it is what a listing at once gives.
  const std::int64_t rest = guest.call(sys_getdents64, names, buffer, 4096);
  const std::int64_t anew = guest.open("/proc", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(first + rest, guest.call(sys_getdents64, anew, buffer, 4096));
  EXPECT_EQ(guest.link_text("/proc/self/fd/" + std::to_string(path)), "/etc/passwd");
  EXPECT_EQ(guest.read(path, 1), "error 9");
}

TEST(LinuxState, PipesKeepWhatIsInThem) {
  TestProcess guest({}, deterministic_options());
  const std::uint64_t numbers = guest.reserve(8);
  ASSERT_EQ(guest.call(sys_pipe2, numbers, O_NONBLOCK), 0);
  const auto [reader, writer] = guest.load<std::array<std::int32_t, 2>>(numbers);
  ASSERT_EQ(guest.write(writer, "hello"), 5);
  ASSERT_EQ(guest.read(reader, 1), "h");
  const std::string name = guest.link_text("/proc/self/fd/" + std::to_string(reader));
  ASSERT_EQ(guest.call(sys_pipe2, numbers, 0), 0);
  const auto [abandoned, broken] = guest.load<std::array<std::int32_t, 2>>(numbers);
  ASSERT_EQ(guest.close(abandoned), 0);
  ASSERT_EQ(guest.call(sys_pipe2, numbers, 0), 0);
  const auto [ending, closed] = guest.load<std::array<std::int32_t, 2>>(numbers);
  ASSERT_EQ(guest.write(closed, "last"), 4);
  ASSERT_EQ(guest.close(closed), 0);

  reincarnate(guest);
  EXPECT_EQ(guest.write(writer, "!"), 1);
  EXPECT_EQ(guest.read(reader), "ello!");
  EXPECT_EQ(guest.read(reader), "error 11");
  EXPECT_EQ(guest.link_text("/proc/self/fd/" + std::to_string(writer)), name);
  EXPECT_EQ(guest.write(broken, "x"), -EPIPE);
  // One that is full.
  ASSERT_EQ(guest.call(sys_fcntl, writer, F_SETFL, O_NONBLOCK), 0);
  const std::string filling(65536, 'f');
  ASSERT_EQ(guest.write(writer, filling), 65536);
  reincarnate(guest);
  EXPECT_EQ(guest.write(writer, "x"), -EAGAIN);
  EXPECT_EQ(guest.read(reader), filling);
  EXPECT_EQ(guest.read(ending), "last");
  EXPECT_EQ(guest.read(ending), "");
}

TEST(LinuxState, FilesForReadingAreOpenedAgainWhereTheyAreTheSame) {
  const TemporaryDirectory tree;
  tree.write("in/script", "line one\nline two\n");
  const LinuxOptions options{.root = tree.path()};
  TestProcess guest(options, deterministic_options());
  ASSERT_EQ(guest.call(sys_chdir, guest.text("/in")), 0);
  const std::int64_t file = guest.open("script");
  ASSERT_EQ(guest.read(file, 9), "line one\n");
  const State state = save(guest);

  reincarnate(guest, options);
  EXPECT_EQ(guest.working_directory(), "/in");
  EXPECT_EQ(guest.read(file), "line two\n");

  tree.write("in/script", "line ONE\nline two\n");
  const Error changed = restore_error(guest, options, state);
  EXPECT_EQ(changed.code, ErrorCode::kIo);
  EXPECT_EQ(changed.where, "/in/script");
  std::filesystem::remove(tree.path("in/script"));
  EXPECT_EQ(restore_error(guest, options, state).code, ErrorCode::kNotFound);
  std::filesystem::remove(tree.path("in"));
  const Error gone = restore_error(guest, options, state);
  EXPECT_EQ(gone.code, ErrorCode::kNotFound);
  EXPECT_EQ(gone.where, "/in");
}

// --- what is refused ---

TEST(LinuxState, WhatCannotBeKeptIsNamed) {
  const TemporaryDirectory tree;
  tree.write("data", "text");
  tree.directory("folder");
  struct Case {
    const char* path;
    std::uint32_t flags;
    const char* reason;
  };
  for (const Case& one : {Case{"/data", O_RDWR, "may write"}, Case{"/new", O_WRONLY | O_CREAT, "may write"},
                          Case{"/folder", O_RDONLY | O_DIRECTORY, "directory"}, Case{"/data", O_PATH, "O_PATH"}}) {
    TestProcess guest({.root = tree.path()}, deterministic_options());
    ASSERT_EQ(guest.open(one.path, one.flags, 0644), 3);
    const Error error = save_error(guest);
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_EQ(error.where, one.path);
    EXPECT_NE(error.message.find("descriptor 3 "), std::string::npos) << error.message;
    EXPECT_NE(error.message.find(one.reason), std::string::npos) << error.message;
    // Once it is closed the process can be saved.
    ASSERT_EQ(guest.close(3), 0);
    EXPECT_TRUE(save_process(guest.process(), {}));
  }
}

TEST(LinuxState, FilesWithoutANameAndLockedOnesAreRefused) {
  const TemporaryDirectory tree;
  tree.write("data", "text");
  TestProcess guest({.root = tree.path()}, deterministic_options());
  const std::int64_t file = guest.open("/data");
  ASSERT_EQ(guest.call(sys_flock, file, 1), 0);  // LOCK_SH
  EXPECT_NE(save_error(guest).message.find("locked"), std::string::npos);
  ASSERT_EQ(guest.close(file), 0);

  ASSERT_EQ(guest.open("/data"), file);
  std::filesystem::remove(tree.path("data"));
  EXPECT_NE(save_error(guest).message.find("lost its name"), std::string::npos);
  ASSERT_EQ(guest.close(file), 0);

  ASSERT_EQ(guest.call(sys_memfd_create, guest.text("scratch"), 0), file);
  const Error memory_file = save_error(guest);
  EXPECT_NE(memory_file.message.find("memory file"), std::string::npos);
  EXPECT_EQ(memory_file.where, "/memfd:scratch (deleted)");
  ASSERT_EQ(guest.close(file), 0);

  const std::uint64_t numbers = guest.reserve(8);
  ASSERT_EQ(guest.call(sys_pipe2, numbers, O_DIRECT), 0);
  EXPECT_NE(save_error(guest).message.find("packets"), std::string::npos);
}

TEST(LinuxState, DeletedWorkingDirectoryIsRefused) {
  const TemporaryDirectory tree;
  tree.directory("here");
  TestProcess guest({.root = tree.path()}, deterministic_options());
  ASSERT_EQ(guest.call(sys_chdir, guest.text("/here")), 0);
  std::filesystem::remove(tree.path("here"));
  const Error error = save_error(guest);
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_EQ(error.where, "/here");
}

TEST(LinuxState, OtherSurroundingsAreRefused) {
  TestProcess guest({}, deterministic_options());
  const State state = save(guest);
  TestProcess wall_clock;
  EXPECT_EQ(restore_error(wall_clock, {}, state).code, ErrorCode::kInvalidArgument);
  InstanceOptions small = deterministic_options();
  small.stack_size = 1 << 20;
  TestProcess other_stack({}, small);
  EXPECT_EQ(restore_error(other_stack, {}, state).code, ErrorCode::kInvalidArgument);
  const Error fewer = restore_error(guest, {.descriptor_limit = 16}, state);
  EXPECT_EQ(fewer.code, ErrorCode::kLimit);
  EXPECT_NE(fewer.message.find("1024"), std::string::npos);
}

// --- states that nobody saved ---

// One of everything.
void fill(TestProcess& guest) {
  guest.process().arguments = {"tool", "argument"};
  guest.process().auxiliary_vector = {1, 2};
  guest.process().signals.actions[10] = {0x4000, 0, 1};
  guest.process().signals.blocked = signal_bit(10) | signal_bit(41);
  guest.process().signals.replace_mask(signal_bit(10) | signal_bit(41));
  raise_signal(guest.process(), 10);
  raise_signal(guest.process(), 41);
  guest.process().wait_deadline_ns = 5;
  std::array<std::uint8_t, 5> drawn{};
  guest.process().random.fill(drawn);
  guest.open("/proc/self/status");
  guest.open("/dev/urandom", O_RDWR | O_CLOEXEC);
  const std::int64_t names = guest.open("/dev", O_RDONLY | O_DIRECTORY);
  guest.call(sys_getdents64, names, guest.reserve(4096), 64);
  guest.open("/etc/group", O_PATH);
  guest.open("/script");
  const std::uint64_t numbers = guest.reserve(8);
  guest.call(sys_pipe2, numbers, 0);
  guest.write(guest.load<std::array<std::int32_t, 2>>(numbers)[1], "piped");
  guest.call(sys_dup, 1);
}

TEST(LinuxState, EveryTruncationAndEveryTailIsRefused) {
  const TemporaryDirectory tree;
  tree.write("script", "text");
  const LinuxOptions options{.root = tree.path()};
  TestProcess guest(options, deterministic_options());
  fill(guest);
  State state = save(guest);
  for (std::size_t length = 0; length < state.size(); ++length) {
    const auto restored = restore_process(guest.instance(), options, std::span(state).first(length));
    ASSERT_FALSE(restored) << length;
    ASSERT_EQ(restored.error().code, ErrorCode::kInvalidArgument) << length;
  }
  ASSERT_TRUE(restore_process(guest.instance(), options, state));
  state.push_back(0);
  EXPECT_FALSE(restore_process(guest.instance(), options, state));
}

// A changed state is refused, or it is the one encoding of another process; that process can be asked and goes away without harm.
TEST(LinuxState, ChangedBytesAreRefusedOrAnotherProcessesOnlyEncoding) {
  const TemporaryDirectory tree;
  tree.write("script", "text");
  const LinuxOptions options{.root = tree.path()};
  TestProcess guest(options, deterministic_options());
  fill(guest);
  const State state = save(guest);
  std::size_t accepted = 0, refused = 0;
  for (std::size_t index = 0; index < state.size(); ++index) {
    for (const std::uint8_t flip : {0x01, 0x04, 0x80, 0xff}) {
      State changed = state;
      changed[index] ^= flip;
      auto restored = restore_process(guest.instance(), options, changed);
      if (!restored) {
        ++refused;
        continue;
      }
      ++accepted;
      const auto again = save_process(*restored->process, restored->counts);
      ASSERT_TRUE(again) << index << ": " << again.error().to_string();
      ASSERT_EQ(*again, changed) << index;
      virtual_content(restored->process.get(), *find_virtual(restored->process.get(), "/proc/meminfo"));
      sys_brk(*restored->process, {});
      deliver_signals(*restored->process);
    }
  }
  EXPECT_GT(accepted, 100u);
  EXPECT_GT(refused, 100u);
}

TEST(LinuxState, SavingChangesNothing) {
  const TemporaryDirectory tree;
  tree.write("script", "text");
  TestProcess guest({.root = tree.path()}, deterministic_options());
  fill(guest);
  const State state = save(guest);
  EXPECT_EQ(save(guest), state);
  reincarnate(guest, {.root = tree.path()});
  EXPECT_EQ(save(guest), state);
}

// --- whole runs ---

// A personality that is exchanged for a new one made of its saved state, while its instance keeps memory and registers.
class ExchangedPersonality final : public runtime::Personality {
 public:
  explicit ExchangedPersonality(LinuxOptions options)
      : options_(std::move(options)), inner_(make_linux_personality(options_).value()) {}

  Result<void> exchange() {
    auto state = inner_->save(*instance_);
    if (!state) return std::unexpected(state.error());
    inner_ = make_linux_personality(options_).value();
    return inner_->restore(*instance_, *state);
  }

  State saved() { return inner_->save(*instance_).value(); }
  runtime::GuestInstance& instance() { return *instance_; }

  Result<void> start(runtime::GuestInstance& instance) override {
    instance_ = &instance;
    return inner_->start(instance);
  }
  bool on_trap(runtime::GuestInstance& instance, riscv::HartState& hart, const riscv::Trap& trap) override {
    return inner_->on_trap(instance, hart, trap);
  }
  void on_slice(runtime::GuestInstance& instance, riscv::HartState& hart) override { inner_->on_slice(instance, hart); }
  bool wants_slices() const override { return inner_->wants_slices(); }
  std::vector<std::pair<std::string, std::uint64_t>> call_counts() const override { return inner_->call_counts(); }
  std::vector<std::pair<std::string, std::uint64_t>> unknown_call_counts() const override {
    return inner_->unknown_call_counts();
  }

 private:
  LinuxOptions options_;
  std::shared_ptr<runtime::Personality> inner_;
  runtime::GuestInstance* instance_ = nullptr;
};

// Begins an instance as a copy of another one that has stopped: what a caller of restore() does with memory and registers, and
// the process from its state.
class TransplantedPersonality final : public runtime::Personality {
 public:
  TransplantedPersonality(LinuxOptions options, runtime::GuestInstance& from, State state)
      : inner_(make_linux_personality(std::move(options)).value()), from_(from), state_(std::move(state)) {}

  Result<void> start(runtime::GuestInstance& instance) override {
    if (Result<void> restored = inner_->restore(instance, state_); !restored) return restored;
    if (!instance.memory().mappings().empty()) return fail(ErrorCode::kInternal, "restore() has mapped something");
    for (const memory::Mapping& mapping : from_.memory().mappings()) copy(mapping, instance.memory());
    riscv::HartState& hart = instance.hart();
    const riscv::HartState& source = from_.hart();
    hart.x = source.x;
    hart.f = source.f;
    hart.pc = source.pc;
    hart.frm = source.frm;
    hart.fflags = source.fflags;
    hart.gas_granted = source.gas_used() + hart.gas;
    return {};
  }
  bool on_trap(runtime::GuestInstance& instance, riscv::HartState& hart, const riscv::Trap& trap) override {
    return inner_->on_trap(instance, hart, trap);
  }
  void on_slice(runtime::GuestInstance& instance, riscv::HartState& hart) override { inner_->on_slice(instance, hart); }
  bool wants_slices() const override { return inner_->wants_slices(); }

 private:
  void copy(const memory::Mapping& mapping, memory::AddressSpace& to) {
    const std::uint64_t length = mapping.end - mapping.start;
    std::vector<std::uint8_t> bytes(length);
    const std::size_t readable = from_.memory().read(mapping.start, bytes.data(), length);
    if (to.map_anonymous(mapping.start, length, memory::kRead | memory::kWrite, mapping.shared, mapping.name) !=
            memory::MapStatus::kOk ||
        to.write(mapping.start, bytes.data(), readable) != readable ||
        to.protect(mapping.start, length, mapping.permissions) != memory::MapStatus::kOk) {
      throw std::runtime_error("a mapping cannot be copied: " + mapping.name);
    }
  }

  std::shared_ptr<runtime::Personality> inner_;
  runtime::GuestInstance& from_;
  State state_;
};

// Some of everything that a process can have and keep; prints what it sees.
constexpr char kProgram[] = R"(
  #define _GNU_SOURCE
  #include <fcntl.h>
  #include <signal.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <sys/prctl.h>
  #include <sys/random.h>
  #include <sys/syscall.h>
  #include <sys/time.h>
  #include <time.h>
  #include <unistd.h>
  static volatile unsigned alarms, users;
  static void on_alarm(int number) { ++alarms; }
  static void on_user(int number, siginfo_t* info, void* context) { users = users * 31 + number + info->si_code; }
  int main(int count, char** arguments) {
    struct sigaction action = {.sa_sigaction = on_user, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGALRM, on_alarm);
    struct itimerval timer = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &timer, NULL);
    int other = dup(1), ends[2];
    pipe(ends);
    int input = open("/input", O_RDONLY), maps = open("/proc/self/status", O_RDONLY), random = open("/dev/urandom", O_RDONLY);
    chdir("/proc/self");
    prctl(PR_SET_NAME, "saved");
    for (int round = 0; round < 12; ++round) {
      char text[32] = "", word[8] = "", line[8] = "", where[64] = "";
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR1);
      sigprocmask(SIG_BLOCK, &set, NULL);
      raise(SIGUSR1);
      read(maps, text, 7);
      read(input, line, 3);
      unsigned drawn[2];
      read(random, &drawn[0], 4);
      getrandom(&drawn[1], 3, 0);
      write(ends[1], "abc", 3);
      read(ends[0], word, 2);
      for (volatile int spin = 0; spin < 3000; ++spin) {}
      sigprocmask(SIG_UNBLOCK, &set, NULL);
      sbrk(round * 1000);
      getcwd(where, sizeof where);
      usleep(200);
      syscall(1000);
      struct timespec now;
      clock_gettime(CLOCK_MONOTONIC, &now);
      dprintf(other, "%d %u %u %s %s %s %s %08x %06x %ld %p\n", round, alarms, users, text, word, line, where, drawn[0],
              drawn[1] & 0xffffff, now.tv_nsec, sbrk(0));
    }
    return alarms & 63;
  }
)";

class WholeRunTest : public testing::Test {
 protected:
  struct Outcome {
    std::string output;
    InvocationResult result;
    std::uint64_t gas_used = 0;
    std::vector<std::pair<std::string, std::uint64_t>> calls, unknown_calls;
    unsigned exchanges = 0;
  };

  void SetUp() override {
    if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
    tree.write("input", "Thirty-six letters and more to read.");
  }

  static Engine& engine() {
    static Engine engine = Engine::create().value();
    return engine;
  }

  // Runs with `portion` of gas at a time; where `exchanges`, another personality takes over at each stop.
  Outcome run(const std::vector<std::uint8_t>& program, Tier tier, std::uint64_t portion, bool exchanges) {
    const HostPipe output;
    const auto personality = std::make_shared<ExchangedPersonality>(
        LinuxOptions{.root = tree.path(), .standard_output = output.write_end()});
    InstanceOptions options = deterministic_options();
    options.gas = portion;
    options.tier = tier;
    options.personality = personality;
    Instance instance = engine().instantiate(engine().load_bytes(program, "main").value(), options).value();
    Outcome outcome{.result = instance.start().value()};
    for (; outcome.result.exit_reason == ExitReason::kOutOfGas; outcome.result = instance.resume(portion).value()) {
      // Before its first instruction there is no process.
      if (!exchanges || instance.gas_used() == 0) continue;
      if (const auto exchanged = personality->exchange(); !exchanged)
        throw std::runtime_error(exchanged.error().to_string());
      ++outcome.exchanges;
    }
    outcome.output = output.read();
    outcome.gas_used = instance.gas_used();
    outcome.calls = personality->call_counts();
    outcome.unknown_calls = personality->unknown_call_counts();
    return outcome;
  }

  const TemporaryDirectory tree;
};

TEST_F(WholeRunTest, ExchangedAtEveryStopItEndsAsIfNeverInterrupted) {
  const auto program = test::compile_guest({{"main.c", kProgram}}, {"-static", "-O1"});
  ASSERT_TRUE(program) << program.error().to_string();
  const Outcome expected = run(*program, Tier::kInterp, kUnlimitedGas, false);
  ASSERT_EQ(expected.result.exit_reason, ExitReason::kHalt);
  ASSERT_NE(expected.output.find("\n11 "), std::string::npos) << expected.output;
  for (const Tier tier : {Tier::kInterp, Tier::kAuto}) {
    for (const std::uint64_t portion : {5'003u, 40'009u}) {
      const Outcome exchanged = run(*program, tier, portion, true);
      EXPECT_GT(exchanged.exchanges, 5u);
      EXPECT_EQ(exchanged.output, expected.output);
      EXPECT_EQ(exchanged.result.exit_reason, ExitReason::kHalt);
      EXPECT_EQ(exchanged.result.return_value, expected.result.return_value);
      EXPECT_EQ(exchanged.gas_used, expected.gas_used);
      // A call that is made again counts again, so the stops must be the same ones.
      const Outcome stopped = run(*program, tier, portion, false);
      EXPECT_EQ(exchanged.calls, stopped.calls);
      EXPECT_EQ(exchanged.unknown_calls, stopped.unknown_calls);
    }
  }
}

TEST_F(WholeRunTest, RestoredInAnotherInstanceItEndsAsIfNeverInterrupted) {
  const auto program = test::compile_guest({{"main.c", kProgram}}, {"-static", "-O1"});
  ASSERT_TRUE(program) << program.error().to_string();
  const Outcome expected = run(*program, Tier::kInterp, kUnlimitedGas, false);
  ASSERT_EQ(expected.result.exit_reason, ExitReason::kHalt);
  for (const Tier tier : {Tier::kInterp, Tier::kAuto}) {
    for (const std::uint64_t parts : {2u, 3u, 5u, 20u}) {
      const HostPipe first_output, second_output;
      const LinuxOptions first_options{.root = tree.path(), .standard_output = first_output.write_end()};
      const LinuxOptions second_options{.root = tree.path(), .standard_output = second_output.write_end()};
      const Module module = engine().load_bytes(*program, "main").value();
      InstanceOptions options = deterministic_options();
      options.tier = tier;

      const auto personality = std::make_shared<ExchangedPersonality>(first_options);
      options.gas = expected.gas_used / parts * (parts - 1);
      options.personality = personality;
      Instance first = engine().instantiate(module, options).value();
      ASSERT_EQ(first.start().value().exit_reason, ExitReason::kOutOfGas);

      options.gas = kUnlimitedGas;
      options.seed = 2;  // the state's counts
      options.personality =
          std::make_shared<TransplantedPersonality>(second_options, personality->instance(), personality->saved());
      Instance second = engine().instantiate(module, options).value();
      const Result<InvocationResult> result = second.start();
      ASSERT_TRUE(result) << result.error().to_string();
      EXPECT_EQ(result->exit_reason, ExitReason::kHalt);
      EXPECT_EQ(result->return_value, expected.result.return_value);
      EXPECT_EQ(second.gas_used(), expected.gas_used);
      const std::string before = first_output.read(), after = second_output.read();
      EXPECT_FALSE(after.empty());
      EXPECT_EQ(before + after, expected.output);
    }
  }
}

TEST(LinuxState, AProgramThatHasNotBegunCannotBeSaved) {
  TestProcess guest;
  const auto personality = make_linux_personality({}).value();
  EXPECT_EQ(personality->save(guest.instance()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(personality->restore(guest.instance(), {}).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace caisson::linux_personality
