// Symbols of compiled code for gdb, through its JIT interface ("JIT Compilation Interface" in the manual of gdb): a list of object
// files in memory, which gdb reads when a function that it watches is called. lldb knows the same interface.
//
// The list is one per process, has a lock of its own, and may hold entries of other JITs. An object of this class is used by one
// thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace caisson::baseline {

// Layouts of the interface, and the list's head, which gdb finds by its name. It is weak, so that a host which links another JIT with
// the same interface (LLVM) links: both then share one list.
struct JitCodeEntry {
  JitCodeEntry* next = nullptr;
  JitCodeEntry* previous = nullptr;
  const char* object = nullptr;
  std::uint64_t object_size = 0;
};

struct JitDescriptor {
  std::uint32_t version = 1;
  std::uint32_t action = 0;
  JitCodeEntry* relevant = nullptr;
  JitCodeEntry* first = nullptr;
};

extern "C" JitDescriptor __jit_debug_descriptor;

class GdbRegistration {
 public:
  // An entry costs 700 bytes here, and gdb some of its own time for each.
  static constexpr std::size_t kMaximumEntries = 65536;
  // A longer name is cut.
  static constexpr std::size_t kMaximumName = 255;

  GdbRegistration();
  ~GdbRegistration();
  GdbRegistration(const GdbRegistration&) = delete;
  GdbRegistration& operator=(const GdbRegistration&) = delete;

  // In place of what was registered at `address`. False where there are kMaximumEntries, or no memory. `name` has no zero byte.
  bool add(const void* address, std::size_t size, std::string_view name);

  // Nothing where nothing is registered at `address`.
  void remove(const void* address);

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry;
  std::unordered_map<const void*, std::unique_ptr<Entry>> entries_;
};

}  // namespace caisson::baseline
