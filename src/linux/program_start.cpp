#include "linux/program_start.h"

#include <fmt/format.h>
#include <linux/auxvec.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "image/elf_image.h"
#include "linux/initial_stack.h"
#include "linux/linux_process.h"
#include "linux/program_file.h"
#include "runtime/guest_layout.h"

namespace caisson::linux_personality {
namespace {

using memory::kPageSize;
using memory::MapStatus;

// `li a7, 139` (rt_sigreturn) and `ecall`: exactly the two instructions by which unwinders know a signal frame.
constexpr std::array<std::uint32_t, 2> kSignalReturn = {0x08b00893, 0x00000073};

// AT_HWCAP: one bit a letter (asm/hwcap.h).
constexpr std::uint64_t extension_bit(char letter) { return std::uint64_t{1} << (letter - 'A'); }
constexpr std::uint64_t kHardwareCapabilities = extension_bit('I') | extension_bit('M') | extension_bit('A') |
                                                extension_bit('F') | extension_bit('D') | extension_bit('C');
constexpr std::uint64_t kProgramHeaderSize = 56;
constexpr std::uint64_t kClockTicks = 100;
constexpr std::size_t kLongestCommandName = 15;

std::uint64_t program_bias(const image::ElfImage& elf) { return elf.position_independent ? runtime::kPieBase : 0; }

std::uint64_t low_end_of_stack(LinuxProcess& process) {
  return runtime::kStackTop - process.instance().options().stack_size;
}

Result<void> map_paid(LinuxProcess& process, std::uint64_t address, std::uint64_t length,
                      memory::Permissions permissions, std::string_view name) {
  if (Result<void> paid = process.instance().charge_pages(length / kPageSize); !paid) return paid;
  if (process.memory().map_anonymous(address, length, permissions, false, name) == MapStatus::kOk) return {};
  return fail(ErrorCode::kOutOfMemory, "the memory limit does not hold it", std::string(name));
}

Result<void> map_program(LinuxProcess& process) {
  runtime::GuestInstance& instance = process.instance();
  const runtime::ModuleState& module = instance.module();
  const std::uint64_t bias = program_bias(module.elf);
  if (module.elf.end_address + bias > runtime::mmap_top(instance.options().stack_size)) {
    return fail(ErrorCode::kOutOfMemory, "the program reaches into the stack", module.name);
  }
  if (Result<void> mapped = map_segments(instance, module.elf, module.bytes, bias, process.executable_path); !mapped)
    return mapped;
  process.layout.break_start = process.layout.break_end = module.elf.end_address + bias;
  return {};
}

struct Interpreter {
  std::uint64_t base = 0;
  std::uint64_t entry = 0;
};

Result<Interpreter> map_interpreter(LinuxProcess& process, const std::string& path) {
  const Result<ProgramBytes> bytes = read_program(process.file_system, path);
  if (!bytes) {
    return fail(bytes.error().code, fmt::format("the program's dynamic linker: {}", bytes.error().message), path);
  }
  const Result<image::ElfImage> elf = image::parse_elf(bytes->span());
  if (!elf) return fail(elf.error().code, elf.error().to_string(), path);

  memory::AddressSpace& memory = process.memory();
  const std::uint64_t length = elf->end_address - elf->lowest_address;
  std::uint64_t bias = 0;
  if (elf->position_independent) {
    const auto place =
        memory.find_free(length, runtime::kMmapLow, runtime::mmap_top(process.instance().options().stack_size));
    if (!place || *place < elf->lowest_address)
      return fail(ErrorCode::kOutOfMemory, "no room for the dynamic linker", path);
    bias = *place - elf->lowest_address;
  } else if (elf->end_address > runtime::mmap_top(process.instance().options().stack_size) ||
             !memory.is_free(elf->lowest_address, length)) {
    return fail(ErrorCode::kOutOfMemory, "the dynamic linker's addresses are taken", path);
  }
  if (Result<void> mapped = map_segments(process.instance(), *elf, *bytes, bias, path); !mapped) {
    return std::unexpected(mapped.error());
  }
  return Interpreter{bias, elf->entry + bias};
}

Result<void> map_stack(LinuxProcess& process) {
  const bool executable = process.instance().module().elf.executable_stack;
  const memory::Permissions permissions =
      memory::kRead | memory::kWrite | (executable ? memory::kExecute : memory::kNone);
  process.layout.stack_low = low_end_of_stack(process);
  process.layout.stack_high = runtime::kStackTop;
  return map_paid(process, process.layout.stack_low, runtime::kStackTop - process.layout.stack_low, permissions,
                  "[stack]");
}

Result<void> map_signal_page(LinuxProcess& process) {
  constexpr std::string_view kName = "[sigpage]";
  Result<void> mapped = map_paid(process, runtime::kSignalReturnPage, kPageSize, memory::kRead | memory::kWrite, kName);
  if (!mapped) return mapped;
  if (!process.memory().write_value(runtime::kSignalReturnPage, kSignalReturn) ||
      process.memory().protect(runtime::kSignalReturnPage, kPageSize, memory::kRead | memory::kExecute) !=
          MapStatus::kOk) {
    return fail(ErrorCode::kOutOfMemory, "the page cannot be made", std::string(kName));
  }
  return {};
}

std::vector<AuxiliaryEntry> auxiliary_entries(LinuxProcess& process, std::uint64_t interpreter_base) {
  const image::ElfImage& elf = process.instance().module().elf;
  const std::uint64_t bias = program_bias(elf);
  const Credentials& ids = process.credentials;
  return {
      {AT_HWCAP, kHardwareCapabilities},
      {AT_PAGESZ, kPageSize},
      {AT_CLKTCK, kClockTicks},
      {AT_PHDR, elf.program_header_address == 0 ? 0 : elf.program_header_address + bias},
      {AT_PHENT, kProgramHeaderSize},
      {AT_PHNUM, elf.program_header_count},
      {AT_BASE, interpreter_base},
      {AT_FLAGS, 0},
      {AT_ENTRY, elf.entry + bias},
      {AT_UID, ids.user},
      {AT_EUID, ids.effective_user},
      {AT_GID, ids.group},
      {AT_EGID, ids.effective_group},
      {AT_SECURE, 0},
  };
}

void name_process(LinuxProcess& process, const LinuxOptions& options) {
  process.executable_path = options.program.empty() ? "/" + process.instance().module().name : options.program;
  process.arguments = options.arguments;
  if (process.arguments.empty()) process.arguments.push_back(process.executable_path);
  process.environment = options.environment;
  process.command_name =
      process.executable_path.substr(process.executable_path.rfind('/') + 1).substr(0, kLongestCommandName);
}

}  // namespace

Result<void> start_program(LinuxProcess& process, const LinuxOptions& options) {
  name_process(process, options);
  const image::ElfImage& elf = process.instance().module().elf;
  if (Result<void> mapped = map_program(process); !mapped) return mapped;
  Interpreter interpreter{0, elf.entry + program_bias(elf)};
  if (!elf.interpreter.empty()) {
    const Result<Interpreter> found = map_interpreter(process, elf.interpreter);
    if (!found) return std::unexpected(found.error());
    interpreter = *found;
  }
  if (Result<void> mapped = map_stack(process); !mapped) return mapped;
  if (Result<void> mapped = map_signal_page(process); !mapped) return mapped;
  const Result<std::uint64_t> sp = write_initial_stack(process, auxiliary_entries(process, interpreter.base));
  if (!sp) return std::unexpected(sp.error());
  process.hart().x[riscv::kSp] = *sp;
  process.hart().pc = interpreter.entry;
  return {};
}

}  // namespace caisson::linux_personality
