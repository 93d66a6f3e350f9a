// The way into units and the ways out of their middle (optimized.cpp has the C++ side).
//
// struct UnitContext begins with the fields named here; optimized.cpp asserts the offsets.
// HartState begins with x.
#define CONTEXT_HOST_STACK 0
#define CONTEXT_GAS 8
#define CONTEXT_PC 16
#define CONTEXT_HOST_MXCSR 24
#define CONTEXT_GUEST_MXCSR 28
#define CONTEXT_LEFT_MXCSR 32

        .intel_syntax noprefix
        .text

// int caisson_unit_enter(HartState* rdi, i64 gas rsi, u64 pc rdx, const void* entry rcx, UnitContext* r8)
// Gives 0 where the unit returned, 1 where it left from its middle.
        .globl  caisson_unit_enter
        .hidden caisson_unit_enter
        .type   caisson_unit_enter, @function
        .p2align 4
caisson_unit_enter:
        push    rbp
        push    rbx
        push    r12
        push    r13
        push    r14
        push    r15
        push    r8
        mov     [r8 + CONTEXT_HOST_STACK], rsp
        stmxcsr [r8 + CONTEXT_HOST_MXCSR]
        ldmxcsr [r8 + CONTEXT_GUEST_MXCSR]
        mov     r11, rcx
        mov     r13, rdi
        mov     rax, rsi
        mov     rcx, rdx
        // kPassedRegisters
        mov     rdx, [r13 + 1 * 8]
        mov     rdi, [r13 + 2 * 8]
        mov     rsi, [r13 + 10 * 8]
        mov     r8, [r13 + 11 * 8]
        mov     r9, [r13 + 8 * 8]
        mov     r12, [r13 + 9 * 8]
        call    r11
        mov     [r13 + 1 * 8], rdx
        mov     [r13 + 2 * 8], rdi
        mov     [r13 + 10 * 8], rsi
        mov     [r13 + 11 * 8], r8
        mov     [r13 + 8 * 8], r9
        mov     [r13 + 9 * 8], r12
        mov     rdx, rcx
        mov     rcx, [rsp]
        mov     [rcx + CONTEXT_GAS], rax
        mov     [rcx + CONTEXT_PC], rdx
        xor     eax, eax
.Lleave:
        stmxcsr [rcx + CONTEXT_LEFT_MXCSR]
        ldmxcsr [rcx + CONTEXT_HOST_MXCSR]
        add     rsp, 8
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbx
        pop     rbp
        ret
        .size   caisson_unit_enter, . - caisson_unit_enter

// Where faults go, with all registers as they were.
        .globl  caisson_unit_fault
        .hidden caisson_unit_fault
        .type   caisson_unit_fault, @function
caisson_unit_fault:
        push    0
// Called at sites of kind kOutOfGas.
        .globl  caisson_unit_exit
        .hidden caisson_unit_exit
        .type   caisson_unit_exit, @function
caisson_unit_exit:
        // General registers in the order of DWARF's numbers.
        push    r15
        push    r14
        push    r13
        push    r12
        push    r11
        push    r10
        push    r9
        push    r8
        push    0
        push    rbp
        push    rdi
        push    rsi
        push    rbx
        push    rcx
        push    rdx
        push    rax
        lea     rax, [rsp + 17 * 8]
        mov     [rsp + 7 * 8], rax
        mov     rdi, rsp
        mov     rbx, rsp
        mov     rdx, [rsp + 16 * 8]
        and     rsp, -32
        sub     rsp, 16 * 32
        vmovups [rsp + 0 * 32], ymm0
        vmovups [rsp + 1 * 32], ymm1
        vmovups [rsp + 2 * 32], ymm2
        vmovups [rsp + 3 * 32], ymm3
        vmovups [rsp + 4 * 32], ymm4
        vmovups [rsp + 5 * 32], ymm5
        vmovups [rsp + 6 * 32], ymm6
        vmovups [rsp + 7 * 32], ymm7
        vmovups [rsp + 8 * 32], ymm8
        vmovups [rsp + 9 * 32], ymm9
        vmovups [rsp + 10 * 32], ymm10
        vmovups [rsp + 11 * 32], ymm11
        vmovups [rsp + 12 * 32], ymm12
        vmovups [rsp + 13 * 32], ymm13
        vmovups [rsp + 14 * 32], ymm14
        vmovups [rsp + 15 * 32], ymm15
        mov     rsi, rsp
        cld
        // UnitContext* caisson_unit_left(u64* general, const u64* vectors, const void* exit)
        call    caisson_unit_left
        test    rax, rax
        jz      .Lresume
        vzeroupper
        mov     rcx, rax
        mov     rsp, [rcx + CONTEXT_HOST_STACK]
        mov     eax, 1
        jmp     .Lleave
.Lresume:
        vmovups ymm0, [rsp + 0 * 32]
        vmovups ymm1, [rsp + 1 * 32]
        vmovups ymm2, [rsp + 2 * 32]
        vmovups ymm3, [rsp + 3 * 32]
        vmovups ymm4, [rsp + 4 * 32]
        vmovups ymm5, [rsp + 5 * 32]
        vmovups ymm6, [rsp + 6 * 32]
        vmovups ymm7, [rsp + 7 * 32]
        vmovups ymm8, [rsp + 8 * 32]
        vmovups ymm9, [rsp + 9 * 32]
        vmovups ymm10, [rsp + 10 * 32]
        vmovups ymm11, [rsp + 11 * 32]
        vmovups ymm12, [rsp + 12 * 32]
        vmovups ymm13, [rsp + 13 * 32]
        vmovups ymm14, [rsp + 14 * 32]
        vmovups ymm15, [rsp + 15 * 32]
        mov     rsp, rbx
        pop     rax
        pop     rdx
        pop     rcx
        pop     rbx
        pop     rsi
        pop     rdi
        pop     rbp
        add     rsp, 8
        pop     r8
        pop     r9
        pop     r10
        pop     r11
        pop     r12
        pop     r13
        pop     r14
        pop     r15
        ret
        .size   caisson_unit_fault, . - caisson_unit_fault

        .section .note.GNU-stack,"",@progbits
