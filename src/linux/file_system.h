// What a guest sees as its tree of files: the mounts, and where the process stands in them.
//
// A mount puts a host directory at a guest path; "/" is one of them or, without one, an empty virtual directory. /proc and
// /dev are always virtual (virtual_files.h). Every name is looked up from held directory descriptors and never leaves its
// mount (path_resolution.h), so what a guest or a changing tree does cannot reach a host file outside.
// Copying a FileSystem is what fork needs: mounts are shared, the working directory is the copy's own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/linux.h"
#include "caisson/result.h"
#include "linux/host_descriptor.h"

namespace caisson::linux_personality {

// A host directory at a guest path, or with virtual_tree a part of the tree that virtual_files.h serves.
struct Mount {
  std::string guest_path;  // absolute, normalised; "/" for the root
  HostDescriptor root;  // O_PATH on the host directory; none for a virtual tree
  bool read_only = false;
  bool virtual_tree = false;
  std::uint32_t number = 0;  // in the order of mounting; st_dev under --deterministic
};

// A directory that is held open: a path can be looked up from here whatever happens to its name.
struct HeldDirectory {
  std::shared_ptr<const Mount> mount;
  HostDescriptor descriptor;  // O_PATH; none for a virtual directory
  std::string guest_path;  // as of when it was opened
};

class FileSystem {
 public:
  // "/", /proc and /dev virtual, nothing else; the working directory is "/".
  FileSystem();

  // options.root, directories and workdir (which must exist). Errors as mount().
  static Result<FileSystem> create(const LinuxOptions& options);

  // A host descriptor (the caller's) to read an executable regular file by; a relative path begins at the working
  // directory. Or −errno: −ENOENT, −EACCES (no regular file, not executable), …
  std::int64_t open_program(const std::string& guest_path) const;

  // Puts the host directory at the absolute guest path, over what is there; "/" replaces the virtual root.
  // Errors: kNotFound, kPermission, kInvalidArgument (no directory, no absolute path, beneath /proc or /dev).
  Result<void> mount(const std::string& host_path, std::string_view guest_path, bool read_only);

  // The mount that governs a normalised absolute guest path: the longest prefix.
  const std::shared_ptr<const Mount>& governing_mount(std::string_view guest_path) const;
  // Exactly at this path, or nullptr.
  const std::shared_ptr<const Mount>* mount_at(std::string_view guest_path) const;
  // Some mount lies strictly beneath this path, so that the path exists as a directory whatever the host has.
  bool leads_to_mount(std::string_view guest_path) const;
  // In the order of mounting; the first is "/".
  const std::vector<std::shared_ptr<const Mount>>& mounts() const { return mounts_; }
  // True where "/" is a host directory.
  bool has_host_root() const { return static_cast<bool>(mounts_.front()->root); }

  const std::shared_ptr<const HeldDirectory>& working_directory() const { return working_directory_; }
  void set_working_directory(std::shared_ptr<const HeldDirectory> directory) {
    working_directory_ = std::move(directory);
  }

  // openat2 is used where the host has it; tests turn it off to walk component by component.
  bool uses_openat2() const { return uses_openat2_; }
  void set_uses_openat2(bool uses) { uses_openat2_ = uses; }

 private:
  std::vector<std::shared_ptr<const Mount>> mounts_;  // [0] is "/"
  std::shared_ptr<const HeldDirectory> working_directory_;
  bool uses_openat2_ = false;
};

// An absolute path without empty components, "." and "..", as a string of text: no file is looked at.
std::string normalize_path(std::string_view path);
// "/" + name or directory + "/" + name.
std::string join_path(std::string_view directory, std::string_view name);
// True for `directory` itself and for all beneath it.
bool path_is_within(std::string_view path, std::string_view directory);

}  // namespace caisson::linux_personality
