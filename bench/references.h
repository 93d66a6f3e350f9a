// What others published (bench/references.json): shown beside what was measured, never among it.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace caisson::bench {

struct Reference {
  std::string suite, what, engine, unit;
  double low = 0, high = 0;
  std::string source, machine;
};

// All figures, in the order of the file. The build embeds it.
std::span<const Reference> references();
// The file itself.
std::string_view references_text();

// Those of a suite, each with its source; nothing where there are none.
void print_references(std::string_view suite, std::FILE* to);

}  // namespace caisson::bench
