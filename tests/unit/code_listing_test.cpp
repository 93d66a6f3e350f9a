// Listings of compiled code, read back the way perf and gdb read them, and by gdb itself where it is installed.
#include "baseline/code_listing.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/guest_compiler.h"
#include "support/in_child.h"

namespace caisson::baseline {
namespace {

using tests::in_child;

constexpr std::array<std::uint8_t, 64> kCode = {0x90, 0x00, 0xC3};

const void* at(std::uint64_t address) { return reinterpret_cast<const void*>(address); }

std::string perf_map_path() { return fmt::format("/tmp/perf-{}.map", getpid()); }

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct PerfMapLine {
  std::uint64_t start = 0, size = 0;
  std::string name;
};

std::vector<PerfMapLine> perf_map_lines(const std::string& text) {
  std::vector<PerfMapLine> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    PerfMapLine parsed;
    fields >> std::hex >> parsed.start >> parsed.size;
    fields.get();
    std::getline(fields, parsed.name);
    EXPECT_FALSE(fields.fail()) << line;
    lines.push_back(parsed);
  }
  return lines;
}

struct JitdumpRecord {
  std::uint32_t kind = 0;
  std::uint64_t timestamp = 0, address = 0, index = 0;
  std::string name, code;
};

template <class Value>
Value take(const std::string& bytes, std::size_t& offset) {
  Value value{};
  EXPECT_LE(offset + sizeof(value), bytes.size());
  if (offset + sizeof(value) <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof(value));
  offset += sizeof(value);
  return value;
}

// Checks what every record has to hold, and that they fill the file.
std::vector<JitdumpRecord> jitdump_records(const std::string& bytes, pid_t process) {
  std::size_t offset = 0;
  EXPECT_EQ(take<std::uint32_t>(bytes, offset), 0x4A695444u);
  EXPECT_EQ(take<std::uint32_t>(bytes, offset), 1u);
  EXPECT_EQ(take<std::uint32_t>(bytes, offset), 40u);
  EXPECT_EQ(take<std::uint32_t>(bytes, offset), 62u);
  EXPECT_EQ(take<std::uint32_t>(bytes, offset), 0u);
  EXPECT_EQ(take<std::uint32_t>(bytes, offset), static_cast<std::uint32_t>(process));
  std::uint64_t last_time = take<std::uint64_t>(bytes, offset);
  EXPECT_EQ(take<std::uint64_t>(bytes, offset), 0u);
  std::vector<JitdumpRecord> records;
  while (offset < bytes.size() && !testing::Test::HasFailure()) {
    const std::size_t begin = offset;
    JitdumpRecord record;
    record.kind = take<std::uint32_t>(bytes, offset);
    const auto size = take<std::uint32_t>(bytes, offset);
    record.timestamp = take<std::uint64_t>(bytes, offset);
    EXPECT_GE(record.timestamp, last_time);
    last_time = record.timestamp;
    if (record.kind == 0) {
      EXPECT_EQ(take<std::uint32_t>(bytes, offset), static_cast<std::uint32_t>(process));
      EXPECT_NE(take<std::uint32_t>(bytes, offset), 0u);
      record.address = take<std::uint64_t>(bytes, offset);
      EXPECT_EQ(take<std::uint64_t>(bytes, offset), record.address);
      const auto code_size = take<std::uint64_t>(bytes, offset);
      record.index = take<std::uint64_t>(bytes, offset);
      record.name = bytes.c_str() + offset;
      offset += record.name.size() + 1;
      EXPECT_LE(offset + code_size, bytes.size());
      if (testing::Test::HasFailure()) break;
      record.code = bytes.substr(offset, code_size);
      offset += code_size;
    }
    EXPECT_EQ(offset, begin + size);
    records.push_back(record);
  }
  return records;
}

// Symbols of gdb's list by address, after checks of its links and of each object.
std::multimap<std::uint64_t, std::string> gdb_symbols() {
  std::multimap<std::uint64_t, std::string> symbols;
  EXPECT_EQ(__jit_debug_descriptor.version, 1u);
  const JitCodeEntry* previous = nullptr;
  for (const JitCodeEntry* entry = __jit_debug_descriptor.first; entry != nullptr; entry = entry->next) {
    EXPECT_EQ(entry->previous, previous);
    previous = entry;
    const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(entry->object);
    EXPECT_EQ(std::memcmp(header->e_ident, ELFMAG, SELFMAG), 0);
    EXPECT_LE(header->e_shoff + header->e_shnum * sizeof(Elf64_Shdr), entry->object_size);
    const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(entry->object + header->e_shoff);
    for (int index = 0; index < header->e_shnum; ++index) {
      if (sections[index].sh_type != SHT_SYMTAB) continue;
      EXPECT_LE(sections[index].sh_offset + sections[index].sh_size, entry->object_size);
      const auto& symbol = reinterpret_cast<const Elf64_Sym*>(entry->object + sections[index].sh_offset)[1];
      const Elf64_Shdr& text = sections[symbol.st_shndx];
      EXPECT_EQ(symbol.st_size, text.sh_size);
      const Elf64_Shdr& strings = sections[sections[index].sh_link];
      EXPECT_LT(symbol.st_name, strings.sh_size);
      symbols.emplace(text.sh_addr + symbol.st_value, entry->object + strings.sh_offset + symbol.st_name);
    }
  }
  return symbols;
}

class CodeListingTest : public testing::Test {
 protected:
  void SetUp() override { setenv("JITDUMPDIR", folder_.path().c_str(), 1); }
  void TearDown() override { unlink(perf_map_path().c_str()); }

