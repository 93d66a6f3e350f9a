// Open directories, and files opened with O_PATH.
//
// A directory's entries are read whole when the first of them is asked for (and again after a seek to the start), so that a
// listing is stable while files come and go. Mount points and virtual files that the host directory lacks are added.
// Under --deterministic the entries are sorted by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "linux/memory_budget.h"
#include "linux/open_file.h"
#include "linux/virtual_files.h"

namespace caisson::linux_personality {

class DirectoryFile final : public OpenFile {
 public:
  // `directory`'s descriptor, where it has one, must be open for reading.
  DirectoryFile(std::uint32_t status_flags, std::shared_ptr<const HeldDirectory> directory, MemoryCharge charge);

  std::int64_t read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) override;
  std::int64_t seek(LinuxProcess& process, std::int64_t offset, int whence) override;
  std::int64_t status(LinuxProcess& process, struct statx& status) override;
  std::int64_t read_directory(LinuxProcess& process, std::uint64_t buffer, std::uint32_t length) override;
  int host_descriptor() const override { return directory_->descriptor.get(); }
  int named_descriptor() const override { return directory_->descriptor.get(); }
  std::shared_ptr<const HeldDirectory> directory() const override { return directory_; }
  std::shared_ptr<const Mount> mount() const override { return directory_->mount; }
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;
  // The listing and position that saved() gave; false where the memory limit does not hold it.
  bool set_listing(LinuxProcess& process, const SavedFile& saved);

 private:
  std::int64_t load(LinuxProcess& process);
  std::int64_t load_host_entries(LinuxProcess& process);
  void add_entries_the_host_lacks(LinuxProcess& process);

  const std::shared_ptr<const HeldDirectory> directory_;
  std::vector<DirectoryEntry> entries_;
  MemoryCharge charge_;  // of entries_; a listing that is too much is refused (ENOMEM)
  std::size_t position_ = 0;
  bool loaded_ = false;
};

// O_PATH: names a file without opening it.
class PathFile final : public OpenFile {
 public:
  PathFile(std::uint32_t status_flags, mode_t mode, std::shared_ptr<const HeldDirectory> place,
           std::optional<VirtualNode> node);

  std::int64_t status(LinuxProcess& process, struct statx& status) override;
  int named_descriptor() const override { return place_->descriptor.get(); }
  std::shared_ptr<const HeldDirectory> directory() const override { return S_ISDIR(mode_) ? place_ : nullptr; }
  std::shared_ptr<const Mount> mount() const override { return place_->mount; }
  const VirtualNode* virtual_node() const override { return node_ ? &*node_ : nullptr; }
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;

 private:
  const mode_t mode_;
  const std::shared_ptr<const HeldDirectory> place_;  // of any file, not only of a directory
  const std::optional<VirtualNode> node_;
};

}  // namespace caisson::linux_personality
