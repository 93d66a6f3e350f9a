// Tells tools of the host about compiled code, so that perf and gdb show functions of the guest instead of bare addresses.
//
//   CodeListing::process().enable({.perf_map = true});
//   …
//   if (listing.is_enabled()) listing.add({block.execute, size, function_name, pc});
//
// Every name gets the prefix "guest/". It tells guest from host in a profile, and it keeps a guest from choosing names that mean
// something to a tool: gdb calls a function named "malloc", trusts what is named "__jit_debug_descriptor", and demangles. Names are
// a guest's data: what is not printable ASCII becomes '?', and what is longer than kMaximumName is cut.
//
// Stacks: the listing names code, and has no unwind tables.
//
// A sink that cannot be written any further (disk full, its limit reached) turns itself off, and what it did not take is counted.
// Thread-safe. A forked child of an enabled process lists nothing.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "baseline/gdb_registration.h"
#include "baseline/jitdump.h"
#include "baseline/listing_file.h"
#include "caisson/result.h"

namespace caisson::baseline {

// One piece of compiled code, where it executes, and the guest function that it came from. Without a name it is called by its pc.
struct ListedCode {
  const void* address = nullptr;
  std::size_t size = 0;
  std::string_view name;
  std::uint64_t guest_pc = 0;
};

struct ListingOptions {
  // /tmp/perf-PID.map, where `perf report` finds names by itself. It looks there for code in anonymous memory (shared or private),
  // not for code in a memory file.
  bool perf_map = false;
  bool jitdump = false;  // jit-PID.dump in $JITDUMPDIR or the current folder, see jitdump.h: names and code
  bool gdb = false;  // see gdb_registration.h
};

struct ListingStats {
  std::uint64_t perf_map_entries = 0;
  std::uint64_t jitdump_entries = 0;
  std::uint64_t gdb_entries = 0;  // registered now
  std::uint64_t dropped = 0;  // what an enabled sink did not take; a piece counts once for each
};

// The name under which tools see `code`.
std::string listed_name(const ListedCode& code);

class CodeListing {
 public:
  // Of a name, with its prefix.
  static constexpr std::size_t kMaximumName = 200;
  static constexpr std::uint64_t kMaximumPerfMapSize = std::uint64_t{64} << 20;

  CodeListing() = default;
  ~CodeListing() { close(); }
  CodeListing(const CodeListing&) = delete;
  CodeListing& operator=(const CodeListing&) = delete;

  // The one that engines use, since what the tools look at is one per process. Never destroyed; closed when the process exits.
  static CodeListing& process();

  // Turns on what `options` ask for, and leaves what is on; either all or, with an error, none. A sink that turned itself off stays
  // off. Errors: kIo with the file, kUnsupported in a forked child.
  Result<void> enable(const ListingOptions& options);

  // Whether add() has anybody to tell. Cheap enough to ask for each piece.
  bool is_enabled() const { return is_enabled_.load(std::memory_order_relaxed); }

  // Before the code runs. Empty code is ignored, and with gdb new code replaces what was listed at its address.
  void add(const ListedCode& code);

  // The code at `address` is given back. Any address is fine. perf has no notion of this.
  void remove(const void* address);

  // Writes what ends the files. Nothing is listed from then on.
  void close();

  ListingStats stats() const;

 private:
  bool is_forked_child() const;
  bool append_to_perf_map(const ListedCode& code, const std::string& name);
  void note_open_sinks();

  std::atomic<bool> is_enabled_ = false;
  std::atomic<pid_t> owner_ = 0;  // the process that enabled it

  mutable std::mutex mutex_;
  // Guarded by mutex_. A sink that was asked for once has a value for ever.
  std::optional<ListingFile> perf_map_;
  std::optional<Jitdump> jitdump_;
  std::optional<GdbRegistration> gdb_;
  ListingStats stats_;
};

}  // namespace caisson::baseline