  std::string jitdump_path() const { return folder_.path() / fmt::format("jit-{}.dump", getpid()); }

  test::TemporaryFolder folder_;
};

TEST_F(CodeListingTest, ListsNothingUnlessAskedTo) {
  CodeListing listing;
  EXPECT_FALSE(listing.is_enabled());
  listing.add({kCode.data(), kCode.size(), "unheard", 0});
  listing.remove(kCode.data());
  ASSERT_TRUE(listing.enable({}));
  EXPECT_FALSE(listing.is_enabled());
  EXPECT_EQ(listing.stats().perf_map_entries + listing.stats().jitdump_entries + listing.stats().dropped, 0u);
  EXPECT_TRUE(gdb_symbols().empty());
}

TEST_F(CodeListingTest, NamesAreHarmlessToReaders) {
  EXPECT_EQ(listed_name({.name = "main"}), "guest/main");
  EXPECT_EQ(listed_name({.guest_pc = 0x10a2c}), "guest/0x10a2c");
  EXPECT_EQ(listed_name({.name = "operator new(unsigned long)"}), "guest/operator new(unsigned long)");
  EXPECT_EQ(listed_name({.name = {"a\0b\nc\x1b[2Jd\x7f\x80\xff", 13}}), "guest/a?b?c?[2Jd???");
  const std::string longest(CodeListing::kMaximumName - 6, 'x'), longer = longest + "x";
  EXPECT_EQ(listed_name({.name = longest}), "guest/" + longest);
  EXPECT_EQ(listed_name({.name = longer}).size(), CodeListing::kMaximumName);
  EXPECT_TRUE(listed_name({.name = longer}).ends_with("x..."));
  EXPECT_EQ(listed_name({.name = std::string(1 << 20, '\n')}).size(), CodeListing::kMaximumName);
}

TEST_F(CodeListingTest, APerfMapHasALineForEachPiece) {
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.perf_map = true}));
  EXPECT_TRUE(listing.is_enabled());
  listing.add({at(0x7f0000001000), 0x40, "sort", 0x10000});
  listing.add({at(0x7f0000001040), 0, "empty", 0x10000});
  listing.add({at(~std::uint64_t{0} - 16), 64, "past the end", 0x10000});
  listing.add({at(0x7f0000002000), 0xABC, "two words\nff00 10 planted", 0x10000});
  listing.add({at(0xFFFFFFFFFFFF0000), 0xFFFF, std::string(5000, 'n'), 0x10000});

  // Each line is there at once, since a process may die at any time.
  const std::vector<PerfMapLine> lines = perf_map_lines(text_of(perf_map_path()));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].start, 0x7f0000001000u);
  EXPECT_EQ(lines[0].size, 0x40u);
  EXPECT_EQ(lines[0].name, "guest/sort");
  EXPECT_EQ(lines[1].size, 0xABCu);
  EXPECT_EQ(lines[1].name, "guest/two words?ff00 10 planted");
  EXPECT_EQ(lines[2].start, 0xFFFFFFFFFFFF0000u);
  EXPECT_EQ(lines[2].name.size(), CodeListing::kMaximumName);
  EXPECT_EQ(listing.stats().perf_map_entries, 3u);
  EXPECT_EQ(listing.stats().dropped, 0u);
  struct stat status{};
  ASSERT_EQ(stat(perf_map_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(CodeListingTest, WhatOthersLeftInTheFolderIsNotFollowed) {
  const std::string victim = folder_.path() / "victim";
  std::ofstream(victim) << "untouched";
  ASSERT_EQ(symlink(victim.c_str(), perf_map_path().c_str()), 0);
  {
    CodeListing listing;
    ASSERT_TRUE(listing.enable({.perf_map = true}));
    listing.add({kCode.data(), kCode.size(), "sort", 0});
  }
  EXPECT_EQ(text_of(victim), "untouched");
  EXPECT_EQ(perf_map_lines(text_of(perf_map_path())).size(), 1u);

  // An older file of that name is not continued.
  CodeListing later;
  ASSERT_TRUE(later.enable({.perf_map = true}));
  EXPECT_EQ(text_of(perf_map_path()), "");
}

TEST_F(CodeListingTest, AFileThatCannotBeMadeIsAnErrorAndTurnsNothingOn) {
  setenv("JITDUMPDIR", (folder_.path() / "absent").c_str(), 1);
  CodeListing listing;
  Result<void> enabled = listing.enable({.perf_map = true, .jitdump = true, .gdb = true});
  ASSERT_FALSE(enabled);
  EXPECT_EQ(enabled.error().code, ErrorCode::kIo);
  EXPECT_EQ(enabled.error().where, folder_.path() / "absent" / fmt::format("jit-{}.dump", getpid()));
  EXPECT_FALSE(listing.is_enabled());

  unlink(perf_map_path().c_str());
  ASSERT_EQ(mkdir(perf_map_path().c_str(), 0700), 0);
  enabled = listing.enable({.perf_map = true});
  rmdir(perf_map_path().c_str());
  ASSERT_FALSE(enabled);
  EXPECT_EQ(enabled.error().code, ErrorCode::kIo);
  EXPECT_EQ(enabled.error().where, perf_map_path());
}

TEST_F(CodeListingTest, AJitdumpHoldsNamesAndCode) {
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.jitdump = true}));
  EXPECT_NE(text_of("/proc/self/maps").find(jitdump_path()), std::string::npos) << "perf looks for this mapping";
  listing.add({kCode.data(), kCode.size(), "sort", 0x10000});
  listing.add({kCode.data() + 8, 1, {"a\0b", 3}, 0x10000});
  EXPECT_EQ(jitdump_records(text_of(jitdump_path()), getpid()).size(), 2u);
  listing.close();
  EXPECT_FALSE(listing.is_enabled());
  listing.add({kCode.data(), kCode.size(), "late", 0x10000});

  const std::vector<JitdumpRecord> records = jitdump_records(text_of(jitdump_path()), getpid());
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].name, "guest/sort");
  EXPECT_EQ(records[0].address, reinterpret_cast<std::uintptr_t>(kCode.data()));
  EXPECT_EQ(records[0].code, std::string(kCode.begin(), kCode.end()));
  EXPECT_EQ(records[0].index, 0u);
  EXPECT_EQ(records[1].name, "guest/a?b");
  EXPECT_EQ(records[1].code.size(), 1u);
  EXPECT_EQ(records[1].index, 1u);
  EXPECT_EQ(records[2].kind, 3u);
  EXPECT_EQ(listing.stats().jitdump_entries, 2u);
}

