#include "optimized/llvm/access_encoder.h"

#include <cstddef>

#include "isa/riscv/hart_state.h"

namespace caisson::optimized {
namespace {

struct Form {
  bool operand_size = false;  // prefix 66
  bool is_wide = false;       // REX.W
  bool has_escape = false;    // 0F
  std::uint8_t opcode = 0;
  std::uint8_t vector_prefix = 0;  // pp of a VEX prefix, 0: no vector instruction
};

// Intel SDM volume 2: MOV, MOVZX, MOVSX, MOVSXD, VMOVSS, VMOVSD.
constexpr Form form_of(Access access) {
  switch (access) {
    case Access::kLoad8Signed:
      return {.is_wide = true, .has_escape = true, .opcode = 0xBE};
    case Access::kLoad8:
      return {.has_escape = true, .opcode = 0xB6};
    case Access::kLoad16Signed:
      return {.is_wide = true, .has_escape = true, .opcode = 0xBF};
    case Access::kLoad16:
      return {.has_escape = true, .opcode = 0xB7};
    case Access::kLoad32Signed:
      return {.is_wide = true, .opcode = 0x63};
    case Access::kLoad32:
      return {.opcode = 0x8B};
    case Access::kLoad64:
      return {.is_wide = true, .opcode = 0x8B};
    case Access::kLoadSingle:
      return {.opcode = 0x10, .vector_prefix = 2};
    case Access::kLoadDouble:
      return {.opcode = 0x10, .vector_prefix = 3};
    case Access::kStore8:
      return {.opcode = 0x88};
    case Access::kStore16:
      return {.operand_size = true, .opcode = 0x89};
    case Access::kStore32:
      return {.opcode = 0x89};
    case Access::kStore64:
      return {.is_wide = true, .opcode = 0x89};
    case Access::kStoreSingle:
      return {.opcode = 0x11, .vector_prefix = 2};
    case Access::kStoreDouble:
      return {.opcode = 0x11, .vector_prefix = 3};
    case Access::kExit:
      return {.opcode = 0xFF};
  }
  return {};
}

// The numbers of instructions for DWARF's numbers of general registers (System V ABI, figure 3.36).
constexpr std::array<std::uint8_t, 16> kGeneral = {0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr unsigned kFirstVector = 17, kVectors = 16;

constexpr std::int32_t kExitWord =
    static_cast<std::int32_t>(offsetof(riscv::HartState, tier_words) + static_cast<std::size_t>(UnitWord::kExit) * 8);

// Of kExit: the call, and the move of its result.
constexpr std::uint32_t kLongestCall = 8, kMove = 3;

// GS and 32-bit addresses.
constexpr std::uint32_t kPrefixes = 2;

enum class Reach : std::uint8_t { kNone, kByte, kWord };
Reach reach_of(const AddressForm& address, std::int32_t displacement) {
  if (!address.has_base) return Reach::kWord;  // what encodes no base wants one of 32 bits
  if (displacement < -128 || displacement > 127) return Reach::kWord;
  // rbp and r13 are no base without a displacement; with an index there is no other form that is as long.
  return displacement == 0 && !address.has_index ? Reach::kNone : Reach::kByte;
}

}  // namespace

bool is_load(Access access) { return access <= Access::kLoadDouble; }
std::int32_t bytes_of(Access access) {
  switch (access) {
    case Access::kLoad8Signed:
    case Access::kLoad8:
    case Access::kStore8:
      return 1;
    case Access::kLoad16Signed:
    case Access::kLoad16:
    case Access::kStore16:
      return 2;
    case Access::kLoad32Signed:
    case Access::kLoad32:
    case Access::kLoadSingle:
    case Access::kStore32:
    case Access::kStoreSingle:
      return 4;
    default:
      return 8;
  }
}
bool uses_vectors(Access access) { return form_of(access).vector_prefix != 0; }

std::uint32_t encoded_size(Access access, const AddressForm& address, std::int32_t displacement) {
  if (access == Access::kExit) return kLongestCall + kMove;
  const Form form = form_of(access);
  const Reach reach = reach_of(address, displacement);
  const std::uint32_t tail = 2 + (reach == Reach::kNone   ? 0
                                  : reach == Reach::kByte ? 1
                                                          : 4);  // ModRM, SIB, displacement
  if (form.vector_prefix != 0) return kPrefixes + 3 + 1 + tail;
  return kPrefixes + (form.operand_size ? 1 : 0) + 1 + (form.has_escape ? 1 : 0) + 1 + tail;
}

std::optional<EncodedAccess> encode(Access access, const AddressForm& address, std::int32_t displacement,
                                    const AccessRegisters& registers) {
  EncodedAccess made;
  const auto put = [&made](unsigned byte) { made.bytes[made.size++] = static_cast<std::uint8_t>(byte); };
  const auto put_word = [&](std::int32_t word) {
    for (int shift = 0; shift < 32; shift += 8) put(static_cast<std::uint32_t>(word) >> shift & 0xFF);
  };
  // What a SIB byte has for what is not there; of no base, with no bits of ModRM's mod.
  constexpr unsigned kNoBase = 5, kNoIndex = 4;
  if (address.has_base && registers.base >= kGeneral.size()) return std::nullopt;
  if (address.has_index && registers.index >= kGeneral.size()) return std::nullopt;
  const unsigned base = address.has_base ? kGeneral[registers.base] : kNoBase;
  const unsigned index = address.has_index ? kGeneral[registers.index] : kNoIndex;
  if (address.has_index && index == kNoIndex) return std::nullopt;  // rsp
  if (access == Access::kExit) {
    put(0x40 | base >> 3);  // REX.B
    put(0xFF);              // call through memory: FF /2, a displacement of 32 bits
    put(0x80 | 2 << 3 | (base & 7));
    if ((base & 7) == 4) put(0x24);  // rsp and r12 need a SIB byte
    put_word(kExitWord);
    made.call_size = made.size;
    if (registers.value >= kGeneral.size()) return std::nullopt;
    const unsigned to = kGeneral[registers.value];
    put(0x4C | to >> 3);  // REX.W, R and B
    put(0x89);            // mov to, r11
    put(0xC0 | (11 & 7) << 3 | (to & 7));
    while (made.size < kLongestCall + kMove) put(0x90);
    return made;
  }
  const Form form = form_of(access);
  const Reach reach = reach_of(address, displacement);
  const bool needs_displacement = reach == Reach::kNone && (base & 7) == 5;
  unsigned value = 0;
  put(0x65);  // GS
  put(0x67);  // addresses of 32 bits
  if (form.vector_prefix != 0) {
    if (registers.value < kFirstVector || registers.value >= kFirstVector + kVectors) return std::nullopt;
    value = registers.value - kFirstVector;
    put(0xC4);
    put((value >> 3 ^ 1) << 7 | (index >> 3 ^ 1) << 6 | (base >> 3 ^ 1) << 5 | 1);  // R, X, B inverted; map 0F
    put(0x78 | form.vector_prefix);                                  // vvvv unused
  } else {
    if (registers.value >= kGeneral.size()) return std::nullopt;
    value = kGeneral[registers.value];
    if (form.operand_size) put(0x66);
    put(0x40 | (form.is_wide ? 8 : 0) | value >> 3 << 2 | index >> 3 << 1 | base >> 3);
    if (form.has_escape) put(0x0F);
  }
  put(form.opcode);
  if (needs_displacement) {  // without the SIB byte it is as long
    put(1 << 6 | (value & 7) << 3 | (base & 7));
    put(0);
    return made;
  }
  const unsigned mod = reach == Reach::kNone || !address.has_base ? 0 : reach == Reach::kByte ? 1 : 2;
  put(mod << 6 | (value & 7) << 3 | 4);
  put(address.scale << 6 | (index & 7) << 3 | (base & 7));  // always a SIB byte, which rsp and r12 need
  if (reach == Reach::kByte) put(static_cast<std::uint32_t>(displacement) & 0xFF);
  if (reach == Reach::kWord) put_word(displacement);
  return made;
}

}  // namespace caisson::optimized
