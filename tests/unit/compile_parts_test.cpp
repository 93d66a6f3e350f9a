// The parts of the compile service by themselves: the event queue, the memory of failures, readers and retired code, what the helper
// process and the backend say to each other, and names of dump files.
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <thread>

#include "compile/compile_dump.h"
#include "compile/event_queue.h"
#include "compile/failure_memory.h"
#include "compile/helper_protocol.h"
#include "compile/reader_registry.h"
#include "support/fake_guest_compiler.h"

namespace caisson::compile {
namespace {

using std::chrono::milliseconds;
using test::FakeCode;
using test::key_of;

TEST(EventQueueTest, KeepsOrderAndItsCapacity) {
  EventQueue<int> queue(3);  // room for 4
  EXPECT_FALSE(queue.pop());
  for (int lap = 0; lap < 3; ++lap) {
    for (int value = 0; value < 4; ++value) EXPECT_TRUE(queue.push(value));
    EXPECT_FALSE(queue.push(4));
    for (int value = 0; value < 4; ++value) EXPECT_EQ(queue.pop(), value);
    EXPECT_FALSE(queue.pop());
  }
}

TEST(EventQueueTest, LosesNothingBetweenThreads) {
  constexpr std::uint64_t kValues = 20'000;
  EventQueue<std::uint64_t> queue(16);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> sum = 0, taken = 0;
  for (std::uint64_t producer = 0; producer < 2; ++producer) {
    threads.emplace_back([&, producer] {
      for (std::uint64_t value = producer; value < kValues; value += 2) {
        while (!queue.push(value)) std::this_thread::yield();
      }
    });
    threads.emplace_back([&] {
      while (taken < kValues) {
        if (const auto value = queue.pop()) {
          sum += *value;
          ++taken;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, kValues * (kValues - 1) / 2);
}

TEST(FailureMemoryTest, TheDelayDoublesToABound) {
  FailureMemory memory;
  Clock::time_point now{};
  constexpr milliseconds kBackoff{10};
  milliseconds expected = kBackoff;
  for (int count = 0; count < 10; ++count) {
    memory.remember(key_of(1), JobKind::kJit, {ErrorCode::kInternal, "broken", {}}, now, kBackoff);
    EXPECT_NE(memory.backing_off(key_of(1), JobKind::kJit, now + expected - milliseconds(1)), nullptr);
    EXPECT_EQ(memory.backing_off(key_of(1), JobKind::kJit, now + expected), nullptr);
    EXPECT_EQ(memory.backing_off(key_of(1), JobKind::kAot, now), nullptr);
    EXPECT_TRUE(memory.take_due(now).empty());
    now += expected;
    EXPECT_EQ(memory.take_due(now), std::vector{key_of(1)});
    EXPECT_TRUE(memory.take_due(now).empty());
    expected = std::min(expected * 2, kBackoff * 64);
  }
  memory.forget(key_of(1));
  EXPECT_EQ(memory.size(), 0U);
}

TEST(FailureMemoryTest, IsBounded) {
  FailureMemory memory;
  std::vector<CodeKey> forgotten;
  for (std::uint64_t number = 0; number < FailureMemory::kMostRemembered + 10; ++number) {
    const auto key = memory.remember(key_of(number), JobKind::kJit, {}, Clock::time_point{}, milliseconds(10));
    if (key) forgotten.push_back(*key);
    // The first stays, because it keeps failing.
    memory.remember(key_of(0), JobKind::kJit, {}, Clock::time_point{}, milliseconds(10));
  }
  EXPECT_EQ(memory.size(), FailureMemory::kMostRemembered);
  EXPECT_EQ(forgotten.size(), 10U);
  EXPECT_EQ(forgotten[0], key_of(1));
}

TEST(ReaderRegistryTest, RetiredCodeWaitsForReadersThatMayHaveIt) {
  ReaderRegistry registry;
  CodeReader::Record* const inside = registry.add();
  CodeReader::Record* const outside = registry.add();
  const auto enter = [&](CodeReader::Record* record) { record->epoch.store(registry.epoch().load()); };
  enter(inside);
  registry.retire(std::make_shared<const FakeCode>(10), 11);
  enter(outside);  // too late to have it
  registry.retire(std::make_shared<const FakeCode>(20), 21);
  registry.reclaim();
  EXPECT_EQ(FakeCode::alive, 2);
  EXPECT_EQ(registry.retired().bytes, 32U);
  enter(inside);  // quiescent: now only the second is held, by the other
  registry.reclaim();
  EXPECT_EQ(FakeCode::alive, 1);
  registry.remove(outside);
  registry.reclaim();
  EXPECT_EQ(FakeCode::alive, 0);
  EXPECT_EQ(registry.retired().entries, 0U);
}

HelperRequest sample_request() {
  HelperRequest request{7, test::input_of(3, "hints"), 1234, true};
  request.input.guest_address = 0x1000;
  request.input.entry_pc = 0x1002;
  request.input.tier = CodeTier::kBaseline;
  return request;
}

HelperReply sample_reply() {
  HelperReply reply{7, {}, {}};
  reply.blob = CodeBlob{std::vector<std::uint8_t>(32, 0x90), {{0x1000, 0}, {0x1002, 31}}, {{4, 1, 2, -3}}, {1, 2}, {3}};
  reply.dump.add("ir.txt", "text");
  return reply;
}

std::span<const std::uint8_t> payload_of(const std::vector<std::uint8_t>& message) {
  return std::span(message).subspan(sizeof(FrameHeader));
}

TEST(HelperProtocolTest, WhatIsEncodedIsDecoded) {
  const HelperRequest request = sample_request();
  const auto decoded = decode_request(payload_of(encode(request).value())).value();
  EXPECT_EQ(decoded.id, request.id);
  EXPECT_EQ(decoded.time_limit_ms, request.time_limit_ms);
  EXPECT_TRUE(decoded.is_dump_wanted);
  EXPECT_EQ(decoded.input.key, request.input.key);
  EXPECT_EQ(decoded.input.tier, request.input.tier);
  EXPECT_EQ(decoded.input.guest_address, request.input.guest_address);
  EXPECT_EQ(decoded.input.entry_pc, request.input.entry_pc);
  EXPECT_EQ(*decoded.input.bytes, *request.input.bytes);
  EXPECT_EQ(decoded.input.hints, request.input.hints);
  EXPECT_EQ(decoded.input.label, request.input.label);

  const HelperReply reply = sample_reply();
  const auto good = decode_reply(payload_of(encode(reply).value())).value();
  EXPECT_EQ(good.id, reply.id);
  EXPECT_EQ(good.blob.value(), reply.blob.value());
  EXPECT_EQ(good.dump.texts(), reply.dump.texts());

  const HelperReply failed{8, fail(ErrorCode::kLimit, "message", "where"), {}};
  const auto bad = decode_reply(payload_of(encode(failed).value())).value();
  EXPECT_EQ(bad.blob.error().to_string(), "where: message");
  EXPECT_EQ(bad.blob.error().code, ErrorCode::kLimit);
}

TEST(HelperProtocolTest, OffsetsOutsideOfTheCodeAreRefused) {
  HelperReply reply = sample_reply();
  reply.blob->entries[1].offset = 32;
  EXPECT_FALSE(decode_reply(payload_of(encode(reply).value()))->blob);
  reply = sample_reply();
  reply.blob->relocations[0].offset = 0xFFFFFFFF;
  EXPECT_FALSE(decode_reply(payload_of(encode(reply).value()))->blob);
}

// Cut at every byte, longer than it says, and with bytes changed: an answer or an error, never more memory than was sent.
TEST(HelperProtocolTest, BrokenMessagesAreErrors) {
  for (const auto& message : {encode(sample_reply()).value(), encode(sample_request()).value()}) {
    const auto payload = payload_of(message);
    for (std::size_t length = 0; length < payload.size(); ++length) {
      EXPECT_FALSE(decode_reply(payload.first(length)));
      EXPECT_FALSE(decode_request(payload.first(length)));
    }
    std::vector<std::uint8_t> longer(payload.begin(), payload.end());
    longer.push_back(0);
    EXPECT_FALSE(decode_reply(longer));
    EXPECT_FALSE(decode_request(longer));
    std::mt19937 random(1);
    for (int round = 0; round < 20'000; ++round) {
      std::vector<std::uint8_t> changed(payload.begin(), payload.end());
      for (int count = 0; count < 3; ++count) changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
      static_cast<void>(decode_reply(changed));
      static_cast<void>(decode_request(changed));
    }
  }
}

TEST(CompileDumpTest, NamesOfFilesAreHarmless) {
  EXPECT_EQ(file_name("main.cpp-1_x"), "main.cpp-1_x");
  EXPECT_EQ(file_name("../../etc/passwd"), "_.._.._etc_passwd");
  EXPECT_EQ(file_name(""), "_");
  EXPECT_EQ(file_name("a b\xC3\xA4"), "a_b__");
  EXPECT_EQ(file_name(std::string(500, 'a')).size(), 80U);
}

TEST(CompileDumpTest, AFolderThatCannotBeMadeIsAnError) {
  CompileDump dump;
  dump.add("text", "text");
  EXPECT_EQ(write_dump("/dev/null/x", test::input_of(1), dump).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace caisson::compile
