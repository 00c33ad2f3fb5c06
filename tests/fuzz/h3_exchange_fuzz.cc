// Both ends of an exchange of HTTP/3: fields of a stranger become a request of HTTP/1.1 that a strict parser takes, with the same body; any
// text of the node's becomes an answer or nonsense, and all of it is credited once it is acknowledged.
#include <string>

#include "node/base/check.h"
#include "node/host/h3_exchange.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::host;
  const std::string_view all = AsText(Bytes(data, size));
  const size_t cut = all.find('\xff');
  // Fields: "name\0value\n"; behind the byte 255 the node's text.
  H3Exchange e(StreamId{1}, 1 << 16);
  std::string_view fields = all.substr(0, cut);
  while (!fields.empty()) {
    const size_t end = std::min(fields.find('\n'), fields.size());
    const std::string_view line = fields.substr(0, end);
    fields.remove_prefix(std::min(end + 1, fields.size()));
    const size_t middle = std::min(line.find('\0'), line.size());
    e.OnField(line.substr(0, middle), line.substr(std::min(middle + 1, line.size())));
  }
  const bool ends = size % 2 == 0;
  if (e.OnHead(ends) == http::Refusal::kNone) {
    if (!ends) e.OnBody(AsBytes("a body")), e.OnBody(AsBytes("of two"));
    e.OnEnd();
    e.granted = 1 << 30;
    const std::string text(e.text());
    http::RequestParser parser;
    http::ParserNews news;
    const size_t used = parser.OnBytes(AsBytes(text), news);
    // What the strict parser does not like (a method that it does not know) it refuses by the head; what it takes ends where the text does.
    const bool taken = !news.empty() && std::holds_alternative<http::HeadComplete>(news[0]);
    CHECK(taken != parser.refused());
    if (taken) CHECK_EQ(used, text.size());
    e.Told(text.size());
    CHECK(e.drained());
  }
  if (cut == all.npos) return 0;
  const std::string_view answer = all.substr(cut + 1, kStreamWindow);
  uint64_t back = 0;
  bool fine = true;
  for (size_t at = 0; at < answer.size() && fine; at += 7) fine = e.OnText(AsBytes(answer.substr(at, 7))) != H3Exchange::Step::kNonsense;
  if (!fine) return 0;
  while (!e.all_handed_over()) {
    const Bytes piece = e.NextPiece();
    e.OnAcked(piece.size());
  }
  back += e.TakeFreed();
  CHECK_EQ(back, answer.size());
  e.OnTextEnd();
  return 0;
}
