// Capabilities as values: hashes, encodings, rules.
#include "caisson/capability.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/hash.h"
#include "support/sample_capability.h"

namespace caisson {
namespace {

struct Expected {
  const char* name;
  const char* hash;
  std::size_t encoded_bytes;
  const char* encoded_sum;  // SHA-256
};

// Made by tests/support/capability_vectors.py, which has the SSZ specification and Python's hashlib, and nothing of the engine.
constexpr Expected kExpected[] = {
    {"no pages", "486658e11019f2f3697bebf9108ab7b0284abe929019c9cb534007bc683010bf", 13,
     "d7fec1de388b6593240173a994fce9d11c4ed39f77d34f29cbbee40d309c4065"},
    {"data", "c3f5f13726a49a03436a3dee68b9db480ba01a906616fcea830dd57440093aad", 8225,
     "3224aa23f6b4be19a5dd666524a1b28a6d1ad6038df1f6e1494a38cc24f42b59"},
    {"image", "6510654adc7a5ca52cd9b254a16bc11549dfbad8d9cd3a8a6a3c1560c7b23f82", 307,
     "71185f2c85493570b731aa638b321383a30fe5dc1224078effe074f337fe827b"},
    {"cnode", "632198aa1d8bf2c1d9766106aa6c9cf71de878bcedd57c40b718cedc945fe0cc", 75,
     "737ee9d1d1d37d1f6f74ea05a792a9344243d80748ad2363a19bb6c1eca8789d"},
    {"empty cnode", "49103eb648ae9932222ef7a70baab78f71c4febb98dfedf86bf8151ad7ca0aef", 5,
     "9cef010630f315992280dec416a00d3fd3637f249a253aa287f24332ccf9e78a"},
    {"owning cnode", "fa3d583bc89ea9c76663ebc3d0471598d9a1f4bf5dca5d7869636a654b1e1dde", 40,
     "0b7a181e13809894db59ec765b300cdd5dc6efdfbb52e3914bcaced1cc723024"},
    {"instance", "47d63818ca3169b9da476c24afb7ee041e2e48bf59d375f32fcd678ebcc15d37", 971,
     "06c71f6b7377112c52f4011c3a227b60f0adf9ab62165c9bb77c19371a797355"},
};

std::vector<Capability> samples() {
  return {Data(),  test::sample_data(),         test::sample_image(),   test::sample_cnode(),
          CNode(), test::sample_owning_cnode(), test::sample_instance()};
}

TEST(Capability, HashesAndEncodingsAreFixed) {
  const std::vector<Capability> all = samples();
  ASSERT_EQ(all.size(), std::size(kExpected));
  for (std::size_t index = 0; index < all.size(); ++index) {
    const Expected& expected = kExpected[index];
    EXPECT_EQ(hash_of(all[index]).to_string(), expected.hash) << expected.name;
    const std::vector<std::uint8_t> encoded = encode(all[index]);
    EXPECT_EQ(encoded.size(), expected.encoded_bytes) << expected.name;
    EXPECT_EQ(Hash{base::sha256(encoded)}.to_string(), expected.encoded_sum) << expected.name;
  }
  EXPECT_EQ(test::sample_data().hash().to_string(), "da424eb3fdd402a1e2cafe7f0403537258e138d8390092f5c09c5b0b45f2603a");
  Data sparse = Data::zeros(16'384);
  sparse.set_page(16'383, test::filled_page(1));
  EXPECT_EQ(sparse.hash().to_string(), "a51b4398c8e5cc3d8618a8c6383d3e2acf6a227333c12995dbb292e70f98eeb8");
}

TEST(Capability, DecodingGivesTheValueBack) {
  for (const Capability& capability : samples()) {
    ASSERT_TRUE(check(capability)) << check(capability).error().to_string();
    const Result<Capability> decoded = decode_capability(encode(capability));
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(*decoded, capability);
    EXPECT_EQ(hash_of(*decoded), hash_of(capability));
  }
}

void expect_rejected(const Result<Capability>& decoded) {
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::kInvalidImage);
  EXPECT_FALSE(decoded.error().where.empty());
  EXPECT_FALSE(decoded.error().message.empty());
}

// Another value's encoding, or none.
void expect_other_or_rejected(const std::vector<std::uint8_t>& bytes, const Hash& hash) {
  const Result<Capability> decoded = decode_capability(bytes);
  if (!decoded) return expect_rejected(decoded);
  EXPECT_EQ(encode(*decoded), bytes);
  EXPECT_NE(hash_of(*decoded), hash);
}

TEST(Capability, EveryTruncationIsRejectedOrAnotherValue) {
  for (const Capability& capability : samples()) {
    const std::vector<std::uint8_t> encoded = encode(capability);
    for (std::size_t size = 0; size < encoded.size(); ++size)
      expect_other_or_rejected({encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(size)},
                               hash_of(capability));
    std::vector<std::uint8_t> longer = encoded;
    longer.push_back(0);
    expect_other_or_rejected(longer, hash_of(capability));
  }
}

TEST(Capability, EveryFlippedBitIsRejectedOrAnotherValue) {
  for (const Capability& capability : samples()) {
    const std::vector<std::uint8_t> encoded = encode(capability);
    const Hash hash = hash_of(capability);
    // Pages of data are long and alike: all bits of their ends will do.
    for (std::size_t bit = 0; bit < 8 * encoded.size(); ++bit) {
      if (encoded.size() > 2000 && bit > 8 * 200 && bit < 8 * (encoded.size() - 20)) continue;
      std::vector<std::uint8_t> changed = encoded;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      expect_other_or_rejected(changed, hash);
    }
  }
}

// --- encodings of Data that are well formed SSZ, and not canonical

std::vector<std::uint8_t> data_bytes(std::uint32_t page_count, const std::vector<std::uint32_t>& indices,
                                     const std::vector<std::shared_ptr<const Data::Page>>& pages) {
  std::vector<std::uint8_t> bytes = {1};
  const auto put = [&bytes](std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  put(page_count);
  put(12);
  put(12 + 4 * static_cast<std::uint32_t>(indices.size()));
  for (const std::uint32_t index : indices) put(index);
  for (const auto& page : pages) bytes.insert(bytes.end(), page->begin(), page->end());
  return bytes;
}

TEST(Capability, DataHasOneEncoding) {
  const auto one = test::filled_page(1);
  const auto two = test::filled_page(2);
  const auto zeros = std::make_shared<const Data::Page>();
  EXPECT_EQ(data_bytes(5, {1, 0, 2, 1, 0}, {one, two}), encode(test::sample_data()));
  expect_rejected(decode_capability(data_bytes(2, {1, 2}, {one, one})));  // a page twice
  expect_rejected(decode_capability(data_bytes(2, {1, 2}, {one, zeros})));  // a page of zeros
  expect_rejected(decode_capability(data_bytes(2, {2, 1}, {one, two})));  // not in the order of use
  expect_rejected(decode_capability(data_bytes(2, {1, 3}, {one, two})));  // no such page
  expect_rejected(decode_capability(data_bytes(2, {1, 0}, {one, two})));  // one that is not used
  expect_rejected(decode_capability(data_bytes(3, {1, 2}, {one, two})));  // another count
  expect_rejected(decode_capability(data_bytes(1, {1, 2}, {one, two})));
  std::vector<std::uint8_t> part = data_bytes(2, {1, 2}, {one, two});
  part.pop_back();
  expect_rejected(decode_capability(part));
  expect_rejected(decode_capability(data_bytes(kMostDataPages + 1, {}, {})));
}

TEST(Capability, TheLargestDataIsCheapWhereItIsZeros) {
  const Data data = Data::zeros(kMostDataPages + 5);
  EXPECT_EQ(data.page_count(), kMostDataPages);
  const Result<Capability> decoded = decode_capability(encode(data));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, Capability(data));
}

// --- rules

struct Broken {
  const char* where;
  std::function<void(Image&)> breaking;
};

const Broken kBrokenImages[] = {
    {"image.gas_schedule", [](Image& image) { image.gas_schedule = 2; }},
    {"image.personality", [](Image& image) { image.personality = static_cast<ImagePersonality>(2); }},
    {"image.memory_limit", [](Image& image) { image.memory_limit = (std::uint64_t{1} << 32) + 1; }},
    {"image.stack_size", [](Image& image) { image.stack_size = 1; }},
    {"image.program", [](Image& image) { image.program.bytes[3] = 1; }},
    {"image.program_size", [](Image& image) { image.program_size = 1; }},
    {"image.program", [](Image& image) { image.personality = ImagePersonality::kLinux; }},
    {"image.mappings[0].first_page", [](Image& image) { image.mappings[0].first_page = 15; }},
    {"image.mappings[1].first_page", [](Image& image) { image.mappings[1].first_page = 17; }},
    {"image.mappings[1].page_count", [](Image& image) { image.mappings[1].page_count = 0; }},
    {"image.mappings[1].page_count", [](Image& image) { image.mappings[1].page_count = (1U << 20) - 16 - 31; }},
    {"image.mappings[1].page_count", [](Image& image) { image.mappings[1].page_count = 0xFFFFFFFF; }},
    {"image.mappings[1].permissions", [](Image& image) { image.mappings[1].permissions = 8; }},
    {"image.mappings[1].data_page", [](Image& image) { image.mappings[1].data_page = 1; }},
    {"image.mappings[0].data_page", [](Image& image) { image.mappings[0].data_page = kMostDataPages - 1; }},
    {"image.mappings", [](Image& image) { image.mappings.resize(4097, image.mappings[0]); }},
    {"image.endpoints", [](Image& image) { image.endpoints.resize(4097); }},
    {"image.endpoints[1].number", [](Image& image) { image.endpoints[1].number = 0; }},
    {"image.endpoints[0].name", [](Image& image) { image.endpoints[0].name.assign(256, 'x'); }},
    {"image.endpoints[0].registers", [](Image& image) { image.endpoints[0].registers[0].number = 0; }},
    {"image.endpoints[0].registers", [](Image& image) { image.endpoints[0].registers[1].number = 2; }},
    {"image.endpoints[0].registers", [](Image& image) { image.endpoints[0].registers[1].number = 32; }},
    {"image.imports", [](Image& image) { image.imports.resize(1025, image.imports[0]); }},
    {"image.imports[1].number", [](Image& image) { image.imports[1].number = 0; }},
    {"image.imports[1].number", [](Image& image) { image.imports[1].number = 4096; }},
    {"image.imports[0].name", [](Image& image) { image.imports[0].name.clear(); }},
    {"image.imports[0].name", [](Image& image) { image.imports[0].name.assign(256, 'x'); }},
    {"image.imports[1].signature", [](Image& image) { image.imports[1].signature.clear(); }},
    {"image.imports[1].signature", [](Image& image) { image.imports[1].signature.assign(1025, 'x'); }},
};

void expect_broken(const Capability& capability, const std::string& where) {
  const Result<void> checked = check(capability);
  ASSERT_FALSE(checked) << where;
  EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(checked.error().where, where);
  // What breaks a rule is not decoded either; the larger lists are refused before.
  expect_rejected(decode_capability(encode(capability)));
}

TEST(Capability, RulesOfImages) {
  for (const Broken& broken : kBrokenImages) {
    Image image = test::sample_image();
    broken.breaking(image);
    expect_broken(image, broken.where);
  }
  Image program = test::sample_image();
  program.personality = ImagePersonality::kLinux;
  program.program = hash_of(test::sample_data());
  program.program_size = 1000;
  program.stack_size = 8 << 20;
  program.imports.clear();
  EXPECT_TRUE(check(program));
  Image with_imports = program;
  with_imports.imports = test::sample_image().imports;
  expect_broken(with_imports, "image.imports");
  EXPECT_EQ(*decode_capability(encode(program)), Capability(program));
}

TEST(Capability, RulesOfCNodes) {
  CNode node = test::sample_cnode();
  node.slots[1].number = 0;
  expect_broken(node, "cnode.slots[1].number");
  node = test::sample_cnode();
  node.slots[0].reference.kind = static_cast<CapabilityKind>(5);
  expect_broken(node, "cnode.slots[0].kind");
  node = test::sample_cnode();
  node.slots[0].reference.hash = {};
  expect_broken(node, "cnode.slots[0].hash");
  node = test::sample_cnode();
  node.slots[0].owned = true;
  expect_broken(node, "cnode.slots[0].owned");
}

struct BrokenInstance {
  const char* where;
  std::function<void(SealedInstance&)> breaking;
};

const BrokenInstance kBrokenInstances[] = {
    {"instance.image", [](SealedInstance& instance) { instance.image = {}; }},
    {"instance.memory", [](SealedInstance& instance) { instance.memory = {}; }},
    {"instance.root", [](SealedInstance& instance) { instance.root = {}; }},
    {"instance.mappings[0].data", [](SealedInstance& instance) { instance.mappings[0].data.bytes[0] = 1; }},
    {"instance.mappings[0].data_page",
     [](SealedInstance& instance) { instance.mappings[0].data_page = kMostDataPages - 1; }},
    {"instance.mappings[1].data_page", [](SealedInstance& instance) { instance.mappings[1].data_page += 1; }},
    {"instance.integer_registers", [](SealedInstance& instance) { instance.integer_registers[0] = 1; }},
    {"instance.pc", [](SealedInstance& instance) { instance.pc += 1; }},
    {"instance.float_control", [](SealedInstance& instance) { instance.float_control = 0x100; }},
    {"instance.phase", [](SealedInstance& instance) { instance.phase = static_cast<InstancePhase>(4); }},
    {"instance.pending", [](SealedInstance& instance) { instance.phase = InstancePhase::kIdle; }},
    {"instance.runtime_state", [](SealedInstance& instance) { instance.runtime_state.resize((64 << 20) + 1); }},
    {"instance.personality_state", [](SealedInstance& instance) { instance.personality_state.resize((64 << 20) + 1); }},
};

TEST(Capability, RulesOfInstances) {
  for (const BrokenInstance& broken : kBrokenInstances) {
    SealedInstance instance = test::sample_instance();
    broken.breaking(instance);
    expect_broken(instance, broken.where);
  }
}

// --- the rest

TEST(Capability, ReferencesStandOnceAndInOrder) {
  EXPECT_TRUE(references_of(test::sample_data()).empty());
  const Hash data = hash_of(test::sample_data());
  Image image = test::sample_image();
  image.mappings[1].data = data;
  EXPECT_EQ(references_of(image), (std::vector<CNode::Reference>{{CapabilityKind::kData, data}}));
  EXPECT_EQ(references_of(test::sample_instance()),
            (std::vector<CNode::Reference>{{CapabilityKind::kImage, hash_of(test::sample_image())},
                                           {CapabilityKind::kData, data},
                                           {CapabilityKind::kCNode, hash_of(test::sample_cnode())}}));
}

TEST(Capability, HashesAsText) {
  const Hash hash = hash_of(CNode());
  EXPECT_EQ(Hash::parse(hash.to_string()).value(), hash);
  EXPECT_EQ(Hash::parse("AB" + std::string(62, '0')).value().bytes[0], 0xAB);
  for (const std::string& text :
       {std::string(), std::string(63, '0'), std::string(65, '0'), std::string(63, '0') + "g"})
    EXPECT_EQ(Hash::parse(text).error().code, ErrorCode::kInvalidArgument) << text;
  EXPECT_EQ(to_string(CapabilityKind::kCNode), "cnode");
}

}  // namespace
}  // namespace caisson
