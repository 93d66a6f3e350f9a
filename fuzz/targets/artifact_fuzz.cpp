// libFuzzer target: decode_artifact() on arbitrary bytes, sealed with the right key so that the parser is reached, ends with an Error
// that names a field, or an artifact that keeps every rule and survives being encoded again.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "store/artifact_container.h"

namespace {

using caisson::Artifact;
using caisson::CodeBlob;

constexpr caisson::store::StoreKey kKey = {7};
constexpr caisson::store::ContainerLimits kLimits{.body_bytes = 1U << 20U};
constexpr std::size_t kTrailerBytes = 64;
constexpr std::size_t kContainerBytesOffset = 12;

[[noreturn]] void report(const char* what, const std::string& detail = {}) {
  std::fprintf(stderr, "%s: %s\n", what, detail.c_str());
  std::abort();
}

void check_rules(const Artifact& artifact) {
  const CodeBlob& blob = artifact.blob;
  const auto lies_outside = [&blob](const auto& item) { return item.offset >= blob.code.size(); };
  if (std::ranges::any_of(blob.entries, lies_outside)) report("an entry outside the code");
  if (std::ranges::any_of(blob.relocations, lies_outside)) report("a relocation outside the code");
  for (std::size_t index = 1; index < blob.entries.size(); ++index) {
    if (blob.entries[index - 1].guest_pc >= blob.entries[index].guest_pc) report("entries out of order");
  }
  if (artifact.guest_kind.empty() || artifact.guest_kind.size() > 32) report("guest kind");
  if (caisson::store::body_bytes(blob) > kLimits.body_bytes) report("a body beyond the limit");
}

void check_decoding(const std::vector<std::uint8_t>& container) {
  const auto artifact = caisson::store::decode_artifact(container, kKey, kLimits);
  const auto header = caisson::store::decode_header(container, kKey, kLimits);
  if (!artifact) {
    if (artifact.error().where.empty() || artifact.error().message.empty())
      report("an error without a field or a sentence", artifact.error().to_string());
    return;
  }
  if (!header || header->key != artifact->key || header->label != artifact->label) report("the header tells otherwise");
  check_rules(*artifact);
  const auto again = caisson::store::encode_artifact(*artifact, kKey, kLimits);
  if (!again) report("not encoded again", again.error().to_string());
  const auto same = caisson::store::decode_artifact(*again, kKey, kLimits);
  if (!same || same->blob != artifact->blob || same->label != artifact->label || same->context != artifact->context)
    report("another artifact after a round trip");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> container(data, data + size);
  check_decoding(container);  // as it is: the sums are wrong
  if (size < kTrailerBytes) return 0;
  caisson::store::seal_container(container, kKey);
  check_decoding(container);
  // The size of the whole is right as well.
  if (size < kContainerBytesOffset + sizeof(std::uint32_t)) return 0;
  const auto container_bytes = static_cast<std::uint32_t>(size);
  std::memcpy(container.data() + kContainerBytesOffset, &container_bytes, sizeof container_bytes);
  caisson::store::seal_container(container, kKey);
  check_decoding(container);
  return 0;
}
