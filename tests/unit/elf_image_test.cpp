// parse_elf() on programs that are right, on each way of being wrong that a header has, and on real compilers' output.
#include "image/elf_image.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include "oracles/elf_image_rules.h"
#include "support/guest_compiler.h"

namespace caisson::image {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <class Record>
void append(Bytes& bytes, const Record& record) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(&record);
  bytes.insert(bytes.end(), begin, begin + sizeof(Record));
}

void append_text(Bytes& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.push_back(0);
}

// A small program whose headers a test can change before it becomes bytes: text (with the headers) at 0x10000, zeroed data
// at 0x12000, an interpreter, a note with one import, and a symbol table with one function.
struct Program {
  static constexpr std::uint64_t kInterpreterOffset = 0x300, kNoteOffset = 0x380, kStringsOffset = 0x500,
                                 kSymbolsOffset = 0x540;
  static constexpr std::uint64_t kSectionsOffset = 0x600, kFileSize = 0x800;
  enum Index { kText, kData, kInterpreter, kNote, kStack };

  Elf64_Ehdr header{};
  std::vector<Elf64_Phdr> program_headers;
  std::vector<Elf64_Sym> symbols;
  std::vector<Elf64_Shdr> sections;
  std::string interpreter{"/lib/ld.so\0", 11};
  std::string strings{"\0function\0", 10};
  Bytes note;

  Program() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = EM_RISCV;
    header.e_version = EV_CURRENT;
    header.e_entry = 0x10400;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_shoff = kSectionsOffset;
    header.e_flags = EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE;
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_shentsize = sizeof(Elf64_Shdr);

    append(note, Elf64_Nhdr{8, 4 + 4 + 14, 1});
    append_text(note, "Caisson");
    append(note, std::uint32_t{0x1043});
    append_text(note, "add");
    append_text(note, "int(int, int)");

    program_headers = {
        {PT_LOAD, PF_R | PF_X, 0, 0x10000, 0x10000, kFileSize, kFileSize, 0x1000},
        {PT_LOAD, PF_R | PF_W, 0, 0x12000, 0x12000, 0, 0x100, 0x1000},
        {PT_INTERP, PF_R, kInterpreterOffset, 0x10300, 0x10300, interpreter.size(), interpreter.size(), 1},
        {PT_NOTE, PF_R, kNoteOffset, 0x10380, 0x10380, note.size(), note.size(), 4},
        {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16},
    };
    symbols = {{}, {1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x10404, 8}};
    sections.resize(3);
    sections[1] = {.sh_name = 0,
                   .sh_type = SHT_STRTAB,
                   .sh_flags = 0,
                   .sh_addr = 0,
                   .sh_offset = kStringsOffset,
                   .sh_size = strings.size(),
                   .sh_link = 0,
                   .sh_info = 0,
                   .sh_addralign = 1,
                   .sh_entsize = 0};
    sections[2] = {.sh_name = 0,
                   .sh_type = SHT_SYMTAB,
                   .sh_flags = 0,
                   .sh_addr = 0,
                   .sh_offset = kSymbolsOffset,
                   .sh_size = 2 * sizeof(Elf64_Sym),
                   .sh_link = 1,
                   .sh_info = 1,
                   .sh_addralign = 8,
                   .sh_entsize = sizeof(Elf64_Sym)};
    header.e_phnum = program_headers.size();
    header.e_shnum = sections.size();
  }

  Bytes bytes() const {
    Bytes file(kFileSize);
    const auto put = [&file](std::uint64_t offset, const void* data, std::size_t size) {
      ASSERT_LE(offset + size, file.size());
      std::memcpy(file.data() + offset, data, size);
    };
    put(0, &header, sizeof(header));
    put(sizeof(header), program_headers.data(), program_headers.size() * sizeof(Elf64_Phdr));
    put(kInterpreterOffset, interpreter.data(), interpreter.size());
    put(kNoteOffset, note.data(), note.size());
    put(kStringsOffset, strings.data(), strings.size());
    put(kSymbolsOffset, symbols.data(), symbols.size() * sizeof(Elf64_Sym));
    put(kSectionsOffset, sections.data(), sections.size() * sizeof(Elf64_Shdr));
    return file;
  }
};

