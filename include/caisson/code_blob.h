// CodeBlob: compiled code as a value, before anything of it can run.
//
// What a compiler of a guest kind gives, what an artifact holds, and what is loaded: position-independent bytes and the tables that
// belong to them. The JitBackend and the artifact store move blobs without knowing what the tables mean.
//
// Thread safety: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace caisson {

// What a piece of compiled code was made from: SHA-256 over the guest kind, the bytes of its code region, the guest address, the entry,
// the tier, the gas schedule's table and the options of code generation. Equal keys mean interchangeable code on equal processors.
struct CodeKey {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const CodeKey&, const CodeKey&) = default;
};

// The tiers that compile.
enum class CodeTier : std::uint8_t { kBaseline = 1, kOptimized = 2 };

struct CodeBlob {
  // Where a guest pc is entered: `offset` bytes into `code`.
  struct Entry {
    std::uint64_t guest_pc = 0;
    std::uint32_t offset = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  // A place in `code` that depends on where it is loaded or on the engine: the guest kind says what `kind` and `target` mean.
  struct Relocation {
    std::uint32_t offset = 0;
    std::uint32_t kind = 0;
    std::uint64_t target = 0;
    std::int64_t addend = 0;
    friend bool operator==(const Relocation&, const Relocation&) = default;
  };

  std::vector<std::uint8_t> code;  // machine code and its constants; starts at a multiple of 64 bytes when it is loaded
  std::vector<Entry> entries;  // in the order of guest_pc, each once; offsets lie within `code`
  std::vector<Relocation> relocations;  // offsets lie within `code`
  std::vector<std::uint8_t> pc_map;  // host offset → guest state, in the guest kind's own form
  std::vector<std::uint8_t> unwind;  // unwind data, in the guest kind's own form

  friend bool operator==(const CodeBlob&, const CodeBlob&) = default;
};

}  // namespace caisson