TEST_F(CodeListingTest, CodeThatCannotBeReadEndsTheJitdumpAlone) {
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.perf_map = true, .jitdump = true}));
  listing.add({kCode.data(), kCode.size(), "sort", 0});
  listing.add({at(4096), 64, "unmapped", 0});
  listing.add({kCode.data(), kCode.size(), "next", 0});
  EXPECT_TRUE(listing.is_enabled());
  EXPECT_EQ(listing.stats().perf_map_entries, 3u);
  EXPECT_EQ(listing.stats().dropped, 2u);
  // Nothing is left of the record that failed half way.
  EXPECT_EQ(jitdump_records(text_of(jitdump_path()), getpid()).size(), 1u);
  // It stays off, and what it holds stays.
  ASSERT_TRUE(listing.enable({.jitdump = true}));
  EXPECT_EQ(jitdump_records(text_of(jitdump_path()), getpid()).size(), 1u);
}

TEST_F(CodeListingTest, AFullFileTurnsTheListingOff) {
  EXPECT_EQ(in_child([&] {
              CodeListing listing;
              if (!listing.enable({.perf_map = true, .jitdump = true})) return 1;
              const rlimit limit{.rlim_cur = 1000, .rlim_max = 1000};
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              for (int index = 0; index < 100; ++index) listing.add({kCode.data(), kCode.size(), "sort", 0});
              const std::string map = text_of(perf_map_path());
              unlink(perf_map_path().c_str());
              const ListingStats stats = listing.stats();
              if (map.size() > 1000 || perf_map_lines(map).size() != stats.perf_map_entries) return 3;
              if (jitdump_records(text_of(jitdump_path()), getpid()).size() != stats.jitdump_entries) return 4;
              if (stats.perf_map_entries < 20 || stats.jitdump_entries < 5 || stats.dropped == 0) return 5;
              return listing.is_enabled() ? 6 : 0;
            }),
            0);
}