// A copy of bytes that ends at an inaccessible page, so that a read behind it ends the test.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::size_t capacity) : size_((capacity + kPage - 1) / kPage * kPage + kPage) {
    begin_ =
        static_cast<std::uint8_t*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (begin_ == MAP_FAILED || mprotect(begin_ + size_ - kPage, kPage, PROT_NONE) != 0) throw std::bad_alloc();
  }
  ~GuardedBytes() { munmap(begin_, size_); }

  std::span<const std::uint8_t> hold(std::span<const std::uint8_t> bytes) {
    std::uint8_t* start = begin_ + size_ - kPage - bytes.size();
    std::ranges::copy(bytes, start);
    return {start, bytes.size()};
  }

 private:
  static constexpr std::size_t kPage = 4096;
  std::size_t size_;
  std::uint8_t* begin_;
};

// An image that keeps the rules, or an error that says where and what.
void expect_sound(std::span<const std::uint8_t> file, const std::string& what) {
  const auto image = parse_elf(file);
  if (image) {
    EXPECT_EQ(fuzz::broken_elf_image_rule(*image, file).value_or(""), "") << what;
  } else {
    EXPECT_NE(image.error().where, "") << what;
    EXPECT_NE(image.error().message, "") << what;
  }
}

TEST(ElfImage, ReadsASmallProgram) {
  const auto image = parse_elf(Program().bytes());
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->kind, ElfKind::kDynamic);
  EXPECT_FALSE(image->position_independent);
  EXPECT_EQ(image->entry, 0x10400u);
  EXPECT_EQ(image->interpreter, "/lib/ld.so");
  ASSERT_EQ(image->segments.size(), 2u);
  EXPECT_EQ(image->segments[0].file_size, Program::kFileSize);
  EXPECT_TRUE(image->segments[0].readable && image->segments[0].executable && !image->segments[0].writable);
  EXPECT_EQ(image->segments[1].address, 0x12000u);
  EXPECT_EQ(image->segments[1].memory_size, 0x100u);
  EXPECT_TRUE(image->segments[1].readable && image->segments[1].writable && !image->segments[1].executable);
  EXPECT_EQ(image->lowest_address, 0x10000u);
  EXPECT_EQ(image->end_address, 0x13000u);
  EXPECT_EQ(image->program_header_address, 0x10040u);
  EXPECT_EQ(image->program_header_count, 5u);
  EXPECT_FALSE(image->executable_stack);
  ASSERT_EQ(image->functions.size(), 1u);
  EXPECT_EQ(image->functions[0].name, "function");
  EXPECT_EQ(image->functions[0].address, 0x10404u);
  EXPECT_EQ(image->functions[0].size, 8u);
  ASSERT_EQ(image->imports.size(), 1u);
  EXPECT_EQ(image->imports[0].name, "add");
  EXPECT_EQ(image->imports[0].signature, "int(int, int)");
  EXPECT_EQ(image->imports[0].number, 3u);
}

struct Refusal {
  const char* what;
  std::function<void(Program&)> change;
  ErrorCode code;
  const char* where;
};

