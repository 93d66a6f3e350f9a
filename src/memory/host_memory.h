// The host calls behind a window.
//
// One rule governs them all: a window never has a hole, not even for a moment, since another thread's mmap could land in it and
// the guest could then reach host memory. So nothing in a window is ever unmapped; it is replaced, by a mapping or by the
// inaccessible reserve. What can fail while it is made (file mappings, copies, moved pages) is made outside the window
// first, as a Staging, and then put into place as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "memory/address_space.h"

namespace caisson::memory {

// X implies R, and x86 has no write-only pages. Guest pages are never host-executable.
int host_protection(Permissions permissions);

bool is_zero_page(const std::uint8_t* page);

// Each returns false, and leaves the range as it was, where the host refuses.
bool make_reserve(std::uint8_t* begin, std::size_t length);
bool make_zero_pages(std::uint8_t* begin, std::size_t length, Permissions permissions);

// Memory that is prepared outside any window.
class Staging {
 public:
  enum class Placed {
    kYes,
    kRefused,  // the target is as it was
    kLost,  // the target's old contents are gone, and it is reserve now
  };

  Staging() = default;
  Staging(Staging&& other) noexcept
      : begin_(std::exchange(other.begin_, nullptr)), length_(other.length_), taken_from_(other.taken_from_) {}
  Staging& operator=(Staging&& other) noexcept;
  ~Staging();

  // Null, with errno set, where the host refuses.
  static Staging zero_pages(std::size_t length);
  static Staging shared_pages(std::size_t length, Permissions permissions);
  static Staging file(std::size_t length, Permissions permissions, bool shared, int fd, std::uint64_t offset);
  // Takes the private pages of one kernel mapping out of a window. The range stays mapped, without its contents.
  static Staging take(std::uint8_t* begin, std::size_t length);
  // A second view of shared pages of a window.
  static Staging duplicate(std::uint8_t* begin, std::size_t length);
  // Copies private pages of a window that `permissions` describes; what lies past the end of a file reads as zero.
  static Staging copy(std::uint8_t* begin, std::size_t length, Permissions permissions);

  explicit operator bool() const { return begin_ != nullptr; }
  std::uint8_t* begin() const { return begin_; }
  std::size_t length() const { return length_; }

  bool protect(Permissions permissions);
  // Replaces what is at `target`, in a window, and becomes null where that worked.
  Placed place(std::uint8_t* target);
  // Undoes take() of a range with `permissions`; a copy is just dropped. False where the range has lost its contents.
  bool put_back(Permissions permissions);

 private:
  Staging(void* mapping, std::size_t length);

  std::uint8_t* begin_ = nullptr;
  std::size_t length_ = 0;
  std::uint8_t* taken_from_ = nullptr;
};

}  // namespace caisson::memory
