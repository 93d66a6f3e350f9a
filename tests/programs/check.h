// What the guest programs print with: results of calls by errno's name, so that runs can be compared line by line.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>

// "call = result" or "call = ENAME".
static inline void show(const char* call, long result) {
  if (result == -1) {
    printf("%s = %s\n", call, strerrorname_np(errno));
  } else {
    printf("%s = %ld\n", call, result);
  }
}

// The same where only success or failure is comparable.
static inline void show_ok(const char* call, long result) {
  printf("%s = %s\n", call, result == -1 ? strerrorname_np(errno) : "ok");
}
#define SHOW(call) show(#call, (long)(call))
#define SHOW_OK(call) show_ok(#call, (long)(call))
