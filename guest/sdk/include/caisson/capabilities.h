/* Capability operations for guests of the kernel personality (docs/kernel-operations.md). C11 and C++; nothing has to be linked.
 *
 *   #include <caisson/guest.h>
 *   #include <caisson/capabilities.h>
 *
 *   CAISSON_EXPORT unsigned long work(unsigned long depth) {
 *     if (depth == 0) return 0;
 *     caisson_derive_spawn(CAISSON_OWN_IMAGE, 1);                     // a child of the same image, in slot 1
 *     struct caisson_result child = caisson_host_call(1, 0, depth - 1, 0, 0, 0, 0, 0);
 *     caisson_drop(1);
 *     return child.error ? ~0ul : child.value + 1;
 *   }
 *
 * Host functions of the embedder are called as caisson/guest.h says. A program may have a C library: caisson image build runs its main
 * until caisson_ready(), and the image begins with its memory as it is then. Linux system calls are answered before that only.
 *
 * A slot is a number 0…255 of the instance's own root CNode, or CAISSON_PATH of up to six numbers that leads through CNodes in it.
 * Every operation gives an error code, 0 = done; CAISSON_ERROR_… names them.
 */
#ifndef CAISSON_CAPABILITIES_H
#define CAISSON_CAPABILITIES_H

#ifndef __riscv
#error "caisson/capabilities.h is for programs that are compiled for RISC-V"
#endif

typedef unsigned long caisson_slot;

/* A path of `depth` (2…6) numbers: depth in the top byte, the first number in the lowest one. */
#define CAISSON_PATH2(a, b) ((2ul << 56) | (caisson_slot)(a) | ((caisson_slot)(b) << 8))
#define CAISSON_PATH3(a, b, c) ((3ul << 56) | (caisson_slot)(a) | ((caisson_slot)(b) << 8) | ((caisson_slot)(c) << 16))
/* clang-format off */
#define CAISSON_PATH4(a, b, c, d)                                                                \
  ((4ul << 56) | (caisson_slot)(a) | ((caisson_slot)(b) << 8) | ((caisson_slot)(c) << 16) |      \
   ((caisson_slot)(d) << 24))
/* clang-format on */

#define CAISSON_NO_SLOT (~0ul)
#define CAISSON_SELF (~0ul) /* of caisson_image_lineage() */
#define CAISSON_OWN_IMAGE 254ul /* a slot that is left empty: caisson_derive_spawn() then takes the own image */
#define CAISSON_GIVEN_SLOT 255ul /* where a callee finds what it was given */
#define CAISSON_ALL_GAS (~0ul)

enum caisson_error {
  CAISSON_ERROR_OK = 0,
  CAISSON_ERROR_BAD_SLOT = 1,
  CAISSON_ERROR_EMPTY_SLOT = 2,
  CAISSON_ERROR_SLOT_TAKEN = 3,
  CAISSON_ERROR_WRONG_KIND = 4,
  CAISSON_ERROR_BAD_ADDRESS = 5,
  CAISSON_ERROR_BAD_ARGUMENT = 6,
  CAISSON_ERROR_MOVED = 7,
  CAISSON_ERROR_DEPTH = 8,
  CAISSON_ERROR_NO_MEMORY = 9,
  CAISSON_ERROR_NO_CATCHER = 10,
  CAISSON_ERROR_NOT_COPYABLE = 11,
  CAISSON_ERROR_NO_ENDPOINT = 12,
  CAISSON_ERROR_BAD_IMAGE = 13,
  CAISSON_ERROR_BAD_INSTANCE = 14,
  CAISSON_ERROR_YIELDED = 15,
  CAISSON_ERROR_CHILD_PANIC = 16,
  CAISSON_ERROR_CHILD_FAULT = 17,
  CAISSON_ERROR_CHILD_OUT_OF_GAS = 18,
  CAISSON_ERROR_CHILD_TRAP = 19,
  CAISSON_ERROR_CHILD_ECALL = 20,
  CAISSON_ERROR_CHILD_HOST_CALL = 21,
  CAISSON_ERROR_UNSUPPORTED = 22,
};

struct caisson_result {
  unsigned long value;
  unsigned long error;
};

/* Registers of an operation: up to four operands. The kernel writes a0 and a1 only. */
static inline struct caisson_result caisson_operation(unsigned long number, unsigned long a, unsigned long b,
                                                      unsigned long c, unsigned long d) {
  register unsigned long a0 __asm__("a0") = a;
  register unsigned long a1 __asm__("a1") = b;
  register unsigned long a2 __asm__("a2") = c;
  register unsigned long a3 __asm__("a3") = d;
  register unsigned long a7 __asm__("a7") = 0x1000 + number;
  __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a7) : "memory");
  struct caisson_result result = {a0, a1};
  return result;
}

/* Returns to the caller; what a return from the endpoint's function does, from any depth of the guest's own stack. */
static inline void caisson_reply(unsigned long value) {
  caisson_operation(0, value, 0, 0, 0);
  __builtin_unreachable();
}
static inline unsigned long caisson_copy(caisson_slot from, caisson_slot to) {
  return caisson_operation(1, from, to, 0, 0).error;
}
static inline unsigned long caisson_move(caisson_slot from, caisson_slot to) {
  return caisson_operation(2, from, to, 0, 0).error;
}
static inline unsigned long caisson_drop(caisson_slot slot) { return caisson_operation(3, slot, 0, 0, 0).error; }
static inline unsigned long caisson_cnode_swap(caisson_slot a, caisson_slot b) {
  return caisson_operation(4, a, b, 0, 0).error;
}
static inline unsigned long caisson_cnode_mint(caisson_slot to) { return caisson_operation(5, to, 0, 0, 0).error; }

