// Capabilities: programs and their state as content-addressed values.
//
// A capability is one of four immutable values, told apart by a selector and named by its hash (SHA-256 over its SSZ merkle tree):
//
//   Data      bytes, a whole number of 4 KiB pages that values share and copy when written
//   Image     a program: where which pages of which Data lie, with which permissions; endpoints; limits; the gas schedule
//   CNode     256 slots, each empty or a reference (kind and hash) to a capability
//   Instance  a sealed guest: memory, registers, gas, lineage, its root CNode, what its personality remembers
//
//   caisson::Data data = caisson::Data::copy_of(bytes).value();
//   caisson::Hash name = caisson::hash_of(data);
//   std::vector<std::uint8_t> encoded = caisson::encode(data);
//   caisson::Result<caisson::Capability> decoded = caisson::decode_capability(encoded);   // equal to `data`, or an error
//
// Encoding is canonical: a value has exactly one, and whatever is not the encoding of a value is rejected (docs/capabilities.md has the
// layout and how each hash is made).
//
// Thread safety: values; a const one may be read from any thread. Data is a cheap handle: copies share pages until one is written.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "caisson/result.h"

namespace caisson {

namespace capability {
class DataAccess;  // what the engine knows of a Data's inside
}

// A SHA-256 hash that names a capability.
struct Hash {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const Hash&, const Hash&) = default;
  bool is_zero() const { return bytes == std::array<std::uint8_t, 32>{}; }
  // 64 lower-case hexadecimal digits.
  std::string to_string() const;
  // Errors: kInvalidArgument (not 64 hexadecimal digits).
  static Result<Hash> parse(std::string_view text);
};

inline constexpr std::uint64_t kCapabilityPageSize = 4096;
// Pages of one Data: 4 GiB, what an address space holds.
inline constexpr std::uint32_t kMostDataPages = 1u << 20;

// The selectors of the union of kinds; stable, they are stored and hashed.
enum class CapabilityKind : std::uint8_t { kData = 1, kImage = 2, kCNode = 3, kInstance = 4 };
// "data", "image", "cnode", "instance".
std::string_view to_string(CapabilityKind kind);

class Data {
 public:
  using Page = std::array<std::uint8_t, kCapabilityPageSize>;

  // No pages.
  Data();
  Data(const Data& other);
  Data& operator=(const Data& other);
  ~Data();
  // `page_count` pages of zeros, which cost nothing. At most kMostDataPages (more is clamped).
  static Data zeros(std::uint32_t page_count);
  // The bytes, filled up with zeros to whole pages. Errors: kLimit (more than kMostDataPages pages).
  static Result<Data> copy_of(std::span<const std::uint8_t> bytes);

  std::uint32_t page_count() const;
  std::uint64_t size() const { return page_count() * kCapabilityPageSize; }
  // Null for a page of zeros that takes no memory. `index` < page_count().
  const Page* page(std::uint32_t index) const;
  // The page's handle, to be shared with other values; null as above.
  std::shared_ptr<const Page> share_page(std::uint32_t index) const;

  // Replaces a page; a page of zeros becomes null by itself. Other copies of this value keep what they have. After k pages were set, the next
  // hash() costs O(k log page_count()).
  void set_page(std::uint32_t index, std::shared_ptr<const Page> page);
  void set_page(std::uint32_t index, const Page& page);
  // Copies out; `offset` + to.size() <= size().
  void read(std::uint64_t offset, std::span<std::uint8_t> to) const;

  // merkle root over the pages' SHA-256 (a page of zeros: 32 zero bytes), mixed with the length in bytes. Computed at most once per change.
  // What stores and references call a Data by is hash_of(), which says that it is one.
  Hash hash() const;
  // The SHA-256 of a page; 32 zero bytes for a page of zeros.
  Hash page_hash(std::uint32_t index) const;

  friend bool operator==(const Data& one, const Data& other);

  struct State;

 private:
  friend class capability::DataAccess;
  explicit Data(std::uint32_t page_count);
  State& own_state();

  State* state_;  // counted by its handles
};

// Whose calls a program makes.
enum class ImagePersonality : std::uint8_t {
  kKernel = 0,  // capability operations (caisson/kernel.h)
  kLinux = 1,  // Linux system calls; the program is the ELF in `program`
};

// Permissions of a mapping, or'ed together.
enum MappingPermission : std::uint8_t { kMapRead = 1, kMapWrite = 2, kMapExecute = 4 };

// Pages of an address space. Mappings ascend, do not overlap, and lie within [64 KiB, 4 GiB - 64 KiB).
struct ImageMapping {
  std::uint32_t first_page = 0;  // guest address / 4096
  std::uint32_t page_count = 0;  // at least 1
  std::uint8_t permissions = 0;  // MappingPermission bits, 0…7
  Hash data;  // a Data that holds the contents; zero: pages of zeros
  std::uint32_t data_page = 0;  // the first page of `data`
  friend bool operator==(const ImageMapping&, const ImageMapping&) = default;
};

// A register that an endpoint starts with: x1…x31 (x0 is not allowed).
struct InitialRegister {
  std::uint8_t number = 0;
  std::uint64_t value = 0;
  friend bool operator==(const InitialRegister&, const InitialRegister&) = default;
};

