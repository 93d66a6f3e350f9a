// caisson store: looks after a directory of compiled code and of capabilities.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/artifact_administration.h"
#include "command_line.h"
#include "exit_status.h"
#include "store_capabilities.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr int kBadArtifactsStatus = 1;  // of verify
constexpr std::size_t kShownKeyBytes = 8;  // as text; the JSON has all 32
constexpr std::size_t kShownLabel = 40;

struct StoreOptions {
  std::string directory;  // empty: the default
  std::uint64_t byte_budget = ArtifactStoreOptions().byte_budget;
  bool as_json = false;
};

// What lies in a store. It may have artifacts, capabilities, or both.
struct Contents {
  bool has_artifacts = true;
  std::vector<StoredArtifact> artifacts;
  CapabilityList capabilities;
};

struct Task {
  VerbText text;
  bool takes_budget;
  int (*run)(const VerbText& text, const std::string& directory, const StoreOptions& options);
};

// Told on a terminal's standard error; nothing elsewhere.
class Progress {
 public:
  explicit Progress(std::string_view doing) : doing_(doing) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  void show(std::uint64_t done, std::uint64_t count) {
    constexpr std::uint64_t kEach = 16;
    if (!terminal_ || (done % kEach != 0 && done != count)) return;
    fmt::print(stderr, "\r{} {}/{}", doing_, done, count);
    std::fflush(stderr);
    shown_ = true;
  }

 private:
  const std::string_view doing_;
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
};

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string_view tier_name(CodeTier tier) { return tier == CodeTier::kBaseline ? "baseline" : "optimized"; }

// A label may hold any bytes; a terminal gets printable ones.
std::string printable(std::string_view text) {
  std::string shown;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    shown += byte >= 0x20 && byte < 0x7F ? character : '?';
  }
  return shown;
}

