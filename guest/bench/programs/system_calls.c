/* System calls, one kind at a time, for the suite `syscall`: the same source for the host and for guests.
 *
 *   system_calls READ_FILE WRITE_FILE         says that it is ready to be called (guests of Caisson)
 *   system_calls READ_FILE WRITE_FILE serve   answers requests on standard input until it ends (host, emulators)
 *
 * Both files are of kFileSize bytes; byte i of the first is i % 251. No library is linked: all of it is compiled before the first call by a
 * tier that does so, and a C library's start is a thousand times what is measured. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifdef __riscv
#include <caisson/guest.h>
#define EXPORT CAISSON_EXPORT
#else
#define EXPORT static
static void caisson_ready(void) {}
#endif

/* In the order of SystemCallCase in bench/system_call_engines.h. */
enum kind { kClose, kNoCall, kGeteuid, kRead, kWrite, kPipe, kPipeByte, kOpenClose, kForkWait };

enum { kFileSize = 1 << 20, kLargest = 16384, kPeriod = 251, kChildStatus = 7, kNobodysNumber = 1000, kNothing = 0xFF };
static const int64_t kWrongBytes = 1;

static const char *read_path;
static long read_file, write_file;
static unsigned char buffer[kLargest];

#ifdef __riscv
static inline long call(long number, long first, long second, long third, long fourth) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = first;
  register long a1 __asm__("a1") = second;
  register long a2 __asm__("a2") = third;
  register long a3 __asm__("a3") = fourth;
  register long a4 __asm__("a4") = 0;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
  return a0;
}
#else
static inline long call(long number, long first, long second, long third, long fourth) {
  register long r10 __asm__("r10") = fourth;
  register long r8 __asm__("r8") = 0;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}
#endif

static long open_path(const char *path, long flags) { return call(SYS_openat, AT_FDCWD, (long)path, flags, 0); }

/* 0, or what the call gave that it should not have: never 0 itself. */
static int64_t unless(int right, int64_t result) { return right ? 0 : result == 0 ? kWrongBytes : result; }

/* Reads or writes go through the file and begin again at its end; one further call in each round of it. */
static int64_t transfer(long number, long file, uint64_t size, uint64_t count) {
  const uint64_t round = kFileSize / size;
  for (uint64_t done = 0; done < count; ++done) {
    if (done % round == 0) {
      const long rewound = call(SYS_lseek, file, 0, SEEK_SET, 0);
      if (rewound != 0) return unless(0, rewound);
    }
    const long moved = call(number, file, (long)buffer, (long)size, 0);
    if (moved != (long)size) return unless(0, moved);
  }
  return 0;
}

static int64_t pipes(uint64_t count) {
  for (uint64_t done = 0; done < count; ++done) {
    int ends[2];
    const long made = call(SYS_pipe2, (long)ends, 0, 0, 0);
    if (made != 0) return unless(0, made);
    if (call(SYS_close, ends[0], 0, 0, 0) != 0 || call(SYS_close, ends[1], 0, 0, 0) != 0) return kWrongBytes;
  }
  return 0;
}

static int64_t pipe_bytes(uint64_t count) {
  int ends[2];
  const long made = call(SYS_pipe2, (long)ends, 0, 0, 0);
  if (made != 0) return unless(0, made);
  int64_t wrong = 0;
  for (uint64_t done = 0; done < count && wrong == 0; ++done) {
    unsigned char sent = (unsigned char)done, received = (unsigned char)~done;
    const long written = call(SYS_write, ends[1], (long)&sent, 1, 0);
    const long taken = call(SYS_read, ends[0], (long)&received, 1, 0);
    wrong = written != 1 ? unless(0, written) : unless(taken == 1 && received == sent, taken);
  }
  call(SYS_close, ends[0], 0, 0, 0);
  call(SYS_close, ends[1], 0, 0, 0);
  return wrong;
}

static int64_t open_and_close(uint64_t count) {
  for (uint64_t done = 0; done < count; ++done) {
    const long file = open_path(read_path, O_RDONLY);
    if (file < 0) return file;
    const long closed = call(SYS_close, file, 0, 0, 0);
    if (closed != 0) return closed;
  }
  return 0;
}

static int64_t children(uint64_t count) {
  for (uint64_t done = 0; done < count; ++done) {
    const long child = call(SYS_clone, SIGCHLD, 0, 0, 0);
    if (child == 0) call(SYS_exit_group, kChildStatus, 0, 0, 0);
    if (child < 0) return child;
    int status = 0;
    const long ended = call(SYS_wait4, child, (long)&status, 0, 0);
    if (ended != child || !WIFEXITED(status) || WEXITSTATUS(status) != kChildStatus) return unless(0, ended);
  }
  return 0;
}

