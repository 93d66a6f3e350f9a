// A LinuxProcess as bytes, and back: what Personality::save() and restore() do.
//
// What becomes of each part:
//
//   saved      umask, credentials, ids, limits; signal actions, masks, alternate stack, pending signals in their order; interval
//              timers, clocks, the deadline of a wait; the seeded random source; memory layout; path, arguments, environment,
//              auxiliary vector and name of the program; addresses it has registered (clear_child_tid, robust list);
//              personality(2), nice, parent death signal, dumpable, no_new_privileges; the next pipe's number; the working
//              directory by its path; descriptors with close-on-exec, and open files with flags, offsets and sharing (saved_file.h);
//              how often each call was made
//   re-made    from the options of the new personality: mounts, the standard streams themselves, what descriptors may take of
//              the engine's memory; from the host: its randomness, its calendar, whether it has openat2
//   refused    open files of the host that may be written, directories, named pipes, memory files, packet pipes and whatever was
//              locked; a working directory that was deleted
//   elsewhere  memory and registers, gas among them; under --deterministic the gas is the clock
//
// The bytes are little-endian, versioned and canonical: there is one encoding of a process. Any bytes may be decoded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "caisson/linux.h"
#include "caisson/result.h"

namespace caisson::runtime {
class GuestInstance;
}

namespace caisson::linux_personality {

class LinuxProcess;

// How often which call was made; by number.
struct CallCounts {
  std::map<std::uint64_t, std::uint64_t> answered;
  std::map<std::uint64_t, std::uint64_t> unknown;
  std::uint64_t further_unknown = 0;  // those whose numbers are not told apart
};

// Of CallCounts::unknown: a guest chooses the numbers.
inline constexpr std::size_t kMostUnknownNumbers = 512;

// Errors: kUnsupported where the process holds what cannot be saved; kLimit where its state is longer than any that is restored.
Result<std::vector<std::uint8_t>> save_process(LinuxProcess& process, const CallCounts& counts);

struct RestoredProcess {
  std::unique_ptr<LinuxProcess> process;
  CallCounts counts;
};

// Errors: kInvalidArgument (no saved process, or one of an instance with other options), kNotFound and kIo (a file or directory that it
// needs is gone, or holds something else), kLimit (more descriptors than the options allow), kOutOfMemory, and those of
// make_linux_personality().
Result<RestoredProcess> restore_process(runtime::GuestInstance& instance, const LinuxOptions& options,
                                        std::span<const std::uint8_t> state);

}  // namespace caisson::linux_personality
