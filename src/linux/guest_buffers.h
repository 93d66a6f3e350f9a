// The guest memory that a read or write call names: one range or an iovec array.
//
// The array itself is copied and checked once. The bytes are either copied through AddressSpace (files that live in the
// engine) or moved by the host kernel straight between a file and the guest's window: there the kernel honours the page
// protections, so an inaccessible page gives EFAULT or a short count exactly as it would for a native program.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "memory/address_space.h"

namespace caisson::linux_personality {

class GuestBuffers {
 public:
  static constexpr std::uint64_t kMaximumTransfer = 0x7ffff000;  // MAX_RW_COUNT: what one call moves at most
  static constexpr std::uint64_t kMaximumVectors = 1024;  // UIO_MAXIOV

  // Errors: −EFAULT for a range that begins outside the window.
  static std::expected<GuestBuffers, std::int64_t> range(memory::AddressSpace& memory, std::uint64_t address,
                                                         std::uint64_t length);
  // Errors: −EINVAL (count, a negative or overflowing length), −EFAULT (the array or a range is inaccessible).
  static std::expected<GuestBuffers, std::int64_t> vectors(memory::AddressSpace& memory, std::uint64_t address,
                                                           std::uint64_t count);

  // A buffer of the engine in place of guest memory, for calls that move bytes from file to file.
  static GuestBuffers engine(std::span<std::uint8_t> bytes);

  // Bytes not yet moved.
  std::uint64_t remaining() const { return remaining_; }

  // The next bytes, at most `limit`, as ranges of the window for writev; then advance() by what was moved.
  std::span<const iovec> host_ranges(std::uint64_t limit = kMaximumTransfer);
  void advance(std::uint64_t count);
  // The same for readv, by which the kernel writes into guest memory.
  std::span<const iovec> host_ranges_to_write(std::uint64_t limit = kMaximumTransfer);
  void advance_written(std::uint64_t count);

  // Copies as much as fits and is accessible, and advances by it.
  std::size_t copy_to_guest(const void* from, std::size_t length);
  std::size_t copy_from_guest(void* to, std::size_t length);
  // Fills with zeroes.
  std::size_t zero_guest(std::uint64_t length);

 private:
  struct Range {
    std::uint64_t address, length;
  };
  explicit GuestBuffers(memory::AddressSpace& memory) : memory_(&memory), base_(memory.base()) {}
  explicit GuestBuffers(std::uint8_t* base) : base_(base) {}
  void add(std::uint64_t address, std::uint64_t length);

  memory::AddressSpace* memory_ = nullptr;  // nullptr: the engine's own buffer
  std::uint8_t* base_;  // ranges are relative to it
  std::vector<Range> ranges_;
  std::size_t current_ = 0;  // ranges_[current_] is the first with bytes left
  std::uint64_t remaining_ = 0;
  std::vector<iovec> host_ranges_;
};

}  // namespace caisson::linux_personality
