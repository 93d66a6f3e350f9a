#include "kernel/kernel_error.h"

namespace caisson::kernel {
namespace {

struct Text {
  KernelError error;
  std::string_view name, meaning;
};
constexpr Text kTexts[] = {
#define CAISSON_KERNEL_ERROR(number, name, meaning) {KernelError::k##name, #name, meaning},
#include "kernel/errors.inc"
#undef CAISSON_KERNEL_ERROR
};

const Text* find(KernelError error) {
  for (const Text& text : kTexts) {
    if (text.error == error) return &text;
  }
  return nullptr;
}

}  // namespace

std::string_view name_of(KernelError error) {
  const Text* const text = find(error);
  return text == nullptr ? std::string_view() : text->name;
}

std::string_view meaning_of(KernelError error) {
  const Text* const text = find(error);
  return text == nullptr ? std::string_view() : text->meaning;
}

}  // namespace caisson::kernel
