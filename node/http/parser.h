// Bytes of one connection, in any split, to messages: one after the other, each bounded. A parser frames lines and bodies
// itself, checks each line by RFC 9110 and 9112 where older practice was lenient, and asks llhttp (grammar.h) too; it refuses
// what either refuses. After a refusal nothing more is read.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "node/base/bytes.h"
#include "node/http/grammar.h"
#include "node/http/message.h"
#include "node/http/refusal.h"

namespace orchard::http {

struct HeadComplete {};           // The parser's head() is whole.
struct BodyPart { Bytes bytes; };  // Of the bytes that were given.
// trailers() is whole. Next() begins another message; after a tunnel's head nothing more is read.
struct MessageComplete {};
struct MessageRefused { Refusal why; };

using ParserNews = std::vector<std::variant<HeadComplete, BodyPart, MessageComplete, MessageRefused>>;

class MessageParser {
 public:
  static constexpr uint64_t kAnyBody = std::numeric_limits<uint64_t>::max();

  virtual ~MessageParser() = default;
  // Returns how many of the bytes were used: all, or up to the end of the message. After a refusal, none.
  size_t OnBytes(Bytes bytes, ParserNews& news);
  // The stream ended: completes a body that lasts until then, refuses what was cut off, or, between messages, says nothing.
  void OnEnd(ParserNews& news);

  bool complete() const { return step_ == Step::kComplete; }
  bool refused() const { return step_ == Step::kRefused; }
  // No byte of a message was seen since the last.
  bool between() const { return step_ == Step::kStartLine && line_.empty(); }
  const HeaderList& trailers() const { return trailers_; }
  uint64_t body_bytes() const { return body_bytes_; }

 protected:
  MessageParser(bool requests, uint64_t body_max) : grammar_(requests), requests_(requests), body_max_(body_max) {}
  void Restart();

 private:
  enum class Step : uint8_t {
    kStartLine, kHeaders, kBody, kUntilEnd, kChunkLine, kChunkData, kChunkEnd, kTrailers, kComplete, kRefused,
  };
  virtual MessageHead& mutable_head() = 0;
  virtual Refusal OnStartLine(std::string_view line) = 0;
  // Which body follows the head: sets body, length and keep_alive.
  virtual Refusal OnHead() = 0;

  size_t LineMax() const;
  Refusal TooLong() const;
  size_t TakeLine(Bytes bytes, ParserNews& news);
  size_t TakeBody(Bytes bytes, ParserNews& news);
  Refusal OnLine(std::string_view line, ParserNews& news);
  Refusal OnHeaderLine(std::string_view line, HeaderList& into);
  Refusal OnHeadEnd(ParserNews& news);
  Refusal OnChunkLine(std::string_view line);
  void Refuse(Refusal why, ParserNews& news);
  void Complete(ParserNews& news);

  Grammar grammar_;
  bool requests_;
  uint64_t body_max_;
  Step step_ = Step::kStartLine;
  std::string line_;         // What has come of a line that is not whole.
  HeaderList trailers_;
  size_t empty_lines_ = 0;
  uint64_t left_ = 0;        // Of a body or chunk.
  uint64_t body_bytes_ = 0, extension_bytes_ = 0;

 protected:
  // Of the head's fields that decide framing, as they come.
  bool has_length_ = false, has_coding_ = false;
  uint64_t length_ = 0;
};

class RequestParser final : public MessageParser {
 public:
  explicit RequestParser(uint64_t body_max = kAnyBody) : MessageParser(true, body_max) {}
  const RequestHead& head() const { return head_; }
  void Next() { Restart(), head_ = RequestHead(); }

 private:
  MessageHead& mutable_head() override { return head_; }
  Refusal OnStartLine(std::string_view line) override;
  Refusal OnHead() override;
  RequestHead head_;
};

class ResponseParser final : public MessageParser {
 public:
  explicit ResponseParser(uint64_t body_max = kAnyBody) : MessageParser(false, body_max) {}
  const ResponseHead& head() const { return head_; }
  // The response to come answers a request of that method: what follows the head of one to HEAD or CONNECT is no body.
  // Interim responses (1xx) are messages of their own: Next() with the same method.
  void Next(std::string_view request_method) { Restart(), head_ = ResponseHead(), request_method_ = request_method; }

 private:
  MessageHead& mutable_head() override { return head_; }
  Refusal OnStartLine(std::string_view line) override;
  Refusal OnHead() override;
  ResponseHead head_;
  std::string request_method_ = "GET";
};

}  // namespace orchard::http
