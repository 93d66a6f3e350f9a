#include "store/artifact_tables.h"

#include <algorithm>
#include <string_view>

#include "store/lmdb_values.h"

namespace caisson::store {
namespace {

constexpr std::string_view kBytesName = "bytes";

std::span<const std::uint8_t> bytes_name() {
  return {reinterpret_cast<const std::uint8_t*>(kBytesName.data()), kBytesName.size()};
}

}  // namespace

int ArtifactTables::put_value(Table table, std::span<const std::uint8_t> key,
                              std::span<const std::uint8_t> value) const {
  return put_in_table(transaction_.handle, transaction_.table(table), key, value);
}

int ArtifactTables::get_value(Table table, std::span<const std::uint8_t> key,
                              std::span<const std::uint8_t>& value) const {
  return get_from_table(transaction_.handle, transaction_.table(table), key, value);
}

int ArtifactTables::erase_value(Table table, std::span<const std::uint8_t> key) const {
  return erase_from_table(transaction_.handle, transaction_.table(table), key);
}

int ArtifactTables::for_each_container(
    const std::function<int(std::span<const std::uint8_t>, std::span<const std::uint8_t>)>& each) const {
  const Cursor cursor(transaction_.handle, transaction_.table(Table::kArtifacts));
  MDB_val key{};
  MDB_val value{};
  int code = 0;
  for (MDB_cursor_op where = MDB_FIRST; (code = cursor.move(where, key, value)) == 0; where = MDB_NEXT) {
    if (const int stop = each(from_lmdb(key), from_lmdb(value)); stop != 0) return stop;
  }
  return unless_absent(code);
}

int ArtifactTables::find(const CodeKey& key, std::span<const std::uint8_t>& container) const {
  return get_value(Table::kArtifacts, key.bytes, container);
}

int ArtifactTables::find_facts(const CodeKey& key, ArtifactFacts& facts) const {
  std::span<const std::uint8_t> value;
  if (const int code = get_value(Table::kFacts, key.bytes, value); code != 0) return code;
  return copy_value(value, facts) ? 0 : MDB_NOTFOUND;
}

int ArtifactTables::all_keys(std::vector<CodeKey>& keys) const {
  keys.clear();
  return for_each_container([&keys](std::span<const std::uint8_t> bytes, std::span<const std::uint8_t>) {
    CodeKey key;
    if (copy_value(bytes, key.bytes)) keys.push_back(key);
    return 0;
  });
}

int ArtifactTables::total_bytes(std::uint64_t& bytes) const {
  std::span<const std::uint8_t> value;
  bytes = 0;
  const int code = get_value(Table::kTotals, bytes_name(), value);
  if (code == 0) copy_value(value, bytes);
  return unless_absent(code);
}

int ArtifactTables::set_total_bytes(std::uint64_t bytes) const {
  return put_value(Table::kTotals, bytes_name(), bytes_of(bytes));
}

int ArtifactTables::next_order(std::uint64_t& order) const {
  const Cursor cursor(transaction_.handle, transaction_.table(Table::kOrder));
  MDB_val key{};
  MDB_val value{};
  order = 0;
  const int code = cursor.move(MDB_LAST, key, value);
  if (code == 0 && copy_value(from_lmdb(key), order)) order = order_key(order) + 1;
  return unless_absent(code);
}

int ArtifactTables::put_facts(const CodeKey& key, const ArtifactFacts& facts) const {
  const std::uint64_t order = order_key(facts.order);
  if (const int code = put_value(Table::kOrder, bytes_of(order), key.bytes); code != 0) return code;
  return put_value(Table::kFacts, key.bytes, bytes_of(facts));
}

int ArtifactTables::erase_facts(const CodeKey& key, const ArtifactFacts& facts) const {
  const std::uint64_t order = order_key(facts.order);
  if (const int code = erase_value(Table::kOrder, bytes_of(order)); code != 0) return code;
  return erase_value(Table::kFacts, key.bytes);
}

int ArtifactTables::put(const CodeKey& key, std::span<const std::uint8_t> container, std::int64_t stored_at) const {
  ArtifactFacts facts{.bytes = container.size(), .stored_at = stored_at};
  std::uint64_t total = 0;
  if (const int code = erase(key); code != 0) return code;
  if (const int code = next_order(facts.order); code != 0) return code;
  if (const int code = put_facts(key, facts); code != 0) return code;
  if (const int code = total_bytes(total); code != 0) return code;
  if (const int code = set_total_bytes(total + facts.bytes); code != 0) return code;
  return put_value(Table::kArtifacts, key.bytes, container);
}

int ArtifactTables::erase(const CodeKey& key) const {
  ArtifactFacts facts;
  int code = find_facts(key, facts);
  if (code == 0) {
    std::uint64_t total = 0;
    if (code = erase_facts(key, facts); code != 0) return code;
    if (code = total_bytes(total); code != 0) return code;
    if (code = set_total_bytes(total - std::min(total, facts.bytes)); code != 0) return code;
  } else if (code != MDB_NOTFOUND) {
    return code;
  }
  return erase_value(Table::kArtifacts, key.bytes);
}

int ArtifactTables::touch(const CodeKey& key) const {
  ArtifactFacts facts;
  if (const int code = find_facts(key, facts); code != 0) return unless_absent(code);
  if (const int code = erase_facts(key, facts); code != 0) return code;
  if (const int code = next_order(facts.order); code != 0) return code;
  return put_facts(key, facts);
}

int ArtifactTables::evict(std::uint64_t budget, std::uint64_t room, std::uint64_t& evicted) const {
  evicted = 0;
  for (;;) {
    std::uint64_t total = 0;
    if (const int code = total_bytes(total); code != 0) return code;
    if (total + room <= budget) return 0;
    MDB_val order{};
    MDB_val value{};
    CodeKey key;
    {
      const Cursor cursor(transaction_.handle, transaction_.table(Table::kOrder));
      if (const int code = cursor.move(MDB_FIRST, order, value); code != 0) return unless_absent(code);
      const bool is_key = copy_value(from_lmdb(value), key.bytes);
      if (const int code = cursor.erase(); code != 0) return code;
      if (!is_key) continue;
    }
    if (const int code = erase(key); code != 0) return code;
    ++evicted;
  }
}

int ArtifactTables::clear() const {
  for (const Table table : {Table::kArtifacts, Table::kFacts, Table::kOrder}) {
    if (const int code = mdb_drop(transaction_.handle, transaction_.table(table), 0); code != 0) return code;
  }
  return set_total_bytes(0);
}

int ArtifactTables::rebuild(std::int64_t now) const {
  struct Row {
    CodeKey key;
    ArtifactFacts facts;
  };
  std::vector<Row> rows;
  std::vector<std::vector<std::uint8_t>> invalid_keys;
  std::uint64_t total = 0;
  const int collected = for_each_container([&](std::span<const std::uint8_t> key_bytes, auto container) {
    Row row;
    if (!copy_value(key_bytes, row.key.bytes)) {
      invalid_keys.emplace_back(key_bytes.begin(), key_bytes.end());
      return 0;
    }
    const int code = find_facts(row.key, row.facts);
    if (code == MDB_NOTFOUND) row.facts = {.stored_at = now};
    row.facts.bytes = container.size();
    total += row.facts.bytes;
    rows.push_back(row);
    return unless_absent(code);
  });
  if (collected != 0) return collected;
  for (const auto& key : invalid_keys) {
    if (const int code = erase_value(Table::kArtifacts, key); code != 0) return code;
  }
  for (const Table table : {Table::kFacts, Table::kOrder}) {
    if (const int code = mdb_drop(transaction_.handle, transaction_.table(table), 0); code != 0) return code;
  }
  std::ranges::sort(rows, {}, [](const Row& row) { return row.facts.order; });
  std::uint64_t order = 0;
  for (Row& row : rows) {
    row.facts.order = order++;
    if (const int code = put_facts(row.key, row.facts); code != 0) return code;
  }
  return set_total_bytes(total);
}

}  // namespace caisson::store