// A numbered entry point. Endpoints ascend by number; registers by number.
struct Endpoint {
  std::uint32_t number = 0;
  std::string name;  // at most 255 bytes
  std::uint64_t pc = 0;  // even
  std::vector<InitialRegister> registers;  // sp, gp, tp …; those not named are zero, a0…a5 are the arguments
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// At most 4096 mappings and 4096 endpoints.
// A host function that code of the image calls, with a7 = 0x1040 + number. The engine in which the image is loaded must have one of this name that
// takes this (caisson/host.h).
struct ImageImport {
  std::uint32_t number = 0;  // below 4096
  std::string name;  // 1 to 255 bytes
  std::string signature;  // in C types, e.g. "int(int, const char*)"; 1 to 1024 bytes
  friend bool operator==(const ImageImport&, const ImageImport&) = default;
};

struct Image {
  std::uint32_t gas_schedule = 1;  // gas-v1
  ImagePersonality personality = ImagePersonality::kKernel;
  std::vector<ImageMapping> mappings;
  std::vector<Endpoint> endpoints;
  std::uint64_t memory_limit = std::uint64_t{1} << 32;  // bytes of accessible memory, as InstanceOptions::memory_limit
  std::uint64_t stack_size = 0;  // kLinux: of the program's stack; kKernel: 0 (the stack is a mapping)
  Hash program;  // kLinux: a Data that holds the ELF file; else zero
  std::uint64_t program_size = 0;  // its bytes
  std::vector<ImageImport> imports;  // kKernel: by ascending number, at most 1024; kLinux: none, they are in the ELF
  friend bool operator==(const Image&, const Image&) = default;
};

struct CNode {
  static constexpr std::uint32_t kSlots = 256;
  struct Reference {
    CapabilityKind kind = CapabilityKind::kData;
    Hash hash;
    friend bool operator==(const Reference&, const Reference&) = default;
  };
  // By slot number; empty slots are absent. Ascending numbers below kSlots.
  struct Slot {
    std::uint8_t number = 0;
    Reference reference;
    // Of an instance: the slot owned it when the whole was sealed, alive or waiting in a yielded call, and so it does when the whole is opened.
    // Else it is a sealed instance, which can be copied.
    bool owned = false;
    friend bool operator==(const Slot&, const Slot&) = default;
  };
  std::vector<Slot> slots;
  friend bool operator==(const CNode&, const CNode&) = default;
};

// How far a sealed instance has come.
enum class InstancePhase : std::uint8_t {
  kIdle = 0,  // its endpoints can be called
  kRunning = 1,  // stopped at a block boundary: it goes on at `pc`
  kCalling = 2,  // stopped while an instance that it called runs: that instance is in slot `pending.slot`, sealed
  kYielded = 3,  // stopped in HOST_YIELD, for CALL_RESUME
};

// The call that waits in InstancePhase::kCalling; in kYielded how the first instance of the yielded call was called (without its slot).
struct PendingCall {
  std::uint64_t slot_path = 0;  // where the called instance came from and goes back to
  std::uint64_t gas_share = 0;  // what it may still use; UINT64_MAX: everything that is left
  std::uint64_t gas_granted = 0;  // what it could use when it was entered
  std::uint64_t catch_key = 0;  // 0: none
  std::uint64_t given_path = 0;  // where what it was given came from; UINT64_MAX: nothing was
  friend bool operator==(const PendingCall&, const PendingCall&) = default;
};

// What LR reserved and SC will compare; width 0: nothing.
struct Reservation {
  std::uint64_t address = 0, value = 0;
  std::uint32_t width = 0;  // 0, 4, 8
  friend bool operator==(const Reservation&, const Reservation&) = default;
};

struct SealedInstance {
  Hash image;
  Hash next_image;  // what its next call starts as (SET_IMAGE); zero: the same
  // As in an Image, but `data` is zero: the pages are those of `memory`, one mapping's behind those of the one before.
  std::vector<ImageMapping> mappings;
  Hash memory;  // a Data
  Hash root;  // a CNode
  std::array<std::uint64_t, 32> integer_registers{};  // x0 is zero
  std::array<std::uint64_t, 32> float_registers{};
  std::uint32_t float_control = 0;  // fcsr: bits 0…7
  std::uint64_t pc = 0;
  std::uint64_t gas_remaining = 0, gas_used = 0;  // nothing remains in kYielded: who resumes the call gives it gas
  Reservation reservation;
  InstancePhase phase = InstancePhase::kIdle;
  PendingCall pending;  // all zero but in kCalling and kYielded
  // SHA-256 of (lineage before, image) at each SET_IMAGE; at first SHA-256 of (32 zero bytes, image).
  Hash lineage;
  // What the runtime and the personality remember, in their own format; at most 64 MiB.
  std::vector<std::uint8_t> runtime_state, personality_state;
  friend bool operator==(const SealedInstance&, const SealedInstance&) = default;
};

using Capability = std::variant<Data, Image, CNode, SealedInstance>;

CapabilityKind kind_of(const Capability& capability);
// The hash of the union: merkle root mixed with the selector. What the store and CNodes call a capability by.
Hash hash_of(const Capability& capability);
// The capabilities that this one refers to, each once, in order of first appearance.
std::vector<CNode::Reference> references_of(const Capability& capability);

// Checks what the types cannot say (order, overlap, ranges). Errors: kInvalidArgument; `where` names the field.
Result<void> check(const Capability& capability);

// The canonical SSZ encoding, the selector first. Pages of zeros take no bytes, equal pages stand once.
std::vector<std::uint8_t> encode(const Capability& capability);
// Errors: kInvalidImage: anything that encode() does not write, `where` names the field. Memory is bounded by a small multiple of the input.
Result<Capability> decode_capability(std::span<const std::uint8_t> bytes);

}  // namespace caisson
