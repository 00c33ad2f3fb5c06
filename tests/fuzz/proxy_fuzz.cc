// What strangers write through the proxy: whatever head was taken goes on as one that is taken, with the same body, and without
// a header of the hop before; whatever answer was taken is put together with one length.
#include <algorithm>

#include "node/base/check.h"
#include "node/http/parser.h"
#include "node/http/writer.h"
#include "node/pod/forward.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::http;
  using namespace orchard::pod;
  const Bytes bytes(data, size);
  ParserNews news;
  RequestParser request(1 << 16);
  request.OnBytes(bytes, news);
  // The head is whole once news begin with it.
  if (!news.empty() && std::holds_alternative<HeadComplete>(news[0]) && request.head().method != "CONNECT") {
    if (const auto forward = ForwardOf(request.head()); forward.ok()) {
      CHECK(!forward->headers.Has("Connection") && !forward->headers.Has("Proxy-Authorization"));
      const std::string again = WriteRequest(request.head().method, forward->target, forward->headers);
      RequestParser next(1 << 16);
      news.clear();
      next.OnBytes(AsBytes(again), news);
      CHECK(!next.refused());
      CHECK(!news.empty() && std::holds_alternative<HeadComplete>(news[0]));
      CHECK(next.head().body == request.head().body && next.head().length == request.head().length);
      CHECK(*Authority::Parse(*next.head().headers.Find("Host"), 80) == forward->url.authority);
    }
    if (const auto range = SplittableRange(request.head()); range.has_value()) CHECK(request.head().body == BodyKind::kNone);
  }
  ResponseParser response(1 << 16);
  news.clear();
  response.OnBytes(bytes, news);
  if (news.empty() || !std::holds_alternative<HeadComplete>(news[0])) return 0;
  MayContinue(response.head());
  StatedSha256(response.head().headers);
  for (bool whole : {false, true}) {
    const HeaderList headers = AssembledHeaders(response.head(), {.first = 1, .last = 9}, 10, whole);
    CHECK(headers.Count("Content-Length") == 1 && headers.Find("Content-Length") == "9");
    CHECK_EQ(headers.Count("Content-Range"), whole ? 0u : 1u);
  }
  return 0;
}
