// Program files in the guest's tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "caisson/program_bytes.h"
#include "caisson/result.h"

namespace caisson::linux_personality {

class FileSystem;

// Reads an executable regular file. Errors: kNotFound, kPermission, kIo, kLimit (over 1 GiB).
Result<ProgramBytes> read_program(const FileSystem& file_system, const std::string& guest_path);

}  // namespace caisson::linux_personality
