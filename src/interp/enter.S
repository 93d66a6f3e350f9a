// void caisson_interp_enter(HartState* hart, Context* context, const Record* first, int64_t gas, uint8_t* window)
//
// Saves what the C++ ABI wants kept, loads the handlers' arguments into the registers that preserve_none gives them (record.h)
// and runs handlers until one returns. The stack pointer that handlers see goes to context->scope.host_stack, so that fault
// recovery can resume at the landing with it. Offsets: Context::pins 0, float_pins 8, scope.host_stack 24; HartState::x
// 0, f 264 (checked in interpreter.cpp).

        .text
        .globl  caisson_interp_enter
        .hidden caisson_interp_enter
        .type   caisson_interp_enter, @function
        .p2align 4
caisson_interp_enter:
        .cfi_startproc
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8

        movq    %rdi, %r12
        movq    %rsi, %r10
        movq    %rdx, %r13
        movq    %rcx, %r14
        movq    %r8, %r15
        leaq    -8(%rsp), %rax
        movq    %rax, 24(%r10)

        .macro  load_pin index, into
        movzbl  \index(%r10), %eax
        movq    (%r12,%rax,8), \into
        .endm
        load_pin 0, %rdi
        load_pin 1, %rsi
        load_pin 2, %rdx
        load_pin 3, %rcx
        load_pin 4, %r8
        load_pin 5, %r9
        load_pin 6, %r11

        .macro  load_float_pin index, into
        movzbl  8+\index(%r10), %eax
        movsd   264(%r12,%rax,8), \into
        .endm
        load_float_pin 0, %xmm0
        load_float_pin 1, %xmm1
        load_float_pin 2, %xmm2
        load_float_pin 3, %xmm3

        call    *(%r13)

        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        popq    %r14
        .cfi_adjust_cfa_offset -8
        popq    %r13
        .cfi_adjust_cfa_offset -8
        popq    %r12
        .cfi_adjust_cfa_offset -8
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   caisson_interp_enter, . - caisson_interp_enter
        .section .note.GNU-stack, "", @progbits
