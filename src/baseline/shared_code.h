// Compiled code that instances of one module share: a range of the module's own pages, the same in all of them.
//
// Whoever maps the module lets its instances adopt the range; an instance whose pages change there leaves it for good. Code lives as
// long as the module or an instance that adopted it. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "baseline/code_region.h"
#include "baseline/register_map.h"

namespace caisson::baseline {

class SharedCode {
 public:
  // The region for code under `thunks`, made if need be. Null where there are too many or no memory is left: then an instance
  // compiles for itself.
  std::shared_ptr<CodeRegion> region(const std::shared_ptr<const Thunks>& thunks, std::uint32_t base,
                                     std::uint32_t size);

  // The map that the last instance to learn something found best.
  RegisterMap preferred_map() const;
  void set_preferred_map(const RegisterMap& map);

 private:
  static constexpr std::size_t kMostRegions = 4;

  mutable std::mutex mutex_;
  RegisterMap preferred_ = kFirstMap;
  std::vector<std::shared_ptr<CodeRegion>> regions_;  // the least recently made first
};

}  // namespace caisson::baseline
