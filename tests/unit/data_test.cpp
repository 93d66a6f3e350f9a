// Data beside a plain vector of pages: random writes and copies, from several threads too; and what they cost.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base/merkle.h"
#include "caisson/capability.h"
#include "support/sample_capability.h"

namespace caisson {
namespace {

using test::numbered_page;

// 0: a page of zeros; else numbered_page().
using Model = std::vector<std::uint64_t>;

Hash hash_from_scratch(const Model& model) {
  std::vector<base::Sha256> pages;
  for (const std::uint64_t number : model)
    pages.push_back(number == 0 ? base::Sha256{} : base::sha256(*numbered_page(number)));
  return {base::mix_in_length(base::merkleize(pages, kMostDataPages), model.size() * kCapabilityPageSize)};
}

void expect_same(const Data& data, const Model& model) {
  ASSERT_EQ(data.page_count(), model.size());
  for (std::uint32_t index = 0; index < model.size(); ++index) {
    const Data::Page* const page = data.page(index);
    ASSERT_EQ(page == nullptr, model[index] == 0) << index;
    if (page != nullptr) {
      ASSERT_EQ(*page, *numbered_page(model[index])) << index;
      ASSERT_EQ(data.page_hash(index).bytes, base::sha256(*page));
    }
  }
  ASSERT_EQ(data.hash(), hash_from_scratch(model));
}

TEST(Data, IsAsAVectorOfPages) {
  std::mt19937_64 random(4);
  for (const std::uint32_t pages : {0U, 1U, 15U, 16U, 17U, 256U, 257U, 5000U}) {
    std::vector<std::pair<Data, Model>> values = {{Data::zeros(pages), Model(pages)}};
    for (int round = 0; round < 200; ++round) {
      const std::size_t which = random() % values.size();
      switch (random() % 8) {
        case 0:
          if (values.size() < 6) values.push_back(values[which]);
          break;
        case 1:
          values[random() % values.size()] = values[which];
          break;
        case 2:
          ASSERT_EQ(values[which].first.hash(), hash_from_scratch(values[which].second));
          break;
        default: {
          if (pages == 0) break;
          const auto index = static_cast<std::uint32_t>(random() % pages);
          const std::uint64_t number = random() % 4 == 0 ? 0 : random() % 1000 + 1;
          values[which].second[index] = number;
          if (number == 0) {
            values[which].first.set_page(index, random() % 2 == 0 ? nullptr : std::make_shared<const Data::Page>());
          } else {
            values[which].first.set_page(index, numbered_page(number));
          }
        }
      }
    }
    for (const auto& [data, model] : values) expect_same(data, model);
    for (const auto& one : values) {
      for (const auto& other : values) ASSERT_EQ(one.first == other.first, one.second == other.second);
    }
  }
}

TEST(Data, CopiesBytesInAndOut) {
  std::vector<std::uint8_t> bytes(3 * kCapabilityPageSize + 5);
  std::mt19937_64 random(5);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  std::fill_n(bytes.begin() + kCapabilityPageSize, kCapabilityPageSize, 0);
  const Data data = Data::copy_of(bytes).value();
  EXPECT_EQ(data.page_count(), 4U);
  EXPECT_EQ(data.page(1), nullptr);
  bytes.resize(4 * kCapabilityPageSize);
  for (int round = 0; round < 200; ++round) {
    const std::size_t offset = random() % bytes.size();
    std::vector<std::uint8_t> part(random() % (bytes.size() - offset + 1), 0xEE);
    data.read(offset, part);
    ASSERT_TRUE(std::equal(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset)));
  }
  EXPECT_EQ(Data::copy_of({}).value().page_count(), 0U);
}

TEST(Data, SharesPages) {
  Data data = Data::zeros(3);
  data.set_page(1, numbered_page(1));
  Data copy = data;
  copy.set_page(0, data.share_page(1));
  EXPECT_EQ(copy.page(0), data.page(1));
  EXPECT_EQ(copy.page(1), data.page(1));
  EXPECT_EQ(data.page(0), nullptr);
  EXPECT_EQ(data.share_page(2), nullptr);
}

// A value may be read and copied from any thread, hashed or not; each thread changes copies of its own.
TEST(Data, ThreadsShareAValue) {
  constexpr std::uint32_t kPages = 700;
  for (int round = 0; round < 20; ++round) {
    Data data = Data::zeros(kPages);
    Model model(kPages);
    for (std::uint32_t index = 0; index < kPages; index += 3) {
      model[index] = index + 1;
      data.set_page(index, numbered_page(index + 1));
    }
    const Hash expected = hash_from_scratch(model);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (std::uint64_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        Data copy = data;
        Model own = model;
        for (std::uint32_t change = 0; change < 10; ++change) {
          const auto index = static_cast<std::uint32_t>((37 * change + thread) % kPages);
          own[index] = 10'000 + thread;
          copy.set_page(index, numbered_page(own[index]));
          if (change == 4 && data.hash() != expected) ++wrong;
        }
        if (copy.hash() != hash_from_scratch(own) || data.hash() != expected) ++wrong;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
}

}  // namespace
}  // namespace caisson
