// Random mapping calls against a model that keeps each page by itself: status, permissions, contents, the bill, and that nothing
// which was decoded from a page stays valid when it should not.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <vector>

#include "memory/address_space.h"
#include "memory/fault_recovery.h"
#include "memory/window_pool.h"

namespace caisson::memory {
namespace {

constexpr std::uint64_t kBase = 0x200000;
constexpr std::uint32_t kFirstPage = kBase / kPageSize;
constexpr std::uint32_t kPages = 48;
constexpr std::uint64_t kCommitLimit = 36 * kPageSize;
// The file is shorter than what is mapped of it.
constexpr std::uint32_t kFilePages = 10;
constexpr std::uint32_t kMappedFilePages = 14;

enum class Kind { kPrivate, kShared, kPrivateFile, kSharedFile, kFileCopy };

struct ModelPage {
  bool mapped = false;
  Kind kind = Kind::kPrivate;
  Permissions permissions = kNone;
  bool committed = false;
  std::uint32_t object = 0;  // which call mapped it, for shared and file pages
  std::uint32_t file_page = 0;  // page within that object
  bool own = false;  // a private file page that the guest has written
  std::uint64_t value = 0;  // the page's first eight bytes, where they are not the file's

  bool is_code() const { return (permissions & kExecute) != 0; }
  bool is_shared() const { return kind == Kind::kShared || kind == Kind::kSharedFile; }
  bool is_mixed() const { return is_code() && (is_shared() || (permissions & kWrite) != 0); }
  bool is_lazy() const { return kind == Kind::kSharedFile || (kind == Kind::kPrivateFile && !own); }
};

// What a decoder would have kept of a page, until it is told that the page changed.
struct Decoded {
  std::optional<std::uint64_t> value;
  bool mixed = false;
};

class ModelTest : public testing::TestWithParam<std::uint32_t>, public CodeObserver {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<AddressSpace>> space = AddressSpace::create(std::make_shared<WindowPool>(), kCommitLimit);
    ASSERT_TRUE(space) << space.error().to_string();
    space_ = std::move(*space);
    space_->add_code_observer(this);
    file_ = memfd_create("caisson-model", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(file_, kFilePages * kPageSize), 0);
    for (std::uint32_t page = 0; page < kFilePages; ++page) {
      file_values_[page] = 0xF11E00 + page;
      ASSERT_EQ(pwrite(file_, &file_values_[page], sizeof(std::uint64_t), page * kPageSize), 8);
    }
  }
  void TearDown() override {
    space_.reset();
    close(file_);
  }

  void code_changed(std::uint32_t first_page, std::uint32_t page_count) override {
    for (std::uint32_t page = first_page; page < first_page + page_count; ++page) decoded_[page - kFirstPage] = {};
  }

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  static std::uint64_t address_of(std::uint32_t index) { return kBase + index * kPageSize; }

  std::uint64_t committed() const {
    return kPageSize * static_cast<std::uint64_t>(
                           std::ranges::count_if(model_, [](const ModelPage& page) { return page.committed; }));
  }

  bool all_mapped(std::uint32_t first, std::uint32_t end) const {
    return std::all_of(model_.begin() + first, model_.begin() + end, [](const ModelPage& page) { return page.mapped; });
  }

  // What the guest reads there; nullopt where it faults.
  std::optional<std::uint64_t> expected_value(const ModelPage& page) const {
    if (!page.mapped || page.permissions == kNone) return std::nullopt;
    if (!page.is_lazy()) return page.value;
    if (page.file_page >= kFilePages) return std::nullopt;
    return file_values_[page.file_page];
  }

  // True where replacing [first, end) by `added` committed pages stays within the limit.
  bool fits(std::uint32_t first, std::uint32_t end, std::uint32_t added) const {
    std::uint64_t credited = 0;
    for (std::uint32_t i = first; i < end; ++i) credited += model_[i].committed ? 1 : 0;
    return added <= credited || committed() + (added - credited) * kPageSize <= kCommitLimit;
  }

