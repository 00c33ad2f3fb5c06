// Requests of strangers: any bytes, in any split, are read the same way; a head that was taken writes back to one that is taken.
#include "node/base/check.h"
#include "node/http/range.h"
#include "node/http/url.h"
#include "node/http/writer.h"
#include "tests/http/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::http;
  if (size < 2) return 0;
  const std::string_view bytes = AsText(Bytes(data + 1, size - 1));
  const size_t piece = 1 + data[0] % 64;
  CHECK(Requests(bytes, piece) == Requests(bytes, bytes.size()));

  RequestParser p(1 << 16);
  ParserNews news;
  p.OnBytes(AsBytes(bytes), news);
  CHECK_LE(p.body_bytes(), uint64_t{1} << 16);
  if (!p.complete() || p.head().body == BodyKind::kTunnel) return 0;
  const RequestHead& head = p.head();
  RangeRequest::Of(head.headers).Resolve(piece);
  if (auto url = Url::Parse(head.target); url.ok()) CHECK(Url::Parse(url->ToString()).ok());
  HeaderList headers = head.headers;
  headers.RemoveHopByHop();
  if (head.body != BodyKind::kNone || headers.Has("Content-Length")) return 0;
  headers.Remove("Expect");
  if (!headers.Has("Host")) headers.Add("Host", "a");
  const std::string again = WriteRequest(head.method, head.target, headers);
  RequestParser q;
  news.clear();
  CHECK_EQ(q.OnBytes(AsBytes(again), news), again.size());
  CHECK(q.complete() && q.head().method == head.method && q.head().target == head.target && q.head().headers.bytes() == headers.bytes());
  return 0;
}
