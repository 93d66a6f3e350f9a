// The record of compiled code, bytes included, that `perf inject --jit` turns into objects with symbols:
//
//   perf record -k 1 PROGRAM && perf inject --jit -i perf.data -o perf.jit.data && perf report -i perf.jit.data
//
// Format: tools/perf/Documentation/jitdump-specification.txt of Linux, version 1. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baseline/listing_file.h"
#include "caisson/result.h"

namespace caisson::baseline {

class Jitdump {
 public:
  // Enough for all of ExecutableMemory once over; code that comes and goes fills it earlier.
  static constexpr std::uint64_t kMaximumSize = std::uint64_t{1} << 30;

  // Creates `folder`/jit-PID.dump. Errors: kIo.
  static Result<Jitdump> create(const std::string& folder);

  Jitdump(Jitdump&& other) noexcept;
  Jitdump& operator=(Jitdump&&) = delete;
  ~Jitdump();

  // Before the code runs: perf goes by time. `name` has no zero byte. False where it is not recorded.
  bool add(const void* address, std::size_t size, std::string_view name);

  // Ends the file with its last record.
  void close();
  bool is_open() const { return file_.is_open(); }

 private:
  explicit Jitdump(ListingFile file) : file_(std::move(file)) {}
  bool write_header();
  Result<void> map_marker(const std::string& path);

  ListingFile file_;
  void* marker_ = nullptr;
  std::uint64_t next_index_ = 0;
};

}  // namespace caisson::baseline
