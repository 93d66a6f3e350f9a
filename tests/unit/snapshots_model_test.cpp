// Random calls on address spaces that take states and load each other's, against a model that keeps each page by itself.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "memory/memory_base.h"
#include "memory/memory_state.h"
#include "memory/window_pool.h"

namespace caisson::memory {
namespace {

constexpr std::uint64_t kBase = 0x200000;
constexpr std::uint32_t kFirstPage = kBase / kPageSize;
// More than a group of page_tracking.h and what a run may become at most.
constexpr std::uint32_t kPages = 200;

struct ModelPage {
  bool mapped = false;
  bool file = false;
  Permissions permissions = kNone;
  std::uint64_t value = 0;  // the page's first eight bytes
  bool operator==(const ModelPage&) const = default;
};
using Model = std::array<ModelPage, kPages>;

// A guest, what it should have, and what a decoder would keep of its code.
struct Guest final : CodeObserver {
  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override {
    for (std::uint32_t page = first_page; page < first_page + page_count; ++page) decoded[page - kFirstPage].reset();
  }
  std::unique_ptr<AddressSpace> space;
  Model model{};
  std::array<std::optional<std::uint64_t>, kPages> decoded{};
};

class SnapshotsModelTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    for (Guest& guest : guests_) {
      Result<std::unique_ptr<AddressSpace>> space = AddressSpace::create(pool_, kPages * kPageSize);
      ASSERT_TRUE(space) << space.error().to_string();
      guest.space = std::move(*space);
      guest.space->add_code_observer(&guest);
    }
    file_ = memfd_create("caisson-model", MFD_CLOEXEC);
    for (std::uint64_t page = 0; page < kPages; ++page)
      ASSERT_EQ(pwrite(file_, &page, sizeof page, static_cast<off_t>(page * kPageSize)), 8);
  }
  void TearDown() override { close(file_); }

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  static std::uint64_t address_of(std::uint32_t index) { return kBase + index * kPageSize; }

  void store(Guest& guest, std::uint32_t index) {
    ModelPage& page = guest.model[index];
    const std::uint64_t value = below(4) == 0 ? 0 : random_();
    const bool by_guest = below(2) == 0;
    GuestScope scope{.window_base = guest.space->base()};
    bool stored = false;
    if (by_guest) {
      enter_guest(scope);
      std::uint8_t* const to = guest.space->base() + address_of(index);
      stored = guarded_copy(to, &value, sizeof value, to) == 0;
      leave_guest(scope);
    } else {
      stored = guest.space->write_value(address_of(index), value);
    }
    ASSERT_EQ(stored, (page.permissions & kWrite) != 0);
    if (stored) page.value = value;
  }

  void change_mappings(Guest& guest, std::uint32_t first, std::uint32_t end, Permissions permissions) {
    AddressSpace& space = *guest.space;
    const std::uint64_t address = address_of(first);
    const std::uint64_t length = (end - first) * kPageSize;
    const auto begin = guest.model.begin() + first;
    const auto limit = guest.model.begin() + end;
    const bool mapped = std::all_of(begin, limit, [](const ModelPage& page) { return page.mapped; });
    switch (below(6)) {
      case 0:
        ASSERT_EQ(space.map_anonymous(address, length, permissions), MapStatus::kOk);
        std::fill(begin, limit, ModelPage{.mapped = true, .permissions = permissions});
        break;
      case 1:
        ASSERT_EQ(space.map_file(address, length, permissions, false, file_, 0), MapStatus::kOk);
        for (std::uint32_t i = first; i < end; ++i)
          guest.model[i] = {.mapped = true, .file = true, .permissions = permissions, .value = i - first};
        break;
      case 2:
        ASSERT_EQ(space.unmap(address, length), MapStatus::kOk);
        std::fill(begin, limit, ModelPage{});
        break;
      case 3: {
        // Whether file pages keep what was written depends on how they are held.
        const bool anonymous = mapped && std::none_of(begin, limit, [](const ModelPage& page) { return page.file; });
        if (!anonymous) break;
        ASSERT_EQ(space.discard(address, length), MapStatus::kOk);
        std::for_each(begin, limit, [](ModelPage& page) { page.value = 0; });
        break;
      }
      case 4: {
        const std::uint32_t target = below(kPages - (end - first) + 1);
        if (!mapped || (target < end && first < target + end - first)) break;
        const MapStatus status = space.move(address, length, address_of(target));
        // Not one mapping.
        if (status == MapStatus::kNotMapped) break;
        ASSERT_EQ(status, MapStatus::kOk);
        std::copy(begin, limit, guest.model.begin() + target);
        std::fill(begin, limit, ModelPage{});
        break;
      }
      default:
        ASSERT_EQ(space.protect(address, length, permissions), mapped ? MapStatus::kOk : MapStatus::kNotMapped);
        if (mapped) std::for_each(begin, limit, [permissions](ModelPage& page) { page.permissions = permissions; });
        break;
    }
  }

