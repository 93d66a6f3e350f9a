// The hash of a CodeKey, which is a hash already.
#pragma once

#include <cstddef>
#include <cstring>

#include "caisson/code_blob.h"

namespace caisson::compile {

struct CodeKeyHash {
  std::size_t operator()(const CodeKey& key) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, key.bytes.data(), sizeof hash);
    return hash;
  }
};

}  // namespace caisson::compile
