// Metrics as Prometheus gets them: over HTTP, against the statistics that they are made of. docs/metrics.md is rendered from the table;
// `CAISSON_UPDATE_PAGES=1 metrics_test` writes it.
#include "caisson/metrics.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/guest_compiler.h"

namespace caisson {
namespace {

// What GET of a path answers, header and body.
std::string get(std::uint16_t port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
    if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char piece[4096];
      for (ssize_t length; (length = read(fd, piece, sizeof piece)) > 0;) answer.append(piece, length);
    }
  }
  close(fd);
  return answer;
}

// The samples by their text, e.g. `caisson_store_bytes{name="main"}`.
std::map<std::string, double> scrape(const MetricsServer& server, const std::string& path = "/metrics") {
  std::istringstream text(get(server.port(), path));
  std::map<std::string, double> samples;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const std::size_t space = line.rfind(' ');
    if (!line.starts_with("caisson_") || space == std::string::npos) continue;
    EXPECT_TRUE(samples.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second) << line;
  }
  return samples;
}

MetricsServer listen() {
  Result<MetricsServer> server = MetricsServer::listen({.address = "127.0.0.1:0"});
  EXPECT_TRUE(server) << server.error().to_string();
  return *std::move(server);
}

TEST(Metrics, AreWhatTheStatisticsSay) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf =
      test::compile_guest({{"guest.c",
                            "#include <caisson/guest.h>\nCAISSON_EXPORT unsigned long work(unsigned long n) {\n"
                            "  volatile unsigned long sum = 0; for (unsigned long i = 0; i < n; ++i) sum += i;\n"
                            "  if (n == 7) __asm__ volatile(\".insn 0\"); return sum; }\n"}},
                          {"-O2", "-nostdlib", "-static", "-Wl,-e,0", "-ffreestanding"});
  ASSERT_TRUE(elf) << elf.error().to_string();
  const Engine engine = Engine::create({.hot_threshold = 1000, .blocking = true}).value();
  const std::shared_ptr<CapabilityStore> store = CapabilityStore::in_memory();
  const Kernel kernel = Kernel::create(engine, store).value();
  MetricsServer server = listen();
  server.add("main", engine);
  server.add("main", kernel);
  server.add("other", store);
  EXPECT_EQ(scrape(server).at("caisson_kernel_runs_total{name=\"main\",exit=\"returned\"}"), 0);

  KernelInstance instance = kernel.derive(kernel.build_image(*elf).value()).value();
  const auto run = [&](std::uint64_t n, std::uint64_t gas) {
    return instance.invoke(0, std::array<std::uint64_t, 1>{n}, gas)->exit_reason;
  };
  EXPECT_EQ(run(1'000'000, 1'000'000'000), ExitReason::kHostCall);
  EXPECT_EQ(run(10, 1'000'000), ExitReason::kHostCall);
  EXPECT_EQ(run(1'000'000, 1000), ExitReason::kOutOfGas);
  EXPECT_EQ(run(7, 1'000'000), ExitReason::kPanic);
  EXPECT_FALSE(instance.resume(1));
  const Hash sealed = instance.seal().value();
  const std::map<std::string, double> samples = scrape(server);
  const auto kernel_runs = [&](const char* exit) {
    return samples.at(fmt::format("caisson_kernel_runs_total{{name=\"main\",exit=\"{}\"}}", exit));
  };
  EXPECT_EQ(kernel_runs("returned"), 2);
  EXPECT_EQ(kernel_runs("out_of_gas"), 1);
  EXPECT_EQ(kernel_runs("failed"), 1);
  EXPECT_EQ(samples.at("caisson_kernel_gas_total{name=\"main\"}"), static_cast<double>(instance.gas_used()));
  EXPECT_EQ(samples.at("caisson_kernel_resident_instances{name=\"main\"}"), 1);
  EXPECT_EQ(samples.at("caisson_engine_windows{name=\"main\",state=\"in_use\"}"), engine.stats().windows_in_use);
  EXPECT_GE(samples.at("caisson_engine_windows{name=\"main\",state=\"in_use\"}"), 1);
  EXPECT_EQ(samples.at("caisson_store_capabilities{name=\"other\"}"), store->stats().capabilities);
  EXPECT_EQ(samples.at("caisson_store_bytes{name=\"other\"}"), store->stats().bytes);
  ASSERT_TRUE(engine.stats().jit);
  EXPECT_GE(samples.at("caisson_jit_compilations_total{name=\"main\",outcome=\"succeeded\"}"), 1);
  EXPECT_EQ(store->release(sealed).has_value(), true);

  // A second of the same kind and name takes its place; one of another kind is beside it; removed, they are gone.
  server.add("other", CapabilityStore::in_memory());
  EXPECT_EQ(scrape(server).at("caisson_store_capabilities{name=\"other\"}"), 0);
  server.remove("main");
  for (const auto& [sample, value] : scrape(server))
    EXPECT_NE(sample.find("name=\"other\""), std::string::npos) << sample;
  server.remove("other");
  EXPECT_TRUE(scrape(server).empty());
}

TEST(Metrics, NamesAreEscaped) {
  const Engine engine = Engine::create().value();
  MetricsServer server = listen();
  server.add("a \"quoted\\name\"\n", engine);
  EXPECT_TRUE(scrape(server).contains("caisson_engine_host_mappings{name=\"a \\\"quoted\\\\name\\\"\\n\"}"));
}

TEST(Metrics, OthersMayBeScrapedWhileTheyComeAndGo) {
  const Engine engine = Engine::create().value();
  MetricsServer server = listen();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&server, &engine, thread] {
      for (int i = 0; i < 200; ++i) {
        server.add(std::to_string(thread), engine);
        server.add(std::to_string(thread), CapabilityStore::in_memory());
        if (i % 3 == 0) server.remove(std::to_string(thread));
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(get(server.port(), "/metrics").starts_with("HTTP/1.1 200"));
  for (std::thread& thread : threads) thread.join();
}

TEST(Metrics, BadOptionsAreErrors) {
  const auto code = [](MetricsOptions options) {
    const Result<MetricsServer> server = MetricsServer::listen(options);
    return server ? std::optional<ErrorCode>() : server.error().code;
  };
  EXPECT_EQ(code({.address = "127.0.0.1:0", .threads = 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.address = "127.0.0.1:0", .threads = 17}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.address = "127.0.0.1:0", .path = "metrics"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.address = "9464"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({.address = "nowhere.invalid:80"}), ErrorCode::kIo);
  const MetricsServer first = listen();
  const std::string taken = fmt::format("127.0.0.1:{}", first.port());
  const Result<MetricsServer> second = MetricsServer::listen({.address = taken});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_EQ(second.error().where, taken);
  Result<MetricsServer> elsewhere = MetricsServer::listen({.address = "127.0.0.1:0", .path = "/other"});
  ASSERT_TRUE(elsewhere) << elsewhere.error().to_string();
  elsewhere->add("x", CapabilityStore::in_memory());
  EXPECT_FALSE(scrape(*elsewhere, "/other").empty());
  EXPECT_TRUE(scrape(*elsewhere, "/metrics").empty());
}

constexpr const char* kIntroduction = R"(# Metrics for Prometheus

A service that embeds Caisson serves its statistics by `caisson::MetricsServer` (`include/caisson/metrics.h`, in `caisson::metrics`):

```cpp
caisson::MetricsServer metrics = caisson::MetricsServer::listen({.address = "127.0.0.1:9464"}).value();
metrics.add("plugins", engine);
metrics.add("plugins", kernel);
metrics.add("plugins", store);
```

Every metric has the label `name`, which is what `add()` was told. Values are read when somebody asks. The address has no password: bind it to where only
the collector reaches it. What runs and instances cost beyond that is in `EngineStats`, `KernelStats`, `CapabilityStoreStats` and `JitBackend::stats()`.

This page is rendered from `src/metrics/metrics.inc`; a test fails where it is out of date, and
`CAISSON_UPDATE_PAGES=1 build/release/bin/metrics_test` renders it again.

| metric | type | labels | what it is |
| --- | --- | --- | --- |
)";

std::string render_page() {
  struct Row {
    std::string type, labels, help;
  };
  std::vector<std::string> order;
  std::map<std::string, Row> rows;
  const auto add = [&](const char* type, const std::string& metric, const std::string& label, const char* help) {
    Row& row = rows[metric];
    if (row.type.empty()) {
      order.push_back(metric);
      row = {type, {}, help};
    }
    std::string text = label;
    std::erase(text, '"');
    row.labels += (row.labels.empty() || text.empty() ? "" : ", ") + (text.empty() ? "" : "`" + text + "`");
  };
#define CAISSON_METRIC(of, type, metric, label, help, expression) add(#type, metric, label, help);
#include "metrics/metrics.inc"
#undef CAISSON_METRIC
  std::string page = kIntroduction;
  for (const std::string& metric : order) {
    const Row& row = rows[metric];
    std::string type = row.type;
    type[0] = static_cast<char>(std::tolower(type[0]));
    page += fmt::format("| `{}` | {} | {} | {} |\n", metric, type, row.labels, row.help);
  }
  return page;
}

TEST(MetricsPage, IsUpToDate) {
  const std::string path = CAISSON_SOURCE_DIR "/docs/metrics.md";
  const std::string page = render_page();
  if (std::getenv("CAISSON_UPDATE_PAGES") != nullptr) std::ofstream(path) << page;
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), page);
}

}  // namespace
}  // namespace caisson
