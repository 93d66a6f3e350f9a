// The tiers that suites compare, by the names that `--tier` takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"
#include "caisson/instance.h"
#include "caisson/result.h"

namespace caisson::bench {

struct NamedTier {
  std::string_view name;
  Tier tier;
};

// What this machine can run of interp, auto and baseline; notes the others as absent from `suite`. Errors: of an instance that
// could not be made for another reason than that.
Result<std::vector<NamedTier>> available_tiers(Report& report, const std::string& suite);

}  // namespace caisson::bench