  void take(Guest& guest) {
    Result<MemoryState> state = guest.space->state();
    ASSERT_TRUE(state) << state.error().to_string();
    for (std::uint32_t i = 0; i < kPages; ++i) {
      std::uint64_t value = 0;
      if (const std::uint8_t* const bytes = state->page(kFirstPage + i); bytes != nullptr)
        std::copy_n(bytes, sizeof value, reinterpret_cast<std::uint8_t*>(&value));
      ASSERT_EQ(value, guest.model[i].value) << i;
    }
    if (states_.size() < 8) states_.emplace_back();
    states_[below(static_cast<std::uint32_t>(states_.size()))] = {*std::move(state), guest.model};
  }

  void load(Guest& guest) {
    const std::uint32_t chosen = states_.empty() ? 0 : below(static_cast<std::uint32_t>(states_.size()));
    if (states_.empty() || states_[chosen].first.base == nullptr) return;
    const Result<void> loaded = guest.space->load(states_[chosen].first);
    ASSERT_TRUE(loaded) << loaded.error().to_string();
    guest.model = states_[chosen].second;
  }

  static void expect_same(Guest& guest) {
    const std::vector<std::uint32_t> dirty = guest.space->dirty_pages();
    const MemoryBase* const base = guest.space->memory_base().get();
    for (std::uint32_t i = 0; i < kPages; ++i) {
      SCOPED_TRACE(i);
      const ModelPage& page = guest.model[i];
      ASSERT_EQ(guest.space->is_mapped(address_of(i), kPageSize), page.mapped);
      ASSERT_EQ(guest.space->permissions(kFirstPage + i), page.permissions);
      const std::optional<std::uint64_t> value = guest.space->read_value<std::uint64_t>(address_of(i));
      ASSERT_EQ(value, page.permissions == kNone ? std::nullopt : std::optional(page.value));
      if (base != nullptr && value && !std::ranges::binary_search(dirty, kFirstPage + i)) {
        const std::uint8_t* const bytes = base->page(kFirstPage + i);
        ASSERT_TRUE(bytes == nullptr ? *value == 0
                                     : std::equal(bytes, bytes + 8, reinterpret_cast<const std::uint8_t*>(&*value)));
      }
      const bool keeps = (page.permissions & kExecute) != 0 && !guest.space->is_mixed(kFirstPage + i);
      if (guest.decoded[i] && keeps) ASSERT_EQ(value, guest.decoded[i]);
      guest.decoded[i] = keeps ? value : std::nullopt;
    }
  }

  std::mt19937 random_{GetParam()};
  std::shared_ptr<WindowPool> pool_ = std::make_shared<WindowPool>();
  std::array<Guest, 2> guests_;
  std::vector<std::pair<MemoryState, Model>> states_;
  int file_ = -1;
};

TEST_P(SnapshotsModelTest, RandomCallsAgainstSinglePages) {
  constexpr std::array<Permissions, 7> kChoices = {
      kNone, kRead, kRead | kWrite, kRead | kWrite, kRead | kExecute, kExecute, kRead | kWrite | kExecute};
  for (int step = 0; step < 1000; ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam() << " step " << step);
    Guest& guest = guests_[below(2)];
    const std::uint32_t first = below(kPages);
    const std::uint32_t end = first + 1 + below(std::min(kPages - first, 100U));
    switch (below(8)) {
      case 0:
      case 1:
        change_mappings(guest, first, end, kChoices[below(kChoices.size())]);
        break;
      case 2:
      case 3:
        load(guest);
        break;
      case 4:
        take(guest);
        break;
      default: {
        const std::uint32_t step_of_stores = 1 + below(4);
        for (std::uint32_t i = first; i < end && !HasFatalFailure(); i += step_of_stores) store(guest, i);
        break;
      }
    }
    if (HasFatalFailure()) return;
    expect_same(guest);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SnapshotsModelTest, testing::Values(1U, 2U, 3U, 4U, 5U));

}  // namespace
}  // namespace caisson::memory