std::string age_text(std::int64_t stored_at) {
  struct Unit {
    std::int64_t seconds;
    char name;
  };
  constexpr Unit kUnits[] = {{86'400, 'd'}, {3600, 'h'}, {60, 'm'}};
  const std::int64_t age = std::max<std::int64_t>(0, std::time(nullptr) - stored_at);
  for (const Unit& unit : kUnits) {
    if (age >= unit.seconds) return fmt::format("{}{}", age / unit.seconds, unit.name);
  }
  return fmt::format("{}s", age);
}

// Header fields of a rejected artifact are unknown.
bool is_described(const StoredArtifact& artifact) { return !artifact.guest_kind.empty(); }

nlohmann::ordered_json to_json(const StoredArtifact& artifact) {
  nlohmann::ordered_json json = {{"key", hex(artifact.key.bytes)},
                                 {"state", to_string(artifact.state)},
                                 {"reason", artifact.reason},
                                 {"stored_bytes", artifact.stored_bytes},
                                 {"stored_at", artifact.stored_at}};
  if (!is_described(artifact)) return json;
  json["tier"] = tier_name(artifact.tier);
  json["kind"] = artifact.guest_kind;
  json["label"] = artifact.label;
  json["body_bytes"] = artifact.body_bytes;
  json["cpu_features"] = artifact.context.cpu_features;
  json["build_id"] = hex(artifact.context.build_id);
  json["abi_hash"] = hex(artifact.context.abi_hash);
  json["gas_hash"] = hex(artifact.context.gas_hash);
  json["options_hash"] = hex(artifact.context.options_hash);
  return json;
}

void print_json(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void print_json(const std::string& directory, const Contents& contents, bool is_full) {
  nlohmann::ordered_json json = {{"store", directory}, {"artifacts", nlohmann::ordered_json::array()}};
  for (const StoredArtifact& artifact : contents.artifacts) json["artifacts"].push_back(to_json(artifact));
  json["capabilities"] = to_json(contents.capabilities, is_full);
  print_json(json);
}

void print_row(const StoredArtifact& artifact) {
  const std::string key = hex(std::span(artifact.key.bytes).first(kShownKeyBytes));
  const bool described = is_described(artifact);
  const std::string size = described ? fmt::format("{}", artifact.body_bytes) : "-";
  fmt::print("{:<18}{:<10}{:<10}{:<8}{:>11}{:>11}{:>6}  {}{}{}\n", key, to_string(artifact.state),
             described ? tier_name(artifact.tier) : "-", described ? printable(artifact.guest_kind) : "-",
             artifact.stored_bytes, size, age_text(artifact.stored_at),
             printable(artifact.label).substr(0, kShownLabel), artifact.reason.empty() || !described ? "" : "  ",
             artifact.reason);
}

void print_rows(const std::vector<StoredArtifact>& artifacts) {
  fmt::print("{:<18}{:<10}{:<10}{:<8}{:>11}{:>11}{:>6}  {}\n", "key", "state", "tier", "kind", "stored", "bytes", "age",
             "label");
  for (const StoredArtifact& artifact : artifacts) print_row(artifact);
}

std::uint64_t count_of(const std::vector<StoredArtifact>& artifacts, ArtifactState state) {
  return static_cast<std::uint64_t>(std::ranges::count(artifacts, state, &StoredArtifact::state));
}

void print_sum(const std::string& directory, const std::vector<StoredArtifact>& artifacts) {
  std::uint64_t bytes = 0;
  for (const StoredArtifact& artifact : artifacts) bytes += artifact.stored_bytes;
  fmt::print("{}: {} good, {} foreign, {} rejected, {} bytes\n", directory, count_of(artifacts, ArtifactState::kGood),
             count_of(artifacts, ArtifactState::kForeign), count_of(artifacts, ArtifactState::kRejected), bytes);
}

Result<Contents> list(const std::string& directory, bool is_full, std::string_view doing) {
  Contents contents;
  Result<CapabilityList> capabilities = list_capabilities(directory, is_full);
  if (!capabilities) return std::unexpected(capabilities.error());
  contents.capabilities = *std::move(capabilities);
  Progress progress(doing);
  Result<std::vector<StoredArtifact>> artifacts = list_artifacts(
      directory, {.is_full = is_full,
                  .progress = [&progress](std::uint64_t done, std::uint64_t count) { progress.show(done, count); }});
  if (artifacts) {
    contents.artifacts = *std::move(artifacts);
  } else if (artifacts.error().code == ErrorCode::kNotFound && contents.capabilities.is_there) {
    contents.has_artifacts = false;
  } else {
    return std::unexpected(artifacts.error());
  }
  return contents;
}

int run_ls(const VerbText& text, const std::string& directory, const StoreOptions& options) {
  const Result<Contents> contents = list(directory, false, "reading");
  if (!contents) return report_error(text.name, contents.error().to_string());
  if (options.as_json) {
    print_json(directory, *contents, false);
    return 0;
  }
  if (contents->has_artifacts) {
    print_rows(contents->artifacts);
    print_sum(directory, contents->artifacts);
  }
  if (contents->capabilities.is_there) {
    print_capability_rows(contents->capabilities);
    print_capability_sum(directory, contents->capabilities);
  }
  return 0;
}

int run_verify(const VerbText& text, const std::string& directory, const StoreOptions& options) {
  const Result<Contents> contents = list(directory, true, "verifying");
  if (!contents) return report_error(text.name, contents.error().to_string());
  const std::vector<StoredArtifact>& artifacts = contents->artifacts;
  if (options.as_json) {
    print_json(directory, *contents, true);
  } else {
    for (const StoredArtifact& artifact : artifacts) {
      if (artifact.state != ArtifactState::kGood)
        fmt::print("{}  {}  {}\n", hex(artifact.key.bytes), to_string(artifact.state), artifact.reason);
    }
    if (contents->has_artifacts) print_sum(directory, artifacts);
    if (contents->capabilities.is_there) {
      print_damaged_capabilities(contents->capabilities);
      print_capability_sum(directory, contents->capabilities);
    }
  }
  const bool is_good = count_of(artifacts, ArtifactState::kRejected) == 0 && contents->capabilities.damaged == 0;
  return is_good ? 0 : kBadArtifactsStatus;
}

// Nothing where there is no store of them.
Result<std::optional<std::uint64_t>> collect_capabilities(const std::string& directory) {
  const auto store = find_capabilities(directory);
  if (!store) return std::unexpected(store.error());
  if (!*store) return std::nullopt;
  const Result<std::uint64_t> dropped = (*store)->gc();
  if (!dropped) return std::unexpected(dropped.error());
  return *dropped;
}

int run_gc(const VerbText& text, const std::string& directory, const StoreOptions& options) {
  const Result<std::optional<std::uint64_t>> dropped = collect_capabilities(directory);
  if (!dropped) return report_error(text.name, dropped.error().to_string());
  Result<ArtifactGarbage> garbage;
  {
    Progress progress("verifying");
    garbage = collect_artifact_garbage(
        directory, {.progress = [&progress](std::uint64_t done, std::uint64_t count) { progress.show(done, count); }},
        {.byte_budget = options.byte_budget});
  }
  const bool has_artifacts = garbage || garbage.error().code != ErrorCode::kNotFound || !*dropped;
  if (!garbage && has_artifacts) return report_error(text.name, garbage.error().to_string());
  if (!has_artifacts) garbage.emplace();
  if (options.as_json) {
    print_json({{"store", directory},
                {"rejected", garbage->rejected},
                {"foreign", garbage->foreign},
                {"evicted", garbage->evicted},
                {"bytes_freed", garbage->bytes_freed},
                {"bytes_kept", garbage->bytes_kept},
                {"capabilities_dropped", dropped->value_or(0)}});
    return 0;
  }
  if (has_artifacts) {
    fmt::print("{}: removed {} rejected, {} foreign, {} beyond the budget; {} bytes freed, {} kept\n", directory,
               garbage->rejected, garbage->foreign, garbage->evicted, garbage->bytes_freed, garbage->bytes_kept);
  }
  if (*dropped) {
    fmt::print("{}: dropped {} capabilities that nothing refers to\n", capability_directory(directory), **dropped);
  }
  return 0;
}

constexpr Task kTasks[] = {
    {{.name = "store ls",
      .summary = "Lists the artifacts of a store: key, state, tier, guest kind, bytes stored and unpacked, age, label; "
                 "and its "
                 "capabilities: hash, kind, bytes, references.",
      .usage = "[OPTIONS]",
      .example = "caisson store ls --store /var/cache/plugins --json"},
     false,
     run_ls},
    {{.name = "store verify",
      .summary = "Checks every artifact of a store as loading it would, and every capability's hash and references. "
                 "Exit status 1 if one "
                 "is rejected or damaged.",
      .usage = "[OPTIONS]",
      .example = "caisson store verify"},
     false,
     run_verify},
    {{.name = "store gc",
      .summary =
          "Removes the artifacts that this engine rejects or cannot read, and the least recently used beyond the "
          "budget; and the capabilities that nothing refers to.",
      .usage = "[OPTIONS]",
      .example = "caisson store gc --budget 100000000"},
     true,
     run_gc},
};

int run_task(const Task& task, const Arguments& arguments) {
  CommandLine command_line(task.text, CommandLine::Operands::kMixed);
  StoreOptions options;
  add_store_option(command_line, options.directory);
  command_line.app().add_flag("--json", options.as_json, "print one JSON object");
  if (task.takes_budget) {
    command_line.app()
        .add_option("--budget", options.byte_budget, "bytes of stored artifacts to keep at most")
        ->type_name("BYTES")
        ->capture_default_str();
  }
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (!command_line.operands().empty())
    return command_line.report_misuse(fmt::format("nothing stands behind {}", task.text.name));
  if (const auto resolved = resolve_store_directory(options.directory); !resolved)
    return report_error(task.text.name, resolved.error().to_string());
  return task.run(task.text, options.directory, options);
}

}  // namespace

int store_verb(const Arguments& arguments) {
  constexpr std::string_view kUsage = "caisson store ls|put|get|release|gc|verify";
  constexpr std::size_t kPrefix = std::string_view("store ").size();
  const std::string_view name = arguments.empty() ? std::string_view() : arguments.front();
  const Arguments rest(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  for (const Task& task : kTasks) {
    if (task.text.name.substr(kPrefix) == name) return run_task(task, rest);
  }
  for (const CapabilityTask& task : capability_tasks()) {
    if (task.text.name.substr(kPrefix) == name) return task.run(task.text, rest);
  }
  if (name == "--help" || name == "-h") {
    fmt::print("Looks after a directory of compiled code and of capabilities.\nUsage: {} [OPTIONS]\n\n", kUsage);
    for (const Task& task : kTasks) fmt::print("  {}\n      {}\n", task.text.name, task.text.summary);
    for (const CapabilityTask& task : capability_tasks())
      fmt::print("  {}\n      {}\n", task.text.name, task.text.summary);
    fmt::print("\nExample: {}\n", kTasks[0].text.example);
    return 0;
  }
  return report_error("store", fmt::format("what to do is missing: {}", kUsage));
}

}  // namespace caisson::cli
