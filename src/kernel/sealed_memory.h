// Memory as Data with a mapping table, and back.
#pragma once

#include <memory>
#include <vector>

#include "caisson/capability.h"
#include "caisson/result.h"
#include "memory/memory_base.h"
#include "memory/memory_state.h"

namespace caisson::kernel {

// The pages of all mappings, one mapping behind the other.
struct SealedMemory {
  std::vector<ImageMapping> mappings;
  Data data;
};

// A base with these pages and mappings. Errors: kOutOfMemory.
Result<std::shared_ptr<const memory::MemoryBase>> make_base(const SealedMemory& memory);
// Of a base: read once, and kept by who uses the base often.
SealedMemory seal_base(const memory::MemoryBase& base);
// Of a state: `base` is seal_base() of its base. Costs as much as pages differ from it.
SealedMemory seal_state(const SealedMemory& base, const memory::MemoryState& state);

// What the last sealing of an instance found, so that the next one costs what has changed since.
class SealedMemoryCache {
 public:
  // seal_state() of `state`. `image_base` is seal_base() of `image`, which most instances share.
  SealedMemory seal(const memory::MemoryState& state, const memory::MemoryBase& image, const SealedMemory& image_base);

 private:
  std::shared_ptr<const memory::MemoryBase> base_;  // of last_
  SealedMemory last_;
  std::vector<memory::ChangedPage> changed_;  // of last_, against base_
};

// The state that `data` with `mappings` is, over `base` where its mappings are the same, else over a base of its own. Errors: kInvalidImage (the data is
// too short), kOutOfMemory.
Result<memory::MemoryState> open_memory(const std::vector<ImageMapping>& mappings, const Data& data,
                                        const std::shared_ptr<const memory::MemoryBase>& base,
                                        const SealedMemory& sealed_base);

}  // namespace caisson::kernel
