// A second tree in the same state as a first: what neither changes of their memory is shared.
#pragma once

#include <memory>
#include <vector>

#include "caisson/result.h"
#include "kernel/instance_object.h"
#include "kernel/tree.h"

namespace caisson::kernel {

// Everything that an instance owns with it. Errors: kOutOfMemory, kLimit (instances, parked pages), kUnsupported (memory that cannot be parked).
Result<std::unique_ptr<InstanceObject>> clone_instance(InstanceObject& instance, Tree& into);
// Of calls that are under way.
Result<std::vector<Frame>> clone_frames(std::vector<Frame>& frames, Tree& into);

}  // namespace caisson::kernel
