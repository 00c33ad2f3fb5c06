// llhttp, behind a door: the second opinion on each line that the parser has framed and checked. Strict, without any leniency.
// Two parsers must agree, since what two parsers read differently is how requests are smuggled.
#pragma once

#include <cstdint>
#include <memory>

#include "node/base/bytes.h"
#include "node/http/refusal.h"

namespace orchard::http {

class Grammar {
 public:
  explicit Grammar(bool requests);
  Grammar(Grammar&&) noexcept;
  Grammar& operator=(Grammar&&) noexcept;
  ~Grammar();

  // Before each message.
  void Reset();
  // Whole lines with their CR LF, and the bytes of chunks.
  Refusal Feed(Bytes bytes);

  // What it saw so far.
  bool head_complete() const;
  bool chunked() const;            // Once the head is complete.
  uint64_t content_length() const;
  bool chunk_begun() const;        // Since the last Feed: a line with a chunk's size.
  uint64_t chunk_size() const;
  bool message_complete() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orchard::http
