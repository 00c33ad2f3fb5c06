// The two directions of a stream, with their credit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "node/base/check.h"
#include "node/base/turn.h"

namespace orchard::http {

// Of an input about a stream that is open, or closes.
inline std::optional<StreamId> StreamOf(const Input& input) {
  if (const auto* x = std::get_if<StreamOpened>(&input)) return x->stream;
  if (const auto* x = std::get_if<StreamData>(&input)) return x->stream;
  if (const auto* x = std::get_if<StreamCredit>(&input)) return x->stream;
  if (const auto* x = std::get_if<StreamEnded>(&input)) return x->stream;
  if (const auto* x = std::get_if<StreamClosed>(&input)) return x->stream;
  return std::nullopt;
}

// What we write: at most the credit at once; heads may wait here until there is more, bodies are written as there is room.
class StreamOut {
 public:
  // Two heads of the largest kind, and a body of ours that comes with one.
  static constexpr size_t kPendingMax = 256 << 10;

  // What can be written now without waiting.
  size_t room() const { return credit_ > pending_.size() ? size_t(credit_) - pending_.size() : 0; }
  bool pending() const { return !pending_.empty(); }
  void OnOpened(Turn& turn, StreamId stream) { OnCredit(turn, stream, kStreamWindow); }
  void OnCredit(Turn& turn, StreamId stream, uint32_t bytes) {
    credit_ += bytes;
    Flush(turn, stream);
  }
  void Write(Turn& turn, StreamId stream, Bytes bytes) {
    if (pending_.empty() && bytes.size() <= credit_) {
      if (!bytes.empty()) turn.out.Write(stream, bytes);
      credit_ -= bytes.size();
      return;
    }
    pending_.append(AsText(bytes));
    CHECK_LE(pending_.size(), kPendingMax);
    Flush(turn, stream);
  }
  // Closes our half once all is written.
  void End(Turn& turn, StreamId stream) {
    end_ = true;
    Flush(turn, stream);
  }
  bool ended() const { return ended_; }

 private:
  void Flush(Turn& turn, StreamId stream) {
    const size_t n = size_t(std::min<uint64_t>(credit_, pending_.size()));
    if (n > 0) {
      turn.out.Write(stream, AsBytes(std::string_view(pending_).substr(0, n)));
      pending_.erase(0, n), credit_ -= n;
    }
    if (end_ && !ended_ && pending_.empty()) ended_ = true, turn.out.End(stream);
  }
  uint64_t credit_ = 0;
  std::string pending_;
  bool end_ = false, ended_ = false;
};

// What we read: the host may be `window` bytes ahead of whoever takes them.
class StreamIn {
 public:
  explicit StreamIn(uint32_t window) : window_(window) {}
  void OnOpened(Turn& turn, StreamId stream) { turn.out.Accept(stream, window_); }
  void OnData(size_t bytes) { held_ += uint32_t(bytes); }
  // That many of the bytes that came are done with. Credit is given a quarter of the window at a time.
  void Took(Turn& turn, StreamId stream, size_t bytes) {
    CHECK_LE(bytes, held_);
    held_ -= uint32_t(bytes), owed_ += uint32_t(bytes);
    if (owed_ < window_ / 4) return;
    turn.out.Accept(stream, owed_);
    owed_ = 0;
  }
  // Came, and not yet taken.
  uint32_t held() const { return held_; }
  // The host may not deliver: it is we who are slow.
  bool shut() const { return held_ + owed_ >= window_; }

 private:
  uint32_t window_, held_ = 0, owed_ = 0;
};

}  // namespace orchard::http
