// Suite `lifecycle`: from capabilities in the caller's hands to a result: each is put by its known hash, then the instance is called as published.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "bench/clock.h"
#include "bench/kernel_bench.h"
#include "bench/kernels.h"
#include "bench/suites.h"

namespace caisson::bench {
namespace {

constexpr char kSuite[] = "lifecycle";
// Of the cases that take less than the clock can tell.
constexpr int kShortRepetitions = 500;

// An endpoint of an image, and what it must return.
struct Invocation {
  BuiltImage image;
  std::uint64_t endpoint = 0;
  std::vector<std::uint64_t> arguments;
  std::uint64_t expected = 0;
};

Result<Invocation> of_instances(InstancesEndpoint endpoint, std::uint64_t argument, std::uint64_t expected) {
  auto image = build_instances_image();
  if (!image) return std::unexpected(image.error());
  return Invocation{*std::move(image), static_cast<std::uint64_t>(endpoint), {argument}, expected};
}

Result<Invocation> of_pattern() {
  auto image = build_pattern_image();
  if (!image) return std::unexpected(image.error());
  return Invocation{*std::move(image), 0, {0}, 98304};
}

// One round of a kernel of the suite `compute`.
Result<Invocation> of_kernel(std::string_view name) {
  const bench::Kernel& kernel = *std::ranges::find(kernels(), name, &bench::Kernel::name);
  auto image = build_image(kernel.guest, {.endpoints = {{0, "run"}}});
  if (!image) return std::unexpected(image.error());
  return Invocation{*std::move(image), 0, {1}, kernel.native(1)};
}

struct Cell {
  std::string_view name;
  Result<Invocation> (*make)();
};
constexpr Cell kCells[] = {
    {"instances-echo", [] { return of_instances(InstancesEndpoint::kEcho, 7, 7); }},
    {"instances-recurse-10", [] { return of_instances(InstancesEndpoint::kRecurse, 10, 10); }},
    {"pattern-recurse-data-0", of_pattern},
    {"fib_iterative", [] { return of_kernel("fib_iterative"); }},
    {"insertion_sort", [] { return of_kernel("insertion_sort"); }},
    {"keccak", [] { return of_kernel("keccak"); }},
    {"matrix_double", [] { return of_kernel("matrix_double"); }},
    {"sha256", [] { return of_kernel("sha256"); }},
};
constexpr std::string_view kPutHit = "put-hit", kFreshCall = "fresh-call";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const Cell& cell : kCells) names.emplace_back(cell.name);
  names.emplace_back(kPutHit);
  names.emplace_back(kFreshCall);
  return names;
}

// The capabilities of an invocation with their hashes, what is referred to before what refers to it; the instance is the last.
struct Publication {
  std::vector<std::pair<Hash, Capability>> capabilities;
  const Hash& instance() const { return capabilities.back().first; }
};

Result<void> collect(CapabilityStore& store, const Hash& hash, std::set<Hash>& seen, Publication& to) {
  if (!seen.insert(hash).second) return {};
  const auto capability = store.get(hash);
  if (!capability) return std::unexpected(capability.error());
  if (*capability == nullptr) return fail(ErrorCode::kInternal, "the store lacks what an instance refers to");
  for (const CNode::Reference& reference : references_of(**capability)) {
    if (auto collected = collect(store, reference.hash, seen, to); !collected) return collected;
  }
  to.capabilities.emplace_back(hash, **capability);
  return {};
}

// Of a new instance of the image.
Result<Publication> publish(const BuiltImage& image) {
  const auto bench = make_kernel_bench({"interp", Tier::kInterp}, image);
  if (!bench) return std::unexpected(bench.error());
  auto instance = bench->kernel->derive(bench->image);
  if (!instance) return std::unexpected(instance.error());
  const auto sealed = instance->seal();
  if (!sealed) return std::unexpected(sealed.error());
  Publication publication;
  std::set<Hash> seen;
  if (auto collected = collect(*bench->store, *sealed, seen, publication); !collected)
    return std::unexpected(collected.error());
  return publication;
}

