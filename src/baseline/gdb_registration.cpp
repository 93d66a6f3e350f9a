#include "baseline/gdb_registration.h"

#include <elf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>

namespace caisson::baseline {

extern "C" {
[[gnu::weak, gnu::used]] constinit JitDescriptor __jit_debug_descriptor = {};

// gdb stops here. The barrier keeps the stores to the list before the call, and the call itself.
// NOLINTNEXTLINE(readability-identifier-naming): gdb's
[[gnu::weak, gnu::used, gnu::noinline]] void __jit_debug_register_code() { asm volatile("" ::: "memory"); }
}

namespace {

enum JitAction : std::uint32_t { kNoAction = 0, kRegister = 1, kUnregister = 2 };
enum Section : std::uint16_t { kNoSection, kText, kSymbols, kStrings, kSectionCount };

// The list is the process's, however many registrations there are.
std::mutex& list_mutex() {
  static std::mutex* const mutex = new std::mutex;
  return *mutex;
}

// Names of sections and symbols in one table, which both may share: the fixed part, then the symbol.
constexpr char kSectionNames[] = "\0.text\0.symtab\0.strtab";
constexpr std::uint32_t kTextName = 1, kSymbolsName = 7, kStringsName = 15;

// A relocatable object with one function in a section of no bytes of its own that lies at the code's address.
struct Object {
  Elf64_Ehdr header{};
  std::array<Elf64_Shdr, kSectionCount> sections{};
  std::array<Elf64_Sym, 2> symbols{};
  std::array<char, sizeof(kSectionNames) + GdbRegistration::kMaximumName + 1> strings{};

  Object(const void* address, std::size_t size, std::string_view name);
};

Object::Object(const void* address, std::size_t size, std::string_view name) {
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_shoff = offsetof(Object, sections);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSectionCount;
  header.e_shstrndx = kStrings;

  sections[kText] = {.sh_name = kTextName,
                     .sh_type = SHT_NOBITS,
                     .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                     .sh_addr = reinterpret_cast<std::uintptr_t>(address),
                     .sh_offset = sizeof(Object),
                     .sh_size = size,
                     .sh_addralign = 1};
  sections[kSymbols] = {.sh_name = kSymbolsName,
                        .sh_type = SHT_SYMTAB,
                        .sh_offset = offsetof(Object, symbols),
                        .sh_size = sizeof(symbols),
                        .sh_link = kStrings,
                        .sh_info = 1,  // the first symbol that is not local
                        .sh_addralign = alignof(Elf64_Sym),
                        .sh_entsize = sizeof(Elf64_Sym)};
  sections[kStrings] = {.sh_name = kStringsName,
                        .sh_type = SHT_STRTAB,
                        .sh_offset = offsetof(Object, strings),
                        .sh_size = strings.size(),
                        .sh_addralign = 1};

  symbols[1] = {.st_name = sizeof(kSectionNames),
                .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                .st_shndx = kText,
                .st_value = 0,  // from the start of the section, as in any relocatable object
                .st_size = size};
  std::memcpy(strings.data(), kSectionNames, sizeof(kSectionNames));
  name.copy(strings.data() + sizeof(kSectionNames), GdbRegistration::kMaximumName);
}

void tell_gdb(JitAction action, JitCodeEntry* entry) {
  __jit_debug_descriptor.relevant = entry;
  __jit_debug_descriptor.action = action;
  __jit_debug_register_code();
  __jit_debug_descriptor.action = kNoAction;
  __jit_debug_descriptor.relevant = nullptr;
}

}  // namespace

struct GdbRegistration::Entry {
  JitCodeEntry list_entry{};
  Object object;

  Entry(const void* address, std::size_t size, std::string_view name) : object(address, size, name) {
    list_entry.object = reinterpret_cast<const char*>(&object);
    list_entry.object_size = sizeof(object);
    const std::scoped_lock lock(list_mutex());
    list_entry.next = __jit_debug_descriptor.first;
    if (list_entry.next != nullptr) list_entry.next->previous = &list_entry;
    __jit_debug_descriptor.first = &list_entry;
    tell_gdb(kRegister, &list_entry);
  }

  ~Entry() {
    const std::scoped_lock lock(list_mutex());
    if (list_entry.previous != nullptr) {
      list_entry.previous->next = list_entry.next;
    } else {
      __jit_debug_descriptor.first = list_entry.next;
    }
    if (list_entry.next != nullptr) list_entry.next->previous = list_entry.previous;
    tell_gdb(kUnregister, &list_entry);
  }

  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
};

GdbRegistration::GdbRegistration() = default;
GdbRegistration::~GdbRegistration() = default;

bool GdbRegistration::add(const void* address, std::size_t size, std::string_view name) {
  remove(address);
  if (entries_.size() >= kMaximumEntries) return false;
  try {
    entries_.emplace(address, std::make_unique<Entry>(address, size, name));
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void GdbRegistration::remove(const void* address) { entries_.erase(address); }

}  // namespace caisson::baseline
