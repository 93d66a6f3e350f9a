#include "memory/host_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "memory/fault_recovery.h"

namespace caisson::memory {
namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

}  // namespace

bool is_zero_page(const std::uint8_t* page) {
  // Most pages that are not zero show it at once; memcmp does the rest in wide steps.
  return page[0] == 0 && std::memcmp(page, page + 1, kPageSize - 1) == 0;
}

int host_protection(Permissions permissions) {
  if ((permissions & kWrite) != 0) return PROT_READ | PROT_WRITE;
  return permissions == kNone ? PROT_NONE : PROT_READ;
}

bool make_reserve(std::uint8_t* begin, std::size_t length) {
  return mmap(begin, length, PROT_NONE, kPrivate | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool make_zero_pages(std::uint8_t* begin, std::size_t length, Permissions permissions) {
  return mmap(begin, length, host_protection(permissions), kPrivate | MAP_FIXED, -1, 0) != MAP_FAILED;
}

Staging::Staging(void* mapping, std::size_t length)
    : begin_(mapping == MAP_FAILED ? nullptr : static_cast<std::uint8_t*>(mapping)), length_(length) {}

Staging& Staging::operator=(Staging&& other) noexcept {
  std::swap(begin_, other.begin_);
  std::swap(length_, other.length_);
  std::swap(taken_from_, other.taken_from_);
  return *this;
}

Staging::~Staging() {
  if (begin_ != nullptr) munmap(begin_, length_);
}

Staging Staging::zero_pages(std::size_t length) {
  return {mmap(nullptr, length, PROT_READ | PROT_WRITE, kPrivate, -1, 0), length};
}

Staging Staging::shared_pages(std::size_t length, Permissions permissions) {
  return {mmap(nullptr, length, host_protection(permissions), MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
          length};
}

Staging Staging::file(std::size_t length, Permissions permissions, bool shared, int fd, std::uint64_t offset) {
  const int flags = shared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  return {mmap(nullptr, length, host_protection(permissions), flags, fd, static_cast<off_t>(offset)), length};
}

Staging Staging::take(std::uint8_t* begin, std::size_t length) {
  Staging staging(mremap(begin, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), length);
  staging.taken_from_ = begin;
  return staging;
}

Staging Staging::duplicate(std::uint8_t* begin, std::size_t length) {
  // An old size of 0 maps shared pages a second time (mremap(2), "Notes").
  return {mremap(begin, 0, length, MREMAP_MAYMOVE), length};
}

Staging Staging::copy(std::uint8_t* begin, std::size_t length, Permissions permissions) {
  Staging staging = zero_pages(length);
  if (!staging) return {};
  const bool readable = host_protection(permissions) != PROT_NONE;
  if (!readable && mprotect(begin, length, PROT_READ) != 0) return {};
  std::uint8_t page[kPageSize];
  for (std::size_t offset = 0; offset < length; offset += kPageSize) {
    const std::uint8_t* const from = begin + offset;
    // An untouched page of zeros need not be copied, and costs nothing if it is not.
    if (guarded_copy(page, from, kPageSize, from) == 0 && !is_zero_page(page)) {
      std::copy_n(page, kPageSize, staging.begin_ + offset);
    }
  }
  if (!readable) mprotect(begin, length, PROT_NONE);
  if (!staging.protect(permissions)) return {};
  return staging;
}

bool Staging::protect(Permissions permissions) { return mprotect(begin_, length_, host_protection(permissions)) == 0; }

Staging::Placed Staging::place(std::uint8_t* target) {
  if (mremap(begin_, length_, length_, MREMAP_MAYMOVE | MREMAP_FIXED, target) != MAP_FAILED) {
    begin_ = nullptr;
    return Placed::kYes;
  }
  // The kernel checks its limits before it removes the target. If it ran out of memory after that, the hole is closed at once,
  // without replacing what is there: the old mapping in the first case.
  void* const reserve = mmap(target, length_, PROT_NONE, kPrivate | MAP_FIXED_NOREPLACE, -1, 0);
  return reserve == target ? Placed::kLost : Placed::kRefused;
}

bool Staging::put_back(Permissions permissions) {
  if (taken_from_ == nullptr || place(taken_from_) == Placed::kYes) return true;
  // Out of kernel mappings; what can be read can still be copied.
  const int protection = host_protection(permissions);
  if (mprotect(taken_from_, length_, PROT_READ | PROT_WRITE) != 0 || mprotect(begin_, length_, PROT_READ) != 0)
    return false;
  const std::size_t left = guarded_copy(taken_from_, begin_, length_, begin_);
  return mprotect(taken_from_, length_, protection) == 0 && left == 0;
}

}  // namespace caisson::memory