TEST(ElfImage, RefusesWhatCannotRunAndNamesTheField) {
  using enum ErrorCode;
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  const Refusal refusals[] = {
      {"no magic", [](Program& p) { p.header.e_ident[0] = '#'; }, kNotExecutable, "e_ident"},
      {"32-bit", [](Program& p) { p.header.e_ident[EI_CLASS] = ELFCLASS32; }, kUnsupported, "e_ident[EI_CLASS]"},
      {"big-endian", [](Program& p) { p.header.e_ident[EI_DATA] = ELFDATA2MSB; }, kUnsupported, "e_ident[EI_DATA]"},
      {"ident version", [](Program& p) { p.header.e_ident[EI_VERSION] = 2; }, kInvalidImage, "e_ident[EI_VERSION]"},
      {"x86-64", [](Program& p) { p.header.e_machine = EM_X86_64; }, kUnsupported, "e_machine"},
      {"version", [](Program& p) { p.header.e_version = 0; }, kInvalidImage, "e_version"},
      {"object file", [](Program& p) { p.header.e_type = ET_REL; }, kUnsupported, "e_type"},
      {"core file", [](Program& p) { p.header.e_type = ET_CORE; }, kUnsupported, "e_type"},
      {"RV64E", [](Program& p) { p.header.e_flags |= EF_RISCV_RVE; }, kUnsupported, "e_flags"},
      {"quad floats", [](Program& p) { p.header.e_flags |= EF_RISCV_FLOAT_ABI_QUAD; }, kUnsupported, "e_flags"},
      {"header size", [](Program& p) { p.header.e_phentsize = 32; }, kInvalidImage, "e_phentsize"},
      {"no headers", [](Program& p) { p.header.e_phnum = 0; }, kInvalidImage, "e_phnum"},
      {"too many headers", [](Program& p) { p.header.e_phnum = 1171; }, kInvalidImage, "e_phnum"},
      {"headers past the end", [](Program& p) { p.header.e_phnum = 1000; }, kInvalidImage, "e_phoff"},
      {"headers that wrap", [](Program& p) { p.header.e_phoff = kHuge - 8; }, kInvalidImage, "e_phoff"},
      {"nothing to load", [](Program& p) { p.program_headers[0].p_type = p.program_headers[1].p_type = PT_NULL; },
       kInvalidImage, "e_phnum"},
      {"entry in data", [](Program& p) { p.header.e_entry = 0x12000; }, kInvalidImage, "e_entry"},
      {"entry nowhere", [](Program& p) { p.header.e_entry = kHuge; }, kInvalidImage, "e_entry"},
      {"odd entry", [](Program& p) { p.header.e_entry = 0x10401; }, kInvalidImage, "e_entry"},
      {"bytes exceed memory", [](Program& p) { p.program_headers[0].p_memsz = 0x7FF; }, kInvalidImage,
       "program header 0: p_filesz"},
      {"bytes past the end", [](Program& p) { p.program_headers[0].p_memsz = p.program_headers[0].p_filesz = 0x801; },
       kInvalidImage, "program header 0: p_filesz"},
      {"offset past the end", [](Program& p) { p.program_headers[0].p_offset = 0x100000; }, kInvalidImage,
       "program header 0: p_offset"},
      {"offset that wraps", [](Program& p) { p.program_headers[0].p_offset = kHuge - 0xFFF; }, kInvalidImage,
       "program header 0: p_offset"},
      {"incongruent", [](Program& p) { p.program_headers[0].p_vaddr = 0x10010; }, kInvalidImage,
       "program header 0: p_offset"},
      {"address at 2^32", [](Program& p) { p.program_headers[1].p_vaddr = 1ull << 32; }, kInvalidImage,
       "program header 1: p_vaddr"},
      {"memory past 2^32", [](Program& p) { p.program_headers[1].p_memsz = (1ull << 32) - 0x11FFF; }, kInvalidImage,
       "program header 1: p_memsz"},
      {"memory that wraps", [](Program& p) { p.program_headers[1].p_memsz = kHuge; }, kInvalidImage,
       "program header 1: p_memsz"},
      {"overlap by a byte", [](Program& p) { p.program_headers[1].p_vaddr = 0x107FF; }, kInvalidImage,
       "program header 1: p_vaddr"},
      {"descending", [](Program& p) { std::swap(p.program_headers[0], p.program_headers[1]); }, kInvalidImage,
       "program header 1: p_vaddr"},
      {"two interpreters", [](Program& p) { p.program_headers[3] = p.program_headers[2]; }, kInvalidImage,
       "program header 3: p_type"},
      {"interpreter without NUL", [](Program& p) { p.program_headers[2].p_filesz = 10; }, kInvalidImage,
       "program header 2: p_filesz"},
      {"interpreter too long", [](Program& p) { p.program_headers[2].p_filesz = 4097; }, kInvalidImage,
       "program header 2: p_filesz"},
      {"interpreter of one byte", [](Program& p) { p.program_headers[2].p_filesz = 1; }, kInvalidImage,
       "program header 2: p_filesz"},
      {"interpreter past the end", [](Program& p) { p.program_headers[2].p_offset = kHuge; }, kInvalidImage,
       "program header 2: p_offset"},
      {"interpreter empty", [](Program& p) { p.interpreter[0] = '\0'; }, kInvalidImage, "program header 2: p_offset"},
      {"import number too small", [](Program& p) { p.note[20] = 0x3F; }, kInvalidImage,
       "program header 3: note at 0x380: number"},
      {"import number too large", [](Program& p) { p.note[22] = 0x02; }, kInvalidImage,
       "program header 3: note at 0x380: number"},
      {"import without name", [](Program& p) { p.note[24] = 0; }, kInvalidImage,
       "program header 3: note at 0x380: name"},
      {"import without signature", [](Program& p) { p.note[28] = 0; }, kInvalidImage,
       "program header 3: note at 0x380: signature"},
      {"signature without end", [](Program& p) { p.note[4] -= 1; }, kInvalidImage,
       "program header 3: note at 0x380: signature"},
      {"same number twice", [](Program& p) { p.program_headers[4] = p.program_headers[3]; }, kInvalidImage,
       "program header 4: note at 0x380: number"},
  };
  for (const Refusal& refusal : refusals) {
    Program program;
    refusal.change(program);
    const auto image = parse_elf(program.bytes());
    ASSERT_FALSE(image) << refusal.what;
    EXPECT_EQ(image.error().where, refusal.where) << refusal.what;
    EXPECT_EQ(image.error().code, refusal.code) << refusal.what << ": " << image.error().to_string();
  }
}

