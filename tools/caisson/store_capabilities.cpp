#include "store_capabilities.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "caisson/artifact_store.h"
#include "exit_status.h"

namespace caisson::cli {
namespace {

// A Data of 4 GiB, encoded.
constexpr std::uint64_t kMostFileBytes = (std::uint64_t{kMostDataPages} * (kCapabilityPageSize + 4)) + 1024;
constexpr std::size_t kChunkBytes = 1U << 20U;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::unexpected<Error> fail_of_file(const std::string& path, const char* doing) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", doing, std::generic_category().message(errno)), path);
}

Result<std::vector<std::uint8_t>> read_file(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rbe"));
  if (!file) return fail_of_file(path, "cannot open");
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint8_t> chunk(kChunkBytes);
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
    if (bytes.size() > kMostFileBytes) return fail(ErrorCode::kLimit, "is larger than a capability can be", path);
  }
  if (std::ferror(file.get()) != 0) return fail_of_file(path, "cannot read");
  return bytes;
}

Result<void> write_bytes(std::FILE* file, std::span<const std::uint8_t> bytes, const std::string& path) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fflush(file) != 0)
    return fail_of_file(path, "cannot write");
  return {};
}

// To a file, or to standard output where `path` is empty.
Result<void> write_output(std::span<const std::uint8_t> bytes, const std::string& path) {
  if (path.empty()) {
    if (isatty(STDOUT_FILENO) == 1)
      return fail(ErrorCode::kInvalidArgument, "bytes are not for a terminal: name a file by -o, or use a pipe");
    return write_bytes(stdout, bytes, "standard output");
  }
  const File file(std::fopen(path.c_str(), "wbe"));
  if (!file) return fail_of_file(path, "cannot make");
  return write_bytes(file.get(), bytes, path);
}

Result<Capability> read_capability(const std::string& path, bool is_encoded) {
  const Result<std::vector<std::uint8_t>> bytes = read_file(path);
  if (!bytes) return std::unexpected(bytes.error());
  if (is_encoded) {
    Result<Capability> capability = decode_capability(*bytes);
    if (!capability) return fail(capability.error().code, capability.error().to_string(), path);
    return capability;
  }
  Result<Data> data = Data::copy_of(*bytes);
  if (!data) return fail(data.error().code, data.error().message, path);
  return *std::move(data);
}

void print_json(const nlohmann::ordered_json& json) { fmt::print("{}\n", json.dump(2)); }

Result<std::shared_ptr<CapabilityStore>> need_capabilities(const std::string& store) {
  Result<std::shared_ptr<CapabilityStore>> found = find_capabilities(store);
  if (found && !*found)
    return fail(ErrorCode::kNotFound, "holds no store of capabilities", capability_directory(store));
  return found;
}

int run_put(const VerbText& text, const Arguments& arguments) {
  CommandLine command_line(text, CommandLine::Operands::kMixed);
  std::string directory;
  bool is_encoded = false;
  bool as_json = false;
  add_store_option(command_line, directory);
  command_line.app().add_flag("--encoded", is_encoded, "the file is the encoding of a capability, not a Data's bytes");
  command_line.app().add_flag("--json", as_json, "print one JSON object");
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (command_line.operands().size() != 1) return command_line.report_misuse("name one file");
  if (const auto resolved = resolve_store_directory(directory); !resolved)
    return report_error(text.name, resolved.error().to_string());
  const Result<Capability> capability = read_capability(command_line.operands()[0], is_encoded);
  if (!capability) return report_error(text.name, capability.error().to_string());
  const auto store = CapabilityStore::open(capability_directory(directory));
  if (!store) return report_error(text.name, store.error().to_string());
  const Result<Hash> hash = (*store)->put(*capability);
  if (!hash) return report_error(text.name, hash.error().to_string());
  if (as_json) {
    print_json({{"store", directory}, {"hash", hash->to_string()}, {"kind", to_string(kind_of(*capability))}});
  } else {
    fmt::print("{}\n", hash->to_string());
  }
  return 0;
}

Result<void> get_to(const std::string& directory, const std::string& name, bool is_raw, const std::string& output) {
  const Result<Hash> hash = Hash::parse(name);
  if (!hash) return std::unexpected(hash.error());
  const auto store = need_capabilities(directory);
  if (!store) return std::unexpected(store.error());
  const auto capability = (*store)->get(*hash);
  if (!capability) return std::unexpected(capability.error());
  if (!*capability) return fail(ErrorCode::kNotFound, "is not in the store", name);
  if (!is_raw) return write_output(encode(**capability), output);
  const Data* const data = std::get_if<Data>(capability->get());
  if (data == nullptr) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("is no data but of kind {}; without --raw it is given encoded", to_string(kind_of(**capability))),
        name);
  }
  std::vector<std::uint8_t> bytes(data->size());
  data->read(0, bytes);
  return write_output(bytes, output);
}

int run_get(const VerbText& text, const Arguments& arguments) {
  CommandLine command_line(text, CommandLine::Operands::kMixed);
  std::string directory;
  std::string output;
  bool is_raw = false;
  add_store_option(command_line, directory);
  command_line.app().add_option("-o,--output", output, "the file to write; else standard output")->type_name("FILE");
  command_line.app().add_flag("--raw", is_raw, "the bytes of a Data, whole pages, instead of its encoding");
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (command_line.operands().size() != 1) return command_line.report_misuse("name one hash");
  if (const auto resolved = resolve_store_directory(directory); !resolved)
    return report_error(text.name, resolved.error().to_string());
  const Result<void> done = get_to(directory, command_line.operands()[0], is_raw, output);
  return done ? 0 : report_error(text.name, done.error().to_string());
}

