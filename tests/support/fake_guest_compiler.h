// A GuestCompiler for tests of the JitBackend, which does what the hints of its input say, and a store in memory that can be made to fail.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "caisson/artifact_store.h"
#include "caisson/guest_compiler.h"

namespace caisson::test {

inline CodeKey key_of(std::uint64_t number) {
  CodeKey key;
  // Spread, as a hash would be.
  const std::uint64_t mixed = (number + 1) * 0x9E3779B97F4A7C15;
  for (std::size_t index = 0; index < 8; ++index) {
    key.bytes[index] = static_cast<std::uint8_t>(mixed >> (8 * index));
    key.bytes[8 + index] = static_cast<std::uint8_t>(number >> (8 * index));
  }
  return key;
}

// `behaviour` becomes the hints. Known ones: "" (compiles), "fail", "throw", "ineligible", "unloadable", "wait" (until the gate opens, with yield
// points), "hang" (until the gate opens, without), "spin" (yields until it is told to stop), "large" (1000 bytes of code instead of 10), "flaky"
// (waits for the gate, and fails the first time), "stall" (the question whether it is eligible waits for the gate).
inline CompileInput input_of(std::uint64_t number, std::string_view behaviour = {}) {
  CompileInput input;
  input.guest_kind = "fake";
  input.key = key_of(number);
  input.bytes = std::make_shared<const std::vector<std::uint8_t>>(16, static_cast<std::uint8_t>(number));
  input.hints.assign(behaviour.begin(), behaviour.end());
  input.label = "code " + std::to_string(number);
  return input;
}

// A door that jobs wait at. Opening it lets all through.
class Gate {
 public:
  void open() {
    const std::scoped_lock lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  bool is_open() const {
    const std::scoped_lock lock(mutex_);
    return is_open_;
  }
  bool wait(std::chrono::milliseconds time = std::chrono::seconds(60)) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [this] { return is_open_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool is_open_ = false;
};

class FakeCode : public LoadedCode {
 public:
  static constexpr std::uint64_t kAlive = 0xA11CEA11CEA11CE, kDead = 0xDEADDEADDEADDEAD;
  static inline std::atomic<int> alive = 0;

  explicit FakeCode(std::size_t size) : size_(size) { ++alive; }
  ~FakeCode() override {
    mark_ = kDead;
    --alive;
  }
  std::size_t code_bytes() const override { return size_; }
  std::size_t data_bytes() const override { return 1; }
  // What a reader would execute. Wrong, or a data race, where the code has been destroyed.
  bool run() const { return mark_ == kAlive; }

 private:
  std::size_t size_;
  std::uint64_t mark_ = kAlive;
};

class FakeCompiler : public GuestCompiler {
 public:
  std::atomic<int> compilations = 0, loads = 0, running = 0, most_running = 0;
  std::atomic<bool> is_broken = false;  // every compilation fails
  mutable std::atomic<bool> is_stalled = false;
  Gate gate;

  std::string_view guest_kind() const override { return "fake"; }
  ArtifactContext context() const override { return {.cpu_features = 7}; }
  bool is_eligible(const CompileInput& input) const override {
    if (behaviour(input) == "stall") {
      is_stalled = true;
      gate.wait();
    }
    return behaviour(input) != "ineligible";
  }

  Result<CodeBlob> compile(const CompileInput& input, CompileLimits& limits, CompileDump* dump) override {
    ++compilations;
    const int now_running = ++running;
    int most = most_running;
    while (most < now_running && !most_running.compare_exchange_weak(most, now_running)) {
    }
    auto blob = compile_as_told(behaviour(input), limits);
    --running;
    if (dump != nullptr) dump->add("code.txt", "text of " + input.label);
    return blob;
  }

  Result<std::shared_ptr<const LoadedCode>> load(const CodeBlob& blob) override {
    ++loads;
    if (blob.code.empty() || blob.code[0] == 0xFF) return fail(ErrorCode::kInvalidImage, "told not to load");
    return std::make_shared<const FakeCode>(blob.code.size());
  }

 private:
  static std::string_view behaviour(const CompileInput& input) {
    return {reinterpret_cast<const char*>(input.hints.data()), input.hints.size()};
  }

  Result<CodeBlob> compile_as_told(std::string_view behaviour, CompileLimits& limits) {
    constexpr std::chrono::milliseconds kStep{1};
    CodeBlob blob;
    blob.code.assign(behaviour == "large" ? 1000 : 10, behaviour == "unloadable" ? 0xFF : 0x90);
    if (is_broken || behaviour == "fail") return fail(ErrorCode::kUnsupported, "told to fail");
    if (behaviour == "throw") {
      --running;
      throw std::runtime_error("told to throw");
    }
    if (behaviour == "hang") gate.wait();
    if (behaviour == "flaky") {
      const bool is_first = compilations == 1;
      gate.wait();
      if (is_first) return fail(ErrorCode::kUnsupported, "told to fail");
    }
    if (behaviour == "wait" || behaviour == "spin") {
      while (behaviour == "spin" || !gate.is_open()) {
        if (!limits.yield_point()) return fail(ErrorCode::kBusy, "told to stop");
        std::this_thread::sleep_for(kStep);
      }
    }
    return blob;
  }
};

class FakeStore : public ArtifactStore {
 public:
  std::atomic<bool> is_broken = false;
  std::atomic<bool> waits_at_gate = false;  // writes and load_all do
  std::atomic<int> writes_begun = 0, preloads_begun = 0;
  Gate gate;

  Result<std::uint64_t> load_all(const ArtifactContext& context, const std::function<void(Artifact&&)>& each) override {
    ++preloads_begun;
    if (waits_at_gate) gate.wait();
    if (is_broken) return fail(ErrorCode::kIo, "told to fail");
    const std::scoped_lock lock(mutex_);
    std::uint64_t rejected = 0;
    for (const auto& [key, artifact] : artifacts_) {
      if (artifact.context == context) {
        each(Artifact(artifact));
      } else {
        ++rejected;
      }
    }
    return rejected;
  }
  Result<std::optional<Artifact>> load(const CodeKey& key, const ArtifactContext& context, bool* rejected) override {
    if (is_broken) return fail(ErrorCode::kIo, "told to fail");
    const std::scoped_lock lock(mutex_);
    const auto found = artifacts_.find(key);
    if (found == artifacts_.end()) return std::nullopt;
    *rejected = found->second.context != context;
    if (*rejected) return std::nullopt;
    return found->second;
  }
  Result<void> store(const Artifact& artifact) override {
    ++writes_begun;
    if (waits_at_gate) gate.wait();
    if (is_broken) return fail(ErrorCode::kIo, "told to fail");
    const std::scoped_lock lock(mutex_);
    artifacts_.insert_or_assign(artifact.key, artifact);
    return {};
  }
  Result<void> remove(const CodeKey& key) override {
    const std::scoped_lock lock(mutex_);
    artifacts_.erase(key);
    return {};
  }
  Result<void> clear() override {
    if (is_broken) return fail(ErrorCode::kIo, "told to fail");
    const std::scoped_lock lock(mutex_);
    artifacts_.clear();
    return {};
  }

  std::size_t size() const {
    const std::scoped_lock lock(mutex_);
    return artifacts_.size();
  }
  bool contains(std::uint64_t number) const {
    const std::scoped_lock lock(mutex_);
    return artifacts_.contains(key_of(number));
  }
  // An artifact as the backend would have written it, with `code` as its code.
  void put(std::uint64_t number, std::vector<std::uint8_t> code, ArtifactContext context = {.cpu_features = 7}) {
    const std::scoped_lock lock(mutex_);
    artifacts_.insert_or_assign(key_of(number), Artifact{key_of(number), CodeTier::kOptimized, "fake", "stored",
                                                         context, CodeBlob{.code = std::move(code)}});
  }

 private:
  mutable std::mutex mutex_;
  std::map<CodeKey, Artifact> artifacts_;
};

}  // namespace caisson::test