TEST(ElfImage, RunsWhatLinuxRuns) {
  const std::pair<const char*, std::function<void(Program&)>> allowed[] = {
      {"no section headers", [](Program& p) { p.header.e_shoff = 0, p.header.e_shnum = 0; }},
      {"section headers past the end", [](Program& p) { p.header.e_shoff = ~std::uint64_t{0}; }},
      {"section headers of another size", [](Program& p) { p.header.e_shentsize = 1; }},
      {"more section headers than bytes", [](Program& p) { p.header.e_shnum = 0xFFFF; }},
      {"a symbol table past the end", [](Program& p) { p.sections[2].sh_size = ~std::uint64_t{0}; }},
      {"a symbol table without names", [](Program& p) { p.sections[2].sh_link = 99; }},
      {"names without an end", [](Program& p) { p.sections[1].sh_size -= 1; }},
      {"a function outside the code", [](Program& p) { p.symbols[1].st_value = 0x12000; }},
      {"a hidden function", [](Program& p) { p.symbols[1].st_other = STV_HIDDEN; }},
      {"a function with a bad name", [](Program& p) { p.symbols[1].st_name = 1u << 31; }},
  };
  for (const auto& [what, change] : allowed) {
    Program program;
    change(program);
    const auto image = parse_elf(program.bytes());
    ASSERT_TRUE(image) << what << ": " << image.error().to_string();
    EXPECT_TRUE(image->functions.empty()) << what;
  }

  Program program;
  program.header.e_ident[EI_OSABI] = 77;
  program.header.e_ehsize = 0;
  program.header.e_flags = EF_RISCV_TSO | EF_RISCV_FLOAT_ABI_SINGLE;
  program.program_headers[0].p_align = 3;
  program.program_headers[3] = {PT_LOAD, PF_R, 0xFFFFFFFF, 0xFFFFFFFFFF,
                                0,       0,    0,          0};  // nothing, wherever it claims to be
  program.program_headers[4].p_flags = PF_R | PF_W | PF_X;
  const auto image = parse_elf(program.bytes());
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->segments.size(), 2u);
  EXPECT_EQ(image->functions.size(), 1u);
  EXPECT_TRUE(image->executable_stack);
}

TEST(ElfImage, SegmentsMayMeetWithinAPage) {
  Program program;
  program.program_headers[1].p_vaddr = 0x10800;
  const auto image = parse_elf(program.bytes());
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->end_address, 0x11000u);
}

TEST(ElfImage, AProgramMayReachTheEndOfTheAddressSpace) {
  Program program;
  program.program_headers[1].p_memsz = (1ull << 32) - 0x12000;
  const auto image = parse_elf(program.bytes());
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->end_address, 1ull << 32);
}

