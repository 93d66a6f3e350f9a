// A file descriptor of the host, closed with its owner.
#pragma once

#include <unistd.h>

#include <utility>

namespace caisson::linux_personality {

class HostDescriptor {
 public:
  HostDescriptor() = default;
  explicit HostDescriptor(int number) : number_(number) {}
  HostDescriptor(HostDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  HostDescriptor& operator=(HostDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~HostDescriptor() {
    if (number_ >= 0) ::close(number_);
  }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

}  // namespace caisson::linux_personality
