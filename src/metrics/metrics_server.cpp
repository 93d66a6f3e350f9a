#include <CivetServer.h>
#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "caisson/metrics.h"

namespace caisson {
namespace {

using Source = std::variant<Engine, Kernel, std::shared_ptr<const JitBackend>, std::shared_ptr<CapabilityStore>>;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::size_t kMostThreads = 16;

std::uint64_t sum_of_misses(const RuntimeStatsSnapshot& stats) {
  return std::accumulate(stats.misses.begin(), stats.misses.end(), std::uint64_t{0});
}
double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

// Families by name, each with the values of all sources.
class Families {
 public:
  void add(MetricType type, const char* name, std::string_view label, const char* help, const std::string& source,
           double value) {
    MetricFamily& family = families_[name];
    if (family.name.empty()) family = {.name = name, .help = help, .type = type, .metric = {}};
    ClientMetric metric;
    metric.label.push_back({"name", source});
    if (const std::size_t end = label.find('='); end != std::string_view::npos)
      metric.label.push_back(
          {std::string(label.substr(0, end)), std::string(label.substr(end + 2, label.size() - end - 3))});
    metric.counter.value = metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
  }
  std::vector<MetricFamily> take() {
    std::vector<MetricFamily> all;
    all.reserve(families_.size());
    for (auto& [name, family] : families_) all.push_back(std::move(family));
    return all;
  }

 private:
  std::map<std::string_view, MetricFamily> families_;
};

// What the web server says while it starts, which is on the thread that starts it. Later it has nobody to tell.
thread_local std::string* start_log = nullptr;
int note_start(const mg_connection*, const char* message) {
  if (start_log != nullptr) start_log->append(start_log->empty() ? "" : "; ").append(message);
  return 1;
}

enum class Kind : std::uint8_t { kEngine, kJit, kKernel, kStore };

// The lines of metrics.inc that are of this kind.
template <Kind kind, class Stats>
void add_metrics(Families& families, const std::string& source, const Stats& stats) {
#define CAISSON_METRIC(of, type, metric, label, help, expression) \
  if constexpr (kind == Kind::k##of)                              \
    families.add(MetricType::type, metric, label, help, source, static_cast<double>(expression));
#include "metrics/metrics.inc"
#undef CAISSON_METRIC
}

struct Collector {
  Families& families;
  const std::string& name;

  void operator()(const Engine& engine) const {
    const EngineStats stats = engine.stats();
    add_metrics<Kind::kEngine>(families, name, stats);
    if (stats.jit) add_metrics<Kind::kJit>(families, name, *stats.jit);
  }
  void operator()(const Kernel& kernel) const { add_metrics<Kind::kKernel>(families, name, kernel.stats()); }
  void operator()(const std::shared_ptr<const JitBackend>& backend) const {
    add_metrics<Kind::kJit>(families, name, backend->stats());
  }
  void operator()(const std::shared_ptr<CapabilityStore>& store) const {
    add_metrics<Kind::kStore>(families, name, store->stats());
  }
};

class Sources final : public prometheus::Collectable {
 public:
  std::vector<MetricFamily> Collect() const override {
    std::map<std::pair<std::string, std::size_t>, Source> sources;
    {
      const std::scoped_lock lock(mutex_);
      sources = sources_;
    }
    Families families;
    for (const auto& [key, source] : sources) std::visit(Collector{families, key.first}, source);
    return families.take();
  }
  void add(const std::string& name, Source source) {
    const std::size_t kind = source.index();
    const std::scoped_lock lock(mutex_);
    sources_.insert_or_assign({name, kind}, std::move(source));
  }
  void remove(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(sources_, [&name](const auto& entry) { return entry.first.first == name; });
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::size_t>, Source> sources_;  // by name and kind; guarded by mutex_
};

}  // namespace

struct MetricsServer::State {
  std::shared_ptr<Sources> sources = std::make_shared<Sources>();
  std::unique_ptr<prometheus::Exposer> exposer;
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;
MetricsServer& MetricsServer::operator=(MetricsServer&&) noexcept = default;
MetricsServer::~MetricsServer() = default;

Result<MetricsServer> MetricsServer::listen(const MetricsOptions& options) {
  if (options.threads == 0 || options.threads > kMostThreads)
    return fail(ErrorCode::kInvalidArgument, fmt::format("1 to {} threads", kMostThreads), "MetricsOptions::threads");
  if (!options.path.starts_with('/'))
    return fail(ErrorCode::kInvalidArgument, "a path begins with a slash", "MetricsOptions::path");
  // The web server takes a bare port as well, on every address: too easily meant otherwise.
  if (const std::size_t colon = options.address.rfind(':'); colon == std::string::npos || colon == 0)
    return fail(ErrorCode::kInvalidArgument, "an address is HOST:PORT", options.address);
  std::string log;
  start_log = &log;
  const auto end_log = [](std::string*) { start_log = nullptr; };
  const std::unique_ptr<std::string, decltype(end_log)> end_of_log(&log, end_log);
  try {
    auto state = std::make_unique<State>();
    CivetCallbacks callbacks;
    callbacks.log_message = &note_start;
    state->exposer = std::make_unique<prometheus::Exposer>(options.address, options.threads, &callbacks);
    state->exposer->RegisterCollectable(state->sources, options.path);
    return MetricsServer(std::move(state));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "the host has no memory left");
  } catch (const std::exception& error) {
    return fail(ErrorCode::kIo, fmt::format("no metrics can be served: {}", log.empty() ? error.what() : log),
                options.address);
  }
}

void MetricsServer::add(const std::string& name, const Engine& engine) { state_->sources->add(name, engine); }
void MetricsServer::add(const std::string& name, const Kernel& kernel) { state_->sources->add(name, kernel); }
void MetricsServer::add(const std::string& name, std::shared_ptr<const JitBackend> backend) {
  if (backend != nullptr) state_->sources->add(name, std::move(backend));
}
void MetricsServer::add(const std::string& name, std::shared_ptr<CapabilityStore> store) {
  if (store != nullptr) state_->sources->add(name, std::move(store));
}
void MetricsServer::remove(const std::string& name) { state_->sources->remove(name); }

std::uint16_t MetricsServer::port() const {
  const std::vector<int> ports = state_->exposer->GetListeningPorts();
  return ports.empty() ? 0 : static_cast<std::uint16_t>(ports.front());
}

}  // namespace caisson
