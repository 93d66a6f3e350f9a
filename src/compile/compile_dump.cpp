#include "compile/compile_dump.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace caisson::compile {

std::string file_name(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string name(text.substr(0, kLongest));
  for (char& letter : name) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte >= 0x80 || (std::isalnum(byte) == 0 && letter != '-' && letter != '_' && letter != '.')) letter = '_';
  }
  if (name.empty() || name.front() == '.') name.insert(name.begin(), '_');
  return name;
}

Result<void> write_dump(const std::string& directory, const CompileInput& input, const CompileDump& dump) {
  constexpr std::size_t kKeyBytes = 8;
  std::string key;
  for (std::size_t index = 0; index < kKeyBytes; ++index) key += fmt::format("{:02x}", input.key.bytes[index]);
  const char* const tier = input.tier == CodeTier::kBaseline ? "baseline" : "optimized";
  const std::filesystem::path folder =
      std::filesystem::path(directory) / fmt::format("{}-{}-{}", file_name(input.label), key, tier);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::kIo, "cannot make the folder: " + error.message(), folder.string());
  for (const auto& [name, text] : dump.texts()) {
    const std::filesystem::path path = folder / file_name(name);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    if (!file.flush()) return fail(ErrorCode::kIo, "cannot write the text", path.string());
  }
  return {};
}

}  // namespace caisson::compile