// The timed body. What it put is given back untimed.
Result<double> time(const Publication& publication, CapabilityStore& store, const caisson::Kernel& kernel,
                    const Invocation& invocation) {
  const double begin = thread_nanoseconds();
  for (const auto& [hash, capability] : publication.capabilities) {
    if (auto put = store.put_with_hash(hash, capability); !put) return std::unexpected(put.error());
  }
  const auto result = kernel.invoke_cached(publication.instance(), invocation.endpoint, invocation.arguments, kCallGas);
  const double end = thread_nanoseconds();
  for (const auto& [hash, capability] : publication.capabilities) {
    if (auto released = store.release(hash); !released) return std::unexpected(released.error());
  }
  if (!result) return std::unexpected(result.error());
  if (!result->ok() || result->return_value != invocation.expected) {
    return fail(ErrorCode::kInternal, fmt::format("{}, {} returned, not {}", to_string(result->exit_reason),
                                                  result->return_value, invocation.expected));
  }
  return end - begin;
}

// What lives on from sample to sample, and what is made for each.
struct Scheme {
  std::string_view name;
  Tier tier;
  bool new_store, new_kernel;
  std::string_view note;
};
constexpr Scheme kSchemes[] = {
    {"interp", Tier::kInterp, false, true, "every put a hit; on a new kernel each time"},
    {"interp-all-new", Tier::kInterp, true, true,
     "every put a miss, whose hash is verified; on a new store and kernel each time"},
    {"baseline-warm", Tier::kBaseline, false, false, "every put a hit; on a kernel that has made the call before"},
    {"optimized-warm", Tier::kOptimized, false, false, "every put a hit; on a kernel that has made the call before"},
    {"baseline-cold", Tier::kBaseline, false, true,
     "every put a hit; on a new engine and kernel each time, nothing compiled"},
};

class SchemeRun {
 public:
  explicit SchemeRun(const Scheme& scheme) : scheme_(scheme) {}
  const Scheme& scheme() const { return scheme_; }

  // One sample, in nanoseconds. Errors: kUnsupported (the tier), and whatever goes wrong.
  Result<double> sample(const Publication& publication, const Invocation& invocation) {
    if (store_ == nullptr || scheme_.new_store) store_ = CapabilityStore::in_memory();
    if (!kernel_ || scheme_.new_kernel) {
      kernel_.reset();
      auto engine = Engine::create();
      if (!engine) return std::unexpected(engine.error());
      auto kernel = caisson::Kernel::create(*engine, store_, {.tier = scheme_.tier});
      if (!kernel) return std::unexpected(kernel.error());
      engine_ = std::make_unique<Engine>(*std::move(engine));
      kernel_ = *std::move(kernel);
    }
    return time(publication, *store_, *kernel_, invocation);
  }

 private:
  const Scheme& scheme_;
  std::shared_ptr<CapabilityStore> store_;
  std::unique_ptr<Engine> engine_;
  std::optional<caisson::Kernel> kernel_;
};

Result<void> measure_cell(const Cell& cell, std::size_t runs, Report& report) {
  const auto invocation = cell.make();
  if (!invocation) return std::unexpected(invocation.error());
  const auto publication = publish(invocation->image);
  if (!publication) return std::unexpected(publication.error());
  std::vector<SchemeRun> schemes;
  for (const Scheme& scheme : kSchemes) {
    SchemeRun run(scheme);
    if (const auto warm = run.sample(*publication, *invocation)) {
      schemes.push_back(std::move(run));
    } else if (warm.error().code == ErrorCode::kUnsupported) {
      add_absent(report, kSuite, std::string(scheme.name), warm.error().message);
    } else {
      return fail(warm.error().code, warm.error().message, std::string(scheme.name));
    }
  }
  std::vector<std::vector<double>> samples(schemes.size());
  for (std::size_t turn = 0; turn < runs; ++turn) {
    for (std::size_t index = 0; index < schemes.size(); ++index) {
      const auto sample = schemes[index].sample(*publication, *invocation);
      if (!sample) return std::unexpected(sample.error());
      samples[index].push_back(*sample);
    }
  }
  for (std::size_t index = 0; index < schemes.size(); ++index) {
    report.rows.push_back(make_row(
        kSuite, std::string(cell.name), std::string(schemes[index].scheme().name), "time_ns", "ns", samples[index],
        fmt::format("{} puts and the call; {}", publication->capabilities.size(), schemes[index].scheme().note)));
  }
  return {};
}

