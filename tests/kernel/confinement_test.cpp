// Confinement: whatever a guest asks of its slots, it gets what a simple model of the tree says, and the same in every tier.
//
// One endpoint performs one operation, another has an instance in a slot perform it on its own slots. Random sequences of operations run in an instance and in the model, which copies where the kernel
// shares and walks where the kernel looks up.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernel/kernel_error.h"
#include "kernel_guests.h"

namespace caisson {
namespace {

using kernel::KernelError;
using test::KernelWorld;

constexpr char kGuest[] = R"guest(
static unsigned char bytes[16384] = {1, 2, 3};
// 0: one operation; its error << 32 | the low half of its value.
CAISSON_EXPORT unsigned long operate(unsigned long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  struct caisson_result result = caisson_operation(number, a, b, c, d);
  return result.error << 32 | (result.value & 0xffffffff);
}
// 1: where there are 16 KiB to mint of.
CAISSON_EXPORT unsigned long memory(void) { return (unsigned long)bytes; }
// 2: has an instance perform one on its own slots, with something given, and catches what it yields under key 7. The error << 48, or what
// the instance answered.
CAISSON_EXPORT unsigned long call(unsigned long slot, unsigned long given, unsigned long number, unsigned long a, unsigned long b, unsigned long c) {
  unsigned long arguments[6] = {number, a, b, c, 0, 0};
  struct caisson_result result = caisson_host_call_with(slot, 0, CAISSON_ALL_GAS, given, 7, arguments);
  return result.error ? result.error << 48 : result.value;
}
)guest";
enum EndpointNumber : std::uint64_t { kOperate, kMemory, kCallEndpoint };

enum Operation : std::uint64_t {
  kCopy = 1,
  kMove = 2,
  kDrop = 3,
  kSwap = 4,
  kMint = 5,
  kYield = 16,
  kSetImage = 17,
  kDerive = 18,
  kDataRead = 22,
  kDataMint = 23,
  kOpen = 24,
  kSave = 25,
  kCall = 26,
  kResume = 27,
  kDropResume = 28
};
constexpr std::uint64_t kNoSlot = ~std::uint64_t{0};
constexpr std::uint64_t kCaughtKey = 7;
constexpr unsigned kGivenSlot = 255;
constexpr std::uint64_t kPage = 4096;
// Every byte of it is unmapped.
constexpr std::uint64_t kNowhere = 0x2000'0000;

constexpr std::uint64_t path_word(std::uint64_t first, std::uint64_t second) {
  return std::uint64_t{2} << 56 | second << 8 | first;
}

struct Step {
  std::uint64_t number;
  std::array<std::uint64_t, 4> operands;
};

// Of kCall: the instance in a slot performs `inner`.
struct CallStep {
  std::uint64_t slot, given;
  Step inner;
};

// What a slot holds, by value.
struct Thing {
  enum class Kind { kEmpty, kData, kImage, kNode, kLive, kSealed, kYielded };
  Kind kind = Kind::kEmpty;
  std::uint64_t size = 0;  // of data
  std::map<unsigned, Thing> slots;  // of a node or an instance; none of them is empty
};
using Kind = Thing::Kind;

class Model {
 public:
  // `image` is in this slot from the start.
  explicit Model(unsigned image_slot) { root_.slots[image_slot].kind = Kind::kImage; }

  // The word that the guest answers.
  std::uint64_t perform(const Step& step) { return perform(root_, step); }

