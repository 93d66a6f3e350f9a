// The two functions that compilers call by themselves, for guests that are linked without a library: eight bytes at a time.
#include <cstddef>
#include <cstdint>

namespace {

// Reads and writes words of bytes of any type.
using Word [[gnu::may_alias]] = std::uint64_t;

bool is_aligned(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % sizeof(Word) == 0; }

}  // namespace

extern "C" [[clang::no_builtin]] void* memset(void* target, int value, std::size_t size) {
  auto* bytes = static_cast<unsigned char*>(target);
  const auto byte = static_cast<unsigned char>(value);
  for (; size > 0 && !is_aligned(bytes); --size) *bytes++ = byte;
  const Word word = byte * std::uint64_t{0x0101010101010101};
  auto* words = reinterpret_cast<Word*>(bytes);
  for (; size >= 4 * sizeof(Word); size -= 4 * sizeof(Word), words += 4)
    words[0] = words[1] = words[2] = words[3] = word;
  for (; size >= sizeof(Word); size -= sizeof(Word)) *words++ = word;
  bytes = reinterpret_cast<unsigned char*>(words);
  for (; size > 0; --size) *bytes++ = byte;
  return target;
}

extern "C" [[clang::no_builtin]] void* memcpy(void* target, const void* source, std::size_t size) {
  auto* to = static_cast<unsigned char*>(target);
  const auto* from = static_cast<const unsigned char*>(source);
  if ((reinterpret_cast<std::uintptr_t>(to) ^ reinterpret_cast<std::uintptr_t>(from)) % sizeof(Word) == 0) {
    for (; size > 0 && !is_aligned(to); --size) *to++ = *from++;
    for (; size >= sizeof(Word); size -= sizeof(Word), to += sizeof(Word), from += sizeof(Word)) {
      *reinterpret_cast<Word*>(to) = *reinterpret_cast<const Word*>(from);
    }
  }
  for (; size > 0; --size) *to++ = *from++;
  return target;
}
