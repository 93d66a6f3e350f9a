// Files of the host that a guest has open.
//
// RegularFile passes reads and writes to the host kernel, straight between the file and the guest's window. StreamFile is
// what can make a call wait: pipes, FIFOs, terminals and inherited sockets. The guest's O_NONBLOCK is virtual there: the
// engine waits in wait_for(), where a signal or the end of the run can stop it, and never inside the host's read or write.
#pragma once

#include <memory>
#include <string>

#include "linux/host_descriptor.h"
#include "linux/memory_budget.h"
#include "linux/open_file.h"

namespace caisson::linux_personality {

class RegularFile : public OpenFile {
 public:
  // `mount` is what it was opened in; nullptr: inherited from the embedder, or a memfd.
  // `openable_again`: /proc/self/fd/N gives a new description of the file; not so for inherited ones, whose host description
  // is the embedder's and keeps its flags.
  RegularFile(HostDescriptor descriptor, std::uint32_t status_flags, std::string guest_path,
              std::shared_ptr<const Mount> mount, bool openable_again);

  std::int64_t read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) override;
  std::int64_t write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) override;
  std::int64_t seek(LinuxProcess& process, std::int64_t offset, int whence) override;
  std::int64_t status(LinuxProcess& process, struct statx& status) override;
  std::int64_t control(LinuxProcess& process, std::uint32_t request, std::uint64_t argument) override;
  std::int64_t truncate(LinuxProcess& process, std::uint64_t length) override;
  std::shared_ptr<OpenFile> reopened(HostDescriptor descriptor, std::uint32_t status_flags) const override;
  int host_descriptor() const override { return descriptor_.get(); }
  int named_descriptor() const override { return openable_again_ ? descriptor_.get() : -1; }
  bool is_regular() const override { return true; }
  std::shared_ptr<const Mount> mount() const override { return mount_; }
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;

 private:
  const HostDescriptor descriptor_;
  const std::shared_ptr<const Mount> mount_;
  const bool openable_again_;
};

// A memfd. Its bytes are host memory, so its size is charged: holes count like what was written.
class MemoryFile final : public RegularFile {
 public:
  MemoryFile(HostDescriptor descriptor, std::uint32_t status_flags, std::string guest_path,
             std::shared_ptr<MemoryCharge> charge);

  std::int64_t write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) override;
  std::int64_t truncate(LinuxProcess& process, std::uint64_t length) override;
  std::int64_t reserve(LinuxProcess& process, std::uint64_t end) override;
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;
  std::shared_ptr<OpenFile> reopened(HostDescriptor descriptor, std::uint32_t status_flags) const override;

 private:
  const std::shared_ptr<MemoryCharge> charge_;  // of the file, shared by its descriptions
};

class StreamFile final : public OpenFile {
 public:
  // `non_blocking_host`: the host's description has O_NONBLOCK (it is ours alone); else each host call is kept so small that it
  // cannot block once poll() has said it will not.
  StreamFile(HostDescriptor descriptor, std::uint32_t status_flags, std::string guest_path, bool non_blocking_host);

  std::int64_t read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) override;
  std::int64_t write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) override;
  std::int64_t status(LinuxProcess& process, struct statx& status) override;
  std::int64_t control(LinuxProcess& process, std::uint32_t request, std::uint64_t argument) override;
  int host_descriptor() const override { return descriptor_.get(); }
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;

 private:
  std::int64_t wait(LinuxProcess& process, short events);

  const HostDescriptor descriptor_;
  const bool non_blocking_host_;
};

// The class that fits a descriptor of the embedder.
std::shared_ptr<OpenFile> adopt_host_descriptor(HostDescriptor descriptor);

// What is asked of the host about a file.
inline constexpr unsigned kStatusMask = STATX_BASIC_STATS | STATX_BTIME;

// Makes a host file's status one that a guest may see. Inode numbers and times stay the host's, also under --deterministic.
void settle_status(LinuxProcess& process, const Mount* mount, struct statx& status);

// fstat of a host file as a guest may see it.
std::int64_t host_status(LinuxProcess& process, int host_descriptor, const Mount* mount, struct statx& status);

}  // namespace caisson::linux_personality
