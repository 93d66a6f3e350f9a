// Where address spaces get their 4 GiB windows from, and give them back to.
//
// A window is one reservation of host address space that nothing else can ever be mapped into:
//
//   [tracking, 4 KiB][page bytes, 1 MiB][guard, 1 MiB][window, 4 GiB, base() of the address space][guard, 1 MiB]
//
// The tracking is page_tracking.h's. Everything but it and the page bytes starts out PROT_NONE and costs no memory. Reserving takes microseconds, so the pool keeps a few
// windows that came back; a window is emptied when it is returned, at a cost proportional to what was mapped in it, and so
// reads as zero for its next owner. A host process can hold about 32 000 windows.
// The pool also bounds how many kernel mappings all its windows together may need, so that guests cannot use up the
// process's own (vm.max_map_count) and starve the embedder.
//
// Thread safety: all members of WindowPool may be called from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "caisson/result.h"

namespace caisson::memory {

inline constexpr std::size_t kGuardSize = std::size_t{1} << 20;
inline constexpr std::size_t kPageTrackingSize = 4096;

// One reservation. A plain handle: whoever acquired it returns it.
struct Window {
  std::uint8_t* base = nullptr;  // of the 4 GiB
  std::uint8_t* page_bytes = nullptr;  // one byte per guest page, all zero, readable and writable
};

struct WindowPoolStats {
  std::uint64_t reserved = 0;  // windows ever asked from the host
  std::uint64_t reused = 0;  // acquisitions served from idle windows
  std::uint64_t released = 0;  // windows given back to the host
  std::uint64_t abandoned = 0;  // windows that the host could neither empty nor take back; never used again
  std::size_t in_use = 0;
  std::size_t idle = 0;
  std::uint64_t host_mappings = 0;  // charged now by all windows in use
};

class WindowPool {
 public:
  static constexpr std::size_t kDefaultIdleLimit = 16;

  // Keeps at most `idle_limit` unused windows.
  explicit WindowPool(std::size_t idle_limit = kDefaultIdleLimit);
  ~WindowPool();
  WindowPool(const WindowPool&) = delete;
  WindowPool& operator=(const WindowPool&) = delete;

  // kOutOfMemory where the host cannot reserve a window; the message says which limit to look at.
  Result<Window> acquire();

  // Takes a window back. What was mapped in it lies within [used_begin, used_end), guest addresses; equal when nothing was.
  // The page bytes and the tracking must be zero again.
  void release(Window window, std::uint64_t used_begin, std::uint64_t used_end);

  // Accounts for kernel mappings inside windows; false (and nothing charged) where all windows together would exceed the budget.
  bool charge_mappings(std::uint64_t count);
  void credit_mappings(std::uint64_t count);
  std::uint64_t mapping_budget() const { return mapping_budget_; }

  WindowPoolStats stats() const;

 private:
  const std::size_t idle_limit_;
  const std::uint64_t mapping_budget_;
  std::atomic<std::uint64_t> host_mappings_{0};
  mutable std::mutex mutex_;
  std::vector<Window> idle_;  // guarded by mutex_, as is stats_
  WindowPoolStats stats_;
};

}  // namespace caisson::memory