  void map_anonymous(std::uint32_t first, std::uint32_t end, Permissions permissions) {
    const bool shared = below(4) == 0;
    const MapStatus status = space_->map_anonymous(address_of(first), (end - first) * kPageSize, permissions, shared);
    if (!fits(first, end, permissions == kNone ? 0 : end - first)) {
      ASSERT_EQ(status, MapStatus::kNoMemory);
      return;
    }
    ASSERT_EQ(status, MapStatus::kOk);
    const std::uint32_t object = shared ? ++last_object_ : 0;
    for (std::uint32_t i = first; i < end; ++i) {
      model_[i] = {.mapped = true,
                   .kind = shared ? Kind::kShared : Kind::kPrivate,
                   .permissions = permissions,
                   .committed = permissions != kNone,
                   .object = object,
                   .file_page = shared ? i - first : 0};
    }
  }

  void map_file(std::uint32_t first, std::uint32_t end, Permissions permissions) {
    const bool shared = below(2) == 0;
    const std::uint32_t offset = below(kMappedFilePages - std::min(end - first, kMappedFilePages) + 1);
    const MapStatus status =
        space_->map_file(address_of(first), (end - first) * kPageSize, permissions, shared, file_, offset * kPageSize);
    if (!fits(first, end, permissions == kNone ? 0 : end - first)) {
      ASSERT_EQ(status, MapStatus::kNoMemory);
      return;
    }
    ASSERT_EQ(status, MapStatus::kOk);
    ++last_object_;
    for (std::uint32_t i = first; i < end; ++i) {
      const std::uint32_t file_page = offset + i - first;
      model_[i] = {.mapped = true,
                   .kind = shared                          ? Kind::kSharedFile
                           : (permissions & kExecute) != 0 ? Kind::kFileCopy
                                                           : Kind::kPrivateFile,
                   .permissions = permissions,
                   .committed = permissions != kNone,
                   .object = last_object_,
                   .file_page = file_page,
                   .value = file_page < kFilePages ? file_values_[file_page] : 0};
    }
  }

  void unmap(std::uint32_t first, std::uint32_t end) {
    ASSERT_EQ(space_->unmap(address_of(first), (end - first) * kPageSize), MapStatus::kOk);
    for (std::uint32_t i = first; i < end; ++i) model_[i] = {};
  }

  void protect(std::uint32_t first, std::uint32_t end, Permissions permissions) {
    const MapStatus status = space_->protect(address_of(first), (end - first) * kPageSize, permissions);
    if (!all_mapped(first, end)) {
      ASSERT_EQ(status, MapStatus::kNotMapped);
      return;
    }
    if (permissions != kNone && !fits(first, end, end - first)) {
      ASSERT_EQ(status, MapStatus::kNoMemory);
      return;
    }
    ASSERT_EQ(status, MapStatus::kOk);
    for (std::uint32_t i = first; i < end; ++i) {
      ModelPage& page = model_[i];
      if (page.kind == Kind::kPrivateFile && (permissions & kExecute) != 0) {
        if (!page.own) page.value = page.file_page < kFilePages ? file_values_[page.file_page] : 0;
        page.kind = Kind::kFileCopy;
      }
      page.permissions = permissions;
      page.committed |= permissions != kNone;
    }
  }

  void discard(std::uint32_t first, std::uint32_t end) {
    const MapStatus status = space_->discard(address_of(first), (end - first) * kPageSize);
    ASSERT_EQ(status, all_mapped(first, end) ? MapStatus::kOk : MapStatus::kNotMapped);
    if (status != MapStatus::kOk) return;
    for (std::uint32_t i = first; i < end; ++i) {
      ModelPage& page = model_[i];
      if (page.kind == Kind::kFileCopy) continue;
      if (page.kind == Kind::kPrivate) page.value = 0;
      page.own = false;
      if (page.permissions == kNone && !page.is_shared()) page.committed = false;
    }
  }

  // True where the pages are one mapping.
  bool alike(std::uint32_t first, std::uint32_t end) const {
    for (std::uint32_t i = first; i < end; ++i) {
      const ModelPage& page = model_[i];
      const ModelPage& start = model_[first];
      if (!page.mapped || page.kind != start.kind || page.permissions != start.permissions ||
          page.committed != start.committed || page.object != start.object ||
          (page.object != 0 && page.file_page != start.file_page + (i - first))) {
        return false;
      }
    }
    return true;
  }

