// caisson image inspect: what a program file holds.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "command_line.h"
#include "exit_status.h"
#include "gas/gas_schedule.h"
#include "guest_options.h"
#include "guest_program.h"
#include "image_blocks.h"
#include "image_build.h"
#include "image_hot.h"
#include "runtime/guest_instance.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "image inspect",
    .summary =
        "Shows a program's kind, entry, segments, imported and exported functions, and the gas of a function's "
        "blocks.\n"
        "With --hot: runs it, and shows the functions that use most of its gas, and which have optimised code.",
    .usage = "[OPTIONS] FILE\n       caisson image inspect --hot [OPTIONS] PROGRAM [ARGUMENT…]",
    .example = "caisson image inspect --blocks main ./hello",
};

constexpr std::size_t kShownExports = 40;  // as text; the JSON has all of them
constexpr std::size_t kShownFunctions = 30;  // the same of hot ones

// In the order of image::ElfKind.
constexpr std::string_view kKindNames[] = {"static", "static-pie", "dynamic", "dynamic-pie", "shared-object"};

struct InspectOptions {
  std::string function;  // whose blocks to show
  bool as_json = false;
  bool is_hot = false;
  LinuxOptions personality;  // of --hot
  std::string artifacts;  // the same
};

std::string permissions_of(const image::Segment& segment) {
  return fmt::format("{}{}{}", segment.readable ? 'r' : '-', segment.writable ? 'w' : '-',
                     segment.executable ? 'x' : '-');
}

std::string hash_text(const Module& module) {
  std::string text;
  for (const std::uint8_t byte : module.content_hash()) text += fmt::format("{:02x}", byte);
  return text;
}

std::string_view kind_name(const image::ElfImage& elf) { return kKindNames[static_cast<std::size_t>(elf.kind)]; }

void print_text(const Module& module, const image::ElfImage& elf) {
  fmt::print("kind         {}\n", kind_name(elf));
  fmt::print("entry        {:#x}\n", elf.entry);
  if (!elf.interpreter.empty()) fmt::print("interpreter  {}\n", elf.interpreter);
  fmt::print("sha256       {}\n", hash_text(module));
  fmt::print("segments\n");
  for (const image::Segment& segment : elf.segments) {
    fmt::print("  {:#012x}  {:>10} bytes in memory  {:>10} in the file  {}\n", segment.address, segment.memory_size,
               segment.file_size, permissions_of(segment));
  }
  fmt::print("imports      {}\n", module.imports().size());
  for (const ImportedFunction& import : module.imports()) {
    fmt::print("  {:#06x}  {}  {}\n", import.number, import.name, import.signature);
  }
  const auto exports = module.exports();
  fmt::print("exports      {}{}\n", exports.size(), exports.size() > kShownExports ? " (--json lists them all)" : "");
  for (const ExportedFunction& function : exports.first(std::min(exports.size(), kShownExports))) {
    fmt::print("  {:#012x}  {:>6} bytes  {}\n", function.address, function.size, function.name);
  }
}

void print_text(const std::vector<Block>& blocks) {
  for (const Block& block : blocks) {
    fmt::print("block {:#x}  gas {}\n", block.address, block.gas);
    for (const Instruction& instruction : block.instructions) {
      fmt::print("  {:#x}  {:>3}  {}\n", instruction.address, instruction.gas, instruction.text);
    }
  }
}

nlohmann::ordered_json to_json(const Module& module, const image::ElfImage& elf) {
  nlohmann::ordered_json json = {
      {"kind", kind_name(elf)},
      {"entry", elf.entry},
      {"interpreter", elf.interpreter},
      {"sha256", hash_text(module)},
      {"segments", nlohmann::ordered_json::array()},
      {"imports", nlohmann::ordered_json::array()},
      {"exports", nlohmann::ordered_json::array()},
  };
  for (const image::Segment& segment : elf.segments) {
    json["segments"].push_back({{"address", segment.address},
                                {"memory_size", segment.memory_size},
                                {"file_size", segment.file_size},
                                {"permissions", permissions_of(segment)}});
  }
  for (const ImportedFunction& import : module.imports()) {
    json["imports"].push_back({{"number", import.number}, {"name", import.name}, {"signature", import.signature}});
  }
  for (const ExportedFunction& function : module.exports()) {
    json["exports"].push_back({{"name", function.name}, {"address", function.address}, {"size", function.size}});
  }
  return json;
}

nlohmann::ordered_json to_json(const std::vector<Block>& blocks) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Block& block : blocks) {
    nlohmann::ordered_json instructions = nlohmann::ordered_json::array();
    for (const Instruction& instruction : block.instructions) {
      instructions.push_back({{"address", instruction.address}, {"gas", instruction.gas}, {"text", instruction.text}});
    }
    json.push_back({{"address", block.address}, {"gas", block.gas}, {"instructions", std::move(instructions)}});
  }
  return json;
}

