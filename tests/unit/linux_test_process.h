// A Linux process without a program: system calls are made by calling them, over real guest memory and a temporary tree.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "linux/call_arguments.h"
#include "linux/file_calls.h"
#include "linux/linux_process.h"
#include "memory/window_pool.h"
#include "runtime/guest_instance.h"

namespace caisson::linux_personality {

// Removes itself with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "caisson-files-XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(std::string_view beneath = {}) const {
    return beneath.empty() ? path_ : path_ + "/" + std::string(beneath);
  }

  void write(std::string_view name, std::string_view text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name)) << text;
  }
  void directory(std::string_view name) const { std::filesystem::create_directories(path(name)); }
  void link(std::string_view name, std::string_view target) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::filesystem::create_symlink(target, path(name));
  }
  std::string text(std::string_view name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

class TestProcess {
 public:
  static constexpr std::uint64_t kScratch = 0x100000, kScratchSize = 0x200000;  // readable and writable
  static constexpr std::uint64_t kReadOnly = 0x400000;  // one page
  static constexpr std::uint64_t kUnmapped = 0x8000000;

  explicit TestProcess(const LinuxOptions& options = {}, const InstanceOptions& instance_options = {}) {
    InstanceOptions with_personality = instance_options;
    with_personality.personality = std::make_shared<NoPersonality>();
    auto instance = runtime::GuestInstance::create(std::make_shared<runtime::ModuleState>(),
                                                   std::make_shared<memory::WindowPool>(), with_personality);
    if (!instance) throw std::runtime_error(instance.error().to_string());
    instance_ = std::move(*instance);
    auto process = LinuxProcess::create(*instance_, options);
    if (!process) throw std::runtime_error(process.error().to_string());
    process_ = std::move(*process);
    if (memory().map_anonymous(kScratch, kScratchSize, memory::kRead | memory::kWrite) != memory::MapStatus::kOk ||
        memory().map_anonymous(kReadOnly, memory::kPageSize, memory::kRead) != memory::MapStatus::kOk) {
      throw std::runtime_error("no memory for the test's process");
    }
  }

  LinuxProcess& process() { return *process_; }
  // Goes on as another process in the same memory.
  void become(std::unique_ptr<LinuxProcess> process) { process_ = std::move(process); }
  memory::AddressSpace& memory() { return instance_->memory(); }
  runtime::GuestInstance& instance() { return *instance_; }

  template <class... Arguments>
  std::int64_t call(SystemCall system_call, Arguments... arguments) {
    return system_call(*process_, CallArguments{{static_cast<std::uint64_t>(arguments)...}});
  }

  // Guest memory that stays put until the next reset().
  std::uint64_t reserve(std::size_t size) {
    const std::uint64_t address = next_;
    next_ += (size + 15) & ~std::size_t{15};
    if (next_ > kScratch + kScratchSize) throw std::runtime_error("the test uses more scratch memory than there is");
    return address;
  }
  void reset() { next_ = kScratch; }
  std::uint64_t text(std::string_view text) {
    const std::uint64_t address = reserve(text.size() + 1);
    memory().write(address, text.data(), text.size());
    memory().write_value(address + text.size(), '\0');
    return address;
  }
  template <class Value>
  std::uint64_t value(const Value& value) {
    const std::uint64_t address = reserve(sizeof value);
    memory().write_value(address, value);
    return address;
  }
  std::string bytes(std::uint64_t address, std::size_t length) {
    std::string bytes(length, '\0');
    bytes.resize(memory().read(address, bytes.data(), length));
    return bytes;
  }
  template <class Value>
  Value load(std::uint64_t address) {
    return memory().read_value<Value>(address).value();
  }

  // --- calls that many tests make ---
  std::int64_t open(std::string_view path, std::uint32_t flags = O_RDONLY, std::uint32_t mode = 0,
                    std::int32_t directory = AT_FDCWD) {
    return call(sys_openat, directory, text(path), flags, mode);
  }
  std::int64_t close(std::int64_t descriptor) { return call(sys_close, descriptor); }
  std::string read(std::int64_t descriptor, std::size_t length = 65536) {
    const std::uint64_t buffer = reserve(length);
    const std::int64_t count = call(sys_read, descriptor, buffer, length);
    return count < 0 ? "error " + std::to_string(-count) : bytes(buffer, static_cast<std::size_t>(count));
  }
  std::int64_t write(std::int64_t descriptor, std::string_view data) {
    return call(sys_write, descriptor, text(data), data.size());
  }
  // The file's text, or "error N".
  std::string contents(std::string_view path, std::int32_t directory = AT_FDCWD) {
    const std::int64_t descriptor = open(path, O_RDONLY, 0, directory);
    if (descriptor < 0) return "error " + std::to_string(-descriptor);
    std::string text = read(descriptor);
    close(descriptor);
    return text;
  }
  std::string working_directory() {
    const std::uint64_t buffer = reserve(4096);
    const std::int64_t size = call(sys_getcwd, buffer, 4096);
    return size < 0 ? "error " + std::to_string(-size) : bytes(buffer, static_cast<std::size_t>(size) - 1);
  }
  std::string link_text(std::string_view path) {
    const std::uint64_t buffer = reserve(4096);
    const std::int64_t size = call(sys_readlinkat, AT_FDCWD, text(path), buffer, 4096);
    return size < 0 ? "error " + std::to_string(-size) : bytes(buffer, static_cast<std::size_t>(size));
  }
  std::vector<std::string> list(std::string_view path) {
    std::vector<std::string> names;
    const std::int64_t descriptor = open(path, O_RDONLY | O_DIRECTORY);
    const std::uint64_t buffer = reserve(4096);
    for (;;) {
      const std::int64_t length = call(sys_getdents64, descriptor, buffer, 4096);
      if (length <= 0) break;
      for (std::uint64_t at = buffer; at < buffer + static_cast<std::uint64_t>(length);
           at += load<std::uint16_t>(at + 16)) {
        names.push_back(*memory().read_string(at + 19, 255));
      }
    }
    close(descriptor);
    return names;
  }

 private:
  class NoPersonality final : public runtime::Personality {
   public:
    Result<void> start(runtime::GuestInstance&) override { return {}; }
    bool on_trap(runtime::GuestInstance&, riscv::HartState&, const riscv::Trap&) override { return false; }
    void on_slice(runtime::GuestInstance&, riscv::HartState&) override {}
  };

  std::unique_ptr<runtime::GuestInstance> instance_;
  std::unique_ptr<LinuxProcess> process_;
  std::uint64_t next_ = kScratch;
};

}  // namespace caisson::linux_personality
