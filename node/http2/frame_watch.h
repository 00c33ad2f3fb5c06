// Looks over a client's shoulder: which frames it sends, before nghttp2 works on them. Reads nothing but their heads (RFC 9113
// §4.1), and judges nothing but how many and how large they are.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "node/base/bytes.h"
#include "node/http2/trouble.h"

namespace orchard::http2 {

// Of the bytes that were seen since the last Take.
struct FramesSeen {
  uint64_t frames = 0, resets = 0, idle = 0, window_updates = 0;
};

class FrameWatch {
 public:
  // Any split. kContinuations or kHeadTooLarge: nothing more is read.
  Trouble OnBytes(Bytes bytes);
  FramesSeen Take() { return std::exchange(seen_, {}); }

  // The preface and the SETTINGS behind it are here.
  bool greeted() const { return greeted_; }
  // Something other than a body is here in part: a head, which may be several frames, or a frame, or the preface.
  bool within() const { return preface_left_ > 0 || in_block_ || head_size_ > 0 || (left_ > 0 && type_ != kData); }
  // Counts those.
  uint64_t unit() const { return unit_; }

 private:
  enum Type : uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPushPromise = 5, kWindowUpdate = 8, kContinuation = 9 };
  Trouble OnFrame();
  void OnFrameEnd();

  uint8_t preface_left_ = 24;
  std::array<uint8_t, 9> head_{};
  uint8_t head_size_ = 0;
  uint8_t type_ = 0, flags_ = 0;
  uint32_t left_ = 0;         // Of the payload.
  bool in_block_ = false, greeted_ = false, stopped_ = false;
  uint32_t continuations_ = 0;
  size_t block_bytes_ = 0;
  uint64_t unit_ = 0;
  FramesSeen seen_;
};

}  // namespace orchard::http2
