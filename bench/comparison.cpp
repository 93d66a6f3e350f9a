#include "bench/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace caisson::bench {
namespace {

using Key = std::tuple<std::string, std::string, std::string, std::string>;

Key key_of(const Row& row) { return {row.suite, row.case_name, row.engine, row.metric}; }

std::string name_of(const Row& row) {
  return fmt::format("{}/{} {} {}", row.suite, row.case_name, row.engine, row.metric);
}

// What may be 0 has no ratio. Of counts, which do not scatter, any difference beyond the intervals counts; of others it is no verdict.
Verdict compare_absolute(const Row& before, const Row& after, bool higher_is_better) {
  const bool rose = after.summary.low > before.summary.high, fell = after.summary.high < before.summary.low;
  if (!rose && !fell) return Verdict::kSame;
  if (after.unit != "count") return Verdict::kUnclear;
  return rose == higher_is_better ? Verdict::kBetter : Verdict::kWorse;
}

Verdict compare_relative(const Change& change, double tolerance, bool higher_is_better) {
  // A fall below 1/(1 + t) is as far as a rise above 1 + t.
  const double fall = 1 / (1 + tolerance) - 1;
  if (change.low > tolerance) return higher_is_better ? Verdict::kBetter : Verdict::kWorse;
  if (change.high < fall) return higher_is_better ? Verdict::kWorse : Verdict::kBetter;
  return change.change > tolerance || change.change < fall ? Verdict::kUnclear : Verdict::kSame;
}

// 1 where a report has no yardstick.
Quotient speed_quotient(const Yardstick& before, const Yardstick& after) {
  if (before.low <= 0 || after.low <= 0) return {};
  return {after.median / before.median, after.low / before.high, after.high / before.low};
}

// Whether the machine's speed is in a number: ratios, sizes and counts are without it.
bool has_speed(const Row& row) { return row.unit == "ns" || row.unit.ends_with("/s"); }

// How much more the row would be by the machine's speed alone.
Quotient explained_by(const Quotient& speed, const Row& row) {
  if (!has_speed(row)) return {};
  if (row.unit == "ns") return speed;
  return {1 / speed.middle, 1 / speed.high, 1 / speed.low};
}

Change compare_rows(const Row& before, const Row& after, const Quotient& speed, double tolerance) {
  Change change{.before = before, .after = after, .note = {}};
  const Summary &earlier = before.summary, &later = after.summary;
  const bool rises = higher_is_better(after.metric);
  if (before.unit != after.unit) {
    change.relative = false;
    change.verdict = Verdict::kUnclear;
    change.note = fmt::format("the unit was {} and is {}", before.unit, after.unit);
  } else if (earlier.low <= 0 || later.low < 0) {
    change.relative = false;
    change.verdict = compare_absolute(before, after, rises);
  } else {
    const Quotient explained = explained_by(speed, after);
    change.change = later.median / earlier.median / explained.middle - 1;
    change.low = later.low / earlier.high / explained.high - 1;
    change.high = later.high / earlier.low / explained.low - 1;
    change.verdict = compare_relative(change, tolerance, rises);
  }
  return change;
}

bool are_same_machine(const Machine& one, const Machine& other) {
  return one.processor == other.processor && one.processors == other.processors && one.system == other.system;
}

std::string change_text(const Change& change) {
  if (!change.relative) return "";
  return fmt::format(" ({:+.1f} % [{:+.1f} … {:+.1f}])", 100 * change.change, 100 * change.low, 100 * change.high);
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kBetter:
      return "better";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kUnclear:
      return "unclear";
  }
  return "unclear";
}

bool Comparison::has_regression() const {
  return std::ranges::find(changes, Verdict::kWorse, &Change::verdict) != changes.end();
}

bool higher_is_better(const std::string& metric) { return metric.ends_with("_per_second") || metric == "times_faster"; }

Comparison compare(const Report& before, const Report& after, double tolerance) {
  Comparison comparison{.version_before = before.version,
                        .machine_before = before.machine,
                        .speed = speed_quotient(before.yardstick, after.yardstick),
                        .same_machine = are_same_machine(before.machine, after.machine),
                        .tolerance = tolerance,
                        .changes = {},
                        .only_before = {}};
  std::map<Key, const Row*> later_rows;
  for (const Row& row : after.rows) later_rows.try_emplace(key_of(row), &row);
  // What a filter left out is not gone.
  std::set<std::pair<std::string, std::string>> measured;
  for (const Row& row : after.rows) measured.emplace(row.suite, row.measured_by);
  for (const Row& row : before.rows) {
    const auto found = later_rows.find(key_of(row));
    if (found != later_rows.end()) {
      comparison.changes.push_back(compare_rows(row, *found->second, comparison.speed, tolerance));
      later_rows.erase(found);
    } else if (measured.contains({row.suite, row.measured_by})) {
      comparison.only_before.push_back(name_of(row));
    }
  }
  comparison.only_after = later_rows.size();
  return comparison;
}

void confirm(Comparison& comparison, const Report& before, const Report& again) {
  const Quotient speed = speed_quotient(before.yardstick, again.yardstick);
  for (Change& change : comparison.changes) {
    if (change.verdict != Verdict::kWorse) continue;
    const auto row = std::ranges::find(again.rows, key_of(change.after), key_of);
    if (row == again.rows.end()) continue;
    if (compare_rows(change.before, *row, speed, comparison.tolerance).verdict == Verdict::kWorse) continue;
    change.verdict = Verdict::kUnclear;
    change.note = fmt::format("measured again it was {}", readable(row->summary.median, row->unit));
  }
}

void print_comparison(const Comparison& comparison, std::FILE* to) {
  fmt::print(to, "\ncompared with {}: changes past {:.0f} % (median before, now, change [its interval])\n",
             comparison.version_before, 100 * comparison.tolerance);
  if (!comparison.same_machine) {
    fmt::print(to, "  measured on another machine: {}, {} processors, {}\n", comparison.machine_before.processor,
               comparison.machine_before.processors, comparison.machine_before.system);
  }
  const Quotient& speed = comparison.speed;
  fmt::print(to,
             "  fixed native work took {:.2f} [{:.2f} … {:.2f}] times as long as then; times are in relation to it\n",
             speed.middle, speed.low, speed.high);
  std::map<Verdict, std::size_t> counts;
  for (const Change& change : comparison.changes) ++counts[change.verdict];
  for (const Verdict verdict : {Verdict::kWorse, Verdict::kBetter, Verdict::kUnclear}) {
    for (const Change& change : comparison.changes) {
      // Of the unclear ones those that a further measurement withdrew; the page has all.
      if (change.verdict != verdict || (verdict == Verdict::kUnclear && change.note.empty())) continue;
      fmt::print(to, "  {:<8}{}: {} → {}{}{}{}\n", to_string(verdict), name_of(change.after),
                 readable(change.before.summary.median, change.before.unit),
                 readable(change.after.summary.median, change.after.unit), change_text(change),
                 change.note.empty() ? "" : "; ", change.note);
    }
  }
  for (const std::string& name : comparison.only_before) fmt::print(to, "  gone    {}\n", name);
  fmt::print(to, "  {} worse, {} better, {} unclear, {} the same, {} gone, {} new\n", counts[Verdict::kWorse],
             counts[Verdict::kBetter], counts[Verdict::kUnclear], counts[Verdict::kSame], comparison.only_before.size(),
             comparison.only_after);
}

}  // namespace caisson::bench