  void move(std::uint32_t first, std::uint32_t end) {
    const std::uint32_t count = end - first;
    const std::uint32_t target = below(kPages - count + 1);
    const bool overlaps = target < end && first < target + count;
    const MapStatus status = space_->move(address_of(first), count * kPageSize, address_of(target));
    ASSERT_EQ(status, overlaps ? MapStatus::kInvalid : alike(first, end) ? MapStatus::kOk : MapStatus::kNotMapped);
    if (status != MapStatus::kOk) return;
    // Whether the pages of a file could be taken along or were copied depends on the kernel.
    const bool file = model_[first].kind == Kind::kPrivateFile;
    for (std::uint32_t i = 0; i < count; ++i) {
      ModelPage& page = model_[target + i];
      page = model_[first + i];
      model_[first + i] = {};
      if (!file) continue;
      if (page.permissions != kNone && !page.own && page.file_page < kFilePages)
        page.value = file_values_[page.file_page];
    }
    if (file) ASSERT_NO_FATAL_FAILURE(unmap(target, target + count));
  }

  void write(std::uint32_t index) {
    ModelPage& page = model_[index];
    const std::uint64_t value = random_();
    const bool accessible = (page.permissions & kWrite) != 0 && (!page.is_lazy() || page.file_page < kFilePages);
    ASSERT_EQ(space_->write_value(address_of(index), value), accessible);
    if (!accessible) return;
    if (page.kind == Kind::kSharedFile) {
      file_values_[page.file_page] = value;
    } else if (page.kind == Kind::kShared) {
      // Moving leaves one view of each page, so no other shows it.
      page.value = value;
    } else {
      page.own = true;
      page.value = value;
    }
  }

  void expect_same() {
    ASSERT_EQ(space_->committed_bytes(), committed());
    ASSERT_LE(space_->committed_bytes(), kCommitLimit);
    for (std::uint32_t i = 0; i < kPages; ++i) {
      SCOPED_TRACE(i);
      const ModelPage& page = model_[i];
      ASSERT_EQ(space_->is_mapped(address_of(i), kPageSize), page.mapped);
      ASSERT_EQ(space_->permissions(kFirstPage + i), page.permissions);
      ASSERT_EQ(space_->is_mixed(kFirstPage + i), page.is_mixed());
      const std::optional<std::uint64_t> value = expected_value(page);
      ASSERT_EQ(space_->read_value<std::uint64_t>(address_of(i)), value);
      expect_decoded_is_valid(page, decoded_[i], value);
      if (page.is_code()) decoded_[i] = {.value = value, .mixed = page.is_mixed()};
    }
  }

  // A page of which code was kept and of which nothing was told is still code, of the same kind and with the same bytes.
  static void expect_decoded_is_valid(const ModelPage& page, const Decoded& decoded,
                                      std::optional<std::uint64_t> value) {
    if (!decoded.value) return;
    ASSERT_TRUE(page.is_code());
    ASSERT_EQ(page.is_mixed(), decoded.mixed);
    if (!decoded.mixed) ASSERT_EQ(value, decoded.value);
  }

  std::mt19937 random_{GetParam()};
  std::unique_ptr<AddressSpace> space_;
  int file_ = -1;
  std::array<std::uint64_t, kFilePages> file_values_{};
  std::array<ModelPage, kPages> model_{};
  std::array<Decoded, kPages> decoded_{};
  std::uint32_t last_object_ = 0;
};

TEST_P(ModelTest, RandomCallsAgainstSinglePages) {
  constexpr std::array<Permissions, 7> kChoices = {
      kNone, kRead, kRead | kWrite, kRead | kWrite, kRead | kExecute, kExecute, kRead | kWrite | kExecute};
  for (int step = 0; step < 4000; ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam() << " step " << step);
    const std::uint32_t first = below(kPages);
    const std::uint32_t end = first + 1 + below(std::min(kPages - first, 12U));
    const Permissions permissions = kChoices[below(kChoices.size())];
    switch (below(10)) {
      case 0:
      case 1:
        map_anonymous(first, end, permissions);
        break;
      case 2:
        map_file(first, end, permissions);
        break;
      case 3:
        unmap(first, end);
        break;
      case 4:
      case 5:
        protect(first, end, permissions);
        break;
      case 6:
        discard(first, end);
        break;
      case 7:
        move(first, first + 1 + below(std::min(kPages - first, 3U)));
        break;
      default:
        for (std::uint32_t i = first; i < end; ++i) write(i);
        break;
    }
    if (HasFatalFailure()) return;
    expect_same();
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, testing::Values(1U, 2U, 3U, 4U, 5U));

}  // namespace
}  // namespace caisson::memory
