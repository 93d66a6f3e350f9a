// What an instance has been: SHA-256 of (lineage before, 32 bytes; hash of the image, 32 bytes), from 32 zero bytes on.
#pragma once

#include "caisson/capability.h"

namespace caisson::kernel {

Hash next_lineage(const Hash& before, const Hash& image);
inline Hash first_lineage(const Hash& image) { return next_lineage(Hash(), image); }

}  // namespace caisson::kernel
