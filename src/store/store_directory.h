// A store's directory: who may own it, its key, and the lock of its writers.
//
//   DIR/key        32 random bytes, mode 0600, made once
//   DIR/lock       empty; its record lock (fcntl) is held by who writes
//   DIR/data.mdb   LMDB's
//   DIR/lock.mdb   LMDB's
//
// Everything must belong to the effective user, and nobody else may write to it; nobody else may read the key.
//
// Record locks belong to a process and end with it, however it ends, and are not inherited by fork(). They also end when the process
// closes *any* descriptor of the file: lmdb_environment.cpp sees to it that a process opens a store's files once.
//
// Thread safety: const functions, and lock() with unlock(); a process's threads exclude each other otherwise.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>

#include "caisson/result.h"
#include "store/artifact_container.h"

namespace caisson::store {

using Deadline = std::chrono::steady_clock::time_point;

// A file descriptor, closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// An error of the operating system: kPermission, kLimit for a full disk, kNotFound, kOutOfMemory, else kIo.
std::unexpected<Error> fail_with_errno(int error_number, std::string_view doing, std::string where);

class StoreDirectory {
 public:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    friend auto operator<=>(const Identity&, const Identity&) = default;
  };

  // Opens the directory; makes it, and those above it, where `create` says so (mode 0700). Opens no file in it. Errors: kNotFound,
  // kPermission (somebody else's, or others may write to it), kIo.
  static Result<StoreDirectory> open(const std::string& path, bool create);

  const std::string& path() const { return path_; }
  Identity identity() const { return identity_; }

  // Before lock(), once. Errors: kPermission, kIo.
  Result<void> open_lock_file();

  // Waits for the other processes' writers. Errors: kBusy (not before the deadline), kIo.
  Result<void> lock(Deadline deadline) const;
  void unlock() const;

  // The key; made where there is none. The lock must be held. Errors: kPermission, kInvalidImage (not 32 bytes), kIo, kLimit.
  Result<StoreKey> read_or_make_key() const;

  // Checks the owner and the mode of a file of the directory; one that is absent is in order. Errors: kPermission, kIo.
  Result<void> check_file(const char* name) const;

  // Gives a file of the directory, new or not, blocks on the disk for its first `bytes`: LMDB writes to its lock file by way of memory, where
  // a full disk is a SIGBUS. Nobody may hold record locks of the file in this process. Errors: kLimit, kPermission, kIo.
  Result<void> allocate_file(const char* name, std::uint64_t bytes) const;

  // Makes entries of the directory durable. Errors: kIo.
  Result<void> sync() const;

 private:
  StoreDirectory() = default;
  Result<StoreKey> read_key() const;
  Result<void> make_key() const;
  std::string path_of(const char* name) const { return path_ + "/" + name; }

  std::string path_;
  Descriptor descriptor_;
  Descriptor lock_file_;
  Identity identity_;
};

}  // namespace caisson::store
