// The record locks of one process (fcntl F_SETLK), which belong to the pair of process and file.
//
// All guests of an engine are one process to the host, so its own per-process locks could not tell them apart. Instead the
// locks that a guest's process holds on a file are open-file-description locks of one host description that is opened for
// that purpose: they exclude other guests and other host processes, never the process itself, whichever of its descriptors
// it uses, and they all go when it closes any descriptor of the file (fcntl(2), "Advisory record locking").
#pragma once

#include <fcntl.h>

#include <compare>
#include <cstdint>
#include <map>

#include "linux/host_descriptor.h"

namespace caisson::linux_personality {

class OpenFile;

class RecordLocks {
 public:
  RecordLocks() = default;
  // A forked process begins without locks.
  RecordLocks(const RecordLocks&) {}
  RecordLocks& operator=(const RecordLocks&) = delete;
  RecordLocks(RecordLocks&&) = default;
  RecordLocks& operator=(RecordLocks&&) = default;

  // F_GETLK and F_SETLK (never waits: −EAGAIN). `lock` is relative to `file`'s offset as the caller gave it.
  std::int64_t query(const OpenFile& file, struct flock& lock);
  std::int64_t set(const OpenFile& file, struct flock lock);

  // A descriptor of this file was closed.
  void closed(const OpenFile& file);

 private:
  struct FileIdentity {
    std::uint64_t device, inode;
    auto operator<=>(const FileIdentity&) const = default;
  };
  static FileIdentity identity(const OpenFile& file);
  // The host descriptor whose description owns the locks, or −errno.
  std::int64_t owner(const OpenFile& file);

  std::map<FileIdentity, HostDescriptor> owners_;
};

}  // namespace caisson::linux_personality
