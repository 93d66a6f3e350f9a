// A bar on a terminal's standard error; nothing elsewhere.
#pragma once

#include <cstddef>
#include <string_view>

namespace caisson::cli {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // `name`: of what is done now; `index`: of how many things.
  void show(std::string_view name, std::size_t index, std::size_t count);
  void clear();

 private:
  static constexpr std::size_t kWidth = 30;
  const bool terminal_;
  bool shown_ = false;
};

}  // namespace caisson::cli
