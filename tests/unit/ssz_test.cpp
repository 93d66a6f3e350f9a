// SSZ: what is written can be split again, nothing else can; and the hash trees.
#include "base/ssz.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/merkle.h"

namespace caisson::base {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
std::string text_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::string hex(const Sha256& hash) {
  std::string text;
  for (const std::uint8_t byte : hash) {
    text += "0123456789abcdef"[byte / 16];
    text += "0123456789abcdef"[byte % 16];
  }
  return text;
}

const std::initializer_list<std::size_t> kSizes = {2, kVariableSize, 1, kVariableSize, kVariableSize};

std::vector<std::uint8_t> sample(std::string_view first = "one", std::string_view last = "three!") {
  return SszWriter()
      .put_u8(1)
      .put_u8(2)
      .put_variable(bytes_of(first))
      .put_u8(3)
      .put_variable({})
      .put_variable(bytes_of(last))
      .finish();
}

TEST(Ssz, LaysOutFixedFieldsOffsetsAndTheRest) {
  const std::vector<std::uint8_t> expected = {1, 2, 15, 0,   0,   0,   3,   18,  0,   0,   0,   18,
                                              0, 0, 0,  'o', 'n', 'e', 't', 'h', 'r', 'e', 'e', '!'};
  EXPECT_EQ(sample(), expected);
  EXPECT_EQ(SszWriter().put_u32(0x01020304).put_u64(0x05).finish(),
            (std::vector<std::uint8_t>{4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Ssz, SplitsWhatWasWritten) {
  const auto bytes = sample();
  const auto fields = split_container(bytes, kSizes, "sample");
  ASSERT_TRUE(fields) << fields.error().to_string();
  EXPECT_EQ(read_number((*fields)[0]), 0x0201U);
  EXPECT_EQ(text_of((*fields)[1]), "one");
  EXPECT_EQ(read_number((*fields)[2]), 3U);
  EXPECT_TRUE((*fields)[3].empty());
  EXPECT_EQ(text_of((*fields)[4]), "three!");
}

// What a splitter accepts must be what writing the parts gives.
TEST(Ssz, EveryChangedByteIsAnErrorOrOtherParts) {
  const auto bytes = sample();
  int rejected = 0;
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    for (unsigned value = 0; value < 256; ++value) {
      auto changed = bytes;
      changed[place] = static_cast<std::uint8_t>(value);
      const auto fields = split_container(changed, kSizes, "sample");
      if (!fields) {
        EXPECT_EQ(fields.error().code, ErrorCode::kInvalidImage);
        EXPECT_EQ(fields.error().where, "sample");
        ++rejected;
        continue;
      }
      EXPECT_EQ(SszWriter()
                    .put_fixed((*fields)[0])
                    .put_variable((*fields)[1])
                    .put_fixed((*fields)[2])
                    .put_variable((*fields)[3])
                    .put_variable((*fields)[4])
                    .finish(),
                changed);
    }
  }
  // Of 12 bytes of offsets, what moves an end within its neighbours is good: the two later offsets can each be 15…18 and 18…24.
  EXPECT_GT(rejected, 12 * 256 - 40);
  EXPECT_LT(rejected, 12 * 256);
}

TEST(Ssz, EveryTruncationAndAddition) {
  const auto bytes = sample();
  for (std::size_t size = 0; size < 18; ++size)
    EXPECT_FALSE(split_container(Bytes(bytes).first(size), kSizes, "sample")) << size;
  const std::vector<std::uint8_t> fixed = {1, 2, 3};
  EXPECT_TRUE(split_container(Bytes(fixed), {1, 2}, "fixed"));
  EXPECT_FALSE(split_container(Bytes(fixed).first(2), {1, 2}, "fixed"));
  EXPECT_FALSE(split_container(Bytes(fixed), {1, 1}, "fixed"));
}

TEST(Ssz, ListsOfFixedItems) {
  const auto bytes = bytes_of("abcdef");
  EXPECT_EQ(split_list(bytes, 2, 3, "list")->size(), 3U);
  EXPECT_EQ(text_of((*split_list(bytes, 3, 9, "list"))[1]), "def");
  EXPECT_FALSE(split_list(bytes, 2, 2, "list"));
  EXPECT_FALSE(split_list(bytes, 4, 9, "list"));
  EXPECT_TRUE(split_list({}, 4, 0, "list")->empty());
}

TEST(Ssz, ListsOfVariableItems) {
  const auto bytes = SszWriter().put_variable(bytes_of("a")).put_variable(bytes_of("bc")).finish();
  const auto items = split_variable_list(bytes, 2, "list");
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2U);
  EXPECT_EQ(text_of((*items)[1]), "bc");
  EXPECT_FALSE(split_variable_list(bytes, 1, "list"));
  EXPECT_TRUE(split_variable_list({}, 0, "list")->empty());
  for (std::size_t size = 1; size < 10; ++size)
    EXPECT_FALSE(split_variable_list(Bytes(bytes).first(size), 2, "list")) << size;
  for (const std::uint8_t first : {0, 1, 3, 7, 12, 255}) {
    auto changed = bytes;
    changed[0] = first;
    EXPECT_FALSE(split_variable_list(changed, 1000, "list")) << int{first};
  }
  // An offset so large that a naive product overflows.
  EXPECT_FALSE(split_variable_list(std::vector<std::uint8_t>{0xFC, 0xFF, 0xFF, 0xFF}, ~0ULL, "list"));
}

Sha256 filled(std::uint8_t byte) {
  Sha256 hash;
  hash.fill(byte);
  return hash;
}

Sha256 plain_pair(const Sha256& left, const Sha256& right) {
  std::array<std::uint8_t, 64> both;
  std::ranges::copy(left, both.begin());
  std::ranges::copy(right, both.begin() + 32);
  return sha256(both);
}

TEST(Merkle, APairIsTheHashOfBoth) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 100; ++round) {
    Sha256 left;
    Sha256 right;
    for (std::uint8_t& byte : left) byte = static_cast<std::uint8_t>(random());
    for (std::uint8_t& byte : right) byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(hash_pair(left, right), plain_pair(left, right));
  }
}

