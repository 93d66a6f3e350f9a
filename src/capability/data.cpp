#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <vector>

#include "base/sha256_batch.h"
#include "base/slab_pool.h"
#include "capability/data_nodes.h"

namespace caisson {
namespace {

using capability::child_index;
using capability::Inner;
using capability::kNodeChildren;
using capability::kNodeLevels;
using capability::Leaf;
using capability::Node;

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool is_zero(const Data::Page& page) {
  // Each byte is as the one before, and the first is zero.
  return page[0] == 0 && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

// Makes `node` one that the State `owner` may change, with the children it has.
template <class Kind, class... Height>
Kind& own_node(std::shared_ptr<Node>& node, std::uint64_t owner, Height... height) {
  if (!node) {
    node = std::allocate_shared<Kind>(base::SlabAllocator<Kind>(), owner, height...);
  } else if (node->owner != owner) {
    node = std::allocate_shared<Kind>(base::SlabAllocator<Kind>(), static_cast<const Kind&>(*node));
    node->owner = owner;
  }
  return static_cast<Kind&>(*node);
}

// Nodes whose hashes are to be made, by height - 1. A leaf of pages whose hashes were known (set_hashed_page) has no mark; its parent has.
using ChangedNodes = std::array<std::vector<Node*>, capability::kMostHeight>;

void add_changed(Node& node, unsigned height, ChangedNodes& changed) {
  changed[height - 1].push_back(&node);
  for (unsigned rest = node.changed; rest != 0 && height > 1; rest &= rest - 1)
    add_changed(*static_cast<Inner&>(node).nodes[static_cast<unsigned>(std::countr_zero(rest))], height - 1, changed);
}

// Hashes the pages that changed, many at once.
void hash_pages(std::span<Node* const> leaves) {
  struct Place {
    Node* leaf;
    unsigned index;
  };
  constexpr std::size_t kBatch = 32;
  std::array<base::Sha256Job, kBatch> jobs;
  std::array<base::Sha256, kBatch> digests;
  std::array<Place, kBatch> places;
  std::size_t count = 0;
  const auto finish = [&] {
    base::sha256_batch(std::span(jobs).first(count), kCapabilityPageSize);
    for (std::size_t job = 0; job < count; ++job) places[job].leaf->hashes.set_leaf(places[job].index, digests[job]);
    count = 0;
  };
  for (Node* const leaf : leaves) {
    for (unsigned rest = leaf->changed; rest != 0; rest &= rest - 1) {
      const auto index = static_cast<unsigned>(std::countr_zero(rest));
      const auto& page = static_cast<Leaf&>(*leaf).pages[index];
      if (!page) {
        leaf->hashes.set_leaf(index, {});
        continue;
      }
      if (count == kBatch) finish();
      jobs[count] = {page->data(), &digests[count]};
      places[count++] = {leaf, index};
    }
  }
  finish();
}

// Level by level, so that what does not wait for each other is hashed at once.
const base::Sha256& make_node_hashes(Node& root, unsigned height) {
  ChangedNodes changed;
  add_changed(root, height, changed);
  // From here on nothing fails, and marks can go.
  std::vector<base::MerkleTree<kNodeLevels>*> trees;
  trees.reserve(std::ranges::max(changed, {}, &std::vector<Node*>::size).size());
  hash_pages(changed[0]);
  for (unsigned level = 1; level <= height; ++level) {
    trees.clear();
    for (Node* const node : changed[level - 1]) {
      for (unsigned rest = level > 1 ? node->changed : 0U; rest != 0; rest &= rest - 1) {
        const auto index = static_cast<unsigned>(std::countr_zero(rest));
        node->hashes.set_leaf(index, static_cast<Inner&>(*node).nodes[index]->hashes.known_root());
      }
      node->changed = 0;
      trees.push_back(&node->hashes);
    }
    base::MerkleTree<kNodeLevels>::make_roots(trees);
  }
  return root.hashes.root();
}

}  // namespace

namespace capability {

unsigned height_for(std::uint32_t page_count) {
  unsigned height = 1;
  while (std::uint64_t{1} << (kNodeLevels * height) < page_count) ++height;
  return height;
}

}  // namespace capability

Data::State::State(std::uint32_t pages)
    : page_count(pages), height(capability::height_for(pages)), number(next_number()) {}

const Leaf* Data::State::find_leaf(std::uint32_t page) const {
  const Node* node = root.get();
  for (unsigned level = height; level > 1 && node != nullptr; --level)
    node = static_cast<const Inner*>(node)->nodes[child_index(page, level)].get();
  return static_cast<const Leaf*>(node);
}

Leaf& Data::State::own_leaf(std::uint32_t page) {
  is_hashed.store(false, std::memory_order_relaxed);
  std::shared_ptr<Node>* place = &root;
  for (unsigned level = height; level > 1; --level) {
    Inner& inner = own_node<Inner>(*place, number, level);
    const std::uint32_t index = child_index(page, level);
    inner.changed |= static_cast<std::uint16_t>(1U << index);
    place = &inner.nodes[index];
  }
  return own_node<Leaf>(*place, number);
}

void Data::State::make_hashes() {
  if (is_hashed.load(std::memory_order_acquire)) return;
  const std::scoped_lock lock(mutex);
  if (is_hashed.load(std::memory_order_relaxed)) return;
  unsigned level = kNodeLevels * height;
  base::Sha256 tree = root ? make_node_hashes(*root, height) : base::zero_subtree(level);
  for (; level < capability::kDataLevels; ++level) tree = base::hash_pair(tree, base::zero_subtree(level));
  hash.bytes = base::mix_in_length(tree, page_count * kCapabilityPageSize);
  is_hashed.store(true, std::memory_order_release);
}

std::unique_ptr<Data::State> Data::State::copy() {
  make_hashes();
  auto made = std::make_unique<State>(page_count);
  const std::scoped_lock lock(mutex);
  made->root = root;
  made->hash = hash;
  made->is_hashed.store(true, std::memory_order_relaxed);
  number = next_number();
  return made;
}

Data::Data() : Data(0) {}

Data::Data(std::uint32_t page_count) : state_(new State(page_count)) {}

Data::Data(const Data& other) : state_(other.state_) { state_->handles.fetch_add(1, std::memory_order_relaxed); }

Data& Data::operator=(const Data& other) {
  Data copy(other);
  std::swap(state_, copy.state_);
  return *this;
}

Data::~Data() {
  if (state_->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) delete state_;
}

Data Data::zeros(std::uint32_t page_count) { return Data(std::min(page_count, kMostDataPages)); }

Result<Data> Data::copy_of(std::span<const std::uint8_t> bytes) {
  const std::uint64_t pages = bytes.size() / kCapabilityPageSize + (bytes.size() % kCapabilityPageSize == 0 ? 0 : 1);
  if (pages > kMostDataPages) return fail(ErrorCode::kLimit, "a Data holds 4 GiB at most");
  Data data(static_cast<std::uint32_t>(pages));
  for (std::uint32_t index = 0; index < pages; ++index) {
    const auto part = bytes.subspan(index * kCapabilityPageSize);
    auto page = std::allocate_shared<Page>(base::SlabAllocator<Page>());
    std::ranges::copy(part.first(std::min<std::size_t>(part.size(), kCapabilityPageSize)), page->begin());
    data.set_page(index, std::move(page));
  }
  return data;
}

std::uint32_t Data::page_count() const { return state_->page_count; }

const Data::Page* Data::page(std::uint32_t index) const {
  const Leaf* const leaf = state_->find_leaf(index);
  return leaf != nullptr ? leaf->pages[index % kNodeChildren].get() : nullptr;
}

std::shared_ptr<const Data::Page> Data::share_page(std::uint32_t index) const {
  const Leaf* const leaf = state_->find_leaf(index);
  return leaf != nullptr ? leaf->pages[index % kNodeChildren] : nullptr;
}

Data::State& Data::own_state() {
  if (state_->handles.load(std::memory_order_acquire) != 1) {
    State* const own = state_->copy().release();
    State* const shared = std::exchange(state_, own);
    if (shared->handles.fetch_sub(1, std::memory_order_acq_rel) == 1) delete shared;
  }
  return *state_;
}

void Data::set_page(std::uint32_t index, std::shared_ptr<const Page> page) {
  if (index >= page_count()) return;
  if (page && is_zero(*page)) page.reset();
  if (!page && this->page(index) == nullptr) return;
  Leaf& leaf = own_state().own_leaf(index);
  leaf.pages[index % kNodeChildren] = std::move(page);
  leaf.changed |= static_cast<std::uint16_t>(1U << (index % kNodeChildren));
}

void Data::set_page(std::uint32_t index, const Page& page) {
  set_page(index, std::allocate_shared<const Page>(base::SlabAllocator<Page>(), page));
}

void Data::read(std::uint64_t offset, std::span<std::uint8_t> to) const {
  while (!to.empty()) {
    const std::uint64_t within = offset % kCapabilityPageSize;
    const std::size_t count = std::min<std::size_t>(to.size(), kCapabilityPageSize - within);
    const Page* const page = this->page(static_cast<std::uint32_t>(offset / kCapabilityPageSize));
    if (page != nullptr) {
      std::memcpy(to.data(), page->data() + within, count);
    } else {
      std::memset(to.data(), 0, count);
    }
    to = to.subspan(count);
    offset += count;
  }
}

Hash Data::hash() const { return capability::hashed_state(*this).hash; }

Hash Data::page_hash(std::uint32_t index) const {
  const Leaf* const leaf = capability::hashed_state(*this).find_leaf(index);
  return leaf != nullptr ? Hash{leaf->hashes.leaf(index % kNodeChildren)} : Hash{};
}

bool operator==(const Data& one, const Data& other) { return one.state_ == other.state_ || one.hash() == other.hash(); }

namespace capability {

void set_hashed_page(Data& data, std::uint32_t index, std::shared_ptr<const Data::Page> page,
                     const base::Sha256& hash) {
  Leaf& leaf = DataAccess::own_state(data).own_leaf(index);
  leaf.pages[index % kNodeChildren] = std::move(page);
  leaf.changed &= static_cast<std::uint16_t>(~(1U << (index % kNodeChildren)));
  leaf.hashes.set_leaf(index % kNodeChildren, hash);
}

const Data::State& hashed_state(const Data& data) {
  Data::State& state = DataAccess::state(data);
  state.make_hashes();
  return state;
}

}  // namespace capability
}  // namespace caisson
