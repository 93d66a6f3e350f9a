// oracle: expected
// What a signal frame holds besides the guest's own state is zero: nothing of the host's stack.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>

static unsigned seen;
static void look(int number, siginfo_t* info, void* context) {
  const unsigned char* bytes = context;
  for (int at = 48; at < 176; ++at) seen |= bytes[at];   // behind the mask
  for (int at = 692; at < 960; ++at) seen |= bytes[at];  // behind fcsr
  const unsigned char* particulars = (const unsigned char*)info;
  for (int at = 32; at < 128; ++at) seen |= particulars[at];
}

int main(void) {
  struct sigaction action = {.sa_flags = SA_SIGINFO};
  action.sa_sigaction = look;
  sigaction(SIGUSR1, &action, 0);
  raise(SIGUSR1);
  puts(seen == 0 ? "ok" : "bytes of the host");
  return 0;
}