TEST(ElfImage, HeadersOutsideEverySegmentHaveNoAddress) {
  Program program;
  program.program_headers[0].p_offset = 0x400;
  program.program_headers[0].p_vaddr = 0x10400;
  program.program_headers[0].p_filesz = program.program_headers[0].p_memsz = 0x100;
  const auto image = parse_elf(program.bytes());
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->program_header_address, 0u);
}

TEST(ElfImage, NotesOfOthersAreTheirOwnBusiness) {
  const std::pair<const char*, std::function<void(Program&)>> changes[] = {
      {"another owner", [](Program& p) { p.note[12] = 'X'; }},
      {"another type", [](Program& p) { p.note[8] = 2; }},
      {"an owner past the segment", [](Program& p) { p.note[3] = 0xFF; }},
      {"a description past the segment", [](Program& p) { p.note[7] = 0xFF; }},
      {"a segment past the file", [](Program& p) { p.program_headers[3].p_filesz = ~std::uint64_t{0}; }},
  };
  for (const auto& [what, change] : changes) {
    Program program;
    change(program);
    const auto image = parse_elf(program.bytes());
    ASSERT_TRUE(image) << what << ": " << image.error().to_string();
    EXPECT_TRUE(image->imports.empty()) << what;
  }
}

TEST(ElfImage, ACutFileIsAnErrorAndIsNotReadPastItsEnd) {
  const Bytes whole = Program().bytes();
  GuardedBytes guarded(whole.size());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto image = parse_elf(guarded.hold(std::span(whole).first(size)));
    ASSERT_FALSE(image) << "cut at " << size;
    EXPECT_NE(image.error().where, "") << "cut at " << size;
  }
}

// The same with a first segment that ends where the headers do: everything behind may be missing.
TEST(ElfImage, ACutTailIsNotReadPastItsEnd) {
  Program program;
  program.program_headers[0].p_filesz = 0x200;
  program.program_headers[0].p_memsz = 0x800;
  const Bytes whole = program.bytes();
  GuardedBytes guarded(whole.size());
  std::size_t accepted = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto cut = guarded.hold(std::span(whole).first(size));
    expect_sound(cut, "cut at " + std::to_string(size));
    accepted += parse_elf(cut).has_value();
  }
  EXPECT_EQ(accepted, whole.size() - Program::kInterpreterOffset - program.interpreter.size() + 1);
}

// Every 1-, 2-, 4- and 8-byte unit of all headers, note and symbols, set to values at the edges of its range.
TEST(ElfImage, AnyFieldMayHoldAnything) {
  const Program program;
  const Bytes whole = program.bytes();
  GuardedBytes guarded(whole.size());
  for (std::size_t width : {1, 2, 4, 8}) {
    const std::uint64_t ones = width == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * width)) - 1;
    for (std::size_t offset = 0; offset + width <= whole.size(); offset += width) {
      std::uint64_t original = 0;
      std::memcpy(&original, whole.data() + offset, width);
      for (const std::uint64_t value : {std::uint64_t{0}, ones, ones >> 1, (ones >> 1) + 1, ones - 0xFFF, original - 1,
                                        original + 1, std::uint64_t{whole.size()}}) {
        Bytes changed = whole;
        std::memcpy(changed.data() + offset, &value, width);
        expect_sound(guarded.hold(changed), "offset " + std::to_string(offset) + ", value " + std::to_string(value));
      }
    }
  }
}

TEST(ElfImage, SymbolsThatShareOneNameDoNotMultiplyIt) {
  Program program;
  Bytes file = program.bytes();
  constexpr std::size_t kSymbols = 2000, kNameSize = 30000;
  Elf64_Shdr strings = program.sections[1], symbols = program.sections[2];
  strings.sh_offset = file.size();
  strings.sh_size = kNameSize + 1;
  file.resize(file.size() + kNameSize, 'n');
  file.push_back(0);
  symbols.sh_offset = file.size();
  symbols.sh_size = kSymbols * sizeof(Elf64_Sym);
  for (std::size_t index = 0; index < kSymbols; ++index) {
    append(file, Elf64_Sym{0, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x10404, 8});
  }
  std::memcpy(file.data() + Program::kSectionsOffset + sizeof(Elf64_Shdr), &strings, sizeof(strings));
  std::memcpy(file.data() + Program::kSectionsOffset + 2 * sizeof(Elf64_Shdr), &symbols, sizeof(symbols));
  const auto image = parse_elf(file);
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_GT(image->functions.size(), 0u);
  EXPECT_LE(image->functions.size() * kNameSize, file.size());
}