TEST_F(CodeListingTest, GdbSeesWhatIsRegistered) {
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.gdb = true}));
  listing.add({at(0x1000), 16, "first", 0});
  listing.add({at(0x2000), 32, "second", 0});
  listing.add({at(0x3000), 48, std::string(1000, 'n'), 0});
  std::multimap<std::uint64_t, std::string> symbols = gdb_symbols();
  ASSERT_EQ(symbols.size(), 3u);
  EXPECT_EQ(symbols.find(0x1000)->second, "guest/first");
  EXPECT_EQ(symbols.find(0x2000)->second, "guest/second");
  EXPECT_EQ(symbols.find(0x3000)->second.size(), CodeListing::kMaximumName);
  EXPECT_EQ(__jit_debug_descriptor.action, 0u);

  listing.remove(at(0x2000));
  listing.remove(at(0x2000));
  listing.remove(at(0x2001));
  symbols = gdb_symbols();
  EXPECT_EQ(symbols.size(), 2u);
  EXPECT_FALSE(symbols.contains(0x2000));

  // Code at an address that was never given back replaces what was there.
  listing.add({at(0x1000), 64, "other", 0});
  symbols = gdb_symbols();
  EXPECT_EQ(symbols.count(0x1000), 1u);
  EXPECT_EQ(symbols.find(0x1000)->second, "guest/other");
  EXPECT_EQ(listing.stats().gdb_entries, 2u);
}

TEST_F(CodeListingTest, ListsOfGdbAreSharedAndLeftClean) {
  JitCodeEntry foreign{};
  const std::string object(sizeof(Elf64_Ehdr), '\0');
  {
    CodeListing first, second;
    ASSERT_TRUE(first.enable({.gdb = true}));
    ASSERT_TRUE(second.enable({.gdb = true}));
    first.add({at(0x1000), 16, "first", 0});
    // Another JIT of the process registers in between.
    foreign.next = __jit_debug_descriptor.first;
    foreign.next->previous = &foreign;
    __jit_debug_descriptor.first = &foreign;
    second.add({at(0x2000), 16, "second", 0});
  }
  EXPECT_EQ(__jit_debug_descriptor.first, &foreign);
  EXPECT_EQ(foreign.next, nullptr);
  EXPECT_EQ(foreign.previous, nullptr);
  __jit_debug_descriptor.first = nullptr;
}

