#include "image_build.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/kernel.h"
#include "caisson/linux.h"
#include "caisson/program_bytes.h"
#include "command_line.h"
#include "exit_status.h"
#include "guest_options.h"
#include "store_capabilities.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "image build",
    .summary =
        "Makes an image of a program's exported functions and puts it, and a first instance of it, into the store.\n"
        "Prints their hashes, which caisson invoke takes.\n"
        "A program with an entry point first runs until it calls caisson_ready(): the image is its memory then. Its "
        "system\n"
        "calls are answered until that moment and no longer.",
    .usage = "[OPTIONS] FILE",
    .example = "caisson image build --endpoint 0=add plugin.elf",
};

struct BuildOptions {
  ImageOptions image;
  std::string store;
  bool as_json = false;
};

Result<ImageOptions::NamedEndpoint> parse_endpoint(const std::string& text) {
  ImageOptions::NamedEndpoint endpoint;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, endpoint.number);
  if (error != std::errc() || rest == end || *rest != '=' || rest + 1 == end)
    return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not NUMBER=FUNCTION", text));
  endpoint.function = std::string(rest + 1, end);
  return endpoint;
}

int build(const std::string& file, BuildOptions options) {
  const Result<ProgramBytes> program = ProgramBytes::from_file(file);
  if (!program) return report_program_error(kText.name, program.error());
  const auto personality =
      make_linux_personality({.arguments = {file}, .program = "/program", .standard_input = -1, .standard_output = 2});
  if (!personality) return report_error(kText.name, personality.error().to_string());
  options.image.personality = *personality;
  const Result<BuiltImage> built = build_image(program->span(), options.image);
  if (!built && built.error().code == ErrorCode::kGuestEnded) {
    constexpr std::string_view kWhole =
        "a program that is to run as a whole goes into the store by caisson run --seal-at=0";
    return report_error(kText.name, fmt::format("{}; {}", built.error().to_string(), kWhole));
  }
  if (!built) return report_error(kText.name, built.error().to_string());
  if (const Result<void> resolved = resolve_store_directory(options.store); !resolved)
    return report_error(kText.name, resolved.error().to_string());
  const auto store = CapabilityStore::open(capability_directory(options.store));
  if (!store) return report_error(kText.name, store.error().to_string());
  const Result<Hash> image = put_image(**store, *built);
  if (!image) return report_error(kText.name, image.error().to_string());
  const Result<Engine> engine = Engine::create();
  if (!engine) return report_error(kText.name, engine.error().to_string());
  const Result<Kernel> kernel = Kernel::create(*engine, *store, {.tier = Tier::kInterp});
  if (!kernel) return report_error(kText.name, kernel.error().to_string());
  Result<KernelInstance> derived = kernel->derive(*image);
  if (!derived) return report_error(kText.name, derived.error().to_string());
  const Result<Hash> instance = derived->seal();
  if (!instance) return report_error(kText.name, instance.error().to_string());

  if (options.as_json) {
    nlohmann::ordered_json json = {{"image", image->to_string()},
                                   {"instance", instance->to_string()},
                                   {"endpoints", nlohmann::ordered_json::array()}};
    for (const Endpoint& endpoint : built->image.endpoints)
      json["endpoints"].push_back({{"number", endpoint.number}, {"name", endpoint.name}, {"pc", endpoint.pc}});
    fmt::print("{}\n", json.dump());
    return 0;
  }
  fmt::print("image     {}\ninstance  {}\nendpoints {}\n", image->to_string(), instance->to_string(),
             built->image.endpoints.size());
  for (const Endpoint& endpoint : built->image.endpoints)
    fmt::print("  {:>4}  {:#010x}  {}\n", endpoint.number, endpoint.pc, endpoint.name);
  return 0;
}

}  // namespace

int image_build_verb(const Arguments& arguments) {
  CommandLine command_line(kText, CommandLine::Operands::kMixed);
  BuildOptions options;
  CLI::App& app = command_line.app();
  std::vector<std::string> endpoints;
  app.add_option("--endpoint", endpoints, "an endpoint's number and function; default: every exported function, from 0")
      ->type_name("NUMBER=FUNCTION")
      ->allow_extra_args(false);
  std::string stack, memory;
  app.add_option("--stack", stack, "bytes of each call's stack, with K, M or G; default: 64K")
      ->each(convert_into(options.image.stack_size, parse_size))
      ->type_name("SIZE");
  app.add_option("--memory", memory, "bytes that an instance may have; default and most: 4G")
      ->each(convert_into(options.image.memory_limit, parse_size))
      ->type_name("SIZE");
  app.add_option("--start-gas", options.image.start_gas,
                 "of a program with an entry point, until it is ready; default: 100000000000")
      ->type_name("N");
  add_store_option(command_line, options.store);
  app.add_flag("--json", options.as_json, "print one JSON object");
  if (const std::optional<int> status = command_line.parse(arguments)) return *status;
  if (command_line.operands().size() != 1) return command_line.report_misuse("one FILE is needed");
  for (const std::string& text : endpoints) {
    const Result<ImageOptions::NamedEndpoint> endpoint = parse_endpoint(text);
    if (!endpoint) return command_line.report_misuse(endpoint.error().message);
    options.image.endpoints.push_back(*endpoint);
  }
  return build(command_line.operands().front(), std::move(options));
}

}  // namespace caisson::cli