TEST(ElfImage, KindsOfSharedObject) {
  Program program;
  program.header.e_type = ET_DYN;
  EXPECT_EQ(parse_elf(program.bytes())->kind, ElfKind::kDynamicPie);
  program.program_headers[2].p_type = PT_NULL;
  EXPECT_EQ(parse_elf(program.bytes())->kind, ElfKind::kSharedObject);
  EXPECT_TRUE(parse_elf(program.bytes())->position_independent);

  Bytes with_flag = program.bytes();
  Elf64_Dyn dynamic[2] = {};
  dynamic[0].d_tag = DT_FLAGS_1;
  dynamic[0].d_un.d_val = DF_1_PIE;
  program.program_headers[2] = {PT_DYNAMIC,      PF_R, Program::kInterpreterOffset, 0, 0, sizeof(dynamic),
                                sizeof(dynamic), 8};
  with_flag = program.bytes();
  std::memcpy(with_flag.data() + Program::kInterpreterOffset, dynamic, sizeof(dynamic));
  EXPECT_EQ(parse_elf(with_flag)->kind, ElfKind::kStaticPie);
}

// --- what compilers make ---

constexpr char kImportingC[] = R"(
#include <caisson/guest.h>
CAISSON_IMPORT(int, add, int, int);
CAISSON_IMPORT(double, scale, double, const char*);
CAISSON_EXPORT int twice(int a) { return add(a, a); }
CAISSON_EXPORT double thrice(double a) { return scale(a, "three"); }
)";

constexpr char kAlsoImportingC[] = R"(
#include <caisson/guest.h>
CAISSON_IMPORT(int, add, int, int);
CAISSON_IMPORT(void, finish, void);
CAISSON_EXPORT int thrice_added(int a) { finish(); return add(a, add(a, a)); }
)";

constexpr char kImportingCpp[] = R"(
#include <caisson/guest.h>
CAISSON_IMPORT(unsigned long, add, unsigned long, unsigned long);
struct Counter { static unsigned long count; Counter() { ++count; } };
unsigned long Counter::count = 0;
CAISSON_EXPORT unsigned long count() { Counter counter; return add(counter.count, 1); }
)";

TEST(GuestHeader, ImportsHaveDistinctNumbersAtAnyOptimisationAndKindOfLink) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const std::pair<const char*, ElfKind> links[] = {
      {"-static -Wl,-e,0", ElfKind::kStatic},
      {"-static-pie -fPIE -Wl,--no-dynamic-linker,-e,0", ElfKind::kStaticPie},
      {"-shared -fPIC", ElfKind::kSharedObject},
      {"-static -Wl,-e,0,--gc-sections -ffunction-sections", ElfKind::kStatic},
      {"-static -flto -Wl,-e,0", ElfKind::kStatic},
  };
  for (const auto& [link, kind] : links) {
    for (const char* optimisation : {"-O0", "-O1", "-O2", "-O3"}) {
      SCOPED_TRACE(std::string(link) + " " + optimisation);
      const auto program =
          test::compile_guest({{"one.c", kImportingC}, {"two.c", kAlsoImportingC}},
                              {"-std=c11 -Wall -Wextra -Wpedantic -Werror -nostdlib", link, optimisation});
      ASSERT_TRUE(program) << program.error().to_string();
      const auto image = parse_elf(*program);
      ASSERT_TRUE(image) << image.error().to_string();
      EXPECT_EQ(image->kind, kind);
      EXPECT_EQ(image->entry, 0u);

      std::map<std::uint32_t, std::pair<std::string, std::string>> imports;
      for (const ImportNote& import : image->imports) imports[import.number] = {import.name, import.signature};
      std::set<std::pair<std::string, std::string>> declared;
      for (const auto& [number, import] : imports) {
        EXPECT_LT(number, imports.size());
        declared.insert(import);
      }
      EXPECT_EQ(declared,
                (std::set<std::pair<std::string, std::string>>{
                    {"add", "int(int, int)"}, {"scale", "double(double, const char*)"}, {"finish", "void(void)"}}));

      std::set<std::string> exported;
      for (const FunctionSymbol& function : image->functions) exported.insert(function.name);
      EXPECT_EQ(exported, (std::set<std::string>{"twice", "thrice", "thrice_added"}));
    }
  }
}

