#include "store/capability_tables.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <string_view>

#include "base/slab_pool.h"
#include "store/lmdb_values.h"

namespace caisson::store {
namespace {

using base::Sha256;
using capability::Inner;
using capability::kNodeChildren;
using capability::kNodeLevels;
using capability::Leaf;
using capability::Node;
using capability::set_hashed_page;

constexpr std::string_view kBytesName = "bytes";
constexpr std::size_t kPageEndBytes = 16;
constexpr std::size_t kPageStartBytes = kCapabilityPageSize - kPageEndBytes;
constexpr std::size_t kCountBytes = sizeof(std::uint64_t);
constexpr std::size_t kDataRecordBytes = 1 + sizeof(std::uint32_t);
constexpr std::size_t kChildMapBytes = sizeof(std::uint16_t);
// What LMDB takes for a record, a node, their counts and facts, beside the values: keys and headers, a page's share of its tree.
constexpr std::int64_t kRecordOverhead = 256;
constexpr std::int64_t kNodeOverhead = 128;

std::span<const std::uint8_t> bytes_name() {
  return {reinterpret_cast<const std::uint8_t*>(kBytesName.data()), kBytesName.size()};
}

std::int64_t record_cost(std::size_t bytes) { return static_cast<std::int64_t>(bytes) + kRecordOverhead; }
std::int64_t node_cost(std::size_t bytes) { return static_cast<std::int64_t>(bytes) + kNodeOverhead; }

// The hashes of the children that are not zeros, as they are stored.
std::vector<std::uint8_t> encode_children(const Node& node, unsigned height) {
  const Sha256& zeros = base::zero_subtree(kNodeLevels * (height - 1));
  std::uint16_t map = 0;
  std::vector<std::uint8_t> bytes(kChildMapBytes);
  for (unsigned index = 0; index < kNodeChildren; ++index) {
    const Sha256& child = node.hashes.leaf(index);
    if (child == zeros) continue;
    map |= static_cast<std::uint16_t>(1U << index);
    bytes.insert(bytes.end(), child.begin(), child.end());
  }
  std::memcpy(bytes.data(), &map, sizeof map);
  return bytes;
}

struct StoredChild {
  std::uint32_t index;
  Sha256 hash;
};

// False: it is not what encode_children() writes.
bool decode_children(std::span<const std::uint8_t> bytes, std::vector<StoredChild>& children) {
  children.clear();
  std::uint16_t map = 0;
  if (bytes.size() < sizeof map) return false;
  std::memcpy(&map, bytes.data(), sizeof map);
  if (bytes.size() != sizeof map + sizeof(Sha256) * static_cast<unsigned>(std::popcount(map))) return false;
  std::size_t place = sizeof map;
  for (unsigned rest = map; rest != 0; rest &= rest - 1) {
    StoredChild child{.index = static_cast<std::uint32_t>(std::countr_zero(rest)), .hash = {}};
    std::memcpy(child.hash.data(), bytes.data() + place, sizeof child.hash);
    place += sizeof child.hash;
    children.push_back(child);
  }
  return true;
}

std::uint64_t bytes_if_alone(const Data& data) {
  std::uint64_t pages = 0;
  for (std::uint32_t index = 0; index < data.page_count(); ++index) pages += data.page(index) != nullptr ? 1 : 0;
  return pages * kCapabilityPageSize;
}

}  // namespace

struct CapabilityTables::NodeKey {
  std::array<std::uint8_t, 1 + sizeof(Sha256)> bytes;
  NodeKey(unsigned height, const Sha256& hash) {
    bytes[0] = static_cast<std::uint8_t>(height);
    std::ranges::copy(hash, bytes.begin() + 1);
  }
};

int CapabilityTables::put_value(CapabilityTable table, Bytes key, Bytes value) const {
  return put_in_table(transaction_.handle, transaction_.table(table), key, value);
}
int CapabilityTables::get_value(CapabilityTable table, Bytes key, Bytes& value) const {
  return get_from_table(transaction_.handle, transaction_.table(table), key, value);
}
int CapabilityTables::erase_value(CapabilityTable table, Bytes key) const {
  return erase_from_table(transaction_.handle, transaction_.table(table), key);
}

// --- facts, order, total

int CapabilityTables::find_facts(const Hash& hash, CapabilityFacts& facts) const {
  Bytes value;
  if (const int code = get_value(CapabilityTable::kFacts, hash.bytes, value); code != 0) return code;
  return copy_value(value, facts) ? 0 : MDB_NOTFOUND;
}

int CapabilityTables::put_facts(const Hash& hash, const CapabilityFacts& facts) const {
  return put_value(CapabilityTable::kFacts, hash.bytes, bytes_of(facts));
}

int CapabilityTables::enter_order(const Hash& hash, CapabilityFacts& facts) const {
  facts.order = 0;
  {
    const Cursor cursor(transaction_.handle, transaction_.table(CapabilityTable::kOrder));
    MDB_val key{};
    MDB_val value{};
    const int code = cursor.move(MDB_LAST, key, value);
    if (code == 0 && copy_value(from_lmdb(key), facts.order)) facts.order = order_key(facts.order) + 1;
    if (unless_absent(code) != 0) return code;
  }
  const std::uint64_t key = order_key(facts.order);
  return put_value(CapabilityTable::kOrder, bytes_of(key), hash.bytes);
}

int CapabilityTables::leave_order(const CapabilityFacts& facts) const {
  const std::uint64_t key = order_key(facts.order);
  return erase_value(CapabilityTable::kOrder, bytes_of(key));
}

int CapabilityTables::reference(const Hash& hash, std::uint64_t CapabilityFacts::* count) const {
  CapabilityFacts facts;
  if (const int code = find_facts(hash, facts); code != 0) return code;
  if (facts.is_idle()) {
    if (const int code = leave_order(facts); code != 0) return code;
  }
  ++(facts.*count);
  return put_facts(hash, facts);
}

int CapabilityTables::unreference(const Hash& hash, std::uint64_t CapabilityFacts::* count) const {
  CapabilityFacts facts;
  if (const int code = find_facts(hash, facts); code != 0) return code;
  if (facts.*count == 0) return kStopped;
  --(facts.*count);
  if (facts.is_idle()) {
    if (const int code = enter_order(hash, facts); code != 0) return code;
  }
  return put_facts(hash, facts);
}

int CapabilityTables::total_bytes(std::uint64_t& bytes) const {
  Bytes value;
  bytes = 0;
  const int code = get_value(CapabilityTable::kTotals, bytes_name(), value);
  if (code == 0) copy_value(value, bytes);
  return unless_absent(code);
}

int CapabilityTables::change_total(std::int64_t by) const {
  std::uint64_t total = 0;
  if (const int code = total_bytes(total); code != 0) return code;
  const auto less = static_cast<std::uint64_t>(-by);
  total = by >= 0 ? total + static_cast<std::uint64_t>(by) : total - std::min(total, less);
  return put_value(CapabilityTable::kTotals, bytes_name(), bytes_of(total));
}

int CapabilityTables::count(std::uint64_t& all, std::uint64_t& idle) const {
  MDB_stat statistics{};
  if (const int code = mdb_stat(transaction_.handle, transaction_.table(CapabilityTable::kFacts), &statistics);
      code != 0)
    return code;
  all = statistics.ms_entries;
  if (const int code = mdb_stat(transaction_.handle, transaction_.table(CapabilityTable::kOrder), &statistics);
      code != 0)
    return code;
  idle = statistics.ms_entries;
  return 0;
}

int CapabilityTables::for_each(const std::function<int(const Hash&, const CapabilityFacts&)>& each) const {
  const Cursor cursor(transaction_.handle, transaction_.table(CapabilityTable::kFacts));
  MDB_val key{};
  MDB_val value{};
  int code = 0;
  for (MDB_cursor_op where = MDB_FIRST; (code = cursor.move(where, key, value)) == 0; where = MDB_NEXT) {
    Hash hash;
    CapabilityFacts facts;
    if (!copy_value(from_lmdb(key), hash.bytes) || !copy_value(from_lmdb(value), facts)) continue;
    if (const int stop = each(hash, facts); stop != 0) return stop;
  }
  return unless_absent(code);
}

// --- storing

int CapabilityTables::put_count(const NodeKey& key, std::uint64_t count, Bytes page_end) const {
  std::array<std::uint8_t, kCountBytes + kPageEndBytes> value{};
  std::memcpy(value.data(), &count, sizeof count);
  std::ranges::copy(page_end, value.begin() + kCountBytes);
  return put_value(CapabilityTable::kNodeCounts, key.bytes, Bytes(value).first(kCountBytes + page_end.size()));
}

// Of a value in the table of counts; 0 where it is none.
static std::uint64_t count_of(std::span<const std::uint8_t> value) {
  std::uint64_t count = 0;
  if (value.size() >= sizeof count) std::memcpy(&count, value.data(), sizeof count);
  return count;
}

int CapabilityTables::put_page(const Data::Page& page, const Sha256& hash, bool is_repair) const {
  const NodeKey key(0, hash);
  const Bytes bytes(page);
  Bytes value;
  const int code = get_value(CapabilityTable::kNodeCounts, key.bytes, value);
  if (unless_absent(code) != 0) return code;
  const std::uint64_t count = code == 0 ? count_of(value) : 0;
  if (const int error =
          put_count(key, is_repair ? std::max<std::uint64_t>(count, 1) : count + 1, bytes.last(kPageEndBytes));
      error != 0)
    return error;
  if (count != 0 && !is_repair) return 0;
  if (count == 0) {
    if (const int error = change_total(node_cost(bytes.size())); error != 0) return error;
  }
  return put_value(CapabilityTable::kNodes, key.bytes, bytes.first(kPageStartBytes));
}

int CapabilityTables::put_node(const Node& node, unsigned height, const Sha256& hash, bool is_repair) const {
  const NodeKey key(height, hash);
  Bytes value;
  const int code = get_value(CapabilityTable::kNodeCounts, key.bytes, value);
  if (unless_absent(code) != 0) return code;
  const std::uint64_t count = code == 0 ? count_of(value) : 0;
  if (const int error = put_count(key, is_repair ? std::max<std::uint64_t>(count, 1) : count + 1, {}); error != 0)
    return error;
  if (count != 0 && !is_repair) return 0;
  const std::vector<std::uint8_t> children = encode_children(node, height);
  if (count == 0) {
    if (const int error = change_total(node_cost(children.size())); error != 0) return error;
  }
  if (const int error = put_value(CapabilityTable::kNodes, key.bytes, children); error != 0) return error;
  const Sha256& zeros = base::zero_subtree(kNodeLevels * (height - 1));
  // A node that came to be by this refers to its children for the first time, also in a repair.
  const bool is_known = is_repair && count != 0;
  for (unsigned index = 0; index < kNodeChildren; ++index) {
    const Sha256& child = node.hashes.leaf(index);
    if (child == zeros) continue;
    const int error = height > 1 ? put_node(*static_cast<const Inner&>(node).nodes[index], height - 1, child, is_known)
                                 : put_page(*static_cast<const Leaf&>(node).pages[index], child, is_known);
    if (error != 0) return error;
  }
  return 0;
}

int CapabilityTables::put_record(const Hash& hash, const Capability& capability, bool is_repair,
                                 CapabilityFacts& facts) const {
  std::vector<std::uint8_t> record;
  facts.kind = static_cast<std::uint64_t>(kind_of(capability));
  facts.bytes = 0;
  if (const Data* const data = std::get_if<Data>(&capability)) {
    const Data::State& state = capability::hashed_state(*data);
    record.resize(kDataRecordBytes);
    record[0] = static_cast<std::uint8_t>(CapabilityKind::kData);
    std::memcpy(record.data() + 1, &state.page_count, sizeof state.page_count);
    Sha256 root = state.root ? state.root->hashes.known_root() : Sha256{};
    if (state.root && root != base::zero_subtree(kNodeLevels * state.height)) {
      record.insert(record.end(), root.begin(), root.end());
      if (const int code = put_node(*state.root, state.height, root, is_repair); code != 0) return code;
      facts.bytes = bytes_if_alone(*data);
    }
  } else {
    record = encode(capability);
  }
  facts.bytes += record.size();
  if (!is_repair) {
    if (const int code = change_total(record_cost(record.size())); code != 0) return code;
  }
  return put_value(CapabilityTable::kRecords, hash.bytes, record);
}

int CapabilityTables::insert(const Hash& hash, const Capability& capability) const {
  CapabilityFacts facts{.callers = 1};
  if (const int code = put_record(hash, capability, false, facts); code != 0) return code;
  return put_facts(hash, facts);
}

int CapabilityTables::repair(const Hash& hash, const Capability& capability) const {
  CapabilityFacts facts;
  if (const int code = find_facts(hash, facts); code != 0) return code;
  if (const int code = put_record(hash, capability, true, facts); code != 0) return code;
  return put_facts(hash, facts);
}

// --- dropping

int CapabilityTables::release_node(unsigned height, const Sha256& hash) const {
  const NodeKey key(height, hash);
  Bytes value;
  int code = get_value(CapabilityTable::kNodeCounts, key.bytes, value);
  if (code != 0) return unless_absent(code);
  if (const std::uint64_t count = count_of(value); count > 1) {
    std::array<std::uint8_t, kPageEndBytes> end{};
    const std::size_t end_bytes = std::min(value.size() - kCountBytes, end.size());
    std::copy_n(value.begin() + kCountBytes, end_bytes, end.begin());
    return put_count(key, count - 1, Bytes(end).first(end_bytes));
  }
  std::vector<StoredChild> children;
  code = get_value(CapabilityTable::kNodes, key.bytes, value);
  if (unless_absent(code) != 0) return code;
  std::size_t bytes = code == 0 ? value.size() : 0;
  if (height == 0) bytes += kPageEndBytes;
  // The children of a damaged node stay: who they are is unknown.
  if (code == 0 && height > 0) decode_children(value, children);
  if (code = erase_value(CapabilityTable::kNodes, key.bytes); code != 0) return code;
  if (code = erase_value(CapabilityTable::kNodeCounts, key.bytes); code != 0) return code;
  if (code = change_total(-node_cost(bytes)); code != 0) return code;
  for (const StoredChild& child : children) {
    if (code = release_node(height - 1, child.hash); code != 0) return code;
  }
  return 0;
}

int CapabilityTables::erase_record(const Hash& hash) const {
  Bytes value;
  int code = get_value(CapabilityTable::kRecords, hash.bytes, value);
  if (code != 0) return unless_absent(code);
  const std::vector<std::uint8_t> record(value.begin(), value.end());
  if (code = erase_value(CapabilityTable::kRecords, hash.bytes); code != 0) return code;
  if (code = change_total(-record_cost(record.size())); code != 0) return code;
  if (record.empty()) return 0;
  if (record[0] == static_cast<std::uint8_t>(CapabilityKind::kData)) {
    if (record.size() != kDataRecordBytes + sizeof(Sha256)) return 0;
    std::uint32_t page_count = 0;
    Sha256 root;
    std::memcpy(&page_count, record.data() + 1, sizeof page_count);
    std::memcpy(root.data(), record.data() + kDataRecordBytes, sizeof root);
    return page_count <= kMostDataPages ? release_node(capability::height_for(page_count), root) : 0;
  }
  const Result<Capability> capability = decode_capability(record);
  if (!capability) return 0;
  for (const CNode::Reference& target : references_of(*capability)) {
    code = unreference(target.hash, &CapabilityFacts::capabilities);
    if (code != 0 && code != MDB_NOTFOUND && code != kStopped) return code;
  }
  return 0;
}

int CapabilityTables::evict_oldest() const {
  Hash hash;
  {
    const Cursor cursor(transaction_.handle, transaction_.table(CapabilityTable::kOrder));
    MDB_val key{};
    MDB_val value{};
    if (const int code = cursor.move(MDB_FIRST, key, value); code != 0) return code;
    const bool is_hash = copy_value(from_lmdb(value), hash.bytes);
    if (const int code = cursor.erase(); code != 0) return code;
    if (!is_hash) return 0;
  }
  CapabilityFacts facts;
  const int code = find_facts(hash, facts);
  // Referred to, whatever the order says.
  if (code == 0 && !facts.is_idle()) return 0;
  if (unless_absent(code) != 0) return code;
  if (const int error = erase_value(CapabilityTable::kFacts, hash.bytes); error != 0) return error;
  return erase_record(hash);
}

// --- loading

class CapabilityTables::Loader {
 public:
  explicit Loader(const CapabilityTables& tables) : tables_(tables) {}

