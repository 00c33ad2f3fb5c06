#include "node/host/h3_exchange.h"

#include <algorithm>
#include <utility>

#include "node/http/writer.h"

namespace orchard::host {

http::Refusal H3Exchange::OnHead(bool ends) {
  http::Refusal why = reader_.Finish(ends, request_);
  reader_ = {};
  if (why == http::Refusal::kNone && request_.method == "CONNECT") why = http::Refusal::kUnknownMethod;
  parser_.Next(request_.method);
  if (why != http::Refusal::kNone) return why;
  http::HeaderList headers = request_.headers;
  headers.RemoveHopByHop();
  if (request_.body == http::BodyKind::kChunked) headers.Add("Transfer-Encoding", "chunked");
  headers.Add("Connection", "close");
  text_ = http::WriteRequest(request_.method, request_.target, headers);
  open_ = true;
  return why;
}

void H3Exchange::OnBody(Bytes bytes) {
  if (!open_ || bytes.empty()) return;
  owed_ += bytes.size();
  // What is more than the head said is nghttp3's to refuse; here it must not become the text of another request.
  if (request_.body == http::BodyKind::kNone) return;
  if (request_.body == http::BodyKind::kLength) {
    bytes = bytes.first(size_t(std::min<uint64_t>(bytes.size(), request_.length)));
    request_.length -= bytes.size();
    text_ += AsText(bytes);
    return;
  }
  text_ += http::ChunkHead(bytes.size());
  text_ += AsText(bytes);
  text_ += http::kChunkTail;
}

void H3Exchange::OnEnd() {
  if (std::exchange(ended_, true) || !open_) return;
  if (request_.body == http::BodyKind::kChunked) text_ += http::kLastChunk;
}

uint64_t H3Exchange::Told(size_t bytes) {
  granted -= bytes;
  text_.erase(0, bytes);
  // While half a window is untold the client may wait.
  return text_.size() > body_window_ / 2 ? 0 : std::exchange(owed_, 0);
}

H3Exchange::Step H3Exchange::OnText(Bytes bytes) {
  credit -= uint32_t(std::min<size_t>(credit, bytes.size()));
  Step step = Step::kMore;
  uint64_t body = 0;
  for (size_t used = 0; used < bytes.size() && !complete_;) {
    http::ParserNews news;
    used += parser_.OnBytes(bytes.subspan(used), news);
    for (const auto& n : news) {
      if (std::holds_alternative<http::MessageRefused>(n)) return Step::kNonsense;
      if (std::holds_alternative<http::HeadComplete>(n) && parser_.head().status >= 200) step = Step::kHead;
      if (const auto* part = std::get_if<http::BodyPart>(&n)) pieces_.emplace_back(AsText(part->bytes)), body += part->bytes.size();
    }
    if (!parser_.complete()) continue;
    if (parser_.head().status >= 200) complete_ = true;
    else parser_.Next(request_.method);  // Interim: it is not passed on.
  }
  freed_ += uint32_t(bytes.size() - body);
  return step;
}

H3Exchange::Step H3Exchange::OnTextEnd() {
  ours_ended = true;
  if (complete_) return Step::kMore;
  http::ParserNews news;
  parser_.OnEnd(news);
  if (parser_.complete()) complete_ = true;
  return complete_ ? Step::kMore : Step::kNonsense;
}

Bytes H3Exchange::NextPiece() { return all_handed_over() ? Bytes() : AsBytes(pieces_[next_++]); }

void H3Exchange::OnAcked(uint64_t bytes) {
  freed_ += uint32_t(bytes);
  acked_ += bytes;
  while (!pieces_.empty() && next_ > 0 && acked_ >= pieces_.front().size()) {
    acked_ -= pieces_.front().size();
    pieces_.pop_front(), --next_;
  }
}

}  // namespace orchard::host
