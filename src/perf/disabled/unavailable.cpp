// What a build without counters answers.
#include "caisson/perf.h"

namespace caisson::perf {

bool available() noexcept { return false; }

Result<Report> measure(const Options&, const std::function<Result<void>()>&) {
  return fail(ErrorCode::kUnsupported,
              "this build has no path counters; `make perf` builds build/perf/bin/caisson, which has them");
}

}  // namespace caisson::perf
