// What a compilation asks of the instance that it is for.
#pragma once

#include <cstdint>
#include <string>

namespace caisson::baseline {

// The name of the guest function at a pc, for listings; empty where there is none.
using NameSource = std::string (*)(void* context, std::uint32_t pc);
// Whether a block is executed by another tier, to which compiled code leaves where it comes to the block's entry.
using ElsewhereSource = bool (*)(void* context, std::uint32_t pc);

struct CodeSources {
  NameSource names = nullptr;
  void* names_context = nullptr;
  ElsewhereSource elsewhere = nullptr;
  void* elsewhere_context = nullptr;

  bool is_elsewhere(std::uint32_t pc) const { return elsewhere != nullptr && elsewhere(elsewhere_context, pc); }
};

}  // namespace caisson::baseline
