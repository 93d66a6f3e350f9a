// The bytes of guest memory accesses in units, read back by LLVM's disassembler: every form of address, with every register.
#include "optimized/llvm/access_encoder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

namespace caisson::optimized {
namespace {

// In the order of DWARF's numbers (System V ABI, figure 3.36).
constexpr std::array kWords = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"};
constexpr std::array kHalves = {"eax", "edx", "ecx", "ebx", "esi", "edi", "ebp", "esp"};
constexpr std::array kQuarters = {"ax", "dx", "cx", "bx", "si", "di", "bp", "sp"};
constexpr std::array kBytes = {"al", "dl", "cl", "bl", "sil", "dil", "bpl", "spl"};
constexpr unsigned kRsp = 7, kGenerals = 16, kFirstVector = 17;

std::string name_of(unsigned reg, int bytes) {
  if (reg >= kFirstVector) return fmt::format("%xmm{}", reg - kFirstVector);
  if (reg >= 8) return fmt::format("%r{}{}", reg, bytes == 8 ? "" : bytes == 4 ? "d" : bytes == 2 ? "w" : "b");
  return fmt::format("%{}", (bytes == 8 ? kWords : bytes == 4 ? kHalves : bytes == 2 ? kQuarters : kBytes)[reg]);
}

struct Instruction {
  Access access;
  const char* mnemonic;
  int bytes;  // of the name of the general register
};
constexpr std::array kInstructions = {
    Instruction{Access::kLoad8Signed, "movsbq", 8},  Instruction{Access::kLoad8, "movzbl", 4},
    Instruction{Access::kLoad16Signed, "movswq", 8}, Instruction{Access::kLoad16, "movzwl", 4},
    Instruction{Access::kLoad32Signed, "movslq", 8}, Instruction{Access::kLoad32, "movl", 4},
    Instruction{Access::kLoad64, "movq", 8},         Instruction{Access::kLoadSingle, "vmovss", 0},
    Instruction{Access::kLoadDouble, "vmovsd", 0},   Instruction{Access::kStore8, "movb", 1},
    Instruction{Access::kStore16, "movw", 2},        Instruction{Access::kStore32, "movl", 4},
    Instruction{Access::kStore64, "movq", 8},        Instruction{Access::kStoreSingle, "vmovss", 0},
    Instruction{Access::kStoreDouble, "vmovsd", 0},
};

// As the disassembler prints it.
std::string text_of(const Instruction& instruction, const AddressForm& address, std::int32_t displacement,
                    const AccessRegisters& registers) {
  std::string memory = "%gs:";
  if (displacement != 0 || address.registers() == 0) memory += std::to_string(displacement);
  if (address.registers() != 0) {
    memory += "(";
    if (address.has_base) memory += name_of(registers.base, 4);
    if (address.has_index) memory += "," + name_of(registers.index, 4);
    if (address.has_index && address.scale != 0) memory += "," + std::to_string(1 << address.scale);
    memory += ")";
  }
  const std::string value = name_of(registers.value, instruction.bytes);
  // Where no register of the address tells its size.
  const std::string mnemonic = fmt::format("{}{}", address.registers() == 0 ? "addr32 " : "", instruction.mnemonic);
  return is_load(instruction.access) ? fmt::format("{} {}, {}", mnemonic, memory, value)
                                     : fmt::format("{} {}, {}", mnemonic, value, memory);
}

class AccessEncoderTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86Disassembler();
    disassembler_ = LLVMCreateDisasmCPU("x86_64-unknown-linux-gnu", "x86-64-v3", nullptr, 0, nullptr, nullptr);
  }
  static void TearDownTestSuite() { LLVMDisasmDispose(disassembler_); }

