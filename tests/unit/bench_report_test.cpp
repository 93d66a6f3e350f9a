// What the bench makes of its samples: statistics against known distributions, comparisons with planted changes and with none, files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/comparison.h"
#include "bench/html_report.h"
#include "bench/report_json.h"
#include "bench/statistics.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

using nlohmann::json;

// Times as machines give them: a floor, a long tail, now and then something far out.
std::vector<double> noisy_times(std::mt19937_64& random, double scale, std::size_t count) {
  std::lognormal_distribution<double> tail(0, 0.15);
  std::bernoulli_distribution interrupted(0.03);
  std::vector<double> samples;
  samples.reserve(count);
  for (std::size_t index = 0; index < count; ++index)
    samples.push_back(scale * tail(random) * (interrupted(random) ? 4 : 1));
  return samples;
}

Report report_of(std::vector<Row> rows) {
  Report report;
  report.suites = {"suite"};
  report.rows = std::move(rows);
  return report;
}

Row row_of(const std::string& case_name, const std::vector<double>& samples, const std::string& metric = "time_ns",
           const std::string& unit = "ns") {
  return {"suite", case_name, "interp", metric, unit, summarize(samples), "", case_name};
}

Verdict verdict_of(const Row& before, const Row& after, double tolerance = 0.1) {
  const Comparison comparison = compare(report_of({before}), report_of({after}), tolerance);
  return comparison.changes.at(0).verdict;
}

TEST(BenchStatistics, MedianMinimumMaximum) {
  const Summary odd = summarize(std::vector<double>{5, 1, 100});
  EXPECT_EQ(odd.median, 5);
  EXPECT_EQ(odd.minimum, 1);
  EXPECT_EQ(odd.maximum, 100);
  EXPECT_EQ(odd.runs, 3u);
  EXPECT_EQ(odd.samples, (std::vector<double>{5, 1, 100}));
  EXPECT_EQ(summarize(std::vector<double>{4, 1, 2, 100}).median, 3);
  EXPECT_DOUBLE_EQ(geometric_mean(std::vector<double>{2, 8}), 4);
}

