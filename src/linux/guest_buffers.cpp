#include "linux/guest_buffers.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

namespace caisson::linux_personality {

namespace {

struct GuestVector {
  std::uint64_t address, length;
};

}  // namespace

void GuestBuffers::add(std::uint64_t address, std::uint64_t length) {
  length = std::min(length, kMaximumTransfer - remaining_);
  if (length == 0) return;
  // Nothing is lost by cutting at the window's end: its last 64 KiB are never mapped, so the transfer stops before.
  length = std::min(length, memory::kWindowSize - address);
  ranges_.push_back({address, length});
  remaining_ += length;
}

std::expected<GuestBuffers, std::int64_t> GuestBuffers::range(memory::AddressSpace& memory, std::uint64_t address,
                                                              std::uint64_t length) {
  if (length > 0 && address >= memory::kWindowSize) return std::unexpected(-EFAULT);
  GuestBuffers buffers(memory);
  buffers.add(address, length);
  return buffers;
}

std::expected<GuestBuffers, std::int64_t> GuestBuffers::vectors(memory::AddressSpace& memory, std::uint64_t address,
                                                                std::uint64_t count) {
  if (count > kMaximumVectors) return std::unexpected(-EINVAL);
  std::vector<GuestVector> vectors(count);
  const std::size_t bytes = count * sizeof(GuestVector);
  if (memory.read(address, vectors.data(), bytes) != bytes) return std::unexpected(-EFAULT);

  std::uint64_t total = 0;
  for (const GuestVector& vector : vectors) {
    if (vector.length > std::uint64_t{std::numeric_limits<std::int64_t>::max()} - total)
      return std::unexpected(-EINVAL);
    if (vector.length > 0 && vector.address >= memory::kWindowSize) return std::unexpected(-EFAULT);
    total += vector.length;
  }
  GuestBuffers buffers(memory);
  buffers.ranges_.reserve(vectors.size());
  for (const GuestVector& vector : vectors) buffers.add(vector.address, vector.length);
  return buffers;
}

GuestBuffers GuestBuffers::engine(std::span<std::uint8_t> bytes) {
  GuestBuffers buffers(bytes.data());
  buffers.add(0, bytes.size());
  return buffers;
}

std::span<const iovec> GuestBuffers::host_ranges(std::uint64_t limit) {
  host_ranges_.clear();
  for (std::size_t index = current_; index < ranges_.size() && limit > 0; ++index) {
    const std::uint64_t length = std::min(ranges_[index].length, limit);
    host_ranges_.push_back({base_ + ranges_[index].address, length});
    limit -= length;
  }
  return host_ranges_;
}

std::span<const iovec> GuestBuffers::host_ranges_to_write(std::uint64_t limit) {
  const std::span<const iovec> ranges = host_ranges(limit);
  if (memory_ != nullptr) {
    for (std::size_t index = 0; index < ranges.size(); ++index)
      memory_->prepare_host_write(ranges_[current_ + index].address, ranges[index].iov_len);
  }
  return ranges;
}

void GuestBuffers::advance(std::uint64_t count) {
  remaining_ -= count;
  while (count > 0) {
    Range& range = ranges_[current_];
    const std::uint64_t step = std::min(range.length, count);
    range.address += step;
    range.length -= step;
    count -= step;
    if (range.length == 0) ++current_;
  }
}

void GuestBuffers::advance_written(std::uint64_t count) {
  while (count > 0) {
    const Range range = ranges_[current_];
    const std::uint64_t step = std::min(range.length, count);
    if (memory_ != nullptr) memory_->note_host_write(range.address, step);
    advance(step);
    count -= step;
  }
}

std::size_t GuestBuffers::copy_to_guest(const void* from, std::size_t length) {
  const auto* source = static_cast<const std::uint8_t*>(from);
  std::size_t copied = 0;
  while (copied < length && remaining_ > 0) {
    const Range range = ranges_[current_];
    const std::size_t step = std::min<std::uint64_t>(range.length, length - copied);
    const std::size_t done = memory_ != nullptr ? memory_->write(range.address, source + copied, step)
                                                : (std::memcpy(base_ + range.address, source + copied, step), step);
    advance(done);
    copied += done;
    if (done < step) break;
  }
  return copied;
}

std::size_t GuestBuffers::copy_from_guest(void* to, std::size_t length) {
  auto* destination = static_cast<std::uint8_t*>(to);
  std::size_t copied = 0;
  while (copied < length && remaining_ > 0) {
    const Range range = ranges_[current_];
    const std::size_t step = std::min<std::uint64_t>(range.length, length - copied);
    const std::size_t done = memory_ != nullptr
                                 ? memory_->read(range.address, destination + copied, step)
                                 : (std::memcpy(destination + copied, base_ + range.address, step), step);
    advance(done);
    copied += done;
    if (done < step) break;
  }
  return copied;
}

std::size_t GuestBuffers::zero_guest(std::uint64_t length) {
  static constexpr std::array<std::uint8_t, 65536> kZeroes{};
  std::size_t done = 0;
  while (done < length) {
    const std::size_t step = std::min<std::uint64_t>(length - done, kZeroes.size());
    const std::size_t copied = copy_to_guest(kZeroes.data(), step);
    done += copied;
    if (copied < step) break;
  }
  return done;
}

}  // namespace caisson::linux_personality
