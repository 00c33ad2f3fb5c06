// What a parser says about some bytes, as one text: the same for every split.
#pragma once

#include <string>
#include <string_view>

#include "node/http/parser.h"

namespace orchard::http {

// "head GET / …" "body …" "complete" "refused bad-header", one a line; pieces of a body are joined.
class Transcript {
 public:
  void Add(const RequestParser& p, const ParserNews& news) { AddAll(news, [&] { return p.head().method + " " + p.head().target; }, p); }
  void Add(const ResponseParser& p, const ParserNews& news) { AddAll(news, [&] { return std::to_string(p.head().status); }, p); }
  void Note(std::string_view what) { FlushBody(), text_ += what, text_ += "\n"; }
  std::string text() {
    FlushBody();
    return text_;
  }

 private:
  template <class F>
  void AddAll(const ParserNews& news, F name, const MessageParser& p) {
    for (const auto& n : news) {
      if (std::holds_alternative<HeadComplete>(n)) Note("head " + name());
      if (const auto* b = std::get_if<BodyPart>(&n)) body_ += AsText(b->bytes);
      if (std::holds_alternative<MessageComplete>(n)) {
        Note("complete");
        for (size_t i = 0; i < p.trailers().size(); ++i) Note("trailer " + std::string(p.trailers()[i].name));
      }
      if (const auto* r = std::get_if<MessageRefused>(&n)) Note("refused " + std::string(NameOf(r->why)));
    }
  }
  void FlushBody() {
    if (!body_.empty()) text_ += "body " + body_ + "\n";
    body_.clear();
  }
  std::string text_, body_;
};

// All messages in `bytes`, given in pieces of `piece` bytes; `end` the stream then.
inline std::string Requests(std::string_view bytes, size_t piece, bool end = true) {
  RequestParser p;
  Transcript t;
  for (size_t at = 0; at < bytes.size() && !p.refused();) {
    ParserNews news;
    const size_t used = p.OnBytes(AsBytes(bytes.substr(at, piece)), news);
    t.Add(p, news);
    at += used;
    if (p.complete() && p.head().body == BodyKind::kTunnel) return t.Note("tunnel " + std::string(bytes.substr(at))), t.text();
    if (p.complete()) p.Next();
  }
  ParserNews news;
  if (end) p.OnEnd(news);
  t.Add(p, news);
  return t.text();
}

inline std::string Responses(std::string_view bytes, size_t piece, std::string_view method = "GET", bool end = true) {
  ResponseParser p;
  p.Next(method);
  Transcript t;
  for (size_t at = 0; at < bytes.size() && !p.refused();) {
    ParserNews news;
    const size_t used = p.OnBytes(AsBytes(bytes.substr(at, piece)), news);
    t.Add(p, news);
    at += used;
    if (p.complete() && p.head().body == BodyKind::kTunnel) return t.Note("tunnel " + std::string(bytes.substr(at))), t.text();
    if (p.complete() && at < bytes.size()) p.Next(method);
  }
  ParserNews news;
  if (end) p.OnEnd(news);
  t.Add(p, news);
  return t.text();
}

}  // namespace orchard::http
