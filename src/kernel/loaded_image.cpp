#include "kernel/loaded_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gas/gas_schedule.h"
#include "kernel/cell.h"
#include "kernel/lineage.h"
#include "kernel/sealed_memory.h"

namespace caisson::kernel {
namespace {

constexpr std::size_t kShownHash = 12;

}  // namespace

Result<std::shared_ptr<LoadedImage>> LoadedImage::load(const Hash& hash, const Image& image, CapabilityStore& store,
                                                       std::shared_ptr<IdleCells> idle, runtime::EngineState& engine) {
  std::vector<Data> contents;
  contents.reserve(image.mappings.size());
  for (const ImageMapping& mapping : image.mappings) {
    Data data;
    if (!mapping.data.is_zero()) {
      const auto found = store.get(mapping.data);
      if (!found) return std::unexpected(found.error());
      const auto* const held = *found == nullptr ? nullptr : std::get_if<Data>(found->get());
      if (held == nullptr)
        return fail(ErrorCode::kNotFound, "the store has no such data, to which an image refers",
                    mapping.data.to_string());
      data = *held;
    }
    contents.push_back(std::move(data));
  }
  return make(hash, image, std::move(contents), std::move(idle), engine);
}

Result<std::shared_ptr<LoadedImage>> LoadedImage::make(const Hash& hash, const Image& image, std::vector<Data> contents,
                                                       std::shared_ptr<IdleCells> idle, runtime::EngineState& engine) {
  std::shared_ptr<LoadedImage> loaded(new LoadedImage(hash, image, std::move(idle)));
  if (Result<void> prepared = loaded->prepare(std::move(contents), engine); !prepared) {
    Error error = prepared.error();
    error.where = "image " + hash.to_string();
    return std::unexpected(std::move(error));
  }
  return loaded;
}

LoadedImage::LoadedImage(const Hash& hash, const Image& image, std::shared_ptr<IdleCells> idle)
    : hash_(hash), first_lineage_(kernel::first_lineage(hash)), image_(image), idle_cells_(std::move(idle)) {}

LoadedImage::~LoadedImage() { idle_cells_->count.fetch_sub(idle_.size(), std::memory_order_relaxed); }

Result<void> LoadedImage::prepare(std::vector<Data> contents, runtime::EngineState& engine) {
  if (image_.personality != ImagePersonality::kKernel)
    return fail(ErrorCode::kUnsupported, "a Linux program is run by Engine::instantiate(), not by the kernel");
  if (image_.gas_schedule != 1)
    return fail(ErrorCode::kUnsupported,
                fmt::format("gas schedule {} (this engine has {})", image_.gas_schedule, gas::kScheduleName));
  if (Result<void> valid = check(Capability(image_)); !valid) return valid;
  if (contents.size() != image_.mappings.size()) return fail(ErrorCode::kInternal, "data is missing");

  SealedMemory memory;
  const ImageMapping* code = nullptr;
  bool one_code = true;
  for (std::size_t i = 0; i < image_.mappings.size(); ++i) {
    const ImageMapping& mapping = image_.mappings[i];
    page_count_ += mapping.page_count;
    if ((mapping.permissions & kMapExecute) == 0) continue;
    code_page_count_ += mapping.page_count;
    one_code = one_code && code == nullptr && (mapping.permissions & kMapWrite) == 0;
    code = &mapping;
  }
  if (page_count_ * kCapabilityPageSize > image_.memory_limit)
    return fail(ErrorCode::kInvalidImage, "the mappings are larger than the memory limit");
  memory.data = Data::zeros(static_cast<std::uint32_t>(page_count_));
  std::uint32_t next_page = 0;
  for (std::size_t i = 0; i < image_.mappings.size(); ++i) {
    ImageMapping mapping = image_.mappings[i];
    if (!mapping.data.is_zero()) {
      const Data& from = contents[i];
      if (mapping.data_page > from.page_count() || mapping.page_count > from.page_count() - mapping.data_page)
        return fail(ErrorCode::kInvalidImage, "a mapping reaches behind its data");
      for (std::uint32_t page = 0; page < mapping.page_count; ++page) {
        if (auto bytes = from.share_page(mapping.data_page + page))
          memory.data.set_page(next_page + page, std::move(bytes));
      }
    }
    mapping.data = Hash();
    mapping.data_page = next_page;
    next_page += mapping.page_count;
    memory.mappings.push_back(mapping);
  }
  Result<std::shared_ptr<const memory::MemoryBase>> base = make_base(memory);
  if (!base) return std::unexpected(base.error());
  fresh_.base = *std::move(base);
  sealed_base_ = std::move(memory);
  if (one_code && code != nullptr)
    code_range_ = {static_cast<std::uint32_t>(code->first_page * kCapabilityPageSize),
                   static_cast<std::uint32_t>(code->page_count * kCapabilityPageSize)};

  auto module = std::make_shared<runtime::ModuleState>();
  module->name = "image " + hash_.to_string().substr(0, kShownHash);
  for (const ImageImport& import : image_.imports)
    module->imports.push_back({.name = import.name, .signature = import.signature, .number = import.number});
  host_functions_ = runtime::resolve_imports(engine, *module);
  module_ = std::move(module);
  prepare_endpoints();
  for (Data& data : contents) {
    if (data.page_count() != 0) contents_.push_back(std::move(data));
  }
  return {};
}

void LoadedImage::prepare_endpoints() {
  within_ = std::make_unique<std::atomic<std::uint32_t>[]>(image_.endpoints.size());
  for (const Endpoint& endpoint : image_.endpoints) {
    std::array<std::uint64_t, 32> registers{};
    FirstRegisters first{.are_all = true};
    for (const InitialRegister& initial : endpoint.registers) {
      registers[initial.number] = initial.value;
      first.are_all = first.are_all && initial.number < first.x.size();
    }
    registers[riscv::kRa] = riscv::kTrampolineAddress;
    std::copy_n(registers.begin(), first.x.size(), first.x.begin());
    registers_.push_back(registers);
    first_registers_.push_back(first);
  }
}

const Endpoint* LoadedImage::find_endpoint(std::uint64_t number) const {
  const auto found = std::ranges::lower_bound(image_.endpoints, number, {}, &Endpoint::number);
  return found == image_.endpoints.end() || found->number != number ? nullptr : &*found;
}

std::unique_ptr<Cell> LoadedImage::take_idle_cell() {
  const std::scoped_lock lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Cell> cell = std::move(idle_.back());
  idle_.pop_back();
  idle_cells_->count.fetch_sub(1, std::memory_order_relaxed);
  return cell;
}

void LoadedImage::keep_idle_cell(std::unique_ptr<Cell> cell) {
  if (idle_cells_->count.fetch_add(1, std::memory_order_relaxed) >= idle_cells_->limit) {
    idle_cells_->count.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(cell));
}

}  // namespace caisson::kernel
