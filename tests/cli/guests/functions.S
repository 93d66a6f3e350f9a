# Functions for `caisson invoke`, one for each way in which a call can end. There is no entry point.
  .text
  .macro function name
  .globl \name
  .type \name, @function
\name:
  .endm

function add
  add a0, a0, a1
  ret
  .size add, . - add

function sum_to            # 1 + 2 + … + a0
  li a1, 0
1:
  beqz a0, 2f
  add a1, a1, a0
  addi a0, a0, -1
  j 1b
2:
  mv a0, a1
  ret
  .size sum_to, . - sum_to

function forever
  j forever
  .size forever, . - forever

function load_null
  ld a0, 8(zero)
  ret
  .size load_null, . - load_null

function illegal
  .word 0xffffffff
  .size illegal, . - illegal

function trap
  ebreak
  .size trap, . - trap

function unclaimed
  li a7, 4242
  ecall
  ret
  .size unclaimed, . - unclaimed
