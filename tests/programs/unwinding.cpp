// Exceptions and the unwinder through a signal frame: the signal page is what they recognise.
// flags: -fnon-call-exceptions -fasynchronous-unwind-tables
// dynamic
#include <unwind.h>

#include <csignal>
#include <cstdio>
#include <stdexcept>

namespace {

struct Noisy {
  const char* name;
  ~Noisy() { std::printf("~%s\n", name); }
};

void on_fault(int, siginfo_t*, void*) { throw std::runtime_error("from a handler"); }

_Unwind_Reason_Code count(_Unwind_Context*, void* frames) {
  ++*static_cast<int*>(frames);
  return _URC_NO_REASON;
}

volatile int seen_frames = 0;

void on_signal(int) {
  int frames = 0;
  _Unwind_Backtrace(count, &frames);
  seen_frames = frames;
}

__attribute__((noinline)) int fault(volatile int* address) {
  const Noisy noisy{"fault"};
  return *address;
}

__attribute__((noinline)) int deeper(int depth) {
  const Noisy noisy{"deeper"};
  return depth == 0 ? fault(nullptr) : deeper(depth - 1) + 1;
}

__attribute__((noinline)) void raise_deep(int depth) {
  if (depth == 0) {
    std::raise(SIGUSR1);
  } else {
    raise_deep(depth - 1);
  }
  __asm__ volatile("");
}

}  // namespace

int main() {
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  for (int round = 0; round < 2; ++round) {
    try {
      std::printf("result %d\n", deeper(2));
    } catch (const std::exception& error) {
      std::printf("caught %s\n", error.what());
    }
  }
  std::signal(SIGUSR1, on_signal);
  raise_deep(0);
  const int shallow = seen_frames;
  raise_deep(5);
  std::printf("frames through a signal %d, five more %d\n", shallow > 3, seen_frames - shallow);
  return 0;
}