TEST(GuestHeader, WorksInCpp) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto program = test::compile_guest(
      {{"one.cpp", kImportingCpp}}, {"-std=c++20 -Wall -Wextra -Wpedantic -Werror -O2 -nostdlib -static -Wl,-e,0"});
  ASSERT_TRUE(program) << program.error().to_string();
  const auto image = parse_elf(*program);
  ASSERT_TRUE(image) << image.error().to_string();
  ASSERT_EQ(image->imports.size(), 1u);
  EXPECT_EQ(image->imports[0].signature, "unsigned long(unsigned long, unsigned long)");
  ASSERT_EQ(image->functions.size(), 1u);
  EXPECT_EQ(image->functions[0].name, "count");
}

// A program of the C library, read by parse_elf() and by readelf.
TEST(ElfImage, AgreesWithReadelf) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  constexpr char kHello[] = "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n";
  const test::TemporaryFolder folder;
  const std::pair<const char*, ElfKind> links[] = {{"-static", ElfKind::kStatic},
                                                   {"-no-pie", ElfKind::kDynamic},
                                                   {"-pie -fPIE", ElfKind::kDynamicPie},
                                                   {"-pie -fPIE -s", ElfKind::kDynamicPie}};
  for (const auto& [link, kind] : links) {
    SCOPED_TRACE(link);
    const auto program = test::compile_guest({{"hello.c", kHello}}, {"-O1", link});
    ASSERT_TRUE(program) << program.error().to_string();
    const auto image = parse_elf(*program);
    ASSERT_TRUE(image) << image.error().to_string();
    EXPECT_EQ(image->kind, kind);
    EXPECT_EQ(fuzz::broken_elf_image_rule(*image, *program).value_or(""), "");

    const std::string path = (folder.path() / "program").string();
    test::write_file(path, *program);
    const auto listing = test::output_of("riscv64-linux-gnu-readelf -sW " + path);
    ASSERT_TRUE(listing) << listing.error().to_string();
    using Function = std::tuple<std::string, std::uint64_t, std::uint64_t>;
    std::map<std::string, std::set<Function>> tables;
    std::string table;
    std::istringstream lines(*listing);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("Symbol table '")) table = line.substr(14, line.find('\'', 14) - 14);
      std::istringstream fields(line);
      std::string number, address, size, type, binding, visibility, section, name;
      fields >> number >> address >> size >> type >> binding >> visibility >> section >> name;
      if (type != "FUNC" || (binding != "GLOBAL" && binding != "WEAK") || visibility == "HIDDEN" || section == "UND")
        continue;
      tables[table].insert(
          {name.substr(0, name.find('@')), std::stoull(address, nullptr, 16), std::stoull(size, nullptr, 0)});
    }
    std::set<Function> found;
    for (const FunctionSymbol& function : image->functions) {
      found.insert({function.name.substr(0, function.name.find('@')), function.address, function.size});
    }
    EXPECT_EQ(found, tables[tables.contains(".symtab") ? ".symtab" : ".dynsym"]);

    const auto headers = test::output_of("riscv64-linux-gnu-readelf -lW " + path);
    ASSERT_TRUE(headers) << headers.error().to_string();
    std::size_t loads = 0;
    std::istringstream header_lines(*headers);
    for (std::string line; std::getline(header_lines, line);) {
      std::istringstream fields(line);
      std::string type;
      std::uint64_t offset, address, physical, file_size, memory_size;
      if (fields >> type >> std::hex >> offset >> address >> physical >> file_size >> memory_size && type == "LOAD") {
        ASSERT_LT(loads, image->segments.size());
        const Segment& segment = image->segments[loads++];
        EXPECT_EQ(std::tie(segment.address, segment.memory_size, segment.file_offset, segment.file_size),
                  std::tie(address, memory_size, offset, file_size));
      }
    }
    EXPECT_EQ(loads, image->segments.size());
  }
}

}  // namespace
}  // namespace caisson::image
