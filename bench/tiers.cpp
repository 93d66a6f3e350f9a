#include "bench/tiers.h"

#include "bench/kernels.h"
#include "bench/suites.h"
#include "caisson/engine.h"

namespace caisson::bench {

Result<std::vector<NamedTier>> available_tiers(Report& report, const std::string& suite) {
  const auto engine = Engine::create();
  if (!engine) return std::unexpected(engine.error());
  const auto module = engine->load_bytes(kernels().front().guest, "probe");
  if (!module) return std::unexpected(module.error());
  std::vector<NamedTier> available;
  for (const NamedTier& one :
       {NamedTier{"interp", Tier::kInterp}, {"auto", Tier::kAuto}, {"baseline", Tier::kBaseline}}) {
    const auto instance = engine->instantiate(*module, {.tier = one.tier});
    if (instance) {
      available.push_back(one);
    } else if (instance.error().code == ErrorCode::kUnsupported) {
      add_absent(report, suite, std::string(one.name), instance.error().message);
    } else {
      return std::unexpected(instance.error());
    }
  }
  return available;
}

}  // namespace caisson::bench
