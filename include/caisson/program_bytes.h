// The bytes of a program file, copied once and never changed again.
//
// They live in sealed shared memory, so that every instance of the program maps the same pages and no one, the file's owner
// included, can change code behind a module.
//
//   caisson::Result<caisson::ProgramBytes> bytes = caisson::ProgramBytes::from_file("plugin.elf");
//   caisson::Result<caisson::Module> module = engine.load(*bytes, "plugin");
//
// Thread safety: an immutable value, cheap to copy (a shared handle).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "caisson/result.h"

namespace caisson {

class ProgramBytes {
 public:
  // No bytes at all.
  ProgramBytes() = default;

  // The whole regular file at `path`, at most 1 GiB. Errors: kNotFound, kPermission, kNotExecutable (not a regular file),
  // kLimit, kIo.
  static Result<ProgramBytes> from_file(const std::string& path);
  // The same of an open descriptor, which stays the caller's; `name` stands in messages.
  static Result<ProgramBytes> from_descriptor(int descriptor, const std::string& name);
  // A copy of `bytes`. Errors: kLimit, kIo.
  static Result<ProgramBytes> copy_of(std::span<const std::uint8_t> bytes);

  std::span<const std::uint8_t> span() const;
  // A descriptor of the sealed memory, for mapping it; -1 where there are no bytes. Valid as long as a copy of this value is.
  int descriptor() const;

 private:
  struct Memory;
  explicit ProgramBytes(std::shared_ptr<const Memory> memory) : memory_(std::move(memory)) {}
  static Result<ProgramBytes> seal(int descriptor, std::size_t size);
  std::shared_ptr<const Memory> memory_;
};

}  // namespace caisson
