/* For guests of tests: what a call leaves unset. */
#pragma once

/* Assembly that ors into a0 all registers that a call without arguments can leave unset, and fcsr. Writes t0. */
#define OR_UNSET_REGISTERS                                                                                            \
  "or a0, a0, a1\n or a0, a0, a2\n or a0, a0, a3\n or a0, a0, a4\n or a0, a0, a5\n or a0, a0, a6\n or a0, a0, a7\n"   \
  "or a0, a0, tp\n or a0, a0, t0\n or a0, a0, t1\n or a0, a0, t2\n or a0, a0, t3\n or a0, a0, t4\n"                   \
  "or a0, a0, t5\n or a0, a0, t6\n or a0, a0, s0\n or a0, a0, s1\n or a0, a0, s2\n or a0, a0, s3\n or a0, a0, s4\n"   \
  "or a0, a0, s5\n or a0, a0, s6\n or a0, a0, s7\n or a0, a0, s8\n or a0, a0, s9\n or a0, a0, s10\n or a0, a0, s11\n" \
  "frcsr t0\n or a0, a0, t0\n fmv.x.d t0, fs0\n or a0, a0, t0\n fmv.x.d t0, ft11\n or a0, a0, t0\n"
