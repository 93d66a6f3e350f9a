// Hashing that believes nothing that was remembered.
#pragma once

#include "caisson/capability.h"

namespace caisson::capability {

// hash_of(), with every page of a Data hashed again.
Hash hash_afresh(const Capability& capability);

}  // namespace caisson::capability
