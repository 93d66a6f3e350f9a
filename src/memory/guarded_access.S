// The only code outside the tiers that may fault on guest memory, and where each fault goes on.
//
// Every range between a _begin and an _end label is in the table of fault_recovery.cpp; when an instruction in it faults on the
// guest's side, the signal handler sets rip to the range's landing and changes no other register. So the code keeps what a
// landing needs in registers and pushes nothing.
//
// Copies keep the guest operand's start in r8 and the whole length in rdx, by which the handler knows the guest's side from the
// host's: a fault on the host's side is a bug and crashes. Other primitives keep the guest address in rdi.

        .intel_syntax noprefix
        .text

// std::size_t guarded_copy(void* to, const void* from, std::size_t length, const void* guest)
        .globl  caisson_guarded_copy
        .hidden caisson_guarded_copy
        .type   caisson_guarded_copy, @function
        .p2align 5
caisson_guarded_copy:
        .cfi_startproc
        mov     r8, rcx
        cmp     rdx, 16
        jb      .Lbelow_16
        cmp     rdx, 32
        ja      .Labove_32
// Sizes that are no multiple of the width end with an access that overlaps the one before: no byte loops.
        .globl  caisson_copy_fast_begin
        .hidden caisson_copy_fast_begin
caisson_copy_fast_begin:
        movups  xmm0, [rsi]
        movups  xmm1, [rsi + rdx - 16]
        movups  [rdi], xmm0
        movups  [rdi + rdx - 16], xmm1
        xor     eax, eax
        ret

.Lbelow_16:
        cmp     edx, 8
        jb      .Lbelow_8
        mov     rax, [rsi]
        mov     rcx, [rsi + rdx - 8]
        mov     [rdi], rax
        mov     [rdi + rdx - 8], rcx
        xor     eax, eax
        ret

.Lbelow_8:
        cmp     edx, 4
        jb      .Lbelow_4
        mov     eax, [rsi]
        mov     ecx, [rsi + rdx - 4]
        mov     [rdi], eax
        mov     [rdi + rdx - 4], ecx
        xor     eax, eax
        ret

.Lbelow_4:
        test    edx, edx
        je      .Lcopied
        movzx   eax, byte ptr [rsi]
        cmp     edx, 1
        je      .Lone
        movzx   ecx, word ptr [rsi + rdx - 2]
        mov     [rdi + rdx - 2], cx
.Lone:
        mov     [rdi], al
.Lcopied:
        xor     eax, eax
        ret

.Labove_32:
        cmp     rdx, 512
        ja      .Lbytewise
        lea     r9, [rdx - 32]
        xor     ecx, ecx
.Lnext_32:
        movups  xmm0, [rsi + rcx]
        movups  xmm1, [rsi + rcx + 16]
        movups  [rdi + rcx], xmm0
        movups  [rdi + rcx + 16], xmm1
        add     rcx, 32
        cmp     rcx, r9
        jb      .Lnext_32
        movups  xmm0, [rsi + r9]
        movups  xmm1, [rsi + r9 + 16]
        movups  [rdi + r9], xmm0
        movups  [rdi + r9 + 16], xmm1
        xor     eax, eax
        ret
        .globl  caisson_copy_fast_end
        .hidden caisson_copy_fast_end
caisson_copy_fast_end:

// Large copies, and the landing of the code above: starts again from the first byte (rdi, rsi and rdx are unchanged), since an
// interrupted `rep movsb` tells by rcx exactly how far it came.
        .globl  caisson_copy_bytewise
        .hidden caisson_copy_bytewise
caisson_copy_bytewise:
.Lbytewise:
        mov     rcx, rdx
        .globl  caisson_copy_string_begin
        .hidden caisson_copy_string_begin
caisson_copy_string_begin:
        rep movsb
        .globl  caisson_copy_string_end
        .hidden caisson_copy_string_end
caisson_copy_string_end:
        mov     rax, rcx
        ret
        .cfi_endproc
        .size   caisson_guarded_copy, . - caisson_guarded_copy

// One guarded access of the register `value`'s width: bool name(const void* address, T* value)
        .macro  guarded_load name, value
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        .globl  \name\()_begin
        .hidden \name\()_begin
\name\()_begin:
        mov     \value, [rdi]
        .globl  \name\()_end
        .hidden \name\()_end
\name\()_end:
        mov     [rsi], \value
        mov     eax, 1
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

// bool name(void* address, T* expected, T desired, bool* swapped)
        .macro  guarded_compare_exchange name, value, desired
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        mov     \value, [rsi]
        .globl  \name\()_begin
        .hidden \name\()_begin
\name\()_begin:
        lock cmpxchg [rdi], \desired
        .globl  \name\()_end
        .hidden \name\()_end
\name\()_end:
        sete    byte ptr [rcx]
        mov     [rsi], \value
        mov     eax, 1
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        guarded_load caisson_guarded_load32, eax
        guarded_load caisson_guarded_load64, rax
        guarded_compare_exchange caisson_guarded_compare_exchange32, eax, edx
        guarded_compare_exchange caisson_guarded_compare_exchange64, rax, rdx

// The landing of loads and compare-exchanges: false.
        .globl  caisson_guarded_access_failed
        .hidden caisson_guarded_access_failed
        .type   caisson_guarded_access_failed, @function
caisson_guarded_access_failed:
        .cfi_startproc
        xor     eax, eax
        ret
        .cfi_endproc
        .size   caisson_guarded_access_failed, . - caisson_guarded_access_failed

        .section .note.GNU-stack, "", @progbits