  // What the bytes are, without the index register that is none.
  static std::string disassemble(EncodedAccess& encoded) {
    char line[160];
    const std::size_t size =
        LLVMDisasmInstruction(disassembler_, encoded.bytes.data(), encoded.size, 0, line, sizeof line);
    if (size != encoded.size) return fmt::format("{} bytes of {}", size, encoded.size);
    std::string text = line;
    std::ranges::replace(text, '\t', ' ');
    text.erase(0, text.find_first_not_of(' '));
    if (const auto gap = text.find("  "); gap != std::string::npos) text.erase(gap, 1);
    for (const char* const none : {"(,%eiz)", ",%eiz"}) {
      if (const auto at = text.find(none); at != std::string::npos) text.erase(at, std::string_view(none).size());
    }
    return text;
  }

  static void check(const Instruction& instruction, const AddressForm& address, std::int32_t displacement,
                    const AccessRegisters& registers) {
    auto encoded = encode(instruction.access, address, displacement, registers);
    ASSERT_TRUE(encoded);
    EXPECT_LE(encoded->size, encoded_size(instruction.access, address, displacement));
    ASSERT_EQ(disassemble(*encoded), text_of(instruction, address, displacement, registers));
  }

  static inline LLVMDisasmContextRef disassembler_ = nullptr;
};

std::vector<AddressForm> all_forms() {
  std::vector<AddressForm> forms = {{.has_base = false}, {}};
  for (unsigned scale = 0; scale <= 3; ++scale) {
    for (const bool has_base : {false, true})
      forms.push_back({.has_base = has_base, .has_index = true, .scale = scale});
  }
  return forms;
}

constexpr std::int32_t kFarthest = std::numeric_limits<std::int32_t>::max();

TEST_F(AccessEncoderTest, EveryFormWithEveryRegister) {
  for (const Instruction& instruction : kInstructions) {
    const bool is_vector = uses_vectors(instruction.access);
    for (const AddressForm& form : all_forms()) {
      for (unsigned base = 0; base < (form.has_base ? kGenerals : 1); ++base) {
        for (unsigned index = 0; index < (form.has_index ? kGenerals : 1); ++index) {
          if (form.has_index && index == kRsp) continue;
          // The value's register and the displacement are encoded apart from each other.
          for (unsigned step = 0; step < 16; ++step) {
            constexpr std::array kDisplacements = {0, 1, -1, 127, 128, -128, -129, kFarthest, -kFarthest - 1};
            const std::int32_t displacement = kDisplacements[(step + base + index) % kDisplacements.size()];
            check(instruction, form, displacement,
                  {.base = base, .index = index, .value = step + (is_vector ? kFirstVector : 0)});
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_F(AccessEncoderTest, EveryDisplacementOfEveryForm) {
  for (const AddressForm& form : all_forms()) {
    for (const unsigned base : {0U, 6U, 7U, 12U, 13U}) {
      for (const std::int32_t displacement : {0, 1, -1, 127, 128, -128, -129, kFarthest, -kFarthest - 1})
        check(kInstructions.front(), form, displacement, {.base = base, .index = 13, .value = 12});
    }
  }
}

TEST_F(AccessEncoderTest, RegistersOfTheWrongKind) {
  const AddressForm indexed{.has_base = true, .has_index = true, .scale = 2};
  EXPECT_FALSE(encode(Access::kLoad64, indexed, 0, {.base = kFirstVector, .index = 1, .value = 2}));
  EXPECT_FALSE(encode(Access::kLoad64, indexed, 0, {.base = 1, .index = kFirstVector, .value = 2}));
  EXPECT_FALSE(encode(Access::kLoad64, indexed, 0, {.base = 1, .index = kRsp, .value = 2}));
  EXPECT_FALSE(encode(Access::kLoad64, indexed, 0, {.base = 1, .index = 2, .value = kFirstVector}));
  EXPECT_FALSE(encode(Access::kLoadDouble, indexed, 0, {.base = 1, .index = 2, .value = 3}));
  EXPECT_FALSE(encode(Access::kLoadDouble, indexed, 0, {.base = 1, .index = 2, .value = kFirstVector + 16}));
}

}  // namespace
}  // namespace caisson::optimized