  // The same of kCallEndpoint.
  std::uint64_t perform(const CallStep& step) {
    const auto failed = [](KernelError error) { return static_cast<std::uint64_t>(error) << 48; };
    const std::optional<Path> path = path_of(step.slot);
    Thing* const node = node_of(root_, path);
    if (node == nullptr) return failed(KernelError::kBadSlot);
    Thing* const callee = in(*node, path->back());
    if (callee == nullptr) return failed(KernelError::kEmptySlot);
    if (callee->kind != Kind::kLive) return failed(KernelError::kWrongKind);
    Thing* given_node = nullptr;
    const std::optional<Path> given = path_of(step.given);
    if (step.given != kNoSlot) {
      given_node = node_of(root_, given);
      if (given_node == nullptr) return failed(KernelError::kBadSlot);
      if (in(*given_node, given->back()) == nullptr) return failed(KernelError::kEmptySlot);
      if (begins_with(*path, *given)) return failed(KernelError::kMoved);
      if (in(*callee, kGivenSlot) != nullptr) return failed(KernelError::kSlotTaken);
      move(*given_node, given->back(), *callee, kGivenSlot);
    }
    if (step.inner.number == kYield && step.inner.operands[1] == kCaughtKey) {
      // It keeps what it was given.
      callee->kind = Kind::kYielded;
      return failed(KernelError::kYielded);
    }
    const std::uint64_t answer = perform(*callee, step.inner);
    if (given_node != nullptr && in(*callee, kGivenSlot) != nullptr)
      move(*callee, kGivenSlot, *given_node, given->back());
    return answer;
  }

  // Live ones and those that wait in yielded calls.
  std::size_t instances() const { return count(root_, Kind::kLive) + count(root_, Kind::kYielded); }

  // Words of slots that hold something, at any depth that a path reaches; and of empty ones beside them.
  struct Places {
    std::vector<std::uint64_t> taken, free, can_be_saved, can_be_opened, can_be_called, can_be_resumed;
  };
  Places places() const {
    Places places;
    add_places(root_, {}, places);
    return places;
  }

 private:
  using Path = std::vector<unsigned>;

  static void add_places(const Thing& node, const Path& path, Places& places) {
    if (path.size() == 6) return;
    for (unsigned number = 0; number < 6; ++number) {
      Path inner = path;
      inner.push_back(number);
      const auto found = node.slots.find(number);
      if (found == node.slots.end()) {
        places.free.push_back(word_of(inner));
        continue;
      }
      places.taken.push_back(word_of(inner));
      const Kind kind = found->second.kind;
      if (count_savable(found->second) != 0) places.can_be_saved.push_back(word_of(inner));
      if (kind == Kind::kData || kind == Kind::kSealed) places.can_be_opened.push_back(word_of(inner));
      if (kind == Kind::kLive) places.can_be_called.push_back(word_of(inner));
      if (kind == Kind::kYielded) places.can_be_resumed.push_back(word_of(inner));
      if (kind == Kind::kNode) add_places(found->second, inner, places);
    }
  }
  static std::uint64_t word_of(const Path& path) {
    if (path.size() == 1) return path[0];
    std::uint64_t word = std::uint64_t{path.size()} << 56;
    for (std::size_t i = 0; i < path.size(); ++i) word |= std::uint64_t{path[i]} << (8 * i);
    return word;
  }

  static std::optional<Path> path_of(std::uint64_t word) {
    if (word < 256) return Path{static_cast<unsigned>(word)};
    const std::uint64_t length = word >> 56;
    if (length < 2 || length > 6) return std::nullopt;
    Path path;
    for (unsigned i = 0; i < 7; ++i) {
      const unsigned number = word >> (8 * i) & 255;
      if (i < length) {
        path.push_back(number);
      } else if (number != 0) {
        return std::nullopt;
      }
    }
    return path;
  }

  static bool begins_with(const Path& path, const Path& start) {
    for (std::size_t i = 0; i < start.size(); ++i) {
      if (i >= path.size() || path[i] != start[i]) return false;
    }
    return true;
  }

  // The node that the last number is of; null where there is none.
  static Thing* node_of(Thing& root, const std::optional<Path>& path) {
    if (!path) return nullptr;
    Thing* node = &root;
    for (std::size_t i = 0; i + 1 < path->size(); ++i) {
      const auto found = node->slots.find((*path)[i]);
      if (found == node->slots.end() || found->second.kind != Kind::kNode) return nullptr;
      node = &found->second;
    }
    return node;
  }
  // Null where it is empty.
  static Thing* in(Thing& node, unsigned number) {
    const auto found = node.slots.find(number);
    return found == node.slots.end() ? nullptr : &found->second;
  }

