// Responses of strangers: any bytes, in any split, are read the same way, whatever the request was.
#include "node/base/check.h"
#include "node/http/range.h"
#include "tests/http/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::http;
  if (size < 2) return 0;
  static constexpr std::string_view kMethods[] = {"GET", "HEAD", "CONNECT", "POST"};
  const std::string_view bytes = AsText(Bytes(data + 1, size - 1)), method = kMethods[data[0] % 4];
  CHECK(Responses(bytes, 1 + data[0] / 4, method) == Responses(bytes, bytes.size(), method));

  ResponseParser p(1 << 16);
  p.Next(method);
  ParserNews news;
  p.OnBytes(AsBytes(bytes), news);
  p.OnEnd(news);
  CHECK_LE(p.body_bytes(), uint64_t{1} << 16);
  const HeaderList& headers = p.head().headers;
  CHECK(Validator::Of(headers).Matches(headers));
  if (auto range = headers.Find("Content-Range"); range.has_value()) {
    if (auto c = ContentRange::Parse(*range); c.has_value()) CHECK(ContentRange::Parse(c->ToString()).has_value());
  }
  return 0;
}
