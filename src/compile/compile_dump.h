// Writing the texts of a CompileDump to files: <directory>/<label>-<key>-<tier>/<name>.
#pragma once

#include <string>
#include <string_view>

#include "caisson/guest_compiler.h"

namespace caisson::compile {

// A file name out of any text: other characters than letters, digits, '-', '_' and '.' become '_', a leading '.' too; at most 80 bytes.
std::string file_name(std::string_view text);

// Replaces files of the same names. Errors: kIo.
Result<void> write_dump(const std::string& directory, const CompileInput& input, const CompileDump& dump);

}  // namespace caisson::compile
