#include "progress_bar.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace caisson::cli {

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(std::string_view name, std::size_t index, std::size_t count) {
  if (!terminal_) return;
  const std::size_t filled = count == 0 ? kWidth : std::min(kWidth, kWidth * index / count);
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {}/{} {:<24}", "", filled, "", kWidth - filled, std::min(index + 1, count),
             count, name);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressBar::clear() {
  if (shown_) fmt::print(stderr, "\r\033[K");
  shown_ = false;
}

}  // namespace caisson::cli
