// A riscv64 Linux program as run, compile and image inspect --hot load it.
#pragma once

#include <string>

#include "caisson/engine.h"
#include "caisson/linux.h"
#include "caisson/result.h"
#include "command_line.h"

namespace caisson::cli {

// Adds the options that say what files and variables the guest sees; `options` must outlive the parse.
void add_program_options(CLI::App& app, LinuxOptions& options);

// A program ready to be instantiated: the module, and the options by which the guest sees it.
struct LoadedProgram {
  Module module;
  LinuxOptions options;
};

// A guest path beneath the root if it exists there, else a host path.
Result<LoadedProgram> load_program(const Engine& engine, const std::string& name, LinuxOptions options);

}  // namespace caisson::cli
