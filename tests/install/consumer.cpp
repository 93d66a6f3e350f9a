// A program of a library user, built against the install tree.
#include <caisson/engine.h>
#include <caisson/kernel.h>
#include <caisson/linux.h>

#include <cstdio>

int main(int argc, char** argv) {
  caisson::Result<caisson::Engine> engine = caisson::Engine::create();
  if (!engine || argc < 2) return 1;
  const caisson::Result<caisson::Module> module = engine->load_file(argv[1]);
  if (!module) {
    std::puts(module.error().to_string().c_str());
    return 1;
  }
  const auto kernel = caisson::Kernel::create(*engine, caisson::CapabilityStore::in_memory());
  if (!kernel || kernel->derive(caisson::Hash())) return 1;
  const auto personality = caisson::make_linux_personality({.arguments = {"program"}, .program = "/program"});
  if (!personality) return 1;
  caisson::Result<caisson::Instance> instance = engine->instantiate(*module, {.personality = *personality});
  if (!instance) return 1;
  const caisson::Result<caisson::InvocationResult> result = instance->start();
  if (!result) return 1;
  std::printf("status %d, gas %s\n", static_cast<int>(result->return_value),
              instance->gas_used() > 0 ? "used" : "none");
}
