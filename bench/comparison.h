// Two reports beside each other: what changed, by how much, and whether that is more than noise.
//
// A change is the ratio of the medians less one. Its interval goes from the quotient of the later interval's lower end and the earlier
// one's upper end to the opposite quotient: wider than 95 % would need, so that of hundreds of rows hardly one is called changed by
// chance. Times and rates are in relation to the machine's speed while each report was measured (yardstick.h), and their intervals hold
// what its changes of speed could explain. A row is worse only where the whole interval is past the tolerance.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"

namespace caisson::bench {

enum class Verdict {
  kSame,  // nothing past the tolerance
  kBetter,  // the whole interval is past the tolerance, to the good
  kWorse,  // the whole interval is past the tolerance, to the bad
  kUnclear,  // the medians differ by more than the tolerance, but the interval also holds less
};

std::string_view to_string(Verdict verdict);

// What became of a number, with its interval.
struct Quotient {
  double middle = 1, low = 1, high = 1;
};

struct Change {
  Row before, after;
  // Parts of the earlier median: 0.1 is a tenth more. Meaningless where `relative` is false: the earlier interval holds 0 or less.
  double change = 0, low = 0, high = 0;
  bool relative = true;
  Verdict verdict = Verdict::kSame;
  std::string note;
};

struct Comparison {
  std::string version_before;
  Machine machine_before;
  Quotient speed;  // of the yardsticks: 1.2 is a machine that was a fifth slower later
  bool same_machine = true;  // the same processor, number of processors and system
  double tolerance = 0;
  std::vector<Change> changes;  // of rows that both reports have
  std::vector<std::string> only_before;  // "suite/case engine metric", of the cases that were measured later too
  std::size_t only_after = 0;

  bool has_regression() const;
};

// Whether more of this metric is better, as of a rate; of times, sizes and counts it is not.
bool higher_is_better(const std::string& metric);

// `tolerance`: 0.1 is a tenth.
Comparison compare(const Report& before, const Report& after, double tolerance);

// Withdraws from `comparison` the regressions that `again`, a further measurement of their cases, does not show: they become unclear.
// The speed of the machine during `again` counts, not that of the report it repeats: `before` is what both are compared with.
void confirm(Comparison& comparison, const Report& before, const Report& again);

// The changes that are no noise, the worse ones first, then a line that counts all.
void print_comparison(const Comparison& comparison, std::FILE* to);

}  // namespace caisson::bench
