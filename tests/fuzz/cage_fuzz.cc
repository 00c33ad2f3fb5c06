// What worker processes and guests say: jobs' answers, and answers as CGI. What reads back writes back.
#include "node/base/check.h"
#include "node/cage/answer.h"
#include "node/cage/files.h"
#include "node/cage/job.h"
#include "node/cage/site_id.h"

namespace {

template <class T>
void Both(orchard::Bytes bytes) {
  const auto read = orchard::cage::Decode<T>(bytes);
  if (!read.ok()) return;
  const std::string written = orchard::cage::Encode(*read);
  CHECK(orchard::cage::Encode(*orchard::cage::Decode<T>(orchard::AsBytes(written))) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard::cage;
  if (size == 0) return 0;
  const orchard::Bytes rest(data + 1, size - 1);
  switch (data[0] % 11) {
    case 0: Both<LoadArgs>(rest); break;
    case 1: Both<LoadResult>(rest); break;
    case 2: Both<SpawnArgs>(rest); break;
    case 3: Both<Death>(rest); break;
    case 4: Both<RunArgs>(rest); break;
    case 5: Both<RunResult>(rest); break;
    case 6: {
      const std::string id = SiteId(orchard::AsText(rest));
      CHECK(SiteId(id + ":80") == id || id.find(':') != id.npos || id.empty() || id.back() == '.' || id.find(']') != id.npos);
      break;
    }
    case 10: {
      const auto files = DecodeFiles(rest);
      if (!files.ok()) break;
      CHECK(*DecodeFiles(orchard::AsBytes(EncodeFiles(*files))) == *files);
      break;
    }
    default: {
      const auto answer = ParseAnswer(orchard::AsText(rest));
      if (!answer.ok()) break;
      CHECK(answer->status >= 200 && answer->status <= 599);
      CHECK_LE(answer->body.size(), rest.size());
      for (size_t i = 0; i < answer->headers.size(); ++i) {
        CHECK(orchard::http::IsToken(answer->headers[i].name));
        CHECK(answer->headers[i].value.find('\n') == std::string_view::npos && answer->headers[i].value.find('\r') == std::string_view::npos);
      }
    }
  }
  return 0;
}
