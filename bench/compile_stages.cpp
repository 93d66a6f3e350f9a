#include "bench/compile_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "baseline/baseline.h"
#include "baseline/page_scan.h"
#include "baseline/thunks.h"
#include "baseline/unit_emitter.h"
#include "bench/clock.h"
#include "bench/kernels.h"
#include "bench/suites.h"
#include "image/elf_image.h"
#include "memory/executable_memory.h"

namespace caisson::bench {
namespace {

constexpr char kCase[] = "stages", kScan[] = "scan", kEmission[] = "emission";

using baseline::kGuestPage;
using baseline::kHalfWords;
using baseline::PageBytes;

struct Page {
  PageBytes bytes;
  std::uint32_t entry;  // a half-word
};

// Each page of a segment in which a function begins, from the first one there on.
std::vector<std::unique_ptr<Page>> pages_of(const image::ElfImage& elf, const image::Segment& segment,
                                            std::span<const std::uint8_t> code) {
  std::map<std::uint32_t, std::uint32_t> first_functions;  // by page address
  for (const image::FunctionSymbol& function : elf.functions) {
    if (function.address - segment.address >= segment.file_size) continue;
    const auto address = static_cast<std::uint32_t>(function.address);
    const auto [found, is_new] = first_functions.try_emplace(address & ~(kGuestPage - 1), address);
    if (!is_new) found->second = std::min(found->second, address);
  }
  std::vector<std::unique_ptr<Page>> pages;
  for (const auto& [address, function] : first_functions) {
    auto page = std::make_unique<Page>();
    page->bytes.address = address;
    page->bytes.count = kHalfWords + 1;
    page->entry = (function - address) / 2;
    // What the segment has of the page, and of the half-word behind it.
    const std::uint64_t begin = std::max<std::uint64_t>(address, segment.address);
    const std::uint64_t end = std::min<std::uint64_t>(address + kGuestPage + 2, segment.address + code.size());
    auto* const to = reinterpret_cast<std::uint8_t*>(page->bytes.half_words.data());
    std::memset(to, 0, sizeof page->bytes.half_words);
    std::memcpy(to + (begin - address), code.data() + (begin - segment.address), end - begin);
    pages.push_back(std::move(page));
  }
  return pages;
}

// Compiles pages one after the other, into the same memory.
class Stages {
 public:
  static Result<std::unique_ptr<Stages>> create(std::vector<std::unique_ptr<Page>> pages) {
    auto thunks = baseline::Thunks::of(baseline::kFirstMap);
    if (!thunks) return std::unexpected(thunks.error());
    auto memory = memory::ExecutableMemory::process();
    if (!memory) return std::unexpected(memory.error());
    auto code = (*memory)->allocate_code(kCodeSize);
    auto table = (*memory)->allocate_table(kRegionSize / 2 * sizeof(baseline::EntrySlot));
    if (!code || !table) return fail(ErrorCode::kOutOfMemory, "no memory is left for compiled code");
    return std::unique_ptr<Stages>(
        new Stages(*std::move(thunks), **memory, *code, *std::move(table), std::move(pages)));
  }
  ~Stages() {
    memory_.free_code(code_);
    memory_.free_table(std::move(table_));
  }
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;

  // Nanoseconds of processor time; nothing where a page did not fit.
  double time_scans() {
    instructions_ = 0;
    const double begin = thread_nanoseconds();
    for (const auto& page : pages_) scan(*page);
    return thread_nanoseconds() - begin;
  }
  std::optional<double> time_scans_and_emissions() {
    const double begin = thread_nanoseconds();
    for (const auto& page : pages_) {
      scan(*page);
      if (!emitter_.emit(*scan_, page->bytes, false, code_, places_.data(), baseline::UnitEmitter::Places::kAccesses))
        return std::nullopt;
    }
    return thread_nanoseconds() - begin;
  }
  std::size_t pages() const { return pages_.size(); }
  std::uint32_t instructions() const { return instructions_; }  // of the last round

 private:
  static constexpr std::size_t kCodeSize = 512 << 10, kRegionSize = 1 << 20;

  Stages(std::shared_ptr<const baseline::Thunks> thunks, memory::ExecutableMemory& memory,
         const memory::CodeBlock& code, memory::TableBlock table, std::vector<std::unique_ptr<Page>> pages)
      : pages_(std::move(pages)),
        thunks_(std::move(thunks)),
        memory_(memory),
        code_(code),
        table_(std::move(table)),
        emitter_(
            *thunks_,
            {.base = pages_.empty() ? 0 : pages_.front()->bytes.address, .size = kRegionSize, .table = table_.memory}) {
  }

  void scan(const Page& page) {
    scan_->scan(page.bytes, page.entry, baseline::Reach::kPage, nullptr);
    instructions_ += scan_->instruction_count();
  }

  const std::vector<std::unique_ptr<Page>> pages_;
  const std::shared_ptr<const baseline::Thunks> thunks_;
  memory::ExecutableMemory& memory_;
  const memory::CodeBlock code_;
  memory::TableBlock table_;
  baseline::UnitEmitter emitter_;
  const std::unique_ptr<baseline::PageScan> scan_ = std::make_unique<baseline::PageScan>();
  std::vector<baseline::InstructionPlace> places_ = std::vector<baseline::InstructionPlace>(kHalfWords + 1);
  std::uint32_t instructions_ = 0;
};

}  // namespace

std::vector<std::string> stage_cases() { return {kCase}; }

Result<void> measure_stages(const std::string& suite, std::size_t runs, Report& report) {
  if (const char* missing = nullptr; !baseline::Baseline::is_supported(&missing)) {
    for (const char* const stage : {kScan, kEmission})
      add_absent(report, suite, stage, fmt::format("needs a processor with {}", missing));
    return {};
  }
  const auto elf = image::parse_elf(resident_guest());
  if (!elf) return std::unexpected(elf.error());
  const auto segment = std::ranges::find_if(elf->segments, &image::Segment::executable);
  if (segment == elf->segments.end()) return fail(ErrorCode::kInternal, "the program has no code");
  const auto stages =
      Stages::create(pages_of(*elf, *segment, resident_guest().subspan(segment->file_offset, segment->file_size)));
  if (!stages) return std::unexpected(stages.error());
  std::vector<double> scans, emissions;
  double instructions = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    const double scanned = (*stages)->time_scans();
    instructions = (*stages)->instructions();
    const std::optional<double> both = (*stages)->time_scans_and_emissions();
    if (!both) return fail(ErrorCode::kInternal, "the code of a page does not fit");
    scans.push_back(scanned / instructions);
    emissions.push_back((*both - scanned) / instructions);
  }
  const std::string note =
      fmt::format("of one instruction; {:.0f} instructions on {} pages", instructions, (*stages)->pages());
  report.rows.push_back({suite, kCase, kScan, "time_ns", "ns", summarize(scans), note});
  report.rows.push_back({suite, kCase, kEmission, "time_ns", "ns", summarize(emissions), note});
  return {};
}

}  // namespace caisson::bench
