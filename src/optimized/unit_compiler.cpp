#include "optimized/unit_compiler.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace caisson::optimized {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "libcaisson-optimized.so";

std::vector<fs::path> candidates() {
  if (const char* const given = std::getenv("CAISSON_OPTIMIZED_PLUGIN"); given != nullptr && *given != '\0')
    return {given};
  std::vector<fs::path> places;
  std::error_code error;
  if (const fs::path program = fs::read_symlink("/proc/self/exe", error); !error) {
    const fs::path folder = program.parent_path();
    places = {folder / kFileName, folder.parent_path() / "lib" / kFileName,
              folder.parent_path() / "lib/caisson" / kFileName};
  }
  // Where the engine is a shared library of its own.
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&candidates), &info) != 0 && info.dli_fname != nullptr)
    places.push_back(fs::path(info.dli_fname).parent_path() / kFileName);
  return places;
}

std::atomic<CompileUnit> loaded{nullptr};

}  // namespace

Result<CompileUnit> load_unit_compiler() {
  if (const CompileUnit compile = loaded.load(std::memory_order_acquire); compile != nullptr) return compile;
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  if (const CompileUnit compile = loaded.load(std::memory_order_acquire); compile != nullptr) return compile;
  std::string tried;
  for (const fs::path& place : candidates()) {
    tried += (tried.empty() ? "" : ", ") + place.string();
    std::error_code error;
    if (!fs::exists(place, error)) continue;
    void* const library = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      tried += std::string(" (") + ::dlerror() + ")";
      continue;
    }
    using Give = CompileUnit (*)(std::uint32_t version);
    const auto give = reinterpret_cast<Give>(::dlsym(library, kPluginSymbol));
    const CompileUnit compile = give == nullptr ? nullptr : give(kPluginVersion);
    if (compile == nullptr) {
      ::dlclose(library);
      tried += " (of another version)";
      continue;
    }
    loaded.store(compile, std::memory_order_release);
    return compile;
  }
  return fail(ErrorCode::kNotFound, "the optimising tier needs its plug-in; looked for at " + tried, kFileName);
}

std::optional<std::string> find_unit_compiler() {
  std::error_code error;
  for (const fs::path& place : candidates()) {
    if (fs::exists(place, error)) return place.string();
  }
  return std::nullopt;
}

bool is_unit_compiler_loaded() { return loaded.load(std::memory_order_acquire) != nullptr; }

}  // namespace caisson::optimized
