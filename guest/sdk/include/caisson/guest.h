/* What a guest includes: host functions it calls, functions it offers, and the word that it is ready. C11 and C++.
 *
 *   #include <caisson/guest.h>
 *
 *   CAISSON_IMPORT(int, add, int, int);            // the embedder's engine.host_function("add", …)
 *   CAISSON_IMPORT(void, log_line, const char*);
 *
 *   CAISSON_EXPORT int sum_of_squares(int a, int b) { return add(a * a, b * b); }   // the embedder's instance.call
 *
 *   int main(void) { caisson_ready(); return 0; }  // only where the program has a main
 *
 * Any RISC-V compiler and linker do, at any level of optimisation; nothing else has to be linked. A function that the
 * embedder calls must be in the symbol table of the program: do not strip it, or link with -Wl,--export-dynamic. A guest of
 * functions only is linked with -nostdlib -static -Wl,-e,0 (no entry), so that nothing has to run before the first call.
 */
#ifndef CAISSON_GUEST_H
#define CAISSON_GUEST_H

#ifndef __riscv
#error "caisson/guest.h is for programs that are compiled for RISC-V"
#endif

#ifdef __cplusplus
#define CAISSON_C_LINKAGE extern "C"
#else
#define CAISSON_C_LINKAGE extern
#endif

/* CAISSON_IMPORT(return_type, name, argument_types…); declares the host function `name`. It is called as any C function of
 * that type; without arguments write void. Up to six integers or pointers and eight floating-point values reach the host.
 * It may stand in any number of translation units.
 *
 * How it works. Each import is a COMDAT group of three sections, so that the linker keeps one copy of those that are used
 * (.weak and .ifndef do the same for link-time optimisation, which joins translation units before it assembles them):
 *   .text.NAME             the function: number into a7, `ecall`, return. The compiler's own calling convention has put the
 *                          arguments where the host reads them (a0…a5, fa0…fa7) and takes the result from a0 or fa0.
 *   caisson_import_slots   one byte. The distance n of that byte from the start of all of them is unique in the program,
 *                          and the linker knows it: the name is a C identifier, so it defines __start_caisson_import_slots.
 *   .note.caisson          an ELF note, owner "Caisson", type 1, which the engine reads when it loads the program:
 *                          uint32 number (0x1040 + n, the a7 of the call), then name and signature, each ending with a NUL.
 *                          The signature is what was declared: "int(int, int)".
 */
/* clang-format off */
#define CAISSON_IMPORT(return_type, name, ...)                                                   \
  __asm__(                                                                                       \
      ".ifndef .Lcaisson_slot_" #name "\n"                                                       \
      ".pushsection caisson_import_slots, \"aG\", @progbits, " #name ", comdat\n"                \
      ".Lcaisson_slot_" #name ":\n"                                                              \
      "  .byte 0\n"                                                                              \
      ".popsection\n"                                                                            \
      ".pushsection .note.caisson, \"aG\", @note, " #name ", comdat\n"                           \
      "  .balign 4\n"                                                                            \
      "  .4byte 8\n"                                                                             \
      "  .4byte .Lcaisson_note_end_" #name " - .Lcaisson_number_" #name "\n"                     \
      "  .4byte 1\n"                                                                             \
      "  .asciz \"Caisson\"\n"                                                                   \
      ".Lcaisson_number_" #name ":\n"                                                            \
      "  .4byte .Lcaisson_slot_" #name " - __start_caisson_import_slots + 0x1040\n"              \
      "  .asciz \"" #name "\"\n"                                                                 \
      "  .asciz \"" #return_type "(" #__VA_ARGS__ ")\"\n"                                        \
      ".Lcaisson_note_end_" #name ":\n"                                                          \
      "  .balign 4\n"                                                                            \
      ".popsection\n"                                                                            \
      ".pushsection .text." #name ", \"axG\", @progbits, " #name ", comdat\n"                    \
      "  .balign 4\n"                                                                            \
      "  .weak " #name "\n"                                                                      \
      "  .hidden " #name "\n"                                                                    \
      "  .type " #name ", @function\n"                                                           \
      #name ":\n"                                                                                \
      "  lw a7, .Lcaisson_number_" #name "\n"                                                    \
      "  ecall\n"                                                                                \
      "  ret\n"                                                                                  \
      "  .size " #name ", . - " #name "\n"                                                       \
      ".popsection\n"                                                                            \
      ".hidden __start_caisson_import_slots\n"                                                   \
      ".endif\n");                                                                               \
  CAISSON_C_LINKAGE return_type name(__VA_ARGS__)
/* clang-format on */

/* CAISSON_EXPORT before the definition of a function that the embedder calls: it gets C linkage and is kept by the compiler
 * and, where they know how, by the linker's garbage collection. */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define CAISSON_KEEP used, retain, visibility("default")
#endif
#endif
#ifndef CAISSON_KEEP
#define CAISSON_KEEP used, visibility("default")
#endif
#ifdef __cplusplus
#define CAISSON_EXPORT extern "C" __attribute__((CAISSON_KEEP))
#else
#define CAISSON_EXPORT __attribute__((CAISSON_KEEP))
#endif

/* Says that the program (with its libc and its global objects) is initialised: the embedder's start() returns here, and
 * exported functions can be called. It returns only if the embedder lets the program itself go on. */
static inline void caisson_ready(void) {
  register unsigned long number __asm__("a7") = 0x103F;
  register unsigned long result __asm__("a0");
  __asm__ volatile("ecall" : "=r"(result) : "r"(number) : "memory");
  (void)result;
}

#endif
