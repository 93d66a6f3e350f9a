// What a saved process keeps of its open files, and how they are opened again in another one.
//
// Kept are the standard streams (as numbers: whoever restores gives the streams themselves), what exists in the engine alone, the
// process's own pipes with what is in them, and files of the host that are open for reading only, by name and by hash of what they
// hold. Everything else is a reason not to save: OpenFile::saved() says it in words.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/hash.h"
#include "caisson/result.h"
#include "linux/virtual_files.h"

namespace caisson::linux_personality {

class LinuxProcess;

enum class SavedFileKind : std::uint8_t {
  kStandardStream,
  kText,  // a virtual file: its bytes as of when it was opened
  kDevice,
  kDirectory,  // a virtual one, with its listing where that was begun
  kPath,  // O_PATH on a virtual file
  kHostFile,
  kPipeReader,
  kPipeWriter,
};

// One open file. What a kind does not name stays empty.
struct SavedFile {
  SavedFileKind kind = SavedFileKind::kStandardStream;
  std::uint32_t status_flags = 0;  // kStandardStream: without the access mode, which is the stream's
  std::string guest_path;
  std::uint32_t number = 0;  // kStandardStream: 0, 1 or 2; pipes: index into SavedDescriptors::pipes
  std::uint64_t position = 0;  // kText, kDirectory, kHostFile
  std::string bytes;  // kText
  bool is_listed = false;  // kDirectory: `entries` are its listing
  std::vector<DirectoryEntry> entries;
  std::uint64_t size = 0;  // kHostFile
  base::Sha256 hash{};  // kHostFile: of its bytes
};

struct SavedPipe {
  std::string guest_path;  // "pipe:[7]"
  std::string bytes;  // what was written and not read yet; nothing where nobody can read it
};

struct SavedDescriptor {
  std::uint32_t number = 0;
  bool close_on_exec = false;
  std::uint32_t file = 0;  // index into SavedDescriptors::files
};

// The table of descriptors: ascending numbers, files in the order in which these first name them, and pipes in the order in
// which the files do.
struct SavedDescriptors {
  std::vector<SavedPipe> pipes;
  std::vector<SavedFile> files;
  std::vector<SavedDescriptor> descriptors;
};

// A file of the host is hashed whole, so only so much may be open, all files together.
inline constexpr std::uint64_t kMaximumHashedBytes = std::uint64_t{64} << 20;

// The size and hash of a regular file of the host, put into `file`; an error in words.
std::expected<void, std::string> identify_host_file(int host_descriptor, SavedFile& file);

// Error kUnsupported: names the descriptor, why its file cannot be kept, and the file.
Result<SavedDescriptors> save_descriptors(LinuxProcess& process);

// Replaces the descriptors of a process that has only its standard streams. `saved` may hold anything; descriptors are below
// `limit`. Errors:
// kInvalidArgument (nothing that save_descriptors() gives; a standard stream is missing), kNotFound and kIo (a file of the host is
// missing, or holds something else now), kOutOfMemory.
Result<void> restore_descriptors(LinuxProcess& process, const SavedDescriptors& saved, std::uint64_t limit);

}  // namespace caisson::linux_personality
