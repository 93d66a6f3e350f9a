// A plug-in of qemu-user (its API of version 1, docs/devel/tcg-plugins.rst of QEMU 7.2): counts how often each instruction is executed.
//
// Writes a line for each executed instruction to $INSTRUCTION_COUNTS: its address in hexadecimal, and how often. Blocks are translated once and
// counted inline, so that a program runs some five times as long.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// What qemu-plugin.h would declare, which distributions do not package.
typedef uint64_t PluginId;
struct Block;
struct Instruction;
enum { kAddWord = 0 };
extern void qemu_plugin_register_vcpu_tb_trans_cb(PluginId, void (*)(PluginId, struct Block*));
extern size_t qemu_plugin_tb_n_insns(const struct Block*);
extern struct Instruction* qemu_plugin_tb_get_insn(const struct Block*, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct Instruction*);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct Block*, int, void*, uint64_t);
extern void qemu_plugin_register_atexit_cb(PluginId, void (*)(PluginId, void*), void*);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = 1;

struct Counted {
  struct Counted* next;
  uint64_t executed;
  size_t size;
  uint64_t addresses[];
};
static struct Counted* all;

static void count(PluginId id, struct Block* block) {
  (void)id;
  const size_t size = qemu_plugin_tb_n_insns(block);
  struct Counted* const counted = calloc(1, sizeof *counted + size * sizeof counted->addresses[0]);
  if (counted == NULL) abort();
  counted->size = size;
  for (size_t index = 0; index < size; ++index)
    counted->addresses[index] = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, index));
  // Threads translate one at a time.
  counted->next = all;
  all = counted;
  qemu_plugin_register_vcpu_tb_exec_inline(block, kAddWord, &counted->executed, 1);
}

static void report(PluginId id, void* nothing) {
  (void)id;
  (void)nothing;
  const char* const path = getenv("INSTRUCTION_COUNTS");
  FILE* const file = path == NULL ? NULL : fopen(path, "w");
  if (file == NULL) abort();
  for (const struct Counted* block = all; block != NULL; block = block->next) {
    for (size_t index = 0; block->executed != 0 && index < block->size; ++index)
      fprintf(file, "%" PRIx64 " %" PRIu64 "\n", block->addresses[index], block->executed);
  }
  if (fclose(file) != 0) abort();
}

EXPORTED int qemu_plugin_install(PluginId id, const void* info, int argc, char** argv) {
  (void)info;
  (void)argc;
  (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, count);
  qemu_plugin_register_atexit_cb(id, report, NULL);
  return 0;
}