TEST_F(CodeListingTest, EntriesOfGdbAreBounded) {
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.gdb = true}));
  const std::uint64_t limit = GdbRegistration::kMaximumEntries;
  for (std::uint64_t index = 1; index <= limit + 10; ++index) listing.add({at(index * 4096), 16, {}, index});
  EXPECT_EQ(listing.stats().gdb_entries, limit);
  EXPECT_EQ(listing.stats().dropped, 10u);
  EXPECT_EQ(gdb_symbols().size(), limit);
  listing.remove(at(4096));
  listing.add({at(0x100), 16, {}, 0});
  EXPECT_EQ(listing.stats().gdb_entries, limit);
  EXPECT_EQ(listing.stats().dropped, 10u);
}

TEST_F(CodeListingTest, ReadelfUnderstandsTheObject) {
  if (!test::output_of("command -v readelf")) GTEST_SKIP() << "readelf is not installed";
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.gdb = true}));
  listing.add({at(0x7f0000001000), 0x123, "sort", 0});
  const std::string path = folder_.path() / "object";
  const JitCodeEntry* const entry = __jit_debug_descriptor.first;
  std::ofstream(path, std::ios::binary).write(entry->object, static_cast<std::streamsize>(entry->object_size));
  const Result<std::string> output = test::output_of("readelf --wide --all --lint " + path);
  ASSERT_TRUE(output) << output.error().to_string();
  EXPECT_NE(output->find("guest/sort"), std::string::npos) << *output;
  EXPECT_NE(output->find("00007f0000001000"), std::string::npos) << *output;
  EXPECT_EQ(output->find("arning"), std::string::npos) << *output;
  EXPECT_EQ(output->find("rror"), std::string::npos) << *output;
}

TEST_F(CodeListingTest, ThreadsListAtTheSameTime) {
  constexpr std::size_t kThreads = 4, kPieces = 250;
  std::vector<std::uint8_t> code(kThreads * kPieces * 16);
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.perf_map = true, .jitdump = true, .gdb = true}));
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (std::size_t piece = 0; piece < kPieces; ++piece) {
          const std::uint8_t* const address = code.data() + (thread * kPieces + piece) * 16;
          listing.add({address, 16, fmt::format("t{}p{}", thread, piece), piece});
          if (piece % 2 == 0) listing.remove(address);
        }
      });
    }
  }
  listing.close();
  std::set<std::string> names;
  for (const PerfMapLine& line : perf_map_lines(text_of(perf_map_path()))) names.insert(line.name);
  EXPECT_EQ(names.size(), kThreads * kPieces);
  const std::vector<JitdumpRecord> records = jitdump_records(text_of(jitdump_path()), getpid());
  EXPECT_EQ(records.size(), kThreads * kPieces + 1);
  for (const JitdumpRecord& record : records) EXPECT_TRUE(record.kind == 3 || names.contains(record.name));
  EXPECT_EQ(gdb_symbols().size(), kThreads * kPieces / 2);
  EXPECT_EQ(listing.stats().dropped, 0u);
}

TEST_F(CodeListingTest, AForkedChildLeavesTheFilesAlone) {
  CodeListing listing;
  ASSERT_TRUE(listing.enable({.perf_map = true, .jitdump = true, .gdb = true}));
  EXPECT_EQ(in_child([&] {
              listing.add({kCode.data(), kCode.size(), "child", 0});
              const Result<void> enabled = listing.enable({.perf_map = true});
              listing.close();
              return !enabled && enabled.error().code == ErrorCode::kUnsupported ? 0 : 1;
            }),
            0);
  EXPECT_EQ(text_of(perf_map_path()), "");
  EXPECT_TRUE(jitdump_records(text_of(jitdump_path()), getpid()).empty());
}

