// Interposers: the embedder's own code, asked at every system call of a guest before who answers it.
//
//   options.personality = *caisson::make_linux_personality(linux_options);
//   options.interposer = [](caisson::Caller& caller, std::uint64_t number,
//                           caisson::SystemCallArguments arguments) -> std::optional<std::int64_t> {
//     if (number == 56) return -EACCES;  // openat is refused here
//     return std::nullopt;               // everything else goes on to the personality
//   };
//   auto instance = engine.instantiate(*module, options);
//
// `number` is the guest's a7, below 0x1000 (host functions and operations of the capability kernel have larger numbers and are not
// asked about); `arguments` are a0 … a5, a copy. A value is the answer, the guest's a0: Linux programs take −4095 … −1 for an error. Nothing
// passes the call on, unchanged: to the personality, and without one, or where it has no such call, to what happens without an
// interposer. Memory is read and written through the Caller (caisson/host.h), which also charges gas; an interposer that charges
// nothing does not change what a run costs.
//
// A call may be asked about again before anything came of it: one that waited and was stopped, or that ran out of gas, is made again
// by resume(). Therefore what an interposer charges, it should charge before it acts.
//
// Where it throws, or calls Caller::fail(), the run ends with ExitReason::kEcall and exit_arg = the number; Instance::host_error()
// says why.
//
// Thread safety: one callable serves an instance and all its forks; if they run on several threads it must allow that. It must
// not call functions of the instance that asks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace caisson {

class Caller;

using SystemCallArguments = std::span<const std::uint64_t, 6>;
using SystemCallInterposer =
    std::function<std::optional<std::int64_t>(Caller& caller, std::uint64_t number, SystemCallArguments arguments)>;

}  // namespace caisson