  static std::size_t count(const Thing& thing, Kind kind) {
    std::size_t number = thing.kind == kind ? 1 : 0;
    if (thing.kind == Kind::kSealed) return number;  // whatever it owns is sealed with it
    for (const auto& [slot, inner] : thing.slots) number += count(inner, kind);
    return number;
  }
  static std::size_t count_slots(const Thing& thing) {
    if (thing.kind != Kind::kNode) return 0;
    std::size_t number = thing.slots.size();
    for (const auto& [slot, inner] : thing.slots) number += count_slots(inner);
    return number;
  }
  // Live instances that SAVE finds: in CNodes, not in what owns something.
  static std::size_t count_savable(const Thing& thing) {
    if (thing.kind == Kind::kLive) return 1;
    std::size_t number = 0;
    if (thing.kind != Kind::kNode) return number;
    for (const auto& [slot, inner] : thing.slots) number += count_savable(inner);
    return number;
  }
  static void seal_all(Thing& thing) {
    if (thing.kind == Kind::kLive) thing.kind = Kind::kSealed;
    if (thing.kind != Kind::kNode) return;
    for (auto& [slot, inner] : thing.slots) seal_all(inner);
  }

  static void move(Thing& from, unsigned from_number, Thing& to, unsigned to_number) {
    Thing moved = std::move(from.slots[from_number]);
    from.slots.erase(from_number);
    to.slots[to_number] = std::move(moved);
  }

  std::uint64_t perform(Thing& root, const Step& step) {
    value_ = 0;
    const KernelError error = apply(root, step.number, step.operands);
    return static_cast<std::uint64_t>(error) << 32 | value_;
  }

  KernelError apply(Thing& root, std::uint64_t number, const std::array<std::uint64_t, 4>& operands) {
    if (number == kYield) return operands[1] == 0 ? KernelError::kBadArgument : KernelError::kNoCatcher;
    // DATA_MINT is the one whose slot is its third operand.
    const std::optional<Path> first = path_of(number == kDataMint ? operands[2] : operands[0]);
    Thing* const first_node = node_of(root, first);
    if (first_node == nullptr) return KernelError::kBadSlot;
    Thing* const first_thing = in(*first_node, first->back());
    if (number == kMint || number == kDataMint) {
      if (first_thing != nullptr) return KernelError::kSlotTaken;
      if (number == kMint) {
        first_node->slots[first->back()] = Thing{.kind = Kind::kNode};
        return KernelError::kOk;
      }
      if (operands[1] > std::uint64_t{1} << 32) return KernelError::kBadArgument;
      if (operands[0] == kNowhere && operands[1] != 0) return KernelError::kBadAddress;
      first_node->slots[first->back()] = Thing{.kind = Kind::kData, .size = (operands[1] + kPage - 1) / kPage * kPage};
      return KernelError::kOk;
    }
    if (first_thing == nullptr && number != kSwap && number != kDerive) return KernelError::kEmptySlot;
    switch (number) {
      case kDrop:
        first_node->slots.erase(first->back());
        return KernelError::kOk;
      case kDataRead:
        if (first_thing->kind != Kind::kData) return KernelError::kWrongKind;
        if (operands[1] > first_thing->size) return KernelError::kBadArgument;
        value_ = first_thing->size;
        return KernelError::kOk;
      case kOpen:
        return open(*first_thing, operands[1], operands[2]);
      case kSave:
        if (first_thing->kind == Kind::kYielded) return KernelError::kUnsupported;
        if (count_savable(*first_thing) == 0) return KernelError::kWrongKind;
        seal_all(*first_thing);
        return KernelError::kOk;
      case kSetImage:
        return first_thing->kind == Kind::kImage ? KernelError::kOk : KernelError::kWrongKind;
      case kResume:
      case kDropResume:
        if (first_thing->kind != Kind::kYielded) return KernelError::kWrongKind;
        first_thing->kind = Kind::kLive;
        // What HOST_YIELD returned is what the instance answers.
        if (number == kResume) value_ = operands[1] & 0xFFFF'FFFF;
        return KernelError::kOk;
      case kDerive:
        if (first_thing != nullptr && first_thing->kind != Kind::kImage) return KernelError::kWrongKind;
        break;
    }
    const std::optional<Path> second = path_of(operands[1]);
    Thing* const second_node = node_of(root, second);
    if (second_node == nullptr) return KernelError::kBadSlot;
    Thing* const second_thing = in(*second_node, second->back());
    if (number == kSwap) {
      if (begins_with(*first, *second) || begins_with(*second, *first)) return KernelError::kBadArgument;
      swap(*first_node, first->back(), *second_node, second->back());
      return KernelError::kOk;
    }
    if (second_thing != nullptr) return KernelError::kSlotTaken;
    if (number == kDerive) {
      second_node->slots[second->back()] = Thing{.kind = Kind::kLive};
      return KernelError::kOk;
    }
    if (number == kCopy) {
      if (count_slots(*first_thing) > 4096) return KernelError::kNoMemory;
      if (count(*first_thing, Kind::kLive) + count(*first_thing, Kind::kYielded) != 0) return KernelError::kNotCopyable;
      Thing copy = *first_thing;
      second_node->slots[second->back()] = std::move(copy);
      return KernelError::kOk;
    }
    if (begins_with(*second, *first)) return KernelError::kBadArgument;
    Thing moved = std::move(*first_thing);
    first_node->slots.erase(first->back());
    second_node->slots[second->back()] = std::move(moved);
    return KernelError::kOk;
  }