// What the tests below have another process of this program do, see main(): lists a function that consists of
// `code` in a page of its own, and calls it.
void call_listed_code(const ListingOptions& options, std::span<const std::uint8_t> code, const char* name) {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  std::memcpy(page, code.data(), code.size());
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0 || !CodeListing::process().enable(options)) return;
  CodeListing::process().add({page, code.size(), name, 0});
  reinterpret_cast<void (*)()>(page)();
}

TEST_F(CodeListingTest, TheJitdumpOfTheProcessEndsWhenItExits) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "code_listing_test", "--spin", nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  const std::string map = fmt::format("/tmp/perf-{}.map", child);
  EXPECT_EQ(perf_map_lines(text_of(map)).size(), 1u);
  unlink(map.c_str());
  const auto records = jitdump_records(text_of(folder_.path() / fmt::format("jit-{}.dump", child)), child);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].kind, 3u);
}

TEST_F(CodeListingTest, GdbShowsTheNameOfAFunction) {
  if (!test::output_of("command -v gdb")) GTEST_SKIP() << "gdb is not installed";
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const Result<std::string> output = test::output_of(
      fmt::format("timeout 60 gdb -nx -batch -ex run -ex bt -ex 'info symbol $pc' --args {} --trap", program));
  ASSERT_TRUE(output) << output.error().to_string();
  if (output->find("ptrace") != std::string::npos) GTEST_SKIP() << "gdb may not trace here: " << *output;
  EXPECT_NE(output->find("in guest/quicksort ()"), std::string::npos) << *output;
  EXPECT_NE(output->find("guest/quicksort + 1"), std::string::npos) << *output;
}

TEST_F(CodeListingTest, PerfShowsTheNameOfAFunction) {
  if (!test::output_of("command -v perf")) GTEST_SKIP() << "perf is not installed";
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string perf = fmt::format("cd {} && HOME=$PWD timeout 60 perf ", folder_.path().string());
  const Result<std::string> recorded =
      test::output_of(perf + "record -q -N -e cpu-clock -k 1 -o perf.data " + program + " --spin");
  if (!recorded) GTEST_SKIP() << "perf cannot record here: " << recorded.error().to_string();
  const Result<std::string> by_map = test::output_of(perf + "report -i perf.data --stdio -q");
  ASSERT_TRUE(by_map) << by_map.error().to_string();
  EXPECT_NE(by_map->find("guest/quicksort"), std::string::npos) << *by_map;
  for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
    if (file.path().extension() != ".dump") continue;
    const std::string process = file.path().stem().string().substr(std::strlen("jit-"));
    unlink(fmt::format("/tmp/perf-{}.map", process).c_str());
  }

  const Result<std::string> injected = test::output_of(perf + "inject --jit -i perf.data -o perf.jit.data");
  ASSERT_TRUE(injected) << injected.error().to_string();
  const Result<std::string> by_dump = test::output_of(perf + "report -i perf.jit.data --stdio -q");
  ASSERT_TRUE(by_dump) << by_dump.error().to_string();
  EXPECT_NE(by_dump->find("guest/quicksort"), std::string::npos) << *by_dump;
}

}  // namespace
}  // namespace caisson::baseline

int main(int argument_count, char** arguments) {
  using caisson::baseline::call_listed_code;
  const std::string_view role = argument_count > 1 ? arguments[1] : "";
  if (role == "--trap") {
    constexpr std::array<std::uint8_t, 2> kTrap = {0xCC, 0xC3};  // int3; ret
    call_listed_code({.gdb = true}, kTrap, "quicksort");
    return 0;
  }
  if (role == "--spin") {
    // mov ecx, 0x20000000; 1: dec ecx; jnz 1b; ret
    constexpr std::array<std::uint8_t, 10> kSpin = {0xB9, 0x00, 0x00, 0x00, 0x20, 0xFF, 0xC9, 0x75, 0xFC, 0xC3};
    call_listed_code({.perf_map = true, .jitdump = true}, kSpin, "quicksort");
    return 0;
  }
  testing::InitGoogleTest(&argument_count, arguments);
  return RUN_ALL_TESTS();
}
