#include "baseline/code_listing.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>

namespace caisson::baseline {
namespace {

constexpr std::string_view kPrefix = "guest/";
constexpr std::string_view kCutMark = "...";

std::string jitdump_folder() {
  const char* const folder = ::secure_getenv("JITDUMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : ".";
}

bool is_listable(const ListedCode& code) {
  return code.size != 0 &&
         code.size <= std::numeric_limits<std::uintptr_t>::max() - reinterpret_cast<std::uintptr_t>(code.address);
}

}  // namespace

std::string listed_name(const ListedCode& code) {
  if (code.name.empty()) return fmt::format("{}0x{:x}", kPrefix, code.guest_pc);
  constexpr std::size_t kRoom = CodeListing::kMaximumName - kPrefix.size();
  const bool is_cut = code.name.size() > kRoom;
  std::string name(kPrefix);
  for (const char character : code.name.substr(0, is_cut ? kRoom - kCutMark.size() : kRoom)) {
    const bool is_printable = character >= ' ' && character <= '~';
    name += is_printable ? character : '?';
  }
  if (is_cut) name += kCutMark;
  return name;
}

CodeListing& CodeListing::process() {
  // Never destroyed: instances may outlive static destruction.
  static CodeListing* const listing = [] {
    std::atexit([] { process().close(); });
    return new CodeListing;
  }();
  return *listing;
}

Result<void> CodeListing::enable(const ListingOptions& options) {
  if (is_forked_child()) {
    return fail(ErrorCode::kUnsupported, "code is listed by the process that forked this one", "code listing");
  }
  const std::scoped_lock lock(mutex_);
  std::optional<ListingFile> perf_map;
  if (options.perf_map && !perf_map_) {
    Result<ListingFile> file = ListingFile::create(fmt::format("/tmp/perf-{}.map", ::getpid()), kMaximumPerfMapSize);
    if (!file) return std::unexpected(file.error());
    perf_map.emplace(std::move(*file));
  }
  if (options.jitdump && !jitdump_) {
    Result<Jitdump> jitdump = Jitdump::create(jitdump_folder());
    if (!jitdump) return std::unexpected(jitdump.error());
    jitdump_.emplace(std::move(*jitdump));
  }
  if (perf_map) perf_map_.emplace(std::move(*perf_map));
  if (options.gdb && !gdb_) gdb_.emplace();
  owner_.store(::getpid(), std::memory_order_relaxed);
  note_open_sinks();
  return {};
}

void CodeListing::add(const ListedCode& code) {
  if (!is_enabled() || !is_listable(code) || is_forked_child()) return;
  const std::scoped_lock lock(mutex_);
  try {
    const std::string name = listed_name(code);
    if (perf_map_) ++(append_to_perf_map(code, name) ? stats_.perf_map_entries : stats_.dropped);
    if (jitdump_) ++(jitdump_->add(code.address, code.size, name) ? stats_.jitdump_entries : stats_.dropped);
    if (gdb_ && !gdb_->add(code.address, code.size, name)) ++stats_.dropped;
  } catch (const std::bad_alloc&) {
    ++stats_.dropped;
  }
  note_open_sinks();
}

void CodeListing::remove(const void* address) {
  if (!is_enabled() || is_forked_child()) return;
  const std::scoped_lock lock(mutex_);
  if (gdb_) gdb_->remove(address);
}

void CodeListing::close() {
  if (!is_enabled() || is_forked_child()) return;
  const std::scoped_lock lock(mutex_);
  if (perf_map_) perf_map_->close();
  if (jitdump_) jitdump_->close();
  is_enabled_.store(false, std::memory_order_relaxed);
}

ListingStats CodeListing::stats() const {
  const std::scoped_lock lock(mutex_);
  ListingStats stats = stats_;
  stats.gdb_entries = gdb_ ? gdb_->size() : 0;
  return stats;
}

// Its files are the parent's, and so may be the thread that held the lock.
bool CodeListing::is_forked_child() const {
  const pid_t owner = owner_.load(std::memory_order_relaxed);
  return owner != 0 && owner != ::getpid();
}

// One write an entry: perf reads the file after this process has ended, in whatever way.
bool CodeListing::append_to_perf_map(const ListedCode& code, const std::string& name) {
  std::array<char, 2 * 17 + kMaximumName + 1> line;
  const auto end = fmt::format_to_n(line.data(), line.size(), "{:x} {:x} {}\n",
                                    reinterpret_cast<std::uintptr_t>(code.address), code.size, name);
  std::array pieces{iovec{.iov_base = line.data(), .iov_len = static_cast<std::size_t>(end.out - line.data())}};
  return perf_map_->append(pieces);
}

void CodeListing::note_open_sinks() {
  const bool is_open = (perf_map_ && perf_map_->is_open()) || (jitdump_ && jitdump_->is_open()) || gdb_;
  is_enabled_.store(is_open, std::memory_order_relaxed);
}

}  // namespace caisson::baseline
