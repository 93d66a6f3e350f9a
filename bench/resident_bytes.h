// Memory of this process.
#pragma once

#include "caisson/result.h"

namespace caisson::bench {

// Resident bytes of this process, a page that is mapped in several places counted once: instances share their module's pages,
// which Rss would count for each. (statm counts as Rss does, and late: the kernel batches it per processor.) Errors: kIo.
Result<double> resident_bytes();

}  // namespace caisson::bench
