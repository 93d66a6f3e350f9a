// Signatures of host functions: what a guest declares in C's words, against what a callable takes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "caisson/detail/host_binding.h"
#include "caisson/result.h"

namespace caisson::runtime {

using Signature = std::vector<detail::AbiValue>;  // the result, then the parameters

// Reads the text of an import note, e.g. "int(int, const char*)": types of C and <stdint.h>, `std::` before them, pointers to
// anything, names of parameters. Records and unknown names are understood behind a pointer only.
// Errors: kSignatureMismatch with the part that is not understood.
Result<Signature> parse_signature(std::string_view text);

// True where a callable of signature `host` can serve a guest that declares `guest` (the table in caisson/host.h).
bool accepts(std::span<const detail::AbiValue> host, std::span<const detail::AbiValue> guest);

// The signature in C types, for messages.
std::string to_text(std::span<const detail::AbiValue> signature);

}  // namespace caisson::runtime
