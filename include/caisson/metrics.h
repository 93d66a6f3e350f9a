// Live metrics of a service that embeds Caisson, for Prometheus (text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats).
//
//   caisson::MetricsServer metrics = caisson::MetricsServer::listen({.address = "127.0.0.1:9464"}).value();
//   metrics.add("plugins", engine);
//   metrics.add("plugins", kernel);
//   metrics.add("plugins", store);
//   // curl http://127.0.0.1:9464/metrics
//
// Every metric has the label `name`, which is what add() was told. Values are read when somebody asks: nothing is counted twice, and an engine that
// is not asked pays nothing. docs/metrics.md has every metric.
//
// In a library of its own, which needs prometheus-cpp: find_package(caisson COMPONENTS metrics), caisson::metrics. A build of Caisson without prometheus-cpp
// has no such library.
//
// Thread safety: every function may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "caisson/engine.h"
#include "caisson/jit_backend.h"
#include "caisson/kernel.h"
#include "caisson/result.h"
#include "caisson/store.h"

namespace caisson {

struct MetricsOptions {
  // HOST:PORT; port 0: any that is free. Whoever reaches it reads the metrics: there is no password.
  std::string address = "127.0.0.1:9464";
  std::string path = "/metrics";
  // Threads that answer, 1 … 16; a scrape that finds them busy waits.
  std::size_t threads = 2;
};

class MetricsServer {
 public:
  // Errors: kInvalidArgument (options), kIo (the address cannot be had: `where`), kOutOfMemory.
  static Result<MetricsServer> listen(const MetricsOptions& options = {});
  MetricsServer(MetricsServer&&) noexcept;
  MetricsServer& operator=(MetricsServer&&) noexcept;
  // Waits for scrapes under way, and up to two seconds for the web server to notice.
  ~MetricsServer();

  // What is added is kept alive until it is removed, or the server ends. A second one of the same kind and name takes the place of the first.
  void add(const std::string& name, const Engine& engine);
  void add(const std::string& name, const Kernel& kernel);
  void add(
      const std::string& name,
      std::shared_ptr<const JitBackend> backend);  // one that engines share; an engine's own is part of its metrics
  void add(const std::string& name, std::shared_ptr<CapabilityStore> store);
  // Everything that was added under the name.
  void remove(const std::string& name);

  std::uint16_t port() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace caisson