Result<void> release_one(const std::string& directory, const std::string& name) {
  const Result<Hash> hash = Hash::parse(name);
  if (!hash) return std::unexpected(hash.error());
  const auto store = need_capabilities(directory);
  if (!store) return std::unexpected(store.error());
  return (*store)->release(*hash);
}

int run_release(const VerbText& text, const Arguments& arguments) {
  CommandLine command_line(text, CommandLine::Operands::kMixed);
  std::string directory;
  add_store_option(command_line, directory);
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (command_line.operands().size() != 1) return command_line.report_misuse("name one hash");
  if (const auto resolved = resolve_store_directory(directory); !resolved)
    return report_error(text.name, resolved.error().to_string());
  const Result<void> done = release_one(directory, command_line.operands()[0]);
  return done ? 0 : report_error(text.name, done.error().to_string());
}

constexpr CapabilityTask kTasks[] = {
    {{.name = "store put",
      .summary = "Keeps a file as a capability and prints its hash: the bytes as a Data, filled up with zeros to whole "
                 "pages of 4096 "
                 "bytes, or what an encoding holds. Each put counts one reference; release gives it back.",
      .usage = "[OPTIONS] FILE",
      .example = "caisson store put --encoded counter.image"},
     run_put},
    {{.name = "store get",
      .summary = "Writes the capability of a hash, encoded.",
      .usage = "[OPTIONS] HASH",
      .example = "caisson store get --raw -o words.txt "
                 "c3f5f13726a49a03436a3dee68b9db480ba01a906616fcea830dd57440093aad"},
     run_get},
    {{.name = "store release",
      .summary = "Gives back one reference of store put. What nothing refers to any more is dropped by gc, or where "
                 "room is needed.",
      .usage = "[OPTIONS] HASH",
      .example = "caisson store release c3f5f13726a49a03436a3dee68b9db480ba01a906616fcea830dd57440093aad"},
     run_release},
};

}  // namespace

void add_store_option(CommandLine& command_line, std::string& directory) {
  command_line.app()
      .add_option("--store", directory, "the directory; else $CAISSON_STORE, $XDG_CACHE_HOME/caisson, ~/.cache/caisson")
      ->type_name("DIR");
}

Result<void> resolve_store_directory(std::string& directory) {
  if (!directory.empty()) return {};
  Result<std::string> found = default_artifact_directory();
  if (!found) return std::unexpected(found.error());
  directory = *std::move(found);
  return {};
}

std::string capability_directory(const std::string& store) { return store + "/capabilities"; }

Result<std::shared_ptr<CapabilityStore>> find_capabilities(const std::string& store) {
  Result<std::shared_ptr<CapabilityStore>> found =
      CapabilityStore::open(capability_directory(store), {.create = false});
  if (!found && found.error().code == ErrorCode::kNotFound) return nullptr;
  return found;
}

Result<CapabilityList> list_capabilities(const std::string& store, bool is_full) {
  CapabilityList list;
  const Result<std::shared_ptr<CapabilityStore>> found = find_capabilities(store);
  if (!found) return std::unexpected(found.error());
  if (!*found) return list;
  list.is_there = true;
  const Result<std::vector<StoredCapability>> all = (*found)->list();
  if (!all) return std::unexpected(all.error());
  for (const StoredCapability& stored : *all) list.all.push_back({stored, {}});
  if (!is_full) return list;
  const auto tell = [&list](const StoredCapability& damaged, const std::string& reason) {
    for (InspectedCapability& inspected : list.all) {
      if (inspected.stored.hash == damaged.hash) inspected.reason = reason;
    }
  };
  const Result<std::uint64_t> damaged = (*found)->verify(tell);
  if (!damaged) return std::unexpected(damaged.error());
  list.damaged = *damaged;
  return list;
}

nlohmann::ordered_json to_json(const CapabilityList& list, bool is_full) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const InspectedCapability& inspected : list.all) {
    nlohmann::ordered_json one = {{"hash", inspected.stored.hash.to_string()},
                                  {"kind", to_string(inspected.stored.kind)},
                                  {"bytes", inspected.stored.bytes},
                                  {"references", inspected.stored.references}};
    if (is_full) {
      one["state"] = inspected.reason.empty() ? "good" : "damaged";
      one["reason"] = inspected.reason;
    }
    json.push_back(std::move(one));
  }
  return json;
}

void print_capability_rows(const CapabilityList& list) {
  fmt::print("{:<66}{:<10}{:>14}{:>11}\n", "hash", "kind", "bytes", "references");
  for (const InspectedCapability& inspected : list.all) {
    const StoredCapability& stored = inspected.stored;
    fmt::print("{:<66}{:<10}{:>14}{:>11}\n", stored.hash.to_string(), to_string(stored.kind), stored.bytes,
               stored.references);
  }
}

void print_damaged_capabilities(const CapabilityList& list) {
  for (const InspectedCapability& inspected : list.all) {
    if (!inspected.reason.empty()) fmt::print("{}  damaged  {}\n", inspected.stored.hash.to_string(), inspected.reason);
  }
}

void print_capability_sum(const std::string& store, const CapabilityList& list) {
  std::uint64_t idle = 0;
  for (const InspectedCapability& inspected : list.all) idle += inspected.stored.references == 0 ? 1 : 0;
  fmt::print("{}: {} capabilities, {} of them referred to by nothing, {} damaged\n", capability_directory(store),
             list.all.size(), idle, list.damaged);
}

std::span<const CapabilityTask> capability_tasks() { return kTasks; }

}  // namespace caisson::cli
