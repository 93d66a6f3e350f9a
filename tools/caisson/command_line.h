// Parsing shared by the verbs: a CLI11 application whose errors become one line and exit status 125.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <span>
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

// What a word of an option means.
template <class T>
using Choice = std::pair<std::string_view, T>;

// Words that the command line knows, whose engines this build does not have.
inline constexpr std::string_view kNotInThisBuild[] = {"process", "kvm"};

// For convert_into(): the choice that the text names.
template <class T>
auto one_of(std::span<const Choice<T>> choices) {
  return [choices](const std::string& text) -> Result<T> {
    std::string words;
    for (const Choice<T>& choice : choices) {
      if (choice.first == text) return choice.second;
      words += words.empty() ? "" : ", ";
      words += choice.first;
    }
    for (const std::string_view word : kNotInThisBuild) {
      if (word == text)
        return fail(ErrorCode::kUnsupported, fmt::format("{} is not in this build, which has {}", text, words));
    }
    return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not one of {}", text, words));
  };
}

}  // namespace caisson::cli
