// Runs a function of a guest program and lets it call back. Usage: embed sum.elf (made from examples/guest/sum.c)
#include <caisson/engine.h>

#include <cstdlib>
#include <iostream>

template <class T>
T value_or_exit(caisson::Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << "embed: " << result.error().to_string() << '\n';
  std::exit(1);
}

int main(int argc, char** argv) {
  caisson::Engine engine = value_or_exit(caisson::Engine::create());
  engine.host_function("add", [](int a, int b) { return a + b; }, /*gas=*/20);

  const caisson::Module module = value_or_exit(engine.load_file(argc > 1 ? argv[1] : "sum.elf"));
  caisson::Instance instance =
      value_or_exit(engine.instantiate(module, {.call_gas = 100'000, .memory_limit = 64 << 20}));

  const int sum = value_or_exit(instance.call<int>("sum_to", 100));
  std::cout << "1 + 2 + ... + 100 = " << sum << ", for " << instance.gas_used() << " gas\n";
}
