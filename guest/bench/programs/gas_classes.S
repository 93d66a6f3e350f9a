/* Loops for the suite `gas`: name(iterations) runs as many iterations of 64 instructions of one kind (or as many as its line says) and of
 * two that count; `none` has only those two. What a loop works on comes from memory, so that no compiler knows it. A loop returns what it computed. */
  .option norvc
  .text

/* Everything that a body may use: a0 … a7 and fa0 … fa3 as `values` has them, ft0 and ft1 of type float, t5 a cell that holds its own address,
 * t2 a cell, t4 a function that returns. */
  .macro BEGIN name
  .balign 1024
  .globl \name
  .type \name, @function
\name:
  mv t6, a0
  mv t3, ra
  la t0, values
  la t4, return_at_once
  la t2, counter
  la t5, self
  ld a0, 0(t0)
  ld a1, 8(t0)
  ld a2, 16(t0)
  ld a3, 24(t0)
  ld a4, 32(t0)
  ld a5, 40(t0)
  ld a6, 48(t0)
  ld a7, 56(t0)
  fld fa0, 64(t0)
  fld fa1, 72(t0)
  fld fa2, 80(t0)
  fld fa3, 88(t0)
  flw ft0, 96(t0)
  flw ft1, 100(t0)
1:
  .endm

  .macro END name
  addi t6, t6, -1
  bnez t6, 1b
2:
  fmv.x.d t0, fa0
  xor a0, a0, t0
  fmv.x.w t0, ft0
  add a0, a0, t0
  xor a0, a0, a1
  jr t3
  .size \name, . - \name
  .endm

  .macro LOOP name, count, body:vararg
  BEGIN \name
  .rept \count
  \body
  .endr
  END \name
  .endm

  .balign 1024
return_at_once:
  jr ra

BEGIN none
END none

BEGIN alu
  .rept 32
  add a0, a0, a1
  xor a1, a1, a0
  .endr
END alu

BEGIN rotate
  .rept 32
  rol a0, a0, a1
  ror a1, a1, a0
  .endr
END rotate

BEGIN multiply
  .rept 32
  mul a0, a0, a1
  mul a1, a1, a0
  .endr
END multiply

LOOP multiply_high, 64, mulhu a0, a0, a2
/* a2 / (a2 / a0): neither grows nor shrinks. */
LOOP divide, 64, divu a0, a2, a0
LOOP remainder, 64, remu a3, a2, a3
LOOP load, 64, ld t5, 0(t5)

BEGIN store
  .set offset, 64
  .rept 64
  sd a1, offset(t5)
  .set offset, offset + 8
  .endr
END store

/* Registers that all differ: no branch is taken, and none is known from another. */
BEGIN branch
  .irp other, a1, a2, a3, a4, a5, a6, a7
  beq a0, \other, 2f
  .endr
  .irp other, a2, a3, a4, a5, a6, a7
  beq a1, \other, 2f
  .endr
  .irp other, a3, a4, a5, a6, a7
  beq a2, \other, 2f
  .endr
  .irp other, a4, a5, a6, a7
  beq a3, \other, 2f
  .endr
  .irp other, a5, a6, a7
  beq a4, \other, 2f
  .endr
  .irp other, a6, a7
  beq a5, \other, 2f
  .endr
  beq a6, a7, 2f
END branch

BEGIN jump
  .rept 64
  j 3f
3:
  .endr
END jump

/* Each comes back by another. */
LOOP indirect_jump, 32, jalr ra, 0(t4)

LOOP float_add, 64, fadd.d fa0, fa0, fa1
LOOP float_add_single, 64, fadd.s ft0, ft0, ft1
LOOP float_multiply, 64, fmul.d fa0, fa0, fa2
LOOP float_multiply_add, 64, fmadd.d fa0, fa0, fa2, fa1

BEGIN float_convert
  .rept 32
  fcvt.l.d a0, fa0, rtz
  fcvt.d.l fa0, a0
  .endr
END float_convert

BEGIN float_move
  .rept 32
  fsgnjx.d fa0, fa0, fa1
  fsgnjn.d fa1, fa1, fa0
  .endr
END float_move

LOOP float_divide, 64, fdiv.d fa0, fa3, fa0
LOOP float_square_root, 64, fsqrt.d fa0, fa0
LOOP atomic_add, 64, amoadd.d a0, a1, (t2)

BEGIN reserve_and_store
  .rept 32
  lr.d a0, (t2)
  sc.d a3, a1, (t2)
  .endr
END reserve_and_store

LOOP fence, 64, fence rw, rw
LOOP fence_i, 16, fence.i
LOOP csr, 64, csrrw a0, fflags, a0

  .data
  .balign 64
values:
  .dword 0x123456789, 0x9E3779B97F4A7C15, 0xFFFFFFFFFFFFFFFD, 3, 5, 7, 11, 13
  .double 1.5, 0.75, 1.0000000000000002, 3.25
  .float 1.5, 0.75
  .balign 64
self:
  .dword self
  .space 64 + 64 * 8
  .balign 64
counter:
  .dword 0
  .space 64
