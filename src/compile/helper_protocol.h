// What the backend and its helper process say to each other: a message is a frame (magic, length) and a payload of numbers and
// length-prefixed bytes. Both ends run on one machine, so numbers have its byte order.
//
// The helper runs a compiler that may have been taken over by the code it compiles: nothing it says is believed. Decoding checks every length
// against what is there before anything is allocated, and every offset of a blob against its code.
//
// Thread safety: plain functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "caisson/guest_compiler.h"

namespace caisson::compile {

struct FrameHeader {
  static constexpr std::uint32_t kMagic = 0x4a534943;  // "CISJ"
  std::uint32_t magic = kMagic;
  std::uint32_t length = 0;  // of the payload
};

struct HelperRequest {
  std::uint64_t id = 0;  // comes back in the reply
  CompileInput input;
  std::uint64_t time_limit_ms = 0;
  bool is_dump_wanted = false;
};

struct HelperReply {
  std::uint64_t id = 0;
  Result<CodeBlob> blob;
  CompileDump dump;
};

// A frame and its payload. Errors: kLimit (longer than a frame can be).
Result<std::vector<std::uint8_t>> encode(const HelperRequest& request);
Result<std::vector<std::uint8_t>> encode(const HelperReply& reply);

// Of a payload. Errors: kInvalidImage.
Result<HelperRequest> decode_request(std::span<const std::uint8_t> payload);
Result<HelperReply> decode_reply(std::span<const std::uint8_t> payload);

}  // namespace caisson::compile
