#include "bench/kernels.h"

// Native builds of the kernels, and the linked guests as the build embeds them (see bench/CMakeLists.txt).
#define KERNEL(name, rounds)                                           \
  extern "C" std::uint64_t caisson_kernel_##name(std::uint64_t);       \
  extern "C" const std::uint8_t caisson_embedded_##name##_guest[];     \
  extern "C" const std::uint8_t caisson_embedded_##name##_guest_end[]; \
  extern "C" const std::uint8_t caisson_embedded_##name##_timed[];     \
  extern "C" const std::uint8_t caisson_embedded_##name##_timed_end[]; \
  extern "C" const std::uint8_t caisson_embedded_##name##_wasm[];      \
  extern "C" const std::uint8_t caisson_embedded_##name##_wasm_end[];
#include "bench/kernels.inc"
#undef KERNEL

#define PROGRAM(name)                                      \
  extern "C" const std::uint8_t caisson_embedded_##name[]; \
  extern "C" const std::uint8_t caisson_embedded_##name##_end[];
PROGRAM(hello_guest)
PROGRAM(resident_guest)
PROGRAM(calls_guest)
PROGRAM(instances_guest)
PROGRAM(pattern_guest)
PROGRAM(large_guest)
PROGRAM(empty_native)
PROGRAM(system_calls_guest)
PROGRAM(system_calls_native)
PROGRAM(gas_classes_guest)
PROGRAM(wasm_driver)
PROGRAM(python_script)
PROGRAM(lua_script)
PROGRAM(sqlite_script)
#undef PROGRAM

namespace caisson::bench {

std::span<const Kernel> kernels() {
#define KERNEL(name, rounds)                                                     \
  Kernel{#name,                                                                  \
         rounds,                                                                 \
         caisson_kernel_##name,                                                  \
         {caisson_embedded_##name##_guest, caisson_embedded_##name##_guest_end}, \
         {caisson_embedded_##name##_timed, caisson_embedded_##name##_timed_end}, \
         {caisson_embedded_##name##_wasm, caisson_embedded_##name##_wasm_end}},
  static const Kernel kKernels[] = {
#include "bench/kernels.inc"
  };
#undef KERNEL
  return kKernels;
}

std::span<const std::uint8_t> hello_guest() { return {caisson_embedded_hello_guest, caisson_embedded_hello_guest_end}; }

std::span<const std::uint8_t> resident_guest() {
  return {caisson_embedded_resident_guest, caisson_embedded_resident_guest_end};
}

std::span<const std::uint8_t> calls_guest() { return {caisson_embedded_calls_guest, caisson_embedded_calls_guest_end}; }

std::span<const std::uint8_t> instances_guest() {
  return {caisson_embedded_instances_guest, caisson_embedded_instances_guest_end};
}

std::span<const std::uint8_t> pattern_guest() {
  return {caisson_embedded_pattern_guest, caisson_embedded_pattern_guest_end};
}

std::span<const std::uint8_t> large_guest() { return {caisson_embedded_large_guest, caisson_embedded_large_guest_end}; }

std::span<const std::uint8_t> empty_native() {
  return {caisson_embedded_empty_native, caisson_embedded_empty_native_end};
}

std::span<const std::uint8_t> system_calls_guest() {
  return {caisson_embedded_system_calls_guest, caisson_embedded_system_calls_guest_end};
}

std::span<const std::uint8_t> system_calls_native() {
  return {caisson_embedded_system_calls_native, caisson_embedded_system_calls_native_end};
}

std::span<const std::uint8_t> gas_classes_guest() {
  return {caisson_embedded_gas_classes_guest, caisson_embedded_gas_classes_guest_end};
}

std::span<const std::uint8_t> wasm_driver() { return {caisson_embedded_wasm_driver, caisson_embedded_wasm_driver_end}; }

std::span<const std::uint8_t> python_script() {
  return {caisson_embedded_python_script, caisson_embedded_python_script_end};
}

std::span<const std::uint8_t> lua_script() { return {caisson_embedded_lua_script, caisson_embedded_lua_script_end}; }

std::span<const std::uint8_t> sqlite_script() {
  return {caisson_embedded_sqlite_script, caisson_embedded_sqlite_script_end};
}

}  // namespace caisson::bench
