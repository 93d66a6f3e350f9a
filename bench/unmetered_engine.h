// An engine whose optimised code is not metered, beside which benches set the one that is.
#pragma once

#include "caisson/engine.h"

namespace caisson::bench {

// Its optimised code neither pays gas nor ends at a limit: only for code that ends by itself. Errors: those of Engine::create(), kNotFound
// (no plug-in).
Result<Engine> make_unmetered_engine();

}  // namespace caisson::bench
