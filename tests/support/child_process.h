// Parts of a test that run in a process of their own.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace caisson::test {

// Runs `body` (→ exit status) in a forked child; nothing of the parent is destroyed there.
template <class Body>
pid_t start_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  return child;
}

// The exit status, or 128 + the signal that ended it.
inline int wait_for_child(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

template <class Body>
int run_child(Body body) {
  return wait_for_child(start_child(std::move(body)));
}

}  // namespace caisson::test
