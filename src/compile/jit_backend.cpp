// The public face: handles, slots and readers forward to BackendState.
#include "caisson/jit_backend.h"

#include <utility>

#include "compile/backend_state.h"

namespace caisson {

std::string_view to_string(InterpretReason reason) {
  switch (reason) {
    case InterpretReason::kNone:
      return "compiled";
    case InterpretReason::kDisabled:
      return "disabled";
    case InterpretReason::kCold:
      return "cold";
    case InterpretReason::kPending:
      return "pending";
    case InterpretReason::kIneligible:
      return "ineligible";
    case InterpretReason::kCompileFailed:
      return "compile failed";
  }
  return "unknown";
}

CodeReader& CodeReader::operator=(CodeReader&& other) noexcept {
  if (this != &other) {
    unregister();
    backend_ = std::move(other.backend_);
    record_ = other.record_;
    epoch_ = other.epoch_;
  }
  return *this;
}

CodeReader::~CodeReader() { unregister(); }

void CodeReader::unregister() {
  if (backend_ != nullptr) std::exchange(backend_, nullptr)->forget_reader(record_);
}

CodeSlot::~CodeSlot() { backend_->forget_slot(*this); }

std::shared_ptr<const LoadedCode> CodeSlot::pin() const { return backend_->pin(*this); }

std::shared_ptr<const CompileInput> CodeSlot::input() const {
  const std::scoped_lock lock(input_mutex_);
  return input_;
}

void CodeSlot::set_hints(std::vector<std::uint8_t> hints) {
  const std::scoped_lock lock(input_mutex_);
  auto changed = std::make_shared<CompileInput>(*input_);
  changed->hints = std::move(hints);
  input_ = std::move(changed);
}

// What the copies of a JitBackend share: the service ends with it.
class JitBackend::Handle {
 public:
  explicit Handle(std::shared_ptr<compile::BackendState> state) : state_(std::move(state)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { state_->shutdown(); }
  compile::BackendState* operator->() const { return state_.get(); }

 private:
  std::shared_ptr<compile::BackendState> state_;
};

JitBackend JitBackend::disabled(std::vector<std::shared_ptr<GuestCompiler>> compilers) {
  RuntimeConfig config;
  config.enabled = false;
  for (auto& compiler : compilers) {
    // A second one of a kind would make the configuration invalid.
    bool is_known = compiler == nullptr;
    for (const auto& known : config.compilers) is_known |= compiler && known->guest_kind() == compiler->guest_kind();
    if (!is_known) config.compilers.push_back(std::move(compiler));
  }
  return JitBackend(std::make_shared<Handle>(compile::BackendState::make(std::move(config)).value()));
}

Result<JitBackend> JitBackend::create(RuntimeConfig config) {
  const bool is_enabled = config.enabled;
  auto state = compile::BackendState::make(std::move(config));
  if (!state) return std::unexpected(state.error());
  JitBackend backend(std::make_shared<Handle>(*std::move(state)));
  if (is_enabled) {
    if (const auto started = backend.set_enabled(true); !started) return std::unexpected(started.error());
  }
  return backend;
}

std::shared_ptr<CodeSlot> JitBackend::make_slot(CompileInput input) const {
  return (*handle_)->make_slot(std::move(input));
}
CodeReader JitBackend::make_reader() const { return (*handle_)->make_reader(); }

LookupDecision JitBackend::lookup_missed(const LookupRequest& request) {
  return compile::BackendState::of(request.slot).lookup_missed(request);
}
LookupDecision JitBackend::lookup_blocking(const LookupRequest& request) const {
  return (*handle_)->lookup_blocking(request);
}

std::shared_ptr<const LoadedCode> JitBackend::get_compiled(const CodeKey& key) const {
  return (*handle_)->get_compiled(key, /*is_tracked=*/false);
}
std::shared_ptr<const LoadedCode> JitBackend::get_compiled_tracked(const CodeKey& key) const {
  return (*handle_)->get_compiled(key, /*is_tracked=*/true);
}

Result<void> JitBackend::compile_jit(const CompileRequest& request) const { return (*handle_)->compile_jit(request); }
Result<std::shared_ptr<const LoadedCode>> JitBackend::compile_jit_sync(const CompileRequest& request) const {
  return (*handle_)->compile_jit_sync(request).code;
}
Result<void> JitBackend::prepare_aot(const CompileRequest& request) const { return (*handle_)->prepare_aot(request); }
std::size_t JitBackend::prepare_aot_batch(std::span<const CompileRequest> requests) const {
  return (*handle_)->prepare_aot_batch(requests);
}

void JitBackend::clear_resident() const { (*handle_)->clear_resident(); }
Result<void> JitBackend::clear_persisted() const { return (*handle_)->clear_persisted(); }
Result<void> JitBackend::clear_all() const {
  // In this order nothing of the old store becomes resident again.
  const auto cleared = clear_persisted();
  clear_resident();
  return cleared;
}

Result<void> JitBackend::set_enabled(bool enabled) const { return (*handle_)->set_enabled(enabled); }
bool JitBackend::enabled() const { return (*handle_)->enabled(); }
std::uint64_t JitBackend::hot_threshold() const { return (*handle_)->config().tuning.hot_threshold; }
bool JitBackend::is_blocking() const { return (*handle_)->config().blocking; }
void JitBackend::pause() const { (*handle_)->pause(); }
void JitBackend::resume() const { (*handle_)->resume(); }
RuntimeStatsSnapshot JitBackend::stats() const { return (*handle_)->stats(); }

}  // namespace caisson
