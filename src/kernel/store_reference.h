// One reference of a store's, given back when its owner ends.
#pragma once

#include <memory>
#include <utility>

#include "caisson/store.h"

namespace caisson::kernel {

// Gives a reference back. Where that fails the store keeps what nobody wants any more, which is nothing to stop for.
inline void give_back(CapabilityStore& store, const Hash& hash) {
  if (const Result<void> released = store.release(hash); !released) return;
}

class StoreReference {
 public:
  // Takes over a reference that the store has counted.
  StoreReference(std::shared_ptr<CapabilityStore> store, const Hash& hash) : store_(std::move(store)), hash_(hash) {}
  StoreReference(StoreReference&& other) noexcept : store_(std::exchange(other.store_, nullptr)), hash_(other.hash_) {}
  StoreReference& operator=(StoreReference&&) = delete;
  ~StoreReference() {
    if (store_ != nullptr) give_back(*store_, hash_);
  }

  const Hash& hash() const { return hash_; }
  // The reference is the caller's from now on.
  Hash take() {
    store_.reset();
    return hash_;
  }

 private:
  std::shared_ptr<CapabilityStore> store_;
  Hash hash_;
};

}  // namespace caisson::kernel
