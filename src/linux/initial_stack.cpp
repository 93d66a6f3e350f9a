#include "linux/initial_stack.h"

#include <fmt/format.h>
#include <linux/auxvec.h>

#include <array>
#include <cstring>
#include <string>

#include "linux/linux_process.h"

namespace caisson::linux_personality {
namespace {

constexpr std::uint64_t kStackAlignment = 16;
constexpr std::uint64_t kPointerSize = 8;
constexpr std::size_t kLongestString = std::size_t{128} << 10;  // MAX_ARG_STRLEN
constexpr std::uint64_t kShareOfStack = 4;                      // strings and pointers take at most a quarter
constexpr std::uint64_t kRandomBytes = 16;

// The bytes of the strings with their NULs, or an Error where they are too many.
Result<std::uint64_t> measure(const LinuxProcess& process, std::uint64_t stack_size) {
  std::uint64_t bytes = process.executable_path.size() + 1;
  std::uint64_t pointers = 0;
  for (const auto* strings : {&process.arguments, &process.environment}) {
    for (const std::string& string : *strings) {
      if (string.size() >= kLongestString) {
        return fail(ErrorCode::kInvalidArgument, "an argument or environment string is longer than 128 KiB");
      }
      bytes += string.size() + 1;
    }
    pointers += strings->size();
  }
  if (bytes + pointers * kPointerSize > stack_size / kShareOfStack) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("arguments and environment take {} bytes: more than a quarter of the stack", bytes));
  }
  return bytes;
}

// The stack from `start` to its end, filled from the host's side.
class StackImage {
 public:
  StackImage(std::uint64_t start, std::uint64_t end) : start_(start), bytes_(end - start) {}

  void write(std::uint64_t address, const void* from, std::size_t length) {
    std::memcpy(&bytes_[address - start_], from, length);
  }
  void write_word(std::uint64_t address, std::uint64_t value) { write(address, &value, sizeof value); }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::uint64_t start_;
  std::vector<std::uint8_t> bytes_;
};

// Writes strings from `string_address` up and pointers to them, null-terminated, from `pointer_address` up; moves both on.
void write_strings(StackImage& image, std::span<const std::string> strings, std::uint64_t& string_address,
                   std::uint64_t& pointer_address) {
  for (const std::string& string : strings) {
    image.write(string_address, string.c_str(), string.size() + 1);
    image.write_word(pointer_address, string_address);
    string_address += string.size() + 1;
    pointer_address += kPointerSize;
  }
  pointer_address += kPointerSize;
}

}  // namespace

Result<std::uint64_t> write_initial_stack(LinuxProcess& process, std::vector<AuxiliaryEntry> auxiliary) {
  MemoryLayout& layout = process.layout;
  const Result<std::uint64_t> string_bytes = measure(process, layout.stack_high - layout.stack_low);
  if (!string_bytes) return std::unexpected(string_bytes.error());
  std::array<std::uint8_t, kRandomBytes> random;
  if (!process.random.fill(random)) return fail(ErrorCode::kIo, "the host gives no random bytes for AT_RANDOM");

  // From the top: a null word, the path, the environment's strings, the arguments' strings, the random bytes.
  const std::uint64_t strings = layout.stack_high - kPointerSize - *string_bytes;
  const std::uint64_t random_address = (strings - kRandomBytes) & ~(kStackAlignment - 1);
  const std::uint64_t path_address = layout.stack_high - kPointerSize - (process.executable_path.size() + 1);
  auxiliary.push_back({AT_RANDOM, random_address});
  auxiliary.push_back({AT_EXECFN, path_address});
  auxiliary.push_back({AT_NULL, 0});

  const std::uint64_t words = 1 + process.arguments.size() + 1 + process.environment.size() + 1 + 2 * auxiliary.size();
  const std::uint64_t sp = (random_address - words * kPointerSize) & ~(kStackAlignment - 1);
  StackImage image(sp, layout.stack_high);
  image.write_word(sp, process.arguments.size());
  std::uint64_t pointer_address = sp + kPointerSize;
  std::uint64_t string_address = strings;
  layout.arguments_start = string_address;
  write_strings(image, process.arguments, string_address, pointer_address);
  layout.arguments_end = layout.environment_start = string_address;
  write_strings(image, process.environment, string_address, pointer_address);
  layout.environment_end = string_address;
  image.write(path_address, process.executable_path.c_str(), process.executable_path.size() + 1);
  image.write(random_address, random.data(), random.size());
  image.write(pointer_address, auxiliary.data(), auxiliary.size() * sizeof(AuxiliaryEntry));

  if (process.memory().write(sp, image.bytes().data(), image.bytes().size()) != image.bytes().size()) {
    return fail(ErrorCode::kInternal, "the stack that was just mapped cannot be written");
  }
  const auto* const first = reinterpret_cast<const std::uint8_t*>(auxiliary.data());
  process.auxiliary_vector.assign(first, first + auxiliary.size() * sizeof(AuxiliaryEntry));
  return sp;
}

}  // namespace caisson::linux_personality
