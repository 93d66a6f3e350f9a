// Open files that live in the engine: the text files of virtual_files.h, and the devices.
#pragma once

#include <memory>
#include <string>

#include "linux/memory_budget.h"
#include "linux/open_file.h"
#include "linux/virtual_files.h"

namespace caisson::linux_personality {

// Bytes made when the file was opened.
class TextFile final : public OpenFile {
 public:
  TextFile(std::uint32_t status_flags, std::string guest_path, VirtualNode node, std::string bytes,
           MemoryCharge charge);

  std::int64_t read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) override;
  std::int64_t seek(LinuxProcess& process, std::int64_t offset, int whence) override;
  std::int64_t status(LinuxProcess& process, struct statx& status) override;
  short ready_events() const override { return POLLIN; }
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;
  void set_position(std::uint64_t position) { position_ = position; }

 private:
  const VirtualNode node_;
  const std::string bytes_;
  const MemoryCharge charge_;  // of bytes_
  std::uint64_t position_ = 0;
};

// /dev/null, zero, full, random and urandom.
class DeviceFile final : public OpenFile {
 public:
  DeviceFile(std::uint32_t status_flags, std::string guest_path, VirtualNode node);

  std::int64_t read(LinuxProcess& process, GuestBuffers& to, std::optional<std::uint64_t> offset) override;
  std::int64_t write(LinuxProcess& process, GuestBuffers& from, std::optional<std::uint64_t> offset) override;
  std::int64_t seek(LinuxProcess&, std::int64_t, int) override { return 0; }
  std::int64_t status(LinuxProcess& process, struct statx& status) override;
  std::expected<SavedFile, std::string> saved(LinuxProcess& process) const override;

 private:
  const VirtualNode node_;
};

}  // namespace caisson::linux_personality
