// oracle: expected
// Every way to change something on a read-only mount; the program's own folder /guest is one as well.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static int failures;
static void must_fail(const char* what, long result) {
  if (result == -1) return;
  printf("done: %s\n", what);
  ++failures;
}
#define TRY(call) must_fail(#call, (long)(call))

int main(int count, char** words) {
  const char* const file = "/proc/self/exe";
  char through[40], held[40];
  const int reader = open(file, O_RDONLY), holder = open(file, O_PATH), folder = open("/guest", O_RDONLY);
  if (reader < 0 || holder < 0 || folder < 0) return 2;
  snprintf(through, sizeof through, "/proc/self/fd/%d", reader);
  snprintf(held, sizeof held, "/dev/fd/%d", holder);
  const char* const names[] = {file, through, held, words[0]};
  for (unsigned index = 0; index < 4; ++index) {
    const char* const name = names[index];
    TRY(open(name, O_WRONLY));
    TRY(open(name, O_RDWR));
    TRY(open(name, O_RDONLY | O_TRUNC));
    TRY(open(name, O_RDWR | O_CREAT, 0600));
    TRY(truncate(name, 0));
    TRY(chmod(name, 0777));
    TRY(chown(name, 1, 1));
    TRY(utimensat(AT_FDCWD, name, 0, 0));
    TRY(setxattr(name, "user.x", "y", 1, 0));
    TRY(removexattr(name, "user.x"));
    TRY(linkat(AT_FDCWD, name, AT_FDCWD, "/work/link", AT_SYMLINK_FOLLOW));
  }
  TRY(ftruncate(reader, 0));
  TRY(write(reader, "x", 1));
  TRY(pwrite(reader, "x", 1, 0));
  TRY(fallocate(reader, 0, 0, 1 << 20));
  TRY(fchmod(reader, 0777));
  TRY(fchown(reader, 1, 1));
  TRY(futimens(reader, 0));
  TRY(fsetxattr(reader, "user.x", "y", 1, 0));
  TRY(fchmodat(holder, "", 0777, AT_EMPTY_PATH));
  TRY(fchownat(holder, "", 1, 1, AT_EMPTY_PATH));
  TRY(utimensat(holder, "", 0, AT_EMPTY_PATH));
  TRY(linkat(holder, "", AT_FDCWD, "/work/link", AT_EMPTY_PATH));
  TRY(linkat(reader, "", folder, "link", AT_EMPTY_PATH));
  TRY(syscall(SYS_copy_file_range, open("/dev/zero", O_RDONLY), 0, reader, 0, 1, 0));
  TRY(rename(words[0], "/work/moved"));
  TRY(rename("/guest", "/work/guest"));
  close(open("/work/file", O_CREAT | O_RDWR, 0600));
  TRY(rename("/work/file", "/guest/file"));
  TRY(link("/work/file", "/guest/file"));
  TRY(symlink("/", "/guest/symlink"));
  TRY(mkdirat(folder, "new", 0700));
  TRY(mknod("/guest/fifo", S_IFIFO | 0600, 0));
  TRY(unlink(words[0]));
  TRY(unlinkat(folder, "../guest/static", 0));
  TRY(rmdir("/guest"));
  TRY(open("/guest", O_TMPFILE | O_RDWR, 0600));
  TRY(openat(folder, "new", O_CREAT | O_RDWR, 0600));
  TRY(open("/work/../guest/new", O_CREAT | O_RDWR, 0600));
  char* const mapped = mmap(0, 4096, PROT_READ, MAP_SHARED, reader, 0);
  TRY(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0));
  TRY(mprotect(mapped, 4096, PROT_READ | PROT_WRITE));
  fchdir(folder);
  TRY(open("new", O_CREAT | O_RDWR, 0600));
  if (failures == 0) puts("ok");
  return failures != 0;
}