  // 0, LMDB's code, or kStopped, when reason() tells what is wrong.
  int load(Bytes record, Capability& capability) {
    if (record.empty()) return stop("its record is empty");
    if (record[0] != static_cast<std::uint8_t>(CapabilityKind::kData)) {
      Result<Capability> decoded = decode_capability(record);
      if (!decoded) return stop(decoded.error().to_string());
      capability = *std::move(decoded);
      return 0;
    }
    return load_data(record, capability);
  }

  const std::string& reason() const { return reason_; }

 private:
  int stop(std::string reason) {
    reason_ = std::move(reason);
    return kStopped;
  }

  int load_data(Bytes record, Capability& capability) {
    std::uint32_t page_count = 0;
    if (record.size() != kDataRecordBytes && record.size() != kDataRecordBytes + sizeof(Sha256))
      return stop("its record has another size");
    std::memcpy(&page_count, record.data() + 1, sizeof page_count);
    if (page_count > kMostDataPages) return stop("it has more pages than a Data");
    Data data = Data::zeros(page_count);
    if (record.size() > kDataRecordBytes) {
      Sha256 root;
      std::memcpy(root.data(), record.data() + kDataRecordBytes, sizeof root);
      if (const int code = load_node(data, capability::height_for(page_count), 0, root); code != 0) return code;
    }
    capability = std::move(data);
    return 0;
  }

