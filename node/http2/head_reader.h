// The fields of one request's head (RFC 9113 §8.3), as nghttp2 unpacks them, to a head as node/http has it: `host` is what the
// client wrote as :authority, and cookies are one field again. nghttp2 has checked that names and values are what §8.2 allows,
// which pseudo-headers there are, and that none is of one connection alone; everything that the layers above rely on is checked again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "node/http/message.h"
#include "node/http/refusal.h"

namespace orchard::http2 {

class HeadReader {
 public:
  void OnField(std::string_view name, std::string_view value);
  // One that nghttp2 does not take.
  void OnBadField() { Refuse(http::Refusal::kBadHeader); }
  // All fields are here; `ends`: no body follows. kNone: `head` is whole, else as much of it as was understood. Once.
  http::Refusal Finish(bool ends, http::RequestHead& head);

 private:
  void Refuse(http::Refusal why) { refusal_ = refusal_ == http::Refusal::kNone ? why : refusal_; }
  void OnPseudo(std::string_view name, std::string_view value);

  std::string method_, scheme_, path_, cookies_;
  std::optional<std::string> authority_, host_;
  std::optional<uint64_t> length_;
  http::HeaderList headers_;
  size_t fields_ = 0, bytes_ = 0;
  http::Refusal refusal_ = http::Refusal::kNone;
};

// Of one connection alone, and so of none of HTTP/2 (RFC 9113 §8.2.2).
bool IsConnectionSpecific(std::string_view name);

}  // namespace orchard::http2
