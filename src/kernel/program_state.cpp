#include "kernel/program_state.h"

#include "base/byte_codec.h"

namespace caisson::kernel {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kLongestName = 4096;
constexpr std::size_t kLeastRegionBytes = 8 + 1 + 1 + 8 + 4;

}  // namespace

std::vector<std::uint8_t> encode_program_state(const ProgramState& state) {
  base::ByteWriter writer;
  writer.number(kVersion);
  writer.text(state.module_name.substr(0, kLongestName));
  writer.flag(state.deterministic);
  writer.number(static_cast<std::uint8_t>(state.phase));
  for (const bool flag : {state.mapped, state.runs_program, state.in_call, state.resumable, state.has_personality})
    writer.flag(flag);
  writer.flag(state.pending_call.has_value());
  if (state.pending_call) {
    writer.number(state.pending_call->address);
    for (const std::uint64_t value : state.pending_call->integers) writer.number(value);
    for (const std::uint64_t value : state.pending_call->floats) writer.number(value);
  }
  writer.number(state.load_bias);
  writer.number(state.slice_used);
  for (const std::uint64_t value : state.call_registers) writer.number(value);
  writer.count(state.regions.size());
  for (const memory::BaseRegion& region : state.regions) {
    writer.text(region.name);
    writer.flag(region.committed);
    writer.flag(region.file);
    writer.number(region.file_offset);
    writer.number(region.object);
  }
  return writer.take();
}

Result<ProgramState> decode_program_state(std::span<const std::uint8_t> bytes, std::size_t regions) {
  base::ByteReader reader(bytes);
  ProgramState state;
  if (reader.number<std::uint32_t>() != kVersion)
    return fail(ErrorCode::kInvalidImage, "a sealed program of another version of the engine", "runtime_state");
  state.module_name = reader.text(kLongestName);
  state.deterministic = reader.flag();
  const auto phase = reader.number<std::uint8_t>();
  if (phase > static_cast<std::uint8_t>(runtime::Phase::kEnded)) reader.fail();
  state.phase = static_cast<runtime::Phase>(phase);
  for (bool* const flag :
       {&state.mapped, &state.runs_program, &state.in_call, &state.resumable, &state.has_personality})
    *flag = reader.flag();
  if (reader.flag()) {
    runtime::PendingCall& call = state.pending_call.emplace();
    call.address = reader.number<std::uint64_t>();
    for (std::uint64_t& value : call.integers) value = reader.number<std::uint64_t>();
    for (std::uint64_t& value : call.floats) value = reader.number<std::uint64_t>();
  }
  state.load_bias = reader.number<std::uint64_t>();
  state.slice_used = reader.number<std::uint64_t>();
  for (std::uint64_t& value : state.call_registers) value = reader.number<std::uint64_t>();
  if (reader.count(regions, kLeastRegionBytes) != regions) reader.fail();
  for (std::size_t i = 0; i < regions && !reader.failed(); ++i) {
    memory::BaseRegion region;
    region.name = reader.text(kLongestName);
    region.committed = reader.flag();
    region.file = reader.flag();
    region.file_offset = reader.number<std::uint64_t>();
    region.object = reader.number<std::uint32_t>();
    state.regions.push_back(std::move(region));
  }
  // Loads add the bias to addresses below 2^32.
  if (!reader.finished() || state.load_bias >= memory::kWindowSize)
    return fail(ErrorCode::kInvalidImage, "not what sealing a program writes", "runtime_state");
  return state;
}

}  // namespace caisson::kernel
