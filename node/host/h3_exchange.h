// One request of HTTP/3 and its answer, as the node sees them: a stream of HTTP/1.1 text, asked on it once. RFC 9114 §4.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "node/base/input.h"
#include "node/http/parser.h"
#include "node/http2/head_reader.h"

namespace orchard::host {

class H3Exchange {
 public:
  H3Exchange(StreamId id, uint64_t body_window) : id_(id), body_window_(body_window) {}

  // ---- From the client ----
  void OnField(std::string_view name, std::string_view value) { reader_.OnField(name, value); }
  // kNone: the text of the head waits for the node.
  http::Refusal OnHead(bool ends);
  void OnBody(Bytes bytes);
  void OnEnd();
  bool open() const { return open_; }  // The head was understood: the node hears of it.

  // ---- To the node ----
  // What may be told now, with `granted`; take it by Told.
  std::string_view text() const { return std::string_view(text_).substr(0, size_t(std::min<uint64_t>(granted, text_.size()))); }
  // So many body bytes may the client send more.
  uint64_t Told(size_t bytes);
  bool ended() const { return ended_; }
  bool drained() const { return text_.empty() && ended_; }

  // ---- From the node ----
  enum class Step : uint8_t { kMore, kHead, kNonsense };
  // Reads its text: kHead once, when head() is whole. Bodies go to body().
  Step OnText(Bytes bytes);
  Step OnTextEnd();
  const http::ResponseHead& head() const { return parser_.head(); }
  bool complete() const { return complete_; }

  // ---- To the client ----
  // The next piece that was not handed over, which stays where it is until it is acknowledged.
  Bytes NextPiece();
  bool all_handed_over() const { return next_ == pieces_.size(); }
  void OnAcked(uint64_t bytes);
  // Of the node's bytes, those that need not be kept: credit.
  uint32_t TakeFreed() { return std::exchange(freed_, 0); }

  StreamId id() const { return id_; }
  uint64_t granted = 0;
  uint32_t credit = kStreamWindow;
  bool told_open = false, told_end = false, submitted = false, ours_ended = false;
  bool dead = false;     // Broken off by the client, or with its connection.
  bool closed = false;   // QUIC is done with it: nothing of it is needed any more.
  bool finished = false; // And so is the node.

 private:
  StreamId id_;
  uint64_t body_window_;
  http2::HeadReader reader_;
  http::RequestHead request_;    // Its length: what is still to come.
  std::string text_;
  uint64_t owed_ = 0;            // Body bytes within text_.
  bool open_ = false, ended_ = false, complete_ = false;
  http::ResponseParser parser_;
  std::deque<std::string> pieces_;
  size_t next_ = 0;              // Of pieces_, the first that was not handed over.
  uint64_t acked_ = 0;           // Of the first piece.
  uint32_t freed_ = 0;
};

}  // namespace orchard::host
