// caisson invoke: one call of an exported function, and its InvocationResult.
#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "command_line.h"
#include "counted_runs.h"
#include "exit_status.h"
#include "guest_options.h"
#include "invoke_capability.h"
#include "run_stats.h"
#include "store_capabilities.h"
#include "verb.h"

namespace caisson::cli {
namespace {

constexpr VerbText kText = {
    .name = "invoke",
    .summary =
        "Calls an exported function of a program with up to six integers and prints the InvocationResult.\n"
        "A program with an entry point first runs until it calls caisson_ready().\n"
        "IMAGE may also be the hash of an image or a sealed instance in the store (caisson image build); FUNCTION is "
        "one of its\n"
        "endpoints then, by name or number.",
    .usage = "[OPTIONS] IMAGE FUNCTION [INTEGER…]",
    .example = "caisson invoke --gas=100000 plugin.elf add 3 4",
};

// What an invocation gets if --gas does not say otherwise: some minutes of interpretation.
constexpr std::uint64_t kDefaultGas = 100'000'000'000;
constexpr std::size_t kMostArguments = 6;

// A decimal number of 64 bits, signed or unsigned, or a hexadecimal one.
Result<std::uint64_t> parse_argument(const std::string& text) {
  if (text.starts_with('-')) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return static_cast<std::uint64_t>(value);
  } else if (text != "unlimited") {
    if (const Result<std::uint64_t> value = parse_gas(text)) return *value;
  }
  return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a 64-bit integer", text));
}

Result<std::vector<std::uint64_t>> parse_arguments(const std::vector<std::string>& operands) {
  if (operands.size() < 2) return fail(ErrorCode::kInvalidArgument, "IMAGE and FUNCTION are needed");
  std::vector<std::uint64_t> arguments;
  for (std::size_t index = 2; index < operands.size(); ++index) {
    const Result<std::uint64_t> argument = parse_argument(operands[index]);
    if (!argument) return std::unexpected(argument.error());
    arguments.push_back(*argument);
  }
  if (arguments.size() > kMostArguments) return fail(ErrorCode::kInvalidArgument, "more than six arguments");
  return arguments;
}

}  // namespace

void print_result(const InvocationResult& result, std::uint64_t gas_used) {
  fmt::print("exit_reason    {} ({})\n", static_cast<std::uint32_t>(result.exit_reason), to_string(result.exit_reason));
  fmt::print("exit_arg       {:#x}\n", result.exit_arg);
  fmt::print("return_value   {}\n", static_cast<std::int64_t>(result.return_value));
  fmt::print("gas_used       {}\n", gas_used);
  fmt::print("gas_remaining  {}\n", result.gas_remaining);
}

namespace {

// The personality of a program that has an entry point: no files, and the host's standard descriptors.
Result<std::shared_ptr<runtime::Personality>> make_personality(const Module& module) {
  if (!module.has_start()) return nullptr;
  return make_linux_personality({.arguments = {module.name()}, .program = "/program"});
}

RunStatus invoke(const std::string& image, const std::string& function, const std::vector<std::uint64_t>& arguments,
                 GuestOptions options) {
  const RunClock clock;
  if (const Result<void> listed = list_compiled_code(options.listing); !listed)
    return std::unexpected(report_error(kText.name, listed.error().to_string()));
  Result<Engine> engine = Engine::create(engine_options(options));
  if (!engine) return std::unexpected(report_error(kText.name, engine.error().to_string()));
  const Result<Module> module = engine->load_file(image);
  if (!module) return std::unexpected(report_program_error(kText.name, module.error()));
  const Result<std::shared_ptr<runtime::Personality>> personality = make_personality(*module);
  if (!personality) return std::unexpected(report_error(kText.name, personality.error().to_string()));
  options.instance.personality = *personality;
  // --gas is what the call may cost; the memory of the instance is there before it.
  const std::uint64_t gas = std::exchange(options.instance.gas, kUnlimitedGas);

  Result<Instance> instance = engine->instantiate(*module, options.instance);
  if (!instance) return std::unexpected(report_error(kText.name, instance.error().to_string()));
  if (options.timeout) instance->set_deadline(Instance::Clock::now() + *options.timeout);
  const Result<InvocationResult> result = instance->invoke(function, arguments, gas);
  if (!result) return std::unexpected(report_error(kText.name, result.error().to_string()));

  const std::uint64_t gas_used = gas - result->gas_remaining;
  print_result(*result, gas_used);
  const int status = report_run_end({*result, instance->program_counter(), gas_used, instance->host_error()});
  print_stats(options.stats, *instance, personality->get(), *result, clock);
  return status;
}

}  // namespace

int invoke_verb(const Arguments& words) {
  CommandLine command_line(kText, CommandLine::Operands::kCommand);
  GuestOptions options;
  options.instance.gas = kDefaultGas;
  add_guest_options(command_line.app(), options);
  add_perf_options(command_line.app(), options.perf, words);
  CapabilityCall call;
  command_line.app().add_flag("--successor", call.seals,
                              "of an image or instance in the store: seal what the call leaves, and print its hash");
  add_store_option(command_line, call.store);
  if (const std::optional<int> status = command_line.parse(words)) return *status;
  if (const Result<void> checked = check_perf_options(options.perf); !checked)
    return command_line.report_misuse(checked.error().message);
  const std::vector<std::string>& operands = command_line.operands();
  const Result<std::vector<std::uint64_t>> arguments = parse_arguments(operands);
  if (!arguments) return command_line.report_misuse(arguments.error().message);
  const Result<Hash> hash = Hash::parse(operands[0]);
  if (hash) {
    call.capability = *hash;
    call.endpoint = operands[1];
    call.arguments = *arguments;
  } else if (call.seals) {
    return command_line.report_misuse("--successor is for an image or instance in the store");
  }
  const auto invoke_once = [&] {
    return hash ? invoke_capability(call, options) : invoke(operands[0], operands[1], *arguments, options);
  };
  if (options.perf.counting) return run_counted(kText.name, options.perf, invoke_once);
  const RunStatus ended = invoke_once();
  return ended ? *ended : ended.error();
}

}  // namespace caisson::cli