// Every number of messages to the second full pair of lanes and beyond, of one block, two and a page, with and without the processor's extensions.
TEST(Sha256Batch, EachDigestIsThatOfItsMessage) {
  std::mt19937_64 random(3);
  for (const std::size_t size : {std::size_t{64}, std::size_t{128}, std::size_t{4096}}) {
    for (std::size_t count = 0; count <= 7; ++count) {
      std::vector<std::vector<std::uint8_t>> messages(count, std::vector<std::uint8_t>(size));
      std::vector<Sha256> expected(count);
      std::vector<Sha256> digests(count);
      std::vector<Sha256> plain_digests(count);
      std::vector<Sha256Job> jobs;
      std::vector<Sha256Job> plain_jobs;
      for (std::size_t index = 0; index < count; ++index) {
        for (std::uint8_t& byte : messages[index]) byte = static_cast<std::uint8_t>(random());
        expected[index] = sha256(messages[index]);
        jobs.push_back({messages[index].data(), &digests[index]});
        plain_jobs.push_back({messages[index].data(), &plain_digests[index]});
      }
      sha256_batch(jobs, size);
      sha256_batch_without_extensions(plain_jobs, size);
      EXPECT_EQ(digests, expected) << size;
      EXPECT_EQ(plain_digests, expected) << size;
    }
  }
}

TEST(Sha256Batch, ADigestMayTakeThePlaceOfAMessageBefore) {
  std::vector<Sha256> nodes(16);
  for (std::size_t index = 0; index < nodes.size(); ++index) nodes[index] = filled(static_cast<std::uint8_t>(index));
  std::vector<Sha256> expected;
  std::vector<Sha256Job> jobs;
  for (std::size_t parent = 0; parent < nodes.size() / 2; ++parent) {
    expected.push_back(plain_pair(nodes[2 * parent], nodes[2 * parent + 1]));
    jobs.push_back({nodes[2 * parent].data(), &nodes[parent]});
  }
  sha256_batch(jobs, 2 * sizeof(Sha256));
  nodes.resize(expected.size());
  EXPECT_EQ(nodes, expected);
}

TEST(Merkle, RootsOfZeros) {
  // As in the consensus specifications' list of zero hashes.
  EXPECT_EQ(hex(zero_subtree(1)), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
  EXPECT_EQ(hex(zero_subtree(2)), "db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71");
  for (unsigned level = 1; level <= kMostMerkleLevels; ++level)
    EXPECT_EQ(zero_subtree(level), plain_pair(zero_subtree(level - 1), zero_subtree(level - 1)));
}

TEST(Merkle, PadsWithZerosUpToTheLimit) {
  const std::vector<Sha256> three = {filled(1), filled(2), filled(3)};
  const Sha256 four = plain_pair(plain_pair(filled(1), filled(2)), plain_pair(filled(3), Sha256{}));
  EXPECT_EQ(merkleize(three, 3), four);
  EXPECT_EQ(merkleize(three, 4), four);
  EXPECT_EQ(merkleize(three, 5), plain_pair(four, zero_subtree(2)));
  EXPECT_EQ(merkleize({}, 5), zero_subtree(3));
  EXPECT_EQ(merkleize({}, 1), Sha256{});
  EXPECT_EQ(merkleize(std::span(three).first(1), 1), filled(1));
  EXPECT_EQ(mix_in_length(four, 0x0102), plain_pair(four, root_of_number(0x0102)));
  EXPECT_EQ(mix_in_selector(four, 3), plain_pair(four, root_of_number(3)));
}

TEST(Merkle, TreesOfAnyNumberOfChunksAreMadeOfTheirPairs) {
  std::mt19937_64 random(4);
  const auto plain_root = [](std::vector<Sha256> nodes) {
    for (; nodes.size() > 1; nodes.resize(nodes.size() / 2)) {
      for (std::size_t index = 0; index < nodes.size() / 2; ++index)
        nodes[index] = plain_pair(nodes[2 * index], nodes[2 * index + 1]);
    }
    return nodes.front();
  };
  for (std::size_t count = 1; count <= 150; ++count) {
    std::vector<Sha256> chunks(count);
    for (Sha256& chunk : chunks) chunk = random() % 3 == 0 ? Sha256{} : filled(static_cast<std::uint8_t>(random()));
    std::vector<Sha256> padded = chunks;
    padded.resize(std::bit_ceil(count));
    EXPECT_EQ(merkleize(chunks, count), plain_root(padded)) << count;
    padded.resize(512);
    EXPECT_EQ(merkleize(chunks, 512), plain_root(padded)) << count;
  }
}

TEST(Merkle, ATreeThatRemembersIsAsOneFromScratch) {
  std::mt19937_64 random(2);
  MerkleTree<7> tree(3);
  std::vector<Sha256> leaves(128, zero_subtree(3));
  for (int round = 0; round < 300; ++round) {
    for (std::uint64_t change = random() % 6; change > 0; --change) {
      const std::size_t index = random() % leaves.size();
      leaves[index] = filled(static_cast<std::uint8_t>(random()));
      tree.set_leaf(index, leaves[index]);
    }
    ASSERT_EQ(tree.root(), merkleize(leaves, leaves.size())) << round;
  }
  EXPECT_EQ(tree.leaf(5), leaves[5]);
}

}  // namespace
}  // namespace caisson::base