// One put_with_hash() of an instance that is there.
Result<void> measure_put_hit(std::size_t runs, Report& report) {
  const auto image = build_instances_image();
  if (!image) return std::unexpected(image.error());
  const auto publication = publish(*image);
  if (!publication) return std::unexpected(publication.error());
  const std::shared_ptr<CapabilityStore> store = CapabilityStore::in_memory();
  for (const auto& [hash, capability] : publication->capabilities) {
    if (auto put = store->put_with_hash(hash, capability); !put) return put;
  }
  const auto& [hash, instance] = publication->capabilities.back();
  std::vector<double> samples;
  for (std::size_t run = 0; run < runs; ++run) {
    const double begin = thread_nanoseconds();
    for (int i = 0; i < kShortRepetitions; ++i) {
      if (auto put = store->put_with_hash(hash, instance); !put) return put;
    }
    samples.push_back((thread_nanoseconds() - begin) / kShortRepetitions);
  }
  const std::uint64_t hits = store->stats().put_hits;
  if (hits != runs * kShortRepetitions) return fail(ErrorCode::kInternal, fmt::format("{} puts were hits", hits));
  report.rows.push_back(make_row(kSuite, std::string(kPutHit), "store", "time_ns", "ns", samples,
                                 "one put_with_hash() of an instance that the store in memory has"));
  return {};
}

// Derives, calls what returns at once, drops.
Result<void> measure_fresh_call(std::size_t runs, Report& report) {
  const auto image = build_instances_image();
  if (!image) return std::unexpected(image.error());
  const auto benches = make_kernel_benches(*image, {}, report, kSuite);
  if (!benches) return std::unexpected(benches.error());
  std::vector<std::vector<double>> samples(benches->size());
  for (std::size_t turn = 0; turn <= runs; ++turn) {
    for (std::size_t index = 0; index < benches->size(); ++index) {
      const KernelBench& bench = (*benches)[index];
      const double begin = thread_nanoseconds();
      for (int i = 0; i < kShortRepetitions; ++i) {
        auto instance = bench.kernel->derive(bench.image);
        if (!instance) return std::unexpected(instance.error());
        const auto result = call_expecting(*instance, static_cast<std::uint64_t>(InstancesEndpoint::kEcho), {5}, 5);
        if (!result) return std::unexpected(result.error());
      }
      const double end = thread_nanoseconds();
      if (turn != 0) samples[index].push_back((end - begin) / kShortRepetitions);  // the first is the warm-up
    }
  }
  for (std::size_t index = 0; index < benches->size(); ++index) {
    report.rows.push_back(make_row(kSuite, std::string(kFreshCall), (*benches)[index].name, "time_ns", "ns",
                                   samples[index], "an instance derived, called once and dropped, by the host"));
  }
  return {};
}

Result<void> measure(const std::string& case_name, std::size_t runs, Report& report) {
  if (case_name == kPutHit) return measure_put_hit(runs, report);
  if (case_name == kFreshCall) return measure_fresh_call(runs, report);
  return measure_cell(*std::ranges::find(kCells, case_name, &Cell::name), runs, report);
}

}  // namespace

Suite lifecycle_suite() {
  return {kSuite, "capabilities put and an instance of them called", 25, cases, measure, nullptr};
}

}  // namespace caisson::bench
