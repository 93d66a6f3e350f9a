// One capability of each kind, each referring to those before; tests/support/capability_vectors.py has the same.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "caisson/capability.h"

namespace caisson::test {

// A page without a period shorter than itself, another for each seed below 256.
inline std::shared_ptr<const Data::Page> filled_page(std::uint64_t seed) {
  auto page = std::make_shared<Data::Page>();
  for (std::size_t index = 0; index < page->size(); ++index)
    (*page)[index] = static_cast<std::uint8_t>(seed * 31 + index * 7 + index / 256);
  return page;
}

// A page of its own for each of 2^64 numbers.
inline std::shared_ptr<const Data::Page> numbered_page(std::uint64_t number) {
  auto page = std::make_shared<Data::Page>(*filled_page(number));
  for (std::size_t index = 0; index < sizeof number; ++index)
    (*page)[100 + index] = static_cast<std::uint8_t>(number >> (8 * index));
  return page;
}

inline Data sample_data() {
  Data data = Data::zeros(5);
  data.set_page(0, filled_page(1));
  data.set_page(2, filled_page(2));
  data.set_page(3, *filled_page(1));
  return data;
}

inline Image sample_image() {
  Image image;
  image.mappings = {{.first_page = 16,
                     .page_count = 2,
                     .permissions = kMapRead | kMapExecute,
                     .data = hash_of(sample_data()),
                     .data_page = 1},
                    {.first_page = 32, .page_count = 4, .permissions = kMapRead | kMapWrite}};
  image.endpoints = {{.number = 0, .name = "main", .pc = 0x10040, .registers = {{2, 0x24000}, {3, 0x20800}}},
                     {.number = 7, .pc = 0x10100}};
  image.memory_limit = 1U << 28;
  image.imports = {{.number = 0, .name = "add", .signature = "int(int, int)"},
                   {.number = 3, .name = "log_line", .signature = "void(const char*)"}};
  return image;
}

inline CNode sample_cnode() {
  return {
      {{0, {CapabilityKind::kData, hash_of(sample_data())}}, {255, {CapabilityKind::kImage, hash_of(sample_image())}}}};
}

// One that owns an instance, which is in no sample.
inline CNode sample_owning_cnode() {
  Hash owned;
  owned.bytes.fill(9);
  return {{{7, {CapabilityKind::kInstance, owned}, true}}};
}

inline SealedInstance sample_instance() {
  SealedInstance instance;
  instance.image = hash_of(sample_image());
  instance.mappings = {{.first_page = 16, .page_count = 2, .permissions = kMapRead | kMapExecute, .data_page = 0},
                       {.first_page = 32, .page_count = 4, .permissions = kMapRead | kMapWrite, .data_page = 2}};
  instance.memory = hash_of(sample_data());
  instance.root = hash_of(sample_cnode());
  for (std::uint64_t index = 0; index < 32; ++index) {
    instance.integer_registers[index] = index * index * 0x0101010101;
    instance.float_registers[index] = 0x3FF0000000000000 + index;
  }
  instance.float_control = 0x61;
  instance.pc = 0x10044;
  instance.gas_remaining = 1'000'000'000'000;
  instance.gas_used = 77;
  instance.phase = InstancePhase::kCalling;
  instance.pending = {
      .slot_path = 5, .gas_share = UINT64_MAX, .gas_granted = 1234, .catch_key = 9, .given_path = UINT64_MAX};
  instance.reservation = {.address = 0x20010, .value = 11, .width = 8};
  std::array<std::uint8_t, 64> lineage{};
  std::copy(instance.image.bytes.begin(), instance.image.bytes.end(), lineage.begin() + 32);
  instance.lineage.bytes = base::sha256(lineage);
  for (const char character : std::string("runtime"))
    instance.runtime_state.push_back(static_cast<std::uint8_t>(character));
  for (std::uint8_t byte = 0; byte < 100; ++byte) instance.personality_state.push_back(byte);
  return instance;
}

}  // namespace caisson::test
