// oracle: expected
// caisson: --dir=/::/host:ro
// A mount that has the host's /proc beneath it does not show the engine's own process.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  static const char* const kPaths[] = {"/host/proc/self/mem", "/host/proc/self/maps", "/host/proc/self/environ", "/host/proc/thread-self/mem",
                                       "/host/proc/1/environ", "/host/proc/self/fd/0", "/host/proc/kcore", "/host/proc/../proc/self/maps"};
  for (unsigned index = 0; index < sizeof kPaths / sizeof *kPaths; ++index) {
    if (open(kPaths[index], O_RDONLY) >= 0) return printf("opened %s\n", kPaths[index]), 1;
  }
  if (chdir("/host/proc") == 0 || opendir("/host/proc") != 0) return puts("entered /host/proc"), 1;
  puts("ok");
  return 0;
}
