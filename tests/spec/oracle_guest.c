// Runs spec rows under qemu-riscv64 (spec_oracle.cpp feeds it): reads a machine's state from standard input, becomes that
// machine until a signal stops it, writes its state to standard output, and goes on with the next.
//
// Every register of the state is the row's own, tp, gp and sp included. So the state is put into, and taken from, the context
// of a signal handler on its own stack, and nothing here may use a C library, thread-local storage or a global pointer.
// Linked far away from the addresses that rows use.
// clang-format off: the kernel's headers need this order.
#include <asm/signal.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>
#include <linux/mman.h>
#include <asm/unistd.h>
// clang-format on

// Mirrored in spec_oracle.cpp.
enum { kPageSize = 4096, kMaximumPages = 16 };

struct Page {
  unsigned long address, permissions;  // 1 read, 2 write, 4 execute
  unsigned char bytes[kPageSize];
};

struct Machine {
  unsigned long x[32];  // x[0] is the pc
  unsigned long f[32];
  unsigned long fcsr;
  unsigned long signal, address;  // out
  unsigned long page_count;
};

static struct Machine machine;
static struct Page pages[kMaximumPages];
static unsigned char handler_stack[1 << 16];

static long system_call(long number, long a, long b, long c, long d, long e, long f) {
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  register long a3 __asm__("a3") = d;
  register long a4 __asm__("a4") = e;
  register long a5 __asm__("a5") = f;
  register long a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
  return a0;
}

static void leave(long status) {
  system_call(__NR_exit_group, status, 0, 0, 0, 0, 0);
  __builtin_unreachable();
}

static void read_all(void* to, unsigned long length) {
  for (unsigned char* next = to; length > 0;) {
    const long count = system_call(__NR_read, 0, (long)next, (long)length, 0, 0, 0);
    if (count <= 0) leave(0);
    next += count;
    length -= (unsigned long)count;
  }
}

static void write_all(const void* from, unsigned long length) {
  for (const unsigned char* next = from; length > 0;) {
    const long count = system_call(__NR_write, 1, (long)next, (long)length, 0, 0, 0);
    if (count <= 0) leave(1);
    next += count;
    length -= (unsigned long)count;
  }
}

static void copy(unsigned char* to, const unsigned char* from) {
  for (int i = 0; i < kPageSize; ++i) to[i] = from[i];
}

static void load_machine(struct ucontext* context) {
  read_all(&machine, sizeof machine);
  if (machine.page_count > kMaximumPages) leave(2);
  read_all(pages, machine.page_count * sizeof pages[0]);
  for (unsigned long i = 0; i < machine.page_count; ++i) {
    const long address = (long)pages[i].address;
    if (system_call(__NR_mmap, address, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                    0) != address)
      leave(3);
    copy((unsigned char*)address, pages[i].bytes);
    system_call(__NR_mprotect, address, kPageSize, (long)pages[i].permissions, 0, 0, 0);
  }
  __asm__ volatile("fence.i" ::: "memory");
  unsigned long* registers = &context->uc_mcontext.sc_regs.pc;
  struct __riscv_d_ext_state* floats = &context->uc_mcontext.sc_fpregs.d;
  for (int i = 0; i < 32; ++i) {
    registers[i] = machine.x[i];
    floats->f[i] = machine.f[i];
  }
  floats->fcsr = (unsigned)machine.fcsr;
}

static void store_machine(int signal, const siginfo_t* information, struct ucontext* context) {
  const unsigned long* registers = &context->uc_mcontext.sc_regs.pc;
  const struct __riscv_d_ext_state* floats = &context->uc_mcontext.sc_fpregs.d;
  for (int i = 0; i < 32; ++i) {
    machine.x[i] = registers[i];
    machine.f[i] = floats->f[i];
  }
  machine.fcsr = floats->fcsr;
  machine.signal = (unsigned long)signal;
  machine.address = (unsigned long)information->si_addr;
  for (unsigned long i = 0; i < machine.page_count; ++i) {
    const long address = (long)pages[i].address;
    system_call(__NR_mprotect, address, kPageSize, PROT_READ | PROT_WRITE, 0, 0, 0);
    copy(pages[i].bytes, (const unsigned char*)address);
    system_call(__NR_munmap, address, kPageSize, 0, 0, 0, 0);
  }
  write_all(&machine, sizeof machine);
  write_all(pages, machine.page_count * sizeof pages[0]);
}

static void on_signal(int signal, siginfo_t* information, void* context) {
  if (signal != SIGUSR1) store_machine(signal, information, context);
  load_machine(context);
}

void _start(void) {
  const stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
  system_call(__NR_sigaltstack, (long)&stack, 0, 0, 0, 0, 0);
  // The kernel's struct sigaction: handler, flags, mask.
  const struct {
    void (*handler)(int, siginfo_t*, void*);
    unsigned long flags, mask;
  } action = {on_signal, SA_SIGINFO | SA_ONSTACK | SA_NODEFER, 0};
  static const int signals[] = {SIGUSR1, SIGTRAP, SIGILL, SIGSEGV, SIGBUS};
  for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; ++i) {
    system_call(__NR_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0);
  }
  system_call(__NR_kill, system_call(__NR_getpid, 0, 0, 0, 0, 0, 0), SIGUSR1, 0, 0, 0, 0);
  for (;;) {
  }
}
