#include "node/cage_worker/channel.h"

#include <gtest/gtest.h>

namespace orchard::cage_worker {
namespace {

TEST(ChannelTest, FramesComeOutAsTheyWentInHoweverTheyAreCut) {
  std::string bytes;
  Append(bytes, {Word::kRun, 7, absl::StatusCode::kAborted, cage::Cause::kMemory, "payload"});
  Append(bytes, {Word::kStop, 0xffffffff, absl::StatusCode::kOk, cage::Cause::kNone, ""});
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    FrameReader reader;
    std::vector<Frame> frames;
    std::string payloads;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.Feed(std::string_view(bytes).substr(at, piece));
      for (;;) {
        auto f = reader.Next();
        ASSERT_TRUE(f.ok());
        if (!f->has_value()) break;
        payloads += (*f)->payload;
        frames.push_back(**f);
      }
    }
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].word, Word::kRun);
    EXPECT_EQ(frames[0].tag, 7u);
    EXPECT_EQ(frames[0].status, absl::StatusCode::kAborted);
    EXPECT_EQ(frames[0].cause, cage::Cause::kMemory);
    EXPECT_EQ(frames[1].tag, 0xffffffffu);
    EXPECT_EQ(payloads, "payload");
  }
}

TEST(ChannelTest, WhatCanBeNoFrameIsAnError) {
  std::string good;
  Append(good, {Word::kRun, 7, absl::StatusCode::kOk, cage::Cause::kNone, "p"});
  for (const auto& [at, byte] : {std::pair<size_t, char>{0, 2}, {3, char(0xff)}, {4, 99}, {9, 99}, {10, 99}}) {
    std::string bad = good;
    bad[at] = byte;
    FrameReader reader;
    reader.Feed(bad);
    EXPECT_FALSE(reader.Next().ok()) << at;
  }
}

}  // namespace
}  // namespace orchard::cage_worker
