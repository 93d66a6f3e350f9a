// What must not happen to the test's own process.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace caisson::tests {

// Runs `body` in a child process, whose limits may be changed; its result is the exit status.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace caisson::tests
