// Makes a failing program small: removes items, loops and functions as long as it still fails.
#pragma once

#include <functional>

#include "generators/program.h"

namespace caisson::differential {

fuzz::Program shrink(fuzz::Program program, const std::function<bool(const fuzz::Program&)>& fails);

}  // namespace caisson::differential
