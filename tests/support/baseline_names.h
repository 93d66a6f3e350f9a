// What tests of the baseline tier name again and again.
#pragma once

#include "baseline/baseline.h"
#include "isa/riscv/hart_state.h"
#include "memory/address_space.h"
#include "memory/executable_memory.h"
#include "memory/window_pool.h"
#include "support/guest_words.h"

namespace caisson::baseline {

using memory::kExecute;
using memory::kPageSize;
using memory::kRead;
using memory::kWrite;
using memory::MapStatus;
using riscv::HartState;
using riscv::TrapKind;
using tests::addi;
using tests::bne;
using tests::jalr;
using tests::kEbreakWord;
using tests::kReturnWord;
using tests::map_code;

}  // namespace caisson::baseline