int inspect(const std::string& path, const InspectOptions& options) {
  const Result<Engine> engine = Engine::create({.idle_windows = 0});
  if (!engine) return report_error(kText.name, engine.error().to_string());
  const Result<Module> module = engine->load_file(path);
  if (!module) return report_program_error(kText.name, module.error());
  const image::ElfImage& elf = module->state()->elf;

  std::optional<std::vector<Block>> blocks;
  if (!options.function.empty()) {
    Result<std::vector<Block>> found = blocks_of_function(elf, module->state()->bytes.span(), options.function);
    if (!found) return report_error(kText.name, found.error().to_string());
    blocks = *std::move(found);
  }
  if (options.as_json) {
    nlohmann::ordered_json json = to_json(*module, elf);
    if (blocks) {
      json["gas_schedule"] = gas::kScheduleName;
      json["blocks"] = to_json(*blocks);
    }
    // A symbol's name may be any bytes.
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (blocks) {
    print_text(*blocks);
  } else {
    print_text(*module, elf);
  }
  return 0;
}

// A percentage of the gas, by samples.
double share_of(const HotFunction& function, const HotReport& report) {
  return 100.0 * static_cast<double>(function.samples) /
         static_cast<double>(std::max<std::uint64_t>(1, report.samples));
}

void print_text(const HotReport& report) {
  fmt::print(stderr, "{} gas, {} samples\n", report.gas_used, report.samples);
  fmt::print(stderr, "{:>6}  {:<10}  {:>5}  {:>10}  {}\n", "gas %", "address", "units", "code bytes", "function");
  for (const HotFunction& function :
       std::span(report.functions).first(std::min(report.functions.size(), kShownFunctions))) {
    fmt::print(stderr, "{:>6.1f}  {:#010x}  {:>5}  {:>10}  {}\n", share_of(function, report), function.address,
               function.units, function.code_bytes, function.name);
  }
}

nlohmann::ordered_json to_json(const HotReport& report) {
  nlohmann::ordered_json json = {{"gas_used", report.gas_used},
                                 {"exit_reason", static_cast<int>(report.result.exit_reason)},
                                 {"exit_status", report.result.return_value},
                                 {"samples", report.samples},
                                 {"functions", nlohmann::ordered_json::array()}};
  for (const HotFunction& function : report.functions) {
    json["functions"].push_back({{"name", function.name},
                                 {"address", function.address},
                                 {"gas_percent", share_of(function, report)},
                                 {"samples", function.samples},
                                 {"units", function.units},
                                 {"code_bytes", function.code_bytes}});
  }
  return json;
}

// What the program prints is on standard output, so the report is on standard error.
int inspect_hot(const std::vector<std::string>& command, InspectOptions options) {
  options.personality.arguments = command;
  const Result<HotReport> report =
      find_hot_functions(command.front(), std::move(options.personality), artifact_directory(options.artifacts));
  if (!report) return report_program_error(kText.name, report.error());
  if (options.as_json) {
    fmt::print(stderr, "{}\n", to_json(*report).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    print_text(*report);
  }
  return 0;
}

int inspect_verb(const Arguments& arguments) {
  const bool is_hot = std::ranges::find(arguments, "--hot") != arguments.end();
  CommandLine command_line(kText, is_hot ? CommandLine::Operands::kCommand : CommandLine::Operands::kMixed);
  InspectOptions options;
  command_line.app().add_option("--blocks", options.function, "list this function's blocks")->type_name("FUNCTION");
  command_line.app().add_flag("--json", options.as_json, "print one JSON object");
  command_line.app().add_flag("--hot", options.is_hot, "run PROGRAM; show where its gas goes, on standard error");
  add_artifacts_option(command_line.app(), options.artifacts);
  add_program_options(command_line.app(), options.personality);
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (options.is_hot && command_line.operands().empty()) return command_line.report_misuse("PROGRAM is missing");
  if (options.is_hot) return inspect_hot(command_line.operands(), std::move(options));
  if (command_line.operands().size() != 1) return command_line.report_misuse("one FILE is needed");
  return inspect(command_line.operands().front(), options);
}

}  // namespace

int image_verb(const Arguments& arguments) {
  const Arguments rest(arguments.empty() ? arguments.end() : arguments.begin() + 1, arguments.end());
  if (!arguments.empty() && arguments.front() == "inspect") return inspect_verb(rest);
  if (!arguments.empty() && arguments.front() == "build") return image_build_verb(rest);
  if (!arguments.empty() && (arguments.front() == "--help" || arguments.front() == "-h")) {
    fmt::print(
        "Usage: caisson image inspect [OPTIONS] FILE\n       caisson image build [OPTIONS] FILE\nExample: {}\n"
        "caisson image inspect --help and caisson image build --help tell the options.\n",
        kText.example);
    return 0;
  }
  return report_error("image", "what to do is missing: caisson image inspect FILE, or caisson image build FILE");
}

}  // namespace caisson::cli