  static KernelError open(Thing& thing, std::uint64_t address, std::uint64_t permissions) {
    if (thing.kind == Kind::kSealed) {
      thing.kind = Kind::kLive;
      return KernelError::kOk;
    }
    if (thing.kind != Kind::kData) return KernelError::kWrongKind;
    const bool fits = address % kPage == 0 && address >= 0x10000 && address < 0xFFFF'0000;
    return permissions <= 7 && fits && thing.size != 0 ? KernelError::kOk : KernelError::kBadArgument;
  }

  static void swap(Thing& one, unsigned one_number, Thing& other, unsigned other_number) {
    Thing first = std::exchange(one.slots[one_number], Thing());
    Thing second = std::exchange(other.slots[other_number], Thing());
    one.slots.erase(one_number);
    other.slots.erase(other_number);
    if (second.kind != Kind::kEmpty) one.slots[one_number] = std::move(second);
    if (first.kind != Kind::kEmpty) other.slots[other_number] = std::move(first);
  }

  Thing root_{.kind = Kind::kNode};
  std::uint64_t value_ = 0;
};

// Few numbers, so that sequences meet what they made before.
class Sequence {
 public:
  Sequence(std::uint64_t seed, std::uint64_t memory) : random_(seed), memory_(memory) {}

  // Half of the slots are such that the operation may well do something.
  Step next(const Model::Places& places) {
    Step step = next();
    if (below(2) == 0) {
      const std::vector<std::uint64_t>* first = &places.taken;
      if (step.number == kMint || step.number == kDataMint) first = &places.free;
      if (step.number == kSave) first = &places.can_be_saved;
      if (step.number == kOpen) first = &places.can_be_opened;
      if (step.number == kResume || step.number == kDropResume) first = &places.can_be_resumed;
      if (!first->empty()) step.operands[step.number == kDataMint ? 2 : 0] = (*first)[below(first->size())];
    }
    const bool has_target = step.number == kCopy || step.number == kMove || step.number == kDerive;
    if (has_target && below(2) == 0 && !places.free.empty()) step.operands[1] = places.free[below(places.free.size())];
    if (step.number == kDerive && below(2) == 0) step.operands[0] = 254;
    return step;
  }
  Step next() {
    constexpr Operation kOften[] = {kCopy,   kCopy,     kCopy,     kMove,     kMove,       kDrop,       kSwap,
                                    kSwap,   kMint,     kMint,     kMint,     kMint,       kMint,       kMint,
                                    kDerive, kDerive,   kDataRead, kDataMint, kOpen,       kOpen,       kSave,
                                    kSave,   kSetImage, kResume,   kResume,   kDropResume, kDropResume, kYield};
    const Operation operation = kOften[below(std::size(kOften))];
    switch (operation) {
      case kDataRead:
        return {operation, {slot(), choose({0, 0, 0, kPage, 1u << 20, ~std::uint64_t{0}}), memory_, 0}};
      case kDataMint:
        return {operation, {memory_ + 1, choose({0, 1, 4096, 5000, 8192}), slot(), 0}};
      case kOpen:
        return {operation,
                {slot(), choose({0x3000'0000, 0x3000'0000, 0x3000'0001, 0, ~std::uint64_t{0}}),
                 choose({0, 1, 3, 3, 8, ~std::uint64_t{0}}), 0}};
      default:
        return {operation, {slot(), slot(), below(1000), below(1000)}};
    }
  }
  CallStep next_call(const Model::Places& places) {
    CallStep step{slot(), kNoSlot, next()};
    if (!one_in(8) && !places.can_be_called.empty())
      step.slot = places.can_be_called[below(places.can_be_called.size())];
    if (one_in(2)) step.given = one_in(4) || places.taken.empty() ? slot() : places.taken[below(places.taken.size())];
    // What the callee has is little: a CNode or two, and what it was given.
    if (one_in(3)) step.inner = {kMint, {below(3), 0, 0, 0}};
    if (one_in(4)) step.inner = {kMove, {choose({255, 255, 0, 1}), choose({0, 1, path_word(0, 0), 255}), 0, 0}};
    if (one_in(6)) step.inner = {kDerive, {254, choose({0, 1, 2, 255}), 0, 0}};
    if (one_in(5)) step.inner = {kYield, {below(100), choose({kCaughtKey, kCaughtKey, 8, 0}), 0, 0}};
    return step;
  }
  // What no guest has a use for.
  Step next_hostile(const Model::Places& places) {
    if (below(3) == 0 && !places.free.empty()) {
      return {kDataMint,
              {kNowhere, choose({0, 1, 4097, (std::uint64_t{1} << 32) + 1, ~std::uint64_t{0}}),
               places.free[below(places.free.size())], 0}};
    }
    Step step = next(places);
    step.operands[step.number == kDataMint ? 2 : below(2)] = junk();
    return step;
  }
  bool one_in(std::uint64_t number) { return below(number) == 0; }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  std::uint64_t choose(std::initializer_list<std::uint64_t> values) { return values.begin()[below(values.size())]; }
  std::uint64_t number() { return one_in(20) ? choose({255, 254, 7}) : below(6); }
  std::uint64_t slot() {
    if (one_in(40)) return junk();
    const std::uint64_t length = choose({1, 1, 1, 2, 2, 3});
    if (length == 1) return number();
    std::uint64_t word = length << 56;
    for (unsigned i = 0; i < length; ++i) word |= number() << (8 * i);
    return word;
  }
  std::uint64_t junk() {
    return choose({256, ~std::uint64_t{0}, std::uint64_t{1} << 56, std::uint64_t{2} << 56, std::uint64_t{6} << 56,
                   std::uint64_t{7} << 56, (std::uint64_t{2} << 56) | 0x10000, std::uint64_t{255} << 56, random_()});
  }

  std::mt19937_64 random_;
  std::uint64_t memory_;
};

constexpr unsigned kImageSlot = 5;
constexpr unsigned kSequences = 300, kSteps = 80;

// Of each sequence: gas and the hash at the end, after each step was checked.
std::vector<std::string> run_all(Tier tier, const std::vector<std::uint8_t>& elf) {
  KernelWorld world(tier);
  const Hash image = world.image(elf, {"operate", "memory", "call"});
  std::vector<std::string> ends;
  // By operation, how often it did something; by error, how often it was the answer.
  std::map<std::uint64_t, unsigned> done, errors;
  for (unsigned seed = 1; seed <= kSequences; ++seed) {
    KernelInstance instance = world.kernel().derive(image).value();
    EXPECT_TRUE(instance.put_capability(kImageSlot, image));
    const std::uint64_t memory = instance.invoke(kMemory).value().return_value;
    Model model(kImageSlot);
    Sequence sequence(seed, memory);
    std::vector<Step> steps;
    const auto check = [&](const Step& step) {
      const std::array<std::uint64_t, 5> arguments = {step.number, step.operands[0], step.operands[1], step.operands[2],
                                                      step.operands[3]};
      const std::uint64_t expected = model.perform(step);
      const auto result = instance.invoke(kOperate, arguments, 10'000'000);
      EXPECT_TRUE(result) << result.error().to_string();
      if (expected >> 32 == 0) ++done[step.number];
      ++errors[expected >> 32];
      const bool is_equal = result && result->exit_reason == ExitReason::kHostCall &&
                            result->return_value == expected && instance.instance_count() == model.instances() + 1;
      EXPECT_TRUE(is_equal) << test::tier_name(tier) << " seed " << seed << " operation " << step.number << std::hex
                            << " (0x" << step.operands[0] << ", 0x" << step.operands[1] << ", 0x" << step.operands[2]
                            << ") answered 0x" << (result ? result->return_value : 0) << ", not 0x" << expected;
      return is_equal;
    };
    const auto check_call = [&](const CallStep& step) {
      const std::array<std::uint64_t, 6> arguments = {step.slot,
                                                      step.given,
                                                      step.inner.number,
                                                      step.inner.operands[0],
                                                      step.inner.operands[1],
                                                      step.inner.operands[2]};
      const std::uint64_t expected = model.perform(step);
      const auto result = instance.invoke(kCallEndpoint, arguments, 10'000'000);
      EXPECT_TRUE(result) << result.error().to_string();
      if (expected >> 48 == 0) ++done[kCall];
      ++errors[expected >> 48];
      const bool is_equal = result && result->exit_reason == ExitReason::kHostCall &&
                            result->return_value == expected && instance.instance_count() == model.instances() + 1;
      EXPECT_TRUE(is_equal) << test::tier_name(tier) << " seed " << seed << std::hex << " call of 0x" << step.slot
                            << " given 0x" << step.given << " for operation " << step.inner.number << " (0x"
                            << step.inner.operands[0] << ", 0x" << step.inner.operands[1] << ") answered 0x"
                            << (result ? result->return_value : 0) << ", not 0x" << expected;
      return is_equal;
    };
    for (const std::uint64_t node : {std::uint64_t{0}, std::uint64_t{1}, path_word(0, 1), path_word(1, 0)})
      if (!check({kMint, {node}})) return ends;
    for (unsigned i = 0; i < kSteps; ++i) {
      if (sequence.one_in(4)) {
        if (!check_call(sequence.next_call(model.places()))) return ends;
        continue;
      }
      if (!check(sequence.one_in(12) ? sequence.next_hostile(model.places()) : sequence.next(model.places())))
        return ends;
    }
    // What is where, by asking each slot for the size of its data.
    for (std::uint64_t a = 0; a < 8; ++a) {
      if (!check({kDataRead, {a, 0, 0, 0}})) return ends;
      for (std::uint64_t b = 0; b < 8; ++b) {
        if (!check({kDataRead, {path_word(a, b), 0, 0, 0}})) return ends;
      }
    }
    const Result<Hash> sealed = instance.seal();
    EXPECT_TRUE(sealed) << "seed " << seed << ": " << sealed.error().to_string();
    if (!sealed) return ends;
    ends.push_back(std::to_string(instance.gas_used()) + ' ' + sealed->to_string());
  }
  // Sequences that only fail would show nothing.
  for (const std::uint64_t operation : {kCopy, kMove, kDrop, kSwap, kMint, kDerive, kDataRead, kDataMint, kOpen, kSave,
                                        kSetImage, kCall, kResume, kDropResume})
    EXPECT_GE(done[operation], 30u) << operation;
  for (const KernelError error :
       {KernelError::kBadSlot, KernelError::kEmptySlot, KernelError::kSlotTaken, KernelError::kWrongKind,
        KernelError::kBadArgument, KernelError::kBadAddress, KernelError::kNotCopyable, KernelError::kMoved,
        KernelError::kNoCatcher, KernelError::kYielded})
    EXPECT_GE(errors[static_cast<std::uint64_t>(error)], 30u) << kernel::name_of(error);
  return ends;
}

TEST(Confinement, RandomOperationsDoWhatTheModelSaysInEveryTier) {
  if (!test::has_guest_compiler()) GTEST_SKIP() << test::kNoGuestCompiler;
  const auto elf = test::compile_functions(kGuest);
  ASSERT_TRUE(elf) << elf.error().to_string();
  const std::vector<std::string> interpreted = run_all(Tier::kInterp, *elf);
  EXPECT_EQ(interpreted.size(), kSequences);
  for (const Tier tier : {Tier::kBaseline, Tier::kAuto})
    EXPECT_EQ(run_all(tier, *elf), interpreted) << test::tier_name(tier);
}

}  // namespace
}  // namespace caisson
