#include "command_line.h"

#include <fmt/core.h>

#include <cstdio>
#include <memory>

#include "exit_status.h"

namespace caisson::cli {
namespace {

class VerbFormatter final : public CLI::Formatter {
 public:
  explicit VerbFormatter(const VerbText& text) : usage_(fmt::format("Usage: caisson {} {}\n", text.name, text.usage)) {
    column_width(36);
  }
  std::string make_usage(const CLI::App*, std::string) const override { return usage_; }

 private:
  std::string usage_;
};

}  // namespace

CommandLine::CommandLine(const VerbText& text, Operands rule)
    : verb_(text.name), rule_(rule), app_(std::string(text.summary)) {
  app_.formatter(std::make_shared<VerbFormatter>(text));
  app_.footer(fmt::format("Example: {}", text.example));
  app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app_.allow_extras();
  app_.prefix_command(rule == Operands::kCommand);
}

std::optional<int> CommandLine::parse(const Arguments& arguments) {
  // CLI11 takes them last first.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app_.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app_.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    return report_misuse(error.what());
  }
  return take_operands();
}

// CLI11 leaves unknown options, "--" and operands in one list, in their order.
std::optional<int> CommandLine::take_operands() {
  bool options_ended = false;
  for (std::string& word : app_.remaining()) {
    if (!options_ended && word == "--") {
      options_ended = true;
    } else if (!options_ended && word.size() > 1 && word.front() == '-') {
      return report_misuse(fmt::format("unknown option {}", word));
    } else {
      options_ended = options_ended || rule_ == Operands::kCommand;
      operands_.push_back(std::move(word));
    }
  }
  return std::nullopt;
}

int CommandLine::report_misuse(std::string_view message) const {
  return report_error(verb_, fmt::format("{}; see caisson {} --help", message, verb_));
}

}  // namespace caisson::cli
