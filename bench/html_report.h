// A report as one HTML file that needs nothing else, no network and no other file: bench/report holds its parts, the build embeds
// them and the figures of others (bench/references.json).
#pragma once

#include <string>

#include "bench/comparison.h"
#include "bench/report.h"

namespace caisson::bench {

// `comparison` may be null. What reports say, which may come from a file of somebody else's, is shown as text and never as markup.
std::string to_html(const Report& report, const Comparison* comparison);

}  // namespace caisson::bench
