// OpenFile: an open file description, as Linux calls it — what dup() and fork share.
//
// One class per kind of file (host_file.h, virtual_file.h, directory_file.h); the calls speak to this interface only. A
// method that a kind does not support keeps the default, which answers with the error Linux gives for such files.
// Results are ≥ 0 or −errno. Methods move bytes between the file and guest memory; nothing here knows descriptors' numbers.
#pragma once

#include <poll.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "linux/file_system.h"

namespace caisson::linux_personality {

class GuestBuffers;
class LinuxProcess;
struct SavedFile;
struct VirtualNode;

class OpenFile {
 public:
  // `status_flags`: the access mode and O_APPEND, O_NONBLOCK, O_PATH … as fcntl(F_GETFL) gives them.
  // `guest_path`: its name for /proc/self/fd and maps, e.g. "/etc/passwd" or "pipe:[7]".
  OpenFile(std::uint32_t status_flags, std::string guest_path)
      : status_flags_(status_flags), guest_path_(std::move(guest_path)) {}
  virtual ~OpenFile() = default;
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // At the file's offset, which moves, or at `offset`.
  virtual std::int64_t read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset);
  virtual std::int64_t write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset);
  virtual std::int64_t seek(LinuxProcess& process, std::int64_t offset, int whence);
  virtual std::int64_t status(LinuxProcess& process, struct statx& status) = 0;
  // Fills guest memory with linux_dirent64 records.
  virtual std::int64_t read_directory(LinuxProcess& process, std::uint64_t buffer, std::uint32_t length);
  // request as the guest passed it; ENOTTY for what the kind does not allow.
  virtual std::int64_t control(LinuxProcess& process, std::uint32_t request, std::uint64_t argument);
  virtual std::int64_t truncate(LinuxProcess& process, std::uint64_t length);
  // Asked before the file grows to `end` bytes: −ENOSPC where it may not.
  virtual std::int64_t reserve(LinuxProcess& process, std::uint64_t end);
  // A new description of the same regular file, for which the host has given `descriptor`.
  virtual std::shared_ptr<OpenFile> reopened(HostDescriptor descriptor, std::uint32_t status_flags) const;

  // The host's descriptor of the same file for calls that pass through (fsync, mmap, poll …); −1 where there is none.
  virtual int host_descriptor() const { return -1; }
  // A host descriptor that names the file (an O_PATH one too) and through which it may be opened anew, changed or linked;
  // −1 for what the guest did not open by itself.
  virtual int named_descriptor() const { return -1; }
  // A regular file of the host: it can be mapped, extended and synchronised.
  virtual bool is_regular() const { return false; }
  // An O_PATH descriptor of a virtual file knows its node.
  virtual const VirtualNode* virtual_node() const { return nullptr; }
  // What poll() says without a host descriptor to ask.
  virtual short ready_events() const { return POLLIN | POLLOUT; }
  // Not nullptr: the file is a directory from which paths can be looked up.
  virtual std::shared_ptr<const HeldDirectory> directory() const { return nullptr; }
  // The mount it was opened in; nullptr for pipes, inherited and virtual files.
  virtual std::shared_ptr<const Mount> mount() const { return nullptr; }

  // What a saved process keeps of it; an error says in words what cannot be kept of such a file.
  virtual std::expected<SavedFile, std::string> saved(LinuxProcess& process) const;
  // Somebody has locked it through this description, and perhaps has not given that up.
  bool was_locked() const { return was_locked_.load(std::memory_order_relaxed); }
  void note_lock() { was_locked_.store(true, std::memory_order_relaxed); }

  std::uint32_t status_flags() const { return status_flags_.load(std::memory_order_relaxed); }
  void set_status_flags(std::uint32_t flags) { status_flags_.store(flags, std::memory_order_relaxed); }
  bool readable() const;
  bool writable() const;
  bool path_only() const;  // O_PATH
  bool non_blocking() const;
  bool append() const;

  const std::string& guest_path() const { return guest_path_; }

 private:
  std::atomic<std::uint32_t> status_flags_;
  std::atomic<bool> was_locked_{false};
  const std::string guest_path_;
};

}  // namespace caisson::linux_personality