/* Makes `count` calls of a kind. 0, or the first result that is not as it must be. */
EXPORT int64_t measure(uint64_t kind, uint64_t size, uint64_t count) {
  int64_t wrong = 0;
  switch ((enum kind)kind) {
    case kClose:
      for (uint64_t done = 0; done < count && wrong == 0; ++done) {
        const long result = call(SYS_close, -1, 0, 0, 0);
        wrong = unless(result == -EBADF, result);
      }
      return wrong;
    case kNoCall:
      for (uint64_t done = 0; done < count && wrong == 0; ++done) {
        const long result = call(kNobodysNumber, 0, 0, 0, 0);
        wrong = unless(result == -ENOSYS || result == -EPERM, result); /* the latter by a container's filter */
      }
      return wrong;
    case kGeteuid: {
      const long first = call(SYS_geteuid, 0, 0, 0, 0);
      if (first < 0) return first;
      for (uint64_t done = 0; done < count && wrong == 0; ++done) {
        const long result = call(SYS_geteuid, 0, 0, 0, 0);
        wrong = unless(result == first, result);
      }
      return wrong;
    }
    case kRead:
      return size == 0 || size > kLargest ? kWrongBytes : transfer(SYS_read, read_file, size, count);
    case kWrite:
      return size == 0 || size > kLargest ? kWrongBytes : transfer(SYS_write, write_file, size, count);
    case kPipe:
      return pipes(count);
    case kPipeByte:
      return pipe_bytes(count);
    case kOpenClose:
      return open_and_close(count);
    case kForkWait:
      return children(count);
  }
  return kWrongBytes;
}

/* One call of a kind, and whether it moved the right bytes. */
EXPORT int64_t check(uint64_t kind, uint64_t size) {
  for (uint64_t i = 0; i < kLargest; ++i) buffer[i] = kind == kRead ? kNothing : (unsigned char)((i * 3 + size) % kPeriod);
  const int64_t wrong = measure(kind, size, 1);
  if (wrong != 0 || (kind != kRead && kind != kWrite)) return wrong;
  if (kind == kWrite) {
    for (volatile unsigned char *byte = buffer; byte != buffer + kLargest; ++byte) *byte = kNothing;
    if (call(SYS_pread64, write_file, (long)buffer, (long)size, 0) != (long)size) return kWrongBytes;
  }
  for (uint64_t i = 0; i < kLargest; ++i) {
    const uint64_t expected = i >= size ? kNothing : (kind == kRead ? i : i * 3 + size) % kPeriod;
    if (buffer[i] != expected) return kWrongBytes;
  }
  return 0;
}

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec time = {0, 0};
  call(SYS_clock_gettime, clock, (long)&time, 0, 0);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* A request: kind, size, count, or 0 to check. An answer: nanoseconds of processor time (for children, who have their own, of the
 * clock on the wall), and 0 or what was wrong. */
static void serve(void) {
  uint64_t request[3];
  while (call(SYS_read, 0, (long)request, sizeof request, 0) == sizeof request) {
    const clockid_t clock = request[0] == kForkWait ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    const uint64_t begin = nanoseconds(clock);
    const int64_t wrong =
        request[2] == 0 ? check(request[0], request[1]) : measure(request[0], request[1], request[2]);
    const uint64_t answer[2] = {nanoseconds(clock) - begin, (uint64_t)wrong};
    call(SYS_write, 1, (long)answer, sizeof answer, 0);
  }
}

/* What the kernel leaves on the stack: argc, argv. */
__attribute__((used, noreturn)) static void begin(const long *stack) {
  const long count = stack[0];
  char *const *const arguments = (char *const *)(stack + 1);
  long status = 2;
  if (count >= 3) {
    read_path = arguments[1];
    read_file = open_path(read_path, O_RDONLY);
    write_file = open_path(arguments[2], O_RDWR);
    status = read_file < 0 || write_file < 0 ? 3 : 0;
  }
  if (status == 0 && count > 3) serve();
  if (status == 0 && count == 3) caisson_ready();
  for (;;) call(SYS_exit_group, status, 0, 0, 0);
}

#ifdef __riscv
__asm__(
    ".globl _start\n"
    "_start:\n"
    ".option push\n"
    ".option norelax\n"
    "  la gp, __global_pointer$\n"
    ".option pop\n"
    "  mv a0, sp\n"
    "  andi sp, sp, -16\n"
    "  tail begin\n");
#else
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call begin\n");
#endif
