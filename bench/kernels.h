// The kernels of guest/bench, in their four builds: native code in this process, a guest of functions only, a Linux program
// that times itself (guest/bench/timing_driver.cpp), and WebAssembly (for guest/bench/wasm/driver.js).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace caisson::bench {

struct Kernel {
  std::string_view name;
  std::uint64_t rounds;  // of one sample
  std::uint64_t (*native)(std::uint64_t rounds);
  std::span<const std::uint8_t> guest;  // exports run(rounds)
  std::span<const std::uint8_t> timed_program;  // reads rounds, writes nanoseconds and checksum
  std::span<const std::uint8_t> wasm;  // exports run(rounds); empty where the build had no linker for it
};

std::span<const Kernel> kernels();

// Programs of guest/bench/programs: what the suites about processes and instances run.
std::span<const std::uint8_t> hello_guest();  // static, with the C library: prints "hello"
std::span<const std::uint8_t> resident_guest();  // static, with the C library: calls caisson_ready(); exports `answer`
std::span<const std::uint8_t> calls_guest();  // functions of their own: `empty`, and `call_host`, which imports `add`
// Functions that are endpoints of instances: bench/kernel_bench.h names them.
std::span<const std::uint8_t> instances_guest();
std::span<const std::uint8_t> pattern_guest();
std::span<const std::uint8_t> large_guest();
std::span<const std::uint8_t> empty_native();  // a host program that does nothing
std::span<const std::uint8_t>
system_calls_guest();  // static, with the C library: bench/system_call_engines.h says what it does
std::span<const std::uint8_t> system_calls_native();  // a host program of the same source
std::span<const std::uint8_t> gas_classes_guest();  // loops of one class of instruction each
std::span<const std::uint8_t> wasm_driver();  // a script for node that runs a kernel's WebAssembly

// Scripts of guest/bench/programs for the interpreters of suite `programs`.
std::span<const std::uint8_t> python_script();
std::span<const std::uint8_t> lua_script();
std::span<const std::uint8_t> sqlite_script();

}  // namespace caisson::bench