/* Waits for CALL_RESUME of the nearest caller that catches `key`; its value is the result. */
static inline struct caisson_result caisson_host_yield(unsigned long value, unsigned long key) {
  return caisson_operation(16, value, key, 0, 0);
}
static inline unsigned long caisson_set_image(caisson_slot image) {
  return caisson_operation(17, image, 0, 0, 0).error;
}
static inline unsigned long caisson_derive_spawn(caisson_slot image, caisson_slot to) {
  return caisson_operation(18, image, to, 0, 0).error;
}

/* What caisson_make_image() reads: this, then `mapping_count` mappings, then for each endpoint its head and its registers. */
struct caisson_image_description {
  unsigned int version; /* 1 */
  unsigned int mapping_count;
  unsigned int endpoint_count;
  unsigned int reserved; /* 0 */
};
struct caisson_image_mapping {
  unsigned int first_page, page_count; /* guest address / 4096 */
  unsigned int permissions; /* 1 read, 2 write, 4 execute */
  unsigned int data_page;
  caisson_slot data; /* slot of a data capability; CAISSON_NO_SLOT: zeros */
};
struct caisson_image_endpoint {
  unsigned int number, register_count;
  unsigned long pc;
};
struct caisson_image_register {
  unsigned long number, value;
};
static inline unsigned long caisson_make_image(const void* description, unsigned long bytes, caisson_slot to) {
  return caisson_operation(19, (unsigned long)description, bytes, to, 0).error;
}
/* Writes 32 bytes. */
static inline unsigned long caisson_image_lineage(caisson_slot instance, void* lineage) {
  return caisson_operation(20, instance, (unsigned long)lineage, 0, 0).error;
}
/* The value is the size of the data. */
static inline struct caisson_result caisson_data_read(caisson_slot data, unsigned long offset, void* to,
                                                      unsigned long bytes) {
  return caisson_operation(22, data, offset, (unsigned long)to, bytes);
}
static inline unsigned long caisson_data_mint(const void* from, unsigned long bytes, caisson_slot to) {
  return caisson_operation(23, (unsigned long)from, bytes, to, 0).error;
}
static inline unsigned long caisson_open_data(caisson_slot data, void* address, unsigned long permissions) {
  return caisson_operation(24, data, (unsigned long)address, permissions, 0).error;
}
static inline unsigned long caisson_open_instance(caisson_slot sealed) {
  return caisson_operation(24, sealed, 0, 0, 0).error;
}
static inline unsigned long caisson_save(caisson_slot slot) { return caisson_operation(25, slot, 0, 0, 0).error; }

/* The whole of HOST_CALL: `gas` CAISSON_ALL_GAS or a part, `given` a slot or CAISSON_NO_SLOT, `key` 0 or what to catch. */
static inline struct caisson_result caisson_host_call_with(caisson_slot instance, unsigned long endpoint,
                                                           unsigned long gas, caisson_slot given, unsigned long key,
                                                           const unsigned long arguments[6]) {
  register unsigned long a0 __asm__("a0") = instance;
  register unsigned long a1 __asm__("a1") = endpoint;
  register unsigned long a2 __asm__("a2") = gas;
  register unsigned long a3 __asm__("a3") = given;
  register unsigned long a4 __asm__("a4") = key;
  register unsigned long a7 __asm__("a7") = 0x1000 + 26;
  register unsigned long t0 __asm__("t0") = arguments[0];
  register unsigned long t1 __asm__("t1") = arguments[1];
  register unsigned long t2 __asm__("t2") = arguments[2];
  register unsigned long t3 __asm__("t3") = arguments[3];
  register unsigned long t4 __asm__("t4") = arguments[4];
  register unsigned long t5 __asm__("t5") = arguments[5];
  __asm__ volatile("ecall"
                   : "+r"(a0), "+r"(a1)
                   : "r"(a2), "r"(a3), "r"(a4), "r"(a7), "r"(t0), "r"(t1), "r"(t2), "r"(t3), "r"(t4), "r"(t5)
                   : "memory");
  struct caisson_result result = {a0, a1};
  return result;
}
/* The usual call: all gas, nothing given, nothing caught. */
static inline struct caisson_result caisson_host_call(caisson_slot instance, unsigned long endpoint,
                                                      unsigned long argument0, unsigned long argument1,
                                                      unsigned long argument2, unsigned long argument3,
                                                      unsigned long argument4, unsigned long argument5) {
  const unsigned long arguments[6] = {argument0, argument1, argument2, argument3, argument4, argument5};
  return caisson_host_call_with(instance, endpoint, CAISSON_ALL_GAS, CAISSON_NO_SLOT, 0, arguments);
}
static inline struct caisson_result caisson_call_resume(caisson_slot yielded, unsigned long value) {
  return caisson_operation(27, yielded, value, 0, 0);
}
static inline unsigned long caisson_drop_resume(caisson_slot yielded) {
  return caisson_operation(28, yielded, 0, 0, 0).error;
}

#endif
