#include "optimized/unit_format.h"

#include <cstring>

namespace caisson::optimized {
namespace {

constexpr std::uint8_t kHostRegisters = 33;  // DWARF: rax … r15 are 0 … 15, the return address 16, xmm0 … xmm15 17 … 32
constexpr std::uint8_t kReturnAddress = 16;
constexpr std::uint8_t kFirstVector = 17;
constexpr std::uint8_t kGuestRegisters = 64;
constexpr std::uint32_t kPages = 1 << 20;
// rbp and rsp: stack slots are addressed by nothing else.
constexpr std::uint8_t kFramePointer = 6, kStackPointer = 7;
// Of a frame; a unit's is far smaller.
constexpr std::int32_t kFarthestSlot = 64 << 10;

class Writer {
 public:
  template <class T>
  void put(T value) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
  }
  void put(const Location& location) {
    put(location.guest);
    put(location.kind);
    put(location.form);
    put(location.host);
    put(location.offset);
    if (location.kind == LocationKind::kLargeConstant) put(location.constant);
  }
  std::vector<std::uint8_t> out;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  template <class T>
  bool get(T& value) {
    if (bytes_.size() < sizeof value) return false;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return true;
  }
  template <class Enum>
  bool get_enum(Enum& value, Enum last) {
    std::uint8_t byte = 0;
    if (!get(byte) || byte > static_cast<std::uint8_t>(last)) return false;
    value = static_cast<Enum>(byte);
    return true;
  }
  bool get(Location& location) {
    if (!get(location.guest) || !get_enum(location.kind, LocationKind::kLargeConstant) ||
        !get_enum(location.form, ValueForm::kSigned32) || !get(location.host) || !get(location.offset))
      return false;
    switch (location.kind) {
      case LocationKind::kRegister:
        if (location.host >= kHostRegisters || location.host == kReturnAddress || location.offset != 0) return false;
        // Integers are in general registers, floats in vector registers or wherever their bits are.
        return location.guest >= 32 || location.host < kFirstVector;
      case LocationKind::kStackSlot:
        return (location.host == kFramePointer || location.host == kStackPointer) && location.offset > -kFarthestSlot &&
               location.offset < kFarthestSlot;
      case LocationKind::kConstant:
        return location.host == 0;
      case LocationKind::kLargeConstant:
        return location.host == 0 && location.offset == 0 && get(location.constant);
    }
    return false;
  }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::uint8_t> bytes_;
};

constexpr std::size_t kLocationBytes = 8;
constexpr std::size_t kSmallestSite = 4 + 4 + 1 + 4 + 4 + kLocationBytes + 1;

}  // namespace

std::vector<std::uint8_t> encode_tables(const UnitTables& tables) {
  Writer writer;
  writer.put(static_cast<std::uint32_t>(tables.pages.size()));
  for (const std::uint32_t page : tables.pages) writer.put(page);
  writer.put(static_cast<std::uint32_t>(tables.sites.size()));
  for (const Site& site : tables.sites) {
    writer.put(site.host);
    writer.put(site.guest);
    writer.put(site.kind);
    writer.put(site.gas_due);
    writer.put(site.repeated);
    writer.put(site.gas);
    writer.put(static_cast<std::uint8_t>(site.registers.size()));
    for (const Location& location : site.registers) writer.put(location);
  }
  return std::move(writer.out);
}

std::optional<UnitTables> decode_tables(std::span<const std::uint8_t> bytes, std::size_t code_size) {
  Reader reader(bytes);
  UnitTables tables;
  std::uint32_t count = 0;
  if (!reader.get(count) || reader.left() / sizeof(std::uint32_t) < count) return std::nullopt;
  tables.pages.resize(count);
  for (std::size_t index = 0; index < count; ++index) {
    std::uint32_t& page = tables.pages[index];
    if (!reader.get(page) || page >= kPages || (index != 0 && page <= tables.pages[index - 1])) return std::nullopt;
  }
  if (!reader.get(count) || reader.left() / kSmallestSite < count) return std::nullopt;
  tables.sites.resize(count);
  std::uint64_t lowest = 0;
  for (Site& site : tables.sites) {
    std::uint8_t registers = 0;
    if (!reader.get(site.host) || !reader.get(site.guest) || !reader.get_enum(site.kind, SiteKind::kOutOfGas) ||
        !reader.get(site.gas_due) || !reader.get(site.repeated) || !reader.get(site.gas) || !reader.get(registers))
      return std::nullopt;
    if (site.host < lowest || site.host > code_size || site.guest % 2 != 0) return std::nullopt;
    if (site.gas.guest != 0 || site.gas.form != ValueForm::kWord) return std::nullopt;
    if (site.gas_due < -kGasReserve || site.gas_due > kGasReserve) return std::nullopt;
    if (site.repeated < 0 || site.repeated > kGasReserve || (site.kind == SiteKind::kOutOfGas && site.repeated != 0))
      return std::nullopt;
    lowest = std::uint64_t{site.host} + 1;
    site.registers.resize(registers);
    std::uint64_t seen = 0;
    for (Location& location : site.registers) {
      if (!reader.get(location)) return std::nullopt;
      if (location.guest == 0 || location.guest >= kGuestRegisters) return std::nullopt;
      const bool is_integer = location.guest < 32;
      if (location.form != ValueForm::kWord && is_integer != (location.form == ValueForm::kSigned32))
        return std::nullopt;
      if ((seen >> location.guest & 1) != 0) return std::nullopt;
      seen |= std::uint64_t{1} << location.guest;
    }
  }
  if (reader.left() != 0) return std::nullopt;
  return tables;
}

}  // namespace caisson::optimized