// The places of tables of the sign test: how many samples to leave out at each end.
TEST(BenchStatistics, PlacesOfTheIntervalAreThoseOfTheSignTest) {
  const std::pair<std::size_t, std::size_t> kTable[] = {{1, 0},  {5, 0},   {6, 0},    {8, 0},    {9, 1},
                                                        {11, 1}, {12, 2},  {15, 3},   {17, 4},   {20, 5},
                                                        {25, 7}, {50, 17}, {100, 39}, {200, 85}, {1000, 468}};
  for (const auto& [count, place] : kTable) EXPECT_EQ(median_interval_place(count), place) << count;
  // Where the normal distribution takes over.
  EXPECT_LE(median_interval_place(1001), median_interval_place(1000) + 1);
  EXPECT_GE(median_interval_place(1001) + 1, median_interval_place(1000));
  EXPECT_LT(median_interval_place(1'000'000), 500'000u);
}

TEST(BenchStatistics, IntervalsHoldTheMedianOfWhatTheyAreDrawnFrom) {
  std::mt19937_64 random(1);
  constexpr int kDraws = 4000;
  const auto coverage = [&](std::size_t count, double true_median, auto&& draw) {
    int held = 0;
    for (int i = 0; i < kDraws; ++i) {
      std::vector<double> samples(count);
      std::ranges::generate(samples, draw);
      const Summary summary = summarize(samples);
      held += summary.low <= true_median && true_median <= summary.high ? 1 : 0;
    }
    return static_cast<double>(held) / kDraws;
  };
  std::exponential_distribution<double> exponential(1);
  std::normal_distribution<double> normal(10, 3);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (const std::size_t count : {6, 10, 25, 200}) {
    EXPECT_GE(coverage(count, std::log(2.0), [&] { return exponential(random); }), 0.94) << count;
    EXPECT_GE(coverage(count, 10, [&] { return normal(random); }), 0.94) << count;
    EXPECT_GE(coverage(count, 0.5, [&] { return uniform(random); }), 0.94) << count;
  }
  // And are no wider than they have to be: 25 samples give 95.7 %.
  EXPECT_LE(coverage(25, 10, [&] { return normal(random); }), 0.975);
}

TEST(BenchStatistics, OutliersAreBeyondTheFences) {
  std::vector<double> samples;
  samples.reserve(20);
  for (int i = 0; i < 20; ++i) samples.push_back(100 + i);
  EXPECT_EQ(summarize(samples).outliers, 0u);
  samples.push_back(1000);
  samples.push_back(-500);
  EXPECT_EQ(summarize(samples).outliers, 2u);
  EXPECT_EQ(summarize(std::vector<double>{7}).outliers, 0u);
  EXPECT_EQ(summarize(std::vector<double>{7, 7, 7, 7}).outliers, 0u);
}

TEST(BenchStatistics, ManySamplesAreThinnedOutButAllCount) {
  std::vector<double> samples(10'000);
  for (std::size_t index = 0; index < samples.size(); ++index) samples[index] = static_cast<double>(index);
  const Summary summary = summarize(samples);
  EXPECT_LE(summary.samples.size(), kMostSamplesKept);
  EXPECT_GT(summary.samples.size(), kMostSamplesKept / 2);
  EXPECT_EQ(summary.runs, samples.size());
  EXPECT_EQ(summary.median, 4999.5);
  EXPECT_TRUE(std::ranges::is_sorted(summary.samples));
}

TEST(BenchCompare, TheSameCodeTwiceIsTheSame) {
  std::mt19937_64 random(2);
  std::size_t worse = 0, rows = 0;
  for (int run = 0; run < 20; ++run) {
    for (const std::size_t count : {3, 5, 15, 25}) {
      for (int i = 0; i < 100; ++i, ++rows) {
        const Verdict verdict =
            verdict_of(row_of("case", noisy_times(random, 50, count)), row_of("case", noisy_times(random, 50, count)));
        worse += verdict == Verdict::kWorse ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(rows, 8000u);
  // Of few samples an interval is their range, which chance can part: what measuring again is for.
  EXPECT_LE(worse, rows / 100);
}

TEST(BenchCompare, APlantedRegressionIsFound) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    const Row before = row_of("case", noisy_times(random, 50, 25));
    EXPECT_EQ(verdict_of(before, row_of("case", noisy_times(random, 80, 25))), Verdict::kWorse);
    EXPECT_EQ(verdict_of(before, row_of("case", noisy_times(random, 30, 25))), Verdict::kBetter);
  }
}

TEST(BenchCompare, ChangesAreRatiosWithTheirIntervals) {
  const std::vector<double> before = {90, 100, 110}, after = {180, 200, 220};
  const Comparison comparison = compare(report_of({row_of("case", before)}), report_of({row_of("case", after)}), 0.1);
  ASSERT_EQ(comparison.changes.size(), 1u);
  const Change& change = comparison.changes[0];
  EXPECT_DOUBLE_EQ(change.change, 1);
  EXPECT_DOUBLE_EQ(change.low, 180.0 / 110 - 1);
  EXPECT_DOUBLE_EQ(change.high, 220.0 / 90 - 1);
  EXPECT_EQ(change.verdict, Verdict::kWorse);
  EXPECT_TRUE(comparison.has_regression());
  EXPECT_EQ(verdict_of(row_of("case", before), row_of("case", after), 1.0), Verdict::kSame);
  EXPECT_EQ(verdict_of(row_of("case", before), row_of("case", after), 0.8), Verdict::kUnclear);
}

TEST(BenchCompare, ARateThatFallsIsWorse) {
  const Row fast = row_of("case", {100, 101, 102}, "bytes_per_second", "bytes/s");
  const Row slow = row_of("case", {50, 51, 52}, "bytes_per_second", "bytes/s");
  EXPECT_EQ(verdict_of(fast, slow), Verdict::kWorse);
  EXPECT_EQ(verdict_of(slow, fast), Verdict::kBetter);
  // As far down as a doubling is up, so that it depends not on which of two reports is the first.
  EXPECT_EQ(verdict_of(row_of("case", {100}), row_of("case", {52}), 1.0), Verdict::kSame);
  EXPECT_EQ(verdict_of(row_of("case", {100}), row_of("case", {49}), 1.0), Verdict::kBetter);
}

TEST(BenchCompare, WhatMayBeNothingHasNoRatio) {
  const Row none = row_of("case", {0, 0, 0}, "allocations", "count");
  EXPECT_EQ(verdict_of(none, row_of("case", {1, 1, 1}, "allocations", "count")), Verdict::kWorse);
  EXPECT_EQ(verdict_of(row_of("case", {1, 1, 1}, "allocations", "count"), none), Verdict::kBetter);
  EXPECT_EQ(verdict_of(none, none), Verdict::kSame);
  EXPECT_EQ(verdict_of(row_of("case", {-5, 1, 3}), row_of("case", {90, 100, 110})), Verdict::kUnclear);
  EXPECT_EQ(verdict_of(row_of("case", {1, 2, 3}, "time_ns", "ns"), row_of("case", {1, 2, 3}, "time_ns", "s")),
            Verdict::kUnclear);
}

TEST(BenchCompare, RowsThatCameAndWent) {
  const Row stays = row_of("stays", {1, 1, 1});
  Row gone = row_of("stays", {1, 1, 1});
  gone.engine = "peer";
  const Row filtered = row_of("other case", {1, 1, 1}), added = row_of("added", {1, 1, 1});
  const Comparison comparison = compare(report_of({stays, gone, filtered}), report_of({stays, added}), 0.1);
  EXPECT_EQ(comparison.only_before, std::vector<std::string>{"suite/stays peer time_ns"});
  EXPECT_EQ(comparison.only_after, 1u);
  EXPECT_FALSE(comparison.has_regression());
}

TEST(BenchCompare, WhatAFurtherMeasurementDoesNotShowIsWithdrawn) {
  const Report before = report_of({row_of("one", {100, 101, 102}), row_of("two", {100, 101, 102})});
  const Report after = report_of({row_of("one", {200, 201, 202}), row_of("two", {200, 201, 202})});
  Comparison comparison = compare(before, after, 0.1);
  confirm(comparison, before, report_of({row_of("one", {102, 103, 104}), row_of("two", {190, 191, 192})}));
  EXPECT_EQ(comparison.changes[0].verdict, Verdict::kUnclear);
  EXPECT_NE(comparison.changes[0].note.find("103"), std::string::npos) << comparison.changes[0].note;
  EXPECT_EQ(comparison.changes[1].verdict, Verdict::kWorse);
  EXPECT_TRUE(comparison.has_regression());
}

TEST(BenchCompare, WhatTheMachinesSpeedExplainsIsNoChange) {
  Report before =
      report_of({row_of("time", {100, 101, 102}), row_of("rate", {50, 51, 52}, "bytes_per_second", "bytes/s"),
                 row_of("size", {10, 10, 10}, "rss_bytes", "bytes")});
  Report after =
      report_of({row_of("time", {150, 151, 152}), row_of("rate", {33, 34, 35}, "bytes_per_second", "bytes/s"),
                 row_of("size", {15, 15, 15}, "rss_bytes", "bytes")});
  before.yardstick = {.median = 1000, .low = 990, .high = 1010, .samples = 100};
  const auto verdicts = [&] {
    std::vector<Verdict> found;
    for (const Change& change : compare(before, after, 0.1).changes) found.push_back(change.verdict);
    return found;
  };
  after.yardstick = before.yardstick;
  EXPECT_EQ(verdicts(), (std::vector{Verdict::kWorse, Verdict::kWorse, Verdict::kWorse}));
  after.yardstick = {.median = 1500, .low = 1490, .high = 1510, .samples = 100};  // half as long again, like the time
  EXPECT_EQ(verdicts(), (std::vector{Verdict::kSame, Verdict::kSame, Verdict::kWorse}));
  EXPECT_NEAR(compare(before, after, 0.1).changes[0].change, 151.0 / 101 / 1.5 - 1, 1e-9);
  after.yardstick = {.median = 1000, .low = 990, .high = 1700, .samples = 100};  // sometimes as slow as that
  EXPECT_EQ(verdicts(), (std::vector{Verdict::kUnclear, Verdict::kUnclear, Verdict::kWorse}));
  // What became quicker while the machine became slower is better, whatever the times themselves say.
  after.yardstick = {.median = 4000, .low = 3990, .high = 4010, .samples = 100};
  EXPECT_EQ(verdicts()[0], Verdict::kBetter);
}

TEST(BenchYardstick, IsMeasuredBesideEachRun) {
  EXPECT_EQ(summarize_yardstick({}).samples, 0u);
  std::vector<double> samples(101);
  for (std::size_t index = 0; index < samples.size(); ++index) samples[index] = static_cast<double>(100 - index);
  const Yardstick yardstick = summarize_yardstick(samples);
  EXPECT_EQ(yardstick.median, 50);
  EXPECT_EQ(yardstick.low, 10);
  EXPECT_EQ(yardstick.high, 90);
  const auto report =
      run({"ptcache"}, {.filter = "calls-10", .runs = 1}, [](std::string_view, std::size_t, std::size_t) {});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_GE(report->yardstick.samples, 3u);
  EXPECT_GT(report->yardstick.low, 100'000);  // more than a clock's grain
  EXPECT_LT(report->yardstick.low, 1'000'000'000);  // and no case of its own
}

TEST(BenchCompare, APlantedRegressionOfARealCaseIsMeasuredAgainAndStays) {
  const Options options{.filter = "calls-10", .runs = 3};
  std::size_t measured = 0;
  const auto count = [&](std::string_view, std::size_t, std::size_t) { ++measured; };
  const auto report = run({"ptcache"}, options, count);
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_EQ(measured, 3u);  // calls-10, calls-100, calls-1000
  Report before = *report;
  for (Row& row : before.rows) {
    if (row.case_name != "calls-100" || row.engine != "interp" || row.metric != "time_ns") continue;
    std::vector<double> faster = row.summary.samples;
    for (double& sample : faster) sample /= 1000;  // past what any load on the machine explains
    row.summary = summarize(faster);
  }
  const auto comparison = run_comparison(before, *report, 0.5, options, count);
  ASSERT_TRUE(comparison) << comparison.error().to_string();
  EXPECT_EQ(measured, 3u + kConfirmations);  // that case alone
  EXPECT_TRUE(comparison->has_regression());
  const auto same = run_comparison(*report, *report, 0.5, options, count);
  ASSERT_TRUE(same);
  EXPECT_FALSE(same->has_regression());
  EXPECT_EQ(measured, 3u + kConfirmations);
}

Report sample_report() {
  Report report = report_of({row_of("case \"1\"", {2, 1, 3}), row_of("other", {5.5})});
  report.rows[0].note = "a note, <b>and</b> ü";
  add_absent(report, "suite", "peer", "not installed");
  add_absent(report, "suite", "peer", "not installed");
  report.path_counters.push_back({"suite", "other", "interp", "name  calls\nrouter::ecall  3\n"});
  return report;
}

TEST(BenchFile, JsonHasTheDocumentedFields) {
  const auto report = json::parse(to_json(sample_report()));
  EXPECT_EQ(report.at("schema"), kReportSchema);
  EXPECT_TRUE(report.at("version").is_string());
  EXPECT_GT(report.at("machine").at("processors"), 0);
  EXPECT_EQ(report.at("suite"), (json{"suite"}));
  EXPECT_EQ(report.at("rows").at(0), (json{{"suite", "suite"},
                                           {"case", "case \"1\""},
                                           {"engine", "interp"},
                                           {"metric", "time_ns"},
                                           {"unit", "ns"},
                                           {"median", 2.0},
                                           {"min", 1.0},
                                           {"max", 3.0},
                                           {"low", 1.0},
                                           {"high", 3.0},
                                           {"runs", 3},
                                           {"outliers", 0},
                                           {"samples", {2.0, 1.0, 3.0}},
                                           {"note", "a note, <b>and</b> ü"},
                                           {"measured_by", "case \"1\""}}));
  EXPECT_EQ(report.at("absent").size(), 1u);
  EXPECT_EQ(report.at("path_counters"), (json::array({{{"suite", "suite"},
                                                       {"case", "other"},
                                                       {"engine", "interp"},
                                                       {"text", "name  calls\nrouter::ecall  3\n"}}})));
}

TEST(BenchFile, IsReadAsItWasWritten) {
  const std::string text = to_json(sample_report());
  const auto report = parse_report(text);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(to_json(*report), text);
}

TEST(BenchFile, OtherFormsAreRefusedByName) {
  json report = json::parse(to_json(sample_report()));
  report["schema"] = 2;
  const auto newer = parse_report(report.dump());
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(newer.error().message.find("schema 2"), std::string::npos);
  EXPECT_NE(newer.error().message.find("schema 1"), std::string::npos);
  report.erase("schema");
  EXPECT_EQ(parse_report(report.dump()).error().code, ErrorCode::kUnsupported);
  for (const char* const text : {"", "{", "nonsense", "[1, 2", "\xff\xfe", "{\"schema\": 1e999}"})
    EXPECT_EQ(parse_report(text).error().code, ErrorCode::kInvalidArgument) << text;
  for (const char* const text : {"[]", "7", "null", "\"report\""}) EXPECT_FALSE(parse_report(text)) << text;
  EXPECT_EQ(parse_report(std::string(2'000'000, '[')).error().code, ErrorCode::kLimit);
  EXPECT_EQ(parse_report("\"[[[[[[[[[[[[\\\"[[[\"").error().code,
            ErrorCode::kInvalidArgument);  // brackets in a text are none
}

// Every field of every object taken out, and given what it cannot be: an error that names where, never a crash.
TEST(BenchFile, EveryFieldIsChecked) {
  const json whole = json::parse(to_json(sample_report()));
  const json kWrong[] = {
      nullptr, -1, 1e300, true, "text", json::array({json::object()}), json::object(), std::string(5000, 'x')};
  std::size_t refused = 0, tried = 0;
  const auto try_fields = [&](const json::json_pointer& place) {
    for (const auto& field : whole.at(place).items()) {
      json without = whole;
      without.at(place).erase(field.key());
      const auto missing = parse_report(without.dump());
      // Files of before these have none.
      const bool is_newer = (place.to_string() == "/absent/0" && field.key() == "case") ||
                            (place.empty() && field.key() == "path_counters");
      ASSERT_EQ(missing.has_value(), is_newer) << place.to_string() << " without " << field.key();
      if (!is_newer) {
        EXPECT_NE(missing.error().to_string().find(field.key()), std::string::npos) << missing.error().to_string();
      }
      for (const json& wrong : kWrong) {
        json changed = whole;
        changed.at(place)[field.key()] = wrong;
        ++tried;
        refused += parse_report(changed.dump()) ? 0 : 1;
      }
    }
  };
  for (const char* const place : {"", "/machine", "/yardstick", "/rows/0", "/rows/1", "/absent/0", "/path_counters/0"})
    try_fields(json::json_pointer(place));
  // A text may be another text, "min" and "low" may be less, "max" and "high" more, in either row, and "high" in the
  // yardstick; nothing else of these is right.
  std::size_t texts = 0;
  for (const char* const place : {"/machine", "/rows/0", "/rows/1", "/absent/0", "/path_counters/0"}) {
    for (const auto& field : whole.at(json::json_pointer(place)).items()) texts += field.value().is_string() ? 1 : 0;
  }
  EXPECT_EQ(tried - refused, texts + 1 + 8 + 1 + 1);  // and the version, and a long text of path counters
}

TEST(BenchFile, WhatCannotBeReadIsSaid) {
  EXPECT_EQ(read_report("/nonexistent/report.json").error().code, ErrorCode::kIo);
  EXPECT_EQ(read_report("/").error().code, ErrorCode::kIo);
  const auto endless = read_report("/dev/zero");
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, ErrorCode::kLimit);
  EXPECT_EQ(endless.error().where, "/dev/zero");
}

TEST(BenchPage, HoldsTheReportAndNothingThatEndsIt) {
  Report report = sample_report();
  report.rows[0].case_name = "</script><script>alert(1)</script>{{script}}";
  const Comparison comparison = compare(report, report, 0.1);
  const std::string page = to_html(report, &comparison);
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
  const std::string begin = "id=\"data\">";
  const std::size_t place = page.find(begin) + begin.size();
  const json data = json::parse(page.substr(place, page.find("</script>", place) - place));
  EXPECT_EQ(data.at("report").at("rows").at(0).at("case"), report.rows[0].case_name);
  EXPECT_EQ(data.at("comparison").at("changes").size(), 2u);
  // Each figure of others says where it is from.
  const json& references = data.at("references");
  EXPECT_GE(references.at("figures").size(), 40u);
  for (const json& figure : references.at("figures")) {
    const json& source = references.at("sources").at(figure.at("source").get<std::string>());
    EXPECT_FALSE(source.at("title").get<std::string>().empty());
    EXPECT_FALSE(source.at("machine").get<std::string>().empty());
    EXPECT_LE(figure.at("low"), figure.at("high"));
    EXPECT_NE(std::ranges::find(suites(), figure.at("suite").get<std::string>(), &Suite::name), suites().end())
        << figure;
  }
  EXPECT_TRUE(
      json::parse(to_html(report, nullptr).substr(place, to_html(report, nullptr).find("</script>", place) - place))
          .at("comparison")
          .is_null());
  for (const char* const mark : {"{{plots_style}}", "{{style}}", "{{data}}", "{{plots}}", "{{charts}}"})
    EXPECT_EQ(page.find(mark), std::string::npos);
  for (const char* const address : {"src=\"", "@import", "url("})
    EXPECT_EQ(page.find(address), std::string::npos) << address;
}

}  // namespace
}  // namespace caisson::bench
