#include "node/http2/frame_watch.h"

#include <algorithm>

#include "node/http2/limits.h"

namespace orchard::http2 {
namespace {

constexpr uint8_t kEndStream = 0x1, kEndHeaders = 0x4, kPadded = 0x8;

}  // namespace

Trouble FrameWatch::OnBytes(Bytes bytes) {
  if (stopped_) return Trouble::kNone;
  const size_t skip = std::min<size_t>(preface_left_, bytes.size());
  preface_left_ = uint8_t(preface_left_ - skip);
  bytes.remove_prefix(skip);
  while (!bytes.empty()) {
    if (left_ > 0) {
      const size_t n = std::min<size_t>(left_, bytes.size());
      left_ -= uint32_t(n), bytes.remove_prefix(n);
      if (left_ == 0) OnFrameEnd();
      continue;
    }
    const size_t n = std::min(head_.size() - head_size_, bytes.size());
    std::copy_n(bytes.begin(), n, head_.begin() + head_size_);
    head_size_ = uint8_t(head_size_ + n), bytes.remove_prefix(n);
    if (head_size_ < head_.size()) break;
    if (const Trouble t = OnFrame(); t != Trouble::kNone) return stopped_ = true, t;
  }
  return Trouble::kNone;
}

// Its head is whole.
Trouble FrameWatch::OnFrame() {
  head_size_ = 0;
  left_ = uint32_t(head_[0]) << 16 | uint32_t(head_[1]) << 8 | head_[2];
  type_ = head_[3], flags_ = head_[4];
  const uint32_t size = left_;
  ++seen_.frames;
  switch (type_) {
    case kData:
      // Padding is no data: a frame of it alone is the same trick.
      if ((size == 0 || (flags_ & kPadded) != 0) && (flags_ & kEndStream) == 0) ++seen_.idle;
      break;
    case kHeaders:
    case kPushPromise:
      continuations_ = 0, block_bytes_ = size;
      in_block_ = (flags_ & kEndHeaders) == 0;
      break;
    case kContinuation:
      ++continuations_, block_bytes_ += size;
      if ((flags_ & kEndHeaders) != 0) in_block_ = false;
      if (continuations_ > kContinuationsMax) return Trouble::kContinuations;
      break;
    case kReset: ++seen_.resets; break;
    case kWindowUpdate: ++seen_.window_updates; break;
    default: ++seen_.idle; break;
  }
  if ((type_ == kHeaders || type_ == kContinuation) && block_bytes_ > kHeadWireBytesMax) return Trouble::kHeadTooLarge;
  if (left_ == 0) OnFrameEnd();
  return Trouble::kNone;
}

void FrameWatch::OnFrameEnd() {
  if (type_ == kSettings) greeted_ = true;
  if (!in_block_) ++unit_;
}

}  // namespace orchard::http2
