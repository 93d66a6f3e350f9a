// Parsing shared by the verbs: a CLI11 application whose errors become one line and exit status 125.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/result.h"
#include "verb.h"

namespace caisson::cli {

// How a verb presents itself.
struct VerbText {
  std::string_view name;
  std::string_view summary;
  std::string_view usage;    // what stands behind the name
  std::string_view example;  // a whole command
};

// One verb's command line: options are added to app(), what else there was is in operands().
class CommandLine {
 public:
  enum class Operands {
    kMixed,    // options may stand behind operands
    kCommand,  // the first operand ends the options: what follows belongs to it, even where it begins with '-'
  };

  CommandLine(const VerbText& text, Operands rule);

  CLI::App& app() { return app_; }

  // nullopt: go on. Otherwise the status to exit with; help or an error message has been printed.
  std::optional<int> parse(const Arguments& arguments);

  // Prints a message that points to --help; returns the status.
  int report_misuse(std::string_view message) const;

  const std::vector<std::string>& operands() const { return operands_; }

 private:
  std::optional<int> take_operands();

  std::string verb_;
  Operands rule_;
  CLI::App app_;
  std::vector<std::string> operands_;
};

// For CLI::Option::each(): stores what `convert` (text → Result<T>) gives; its error becomes the option's.
template <class T, class Convert>
auto convert_into(T& target, Convert convert) {
  return [&target, convert](const std::string& text) {
    auto value = convert(text);
    if (!value) throw CLI::ValidationError(value.error().message);
    target = *std::move(value);
  };
}

}  // namespace caisson::cli
