// A plug-in for caisson-compile-helper that misbehaves as the hints of its input say (tests/unit/compile_helper_test.cpp).
#include <dirent.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "caisson/guest_compiler.h"

namespace {

using caisson::ErrorCode;

std::uint8_t open_descriptors() {
  std::uint8_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  ::closedir(folder);
  return count - 1;  // its own
}

class PluginCompiler : public caisson::GuestCompiler {
 public:
  std::string_view guest_kind() const override { return "fake"; }
  caisson::ArtifactContext context() const override { return {}; }
  bool is_eligible(const caisson::CompileInput&) const override { return true; }
  caisson::Result<std::shared_ptr<const caisson::LoadedCode>> load(const caisson::CodeBlob&) override {
    return caisson::fail(ErrorCode::kUnsupported, "a helper loads nothing");
  }

  caisson::Result<caisson::CodeBlob> compile(const caisson::CompileInput& input, caisson::CompileLimits&,
                                             caisson::CompileDump* dump) override {
    const std::string_view behaviour(reinterpret_cast<const char*>(input.hints.data()), input.hints.size());
    caisson::CodeBlob blob;
    blob.code = {0x90, open_descriptors(),
                 static_cast<std::uint8_t>(environ == nullptr || *environ == nullptr ? 0 : 1)};
    if (dump != nullptr) dump->add("plugin.txt", "text of " + input.label);
    if (behaviour == "fail") return caisson::fail(ErrorCode::kUnsupported, "told to fail");
    if (behaviour == "crash") std::raise(SIGSEGV);
    if (behaviour == "exit") ::_exit(3);
    if (behaviour == "hang") {
      for (;;) ::pause();
    }
    if (behaviour == "memory") {
      // Touched, so that it is memory and not only addresses.
      std::string hog;
      for (;;) hog.append(std::size_t{16} << 20, 'x');
    }
    if (behaviour == "large") blob.code.resize(std::size_t{2} << 20);
    if (behaviour == "outside") blob.entries.push_back({0, 1000});
    if (behaviour == "nonsense") {
      constexpr char kNonsense[] = "this is no frame of ours, whatever else it may be";
      if (::write(0, kNonsense, sizeof kNonsense) < 0) std::abort();
    }
    if (behaviour == "print") std::puts("compilers print");
    return blob;
  }
};

}  // namespace

extern "C" caisson::GuestCompiler* caisson_guest_compiler() {
  static PluginCompiler compiler;
  return &compiler;
}