  // Reads what is below a node whose first page would be `first`.
  int load_node(Data& data, unsigned height, std::uint32_t first, const Sha256& hash) {
    Bytes value;
    const int code = tables_.get_value(CapabilityTable::kNodes, NodeKey(height, hash).bytes, value);
    if (code == MDB_NOTFOUND) return stop("some of its pages are missing");
    if (code != 0) return code;
    std::vector<StoredChild> children;
    if (!decode_children(value, children)) return stop("a list of its pages is damaged");
    for (const StoredChild& child : children) {
      const std::uint32_t page = first + (child.index << (kNodeLevels * (height - 1)));
      if (page >= data.page_count()) return stop("it has pages beyond its end");
      const int error = height > 1 ? load_node(data, height - 1, page, child.hash) : load_page(data, page, child.hash);
      if (error != 0) return error;
    }
    return 0;
  }

  int load_page(Data& data, std::uint32_t index, const Sha256& hash) {
    std::shared_ptr<const Data::Page>& page = pages_[{hash}];
    if (!page) {
      const NodeKey key(0, hash);
      Bytes start;
      Bytes count;
      int code = tables_.get_value(CapabilityTable::kNodes, key.bytes, start);
      if (code == 0) code = tables_.get_value(CapabilityTable::kNodeCounts, key.bytes, count);
      if (code == MDB_NOTFOUND) return stop("some of its pages are missing");
      if (code != 0) return code;
      if (start.size() != kPageStartBytes || count.size() != kCountBytes + kPageEndBytes)
        return stop("one of its pages has another size");
      auto read = std::allocate_shared<Data::Page>(base::SlabAllocator<Data::Page>());
      std::ranges::copy(start, read->begin());
      std::ranges::copy(count.last(kPageEndBytes), read->begin() + kPageStartBytes);
      // The copy is checked: others can write to the map.
      if (base::sha256(*read) != hash) return stop("one of its pages has another hash");
      if (std::ranges::all_of(*read, [](std::uint8_t byte) { return byte == 0; }))
        return stop("a page of zeros is stored");
      page = std::move(read);
    }
    set_hashed_page(data, index, page, hash);
    return 0;
  }

  const CapabilityTables& tables_;
  std::map<Hash, std::shared_ptr<const Data::Page>> pages_;
  std::string reason_;
};

int CapabilityTables::load(const Hash& hash, Capability& capability, std::string& reason) const {
  CapabilityFacts facts;
  if (const int code = find_facts(hash, facts); code != 0) return code;
  Bytes record;
  const int found = get_value(CapabilityTable::kRecords, hash.bytes, record);
  if (found == MDB_NOTFOUND) {
    reason = "its record is missing";
    return kStopped;
  }
  if (found != 0) return found;
  Loader loader(*this);
  const std::vector<std::uint8_t> copy(record.begin(), record.end());
  const int code = loader.load(copy, capability);
  reason = loader.reason();
  if (code != 0) return code;
  if (hash_of(capability) == hash) return 0;
  reason = "it has another hash";
  return kStopped;
}

}  // namespace caisson::store
