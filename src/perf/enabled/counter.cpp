#include "perf/counter.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <string_view>
#include <tuple>

namespace caisson::perf {
namespace {

// A function's own object: static counters of other files may come first.
struct Registry {
  std::mutex mutex;
  std::vector<Counter*> counters;
};

Registry& registry() {
  static Registry* const registry = new Registry;
  return *registry;
}

unsigned join(Counter& counter) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  all.counters.push_back(&counter);
  return static_cast<unsigned>(all.counters.size() - 1);
}

}  // namespace

Counter::Counter(const Module& module, const char* name, unsigned line)
    : module_(module), name_(name), line_(line), index_(join(*this)) {}

std::vector<Counter*> registered_counters() {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  std::vector<Counter*> counters;
  std::ranges::copy_if(all.counters, std::back_inserter(counters),
                       [](const Counter* counter) { return counter->module().position() != 0; });
  std::ranges::sort(counters, {}, [](const Counter* counter) {
    return std::tuple(counter->module().position(), std::string_view(counter->module().section()), counter->line(),
                      std::string_view(counter->name()));
  });
  return counters;
}

}  // namespace caisson::perf
