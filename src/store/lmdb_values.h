// LMDB's tables as tables of bytes.
//
// Functions that return int give 0 or LMDB's code.
//
// Thread safety: as the transaction.
#pragma once

#include <lmdb.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace caisson::store {

template <class T>
std::span<const std::uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

// LMDB compares keys as bytes.
inline std::uint64_t order_key(std::uint64_t order) { return std::byteswap(order); }

inline MDB_val to_lmdb(std::span<const std::uint8_t> bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<std::uint8_t*>(bytes.data())};
}

inline std::span<const std::uint8_t> from_lmdb(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

// Copies a value of a known size. False: it has another one.
template <class T>
bool copy_value(std::span<const std::uint8_t> bytes, T& value) {
  if (bytes.size() != sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  return true;
}

inline int unless_absent(int code) { return code == MDB_NOTFOUND ? 0 : code; }

// Replaces.
inline int put_in_table(MDB_txn* transaction, MDB_dbi table, std::span<const std::uint8_t> key,
                        std::span<const std::uint8_t> value) {
  MDB_val lmdb_key = to_lmdb(key);
  MDB_val lmdb_value = to_lmdb(value);
  return mdb_put(transaction, table, &lmdb_key, &lmdb_value, 0);
}

// The value lies within the map: gone with the transaction, and, in one that writes, with its next change.
inline int get_from_table(MDB_txn* transaction, MDB_dbi table, std::span<const std::uint8_t> key,
                          std::span<const std::uint8_t>& value) {
  MDB_val lmdb_key = to_lmdb(key);
  MDB_val lmdb_value{};
  const int code = mdb_get(transaction, table, &lmdb_key, &lmdb_value);
  if (code == 0) value = from_lmdb(lmdb_value);
  return code;
}

// Without effect where there is none.
inline int erase_from_table(MDB_txn* transaction, MDB_dbi table, std::span<const std::uint8_t> key) {
  MDB_val lmdb_key = to_lmdb(key);
  return unless_absent(mdb_del(transaction, table, &lmdb_key, nullptr));
}

// A cursor, closed with its owner.
class Cursor {
 public:
  Cursor(MDB_txn* transaction, MDB_dbi table) : code_(mdb_cursor_open(transaction, table, &cursor_)) {}
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor() {
    if (code_ == 0) mdb_cursor_close(cursor_);
  }
  int move(MDB_cursor_op where, MDB_val& key, MDB_val& value) const {
    return code_ != 0 ? code_ : mdb_cursor_get(cursor_, &key, &value, where);
  }
  int erase() const { return mdb_cursor_del(cursor_, 0); }

 private:
  MDB_cursor* cursor_ = nullptr;
  int code_;
};

}  // namespace caisson::store
