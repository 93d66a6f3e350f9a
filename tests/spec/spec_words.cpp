// spec_words: keeps the `words` lines of spec files equal to what the assembler makes of their `asm` lines.
//
//   spec_words --check FILE…    reports the cases that differ (a CTest entry; skipped where there is no assembler)
//   spec_words --update FILE…   rewrites the `words` lines (tests/spec/update)
//
// Words stand in the files so that the cases run where no RISC-V assembler is installed.
#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>

#include "spec/spec_case.h"

namespace caisson::spec {
namespace {

constexpr std::string_view kAssembler = "riscv64-linux-gnu-as -march=rv64gc_zba_zbb_zbs_zihintpause -mno-relax";
// The linker only settles branches within a section; a script without rules keeps each section apart.
constexpr std::string_view kLinker = "riscv64-linux-gnu-ld --no-relax -e 0 -T";
constexpr int kSkipped = 77;
constexpr std::size_t kWordsPerLine = 8;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string section_name(std::size_t case_number) { return fmt::format(".text.case{}", case_number); }

// The contents of the sections of an object file that this machine's assembler just wrote, by name.
std::map<std::string, std::string> read_sections(const std::string& object) {
  std::map<std::string, std::string> sections;
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof header);
  const auto section = [&](std::size_t index) {
    Elf64_Shdr result;
    std::memcpy(&result, object.data() + header.e_shoff + index * sizeof result, sizeof result);
    return result;
  };
  const Elf64_Shdr names = section(header.e_shstrndx);
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr described = section(i);
    if (described.sh_type == SHT_NOBITS) continue;
    sections[object.data() + names.sh_offset + described.sh_name] =
        object.substr(described.sh_offset, described.sh_size);
  }
  return sections;
}

// The assembler must not shorten what a case spells out: compressed forms are used where the text says `c.`.
bool names_compressed_form(std::string_view line) { return line.starts_with("c.") || line.contains(" c."); }

// Assembles the cases of a file in one go, each in a section of its own; empty where the assembler fails.
std::map<std::string, std::string> assemble(const std::vector<SpecCase>& cases) {
  const std::filesystem::path base =
      std::filesystem::temp_directory_path() / fmt::format("caisson-spec-words-{}", ::getpid());
  const std::string source = base.string() + ".s", object = base.string() + ".o";
  const std::string script = base.string() + ".ld", linked = base.string() + ".elf";
  std::ofstream(script) << "SECTIONS { }\n";
  {
    std::ofstream out(source);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      out << ".section " << section_name(i) << ",\"ax\"\n";
      for (const std::string& line : cases[i].assembly) {
        out << (names_compressed_form(line) ? ".option rvc\n" : ".option norvc\n") << line << '\n';
      }
    }
  }
  std::map<std::string, std::string> sections;
  const std::string command =
      fmt::format("{} -o {} {} && {} {} -o {} {}", kAssembler, object, source, kLinker, script, linked, object);
  if (std::system(command.c_str()) == 0) sections = read_sections(read_file(linked));
  for (const std::string& file : {source, object, script, linked}) std::filesystem::remove(file);
  return sections;
}

// `words` lines for code: instructions as numbers of 4 or 8 digits.
std::string words_lines(const std::string& code) {
  std::string lines;
  std::size_t on_line = 0;
  for (std::size_t offset = 0; offset + 2 <= code.size();) {
    std::uint16_t half;
    std::memcpy(&half, code.data() + offset, sizeof half);
    std::uint32_t word = half;
    const bool long_form = (half & 3) == 3 && offset + 4 <= code.size();
    if (long_form) std::memcpy(&word, code.data() + offset, sizeof word);
    if (on_line == kWordsPerLine) lines += '\n', on_line = 0;
    lines += on_line++ == 0 ? "words" : "";
    lines += long_form ? fmt::format(" {:08x}", word) : fmt::format(" {:04x}", word);
    offset += long_form ? 4 : 2;
  }
  return lines.empty() ? lines : lines + '\n';
}

bool starts_with_keyword(std::string_view line, std::string_view keyword) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line.starts_with(keyword) &&
         (line.size() == keyword.size() || line[keyword.size()] == ' ' || line[keyword.size()] == '\t');
}

// The file's text with each case's `words` lines behind its last `asm` line; cases without `asm` stay as they are.
std::string with_words(const std::string& text, const std::vector<SpecCase>& cases,
                       const std::vector<std::string>& codes) {
  std::istringstream in(text);
  std::string line, result;
  std::size_t next_case = 0;
  std::size_t assembly_left = 0;
  bool assembled = false;
  while (std::getline(in, line)) {
    if (starts_with_keyword(line, "case")) {
      assembly_left = cases[next_case++].assembly.size();
      assembled = assembly_left > 0;
    }
    if (assembled && starts_with_keyword(line, "words")) continue;
    result += line + '\n';
    if (starts_with_keyword(line, "asm") && --assembly_left == 0) result += words_lines(codes[next_case - 1]);
  }
  return result;
}

// 0: words and asm agree (after an update they always do).
int process(const std::filesystem::path& path, bool update) {
  const std::string text = read_file(path);
  const Result<std::vector<SpecCase>> cases = parse_spec(text);
  if (!cases) {
    fmt::print(stderr, "{}: {}\n", path.string(), cases.error().to_string());
    return 1;
  }
  const std::map<std::string, std::string> sections = assemble(*cases);
  int status = 0;
  std::vector<std::string> codes;
  for (std::size_t i = 0; i < cases->size(); ++i) {
    const SpecCase& spec_case = (*cases)[i];
    const auto found = sections.find(section_name(i));
    codes.push_back(found == sections.end() ? "" : found->second);
    const std::string& code = codes.back();
    if (spec_case.assembly.empty()) continue;
    if (!update && code != std::string(spec_case.code.begin(), spec_case.code.end())) {
      fmt::print(stderr, "{}:{}: case `{}`: asm gives\n{}", path.string(), spec_case.line, spec_case.name,
                 words_lines(code));
      status = 1;
    }
  }
  if (sections.empty()) return 1;
  if (update) std::ofstream(path) << with_words(text, *cases, codes);
  return status;
}

}  // namespace
}  // namespace caisson::spec

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (argc < 3 || (mode != "--check" && mode != "--update")) {
    fmt::print(stderr, "usage: spec_words --check|--update FILE...\n");
    return 2;
  }
  if (std::system("riscv64-linux-gnu-as --version > /dev/null 2>&1") != 0) {
    fmt::print("skipped: riscv64-linux-gnu-as is not installed\n");
    return caisson::spec::kSkipped;
  }
  int status = 0;
  for (int i = 2; i < argc; ++i) status |= caisson::spec::process(argv[i], mode == "--update");
  return status;
}
