// linux/: the Linux personality. One LinuxProcess is everything a Linux kernel would know about one process.
//
// It owns the guest's view: files and names (file_table.h, file_system.h), memory layout, signals, ids, limits, clocks.
// System calls are free functions over it (the table: system_calls.inc; by topic in *_calls.h). Pages belong to
// memory::AddressSpace, registers to riscv::HartState, the run loop to runtime::GuestInstance; nothing here knows how
// instructions are executed. All guest memory goes through memory(): a bad pointer is EFAULT, read once and used as copied.
// Start reading at personality.cpp (who calls a system call), then program_start.cpp (how a process begins). A new member needs a row
// in process_state.h (what of it is saved).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caisson/linux.h"
#include "caisson/result.h"
#include "isa/riscv/hart_state.h"
#include "linux/file_system.h"
#include "linux/file_table.h"
#include "linux/random_source.h"
#include "linux/resource_limits.h"
#include "linux/signal_state.h"
#include "linux/timers.h"
#include "memory/address_space.h"
#include "runtime/guest_instance.h"

namespace caisson::linux_personality {

// Identities that a guest sees. Ids of users and groups are virtual: they grant nothing on the host.
struct Credentials {
  std::uint32_t user = 0, effective_user = 0, saved_user = 0, file_system_user = 0;
  std::uint32_t group = 0, effective_group = 0, saved_group = 0, file_system_group = 0;
  std::vector<std::uint32_t> supplementary_groups;
};

struct ProcessIds {
  std::uint32_t process = 1000;
  std::uint32_t thread = 1000;
  std::uint32_t parent = 1;
  std::uint32_t process_group = 1000;
  std::uint32_t session = 1000;
};

// Where the parts of the program lie; guest addresses.
struct MemoryLayout {
  std::uint64_t break_start = 0, break_end = 0;  // the heap; break_end as the guest last set it (not rounded)
  std::uint64_t stack_low = 0, stack_high = 0;
  std::uint64_t arguments_start = 0, arguments_end = 0, environment_start = 0, environment_end = 0;
};

// What a saved process keeps of its clocks: what it had slept of virtual time under --deterministic, where the gas does the
// rest; else what its clocks showed.
struct SavedClocks {
  std::uint64_t monotonic_ns = 0;
  std::uint64_t processor_ns = 0;
};

class LinuxProcess {
 public:
  // A process without a program yet: files opened, ids and limits set. Errors as make_linux_personality().
  static Result<std::unique_ptr<LinuxProcess>> create(runtime::GuestInstance& instance, const LinuxOptions& options);

  LinuxProcess(runtime::GuestInstance& instance, FileSystem file_system, FileTable file_table);
  LinuxProcess(const LinuxProcess&) = delete;
  LinuxProcess& operator=(const LinuxProcess&) = delete;

  runtime::GuestInstance& instance() { return instance_; }
  riscv::HartState& hart() { return instance_.hart(); }
  memory::AddressSpace& memory() { return instance_.memory(); }
  bool deterministic() const { return instance_.options().deterministic; }

  // Nanoseconds of CLOCK_MONOTONIC and CLOCK_REALTIME as the guest sees them, and of the time that it has been running:
  // the host thread's CPU clock, or the gas-driven clock without what skip_time() added.
  std::uint64_t monotonic_ns() const { return instance_.clock_ns() + skipped_ns_; }
  std::uint64_t realtime_ns() const;
  std::uint64_t processor_ns() const;
  // --deterministic: a wait passes by moving the virtual clock.
  void skip_time(std::uint64_t nanoseconds) { skipped_ns_ += nanoseconds; }
  SavedClocks clocks() const;
  // From now on the clocks go on from there: the time in which the process did not exist has not passed for it.
  void set_clocks(const SavedClocks& clocks);

  FileSystem file_system;
  FileTable files;
  std::uint32_t umask = 022;

  Credentials credentials;
  ProcessIds ids;
  ResourceLimits limits;
  SignalState signals;
  Timers timers;
  RandomSource random;
  MemoryLayout layout;

  // For /proc/self: what the program was started with.
  std::string executable_path;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<std::uint8_t> auxiliary_vector;  // as it lies on the stack, AT_NULL included
  std::string command_name;  // at most 15 bytes (PR_SET_NAME, /proc/self/comm)

  // The deadline of the relative timeout that the current call waits for; kept where that call is made again (waiting.h).
  std::optional<std::uint64_t> wait_deadline_ns;
  // The next "pipe:[N]".
  std::uint64_t next_pipe_number = 1;

  std::uint64_t robust_list_head = 0;
  std::uint64_t clear_child_tid = 0;
  std::uint32_t personality_flags = 0;  // personality(2)
  std::int32_t nice = 0;
  std::int32_t parent_death_signal = 0;
  bool dumpable = true;
  bool no_new_privileges = false;

 private:
  runtime::GuestInstance& instance_;
  // Added to the instance's clock and to the host thread's, modulo 2^64.
  std::uint64_t skipped_ns_ = 0;
  std::uint64_t processor_offset_ns_ = 0;
};

}  // namespace caisson::linux_personality
