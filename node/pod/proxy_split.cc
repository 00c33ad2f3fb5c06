// An answer put together: a first part over our own connection, the rest over the pod, or by ourselves if the pod cannot. Its head
// is the origin's, made whole; its bytes are in order, and all of one state of the representation.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/pod/proxy_client.h"
#include "node/pod/proxy_trace.h"

namespace orchard::pod {
namespace {

// The one range that a 206 says it has.
std::optional<http::ContentRange> PartOf(const http::ResponseHead& head) {
  if (head.status != 206 || head.body == http::BodyKind::kNone || head.headers.Count("Content-Range") != 1) return std::nullopt;
  const auto part = http::ContentRange::Parse(*head.headers.Find("Content-Range"));
  if (!part.has_value() || !part->range.has_value() || !part->size.has_value()) return std::nullopt;
  if (head.body == http::BodyKind::kLength && head.length != part->range->size()) return std::nullopt;
  return part;
}

}  // namespace

void ProxyClient::OnFirstPart(ProxyTurn& t) {
  Split& s = *split_;
  const http::ResponseHead& head = up_->response();
  const bool asked_whole = s.asked.kind == http::RangeRequest::Kind::kNone;
  // An empty file has no first part, and the client asked for none; a part that we do not understand is not the client's either.
  const auto part = PartOf(head);
  if ((head.status == 206 && !part.has_value()) || (head.status == 416 && asked_whole)) return AskWhole(t);
  if (head.status != 206) {  // 200: it gives no ranges, or another state than If-Range named. 304, 404 …: that is the answer.
    split_.reset();
    return AnswerPlainly(t);
  }
  const auto wanted = asked_whole ? std::optional(http::ByteRange{0, *part->size - 1}) : s.asked.Resolve(*part->size);
  const uint64_t last = std::min(s.part_end, *part->size) - 1;
  if (!wanted.has_value() || part->range->first != s.part_at || part->range->last != last || last > wanted->last) return AskWhole(t);
  const bool complete = last == wanted->last;
  if (!complete && !MayContinue(head)) return AskWhole(t);

  s.answered = true, s.wanted = *wanted, s.size = *part->size, s.validator = http::Validator::Of(head.headers);
  s.part_end = last + 1, s.sent = wanted->first;
  http::Response r{.status = asked_whole ? 200 : 206, .headers = AssembledHeaders(head, s.wanted, s.size, asked_whole), .length = s.wanted.size(),
                   .relayed = true};
  // The client's own word counts for more than the origin's.
  const auto sha256 = digest_.has_value() ? digest_ : asked_whole ? StatedSha256(head.headers) : std::nullopt;
  step_ = Step::kAnswering;
  server_.Respond(t.turn, std::move(r), t.heard);
  if (!server_.answering()) return EndExchange(t);
  if (complete) return;
  if (s.wanted.size() >= 2 * t.config.chunk_bytes) {
    // With a digest of the whole the pod fetches the whole, since it can find the guilty chunk: then our part is in vain.
    const uint64_t first = sha256.has_value() ? 0 : s.part_end;
    s.transfer = t.downloads.Start(t.turn, {.url = forward_.url, .first = first, .last = s.wanted.last, .validator = s.validator, .sha256 = sha256,
                                            .before = first - (sha256.has_value() ? 0 : s.wanted.first)}, t.news);
    s.pod_first = s.pod_at = first;
  }
  t.turn.trace.Add(ProxySplit{.host = forward_.url.authority.host, .first = s.wanted.first, .last = s.wanted.last, .size = s.size,
                              .peers = s.transfer.has_value() ? t.downloads.peers() : 0});
  if (!s.transfer.has_value()) {
    ++t.stats.alone;
    s.alone = true;
    return;
  }
  ++t.stats.split;
  t.transfers.emplace(*s.transfer, server_.stream());
  if (!sha256.has_value()) return;
  s.part_at = s.part_end = 0;
  DropOrigin(t);
}

// Of the rest, which we asked for ourselves.
void ProxyClient::OnNextPart(ProxyTurn& t) {
  const Split& s = *split_;
  const http::ResponseHead& head = up_->response();
  const auto part = PartOf(head);
  const auto encoding = head.headers.Find("Content-Encoding");
  const bool encoded = encoding.has_value() && !http::EqualsIgnoringCase(*encoding, "identity");
  if (!part.has_value() || part->size != s.size || encoded || *part->range != http::ByteRange{s.part_at, s.wanted.last} ||
      !s.validator.Matches(head.headers)) {
    return Cut(t, "changed");
  }
  step_ = Step::kAnswering;
}

// As the client asked it. Nothing was answered yet.
void ProxyClient::AskWhole(ProxyTurn& t) {
  ++t.stats.asked_again;
  split_.reset();
  DropOrigin(t);
  Ask(t, forward_.headers);
}

void ProxyClient::AskRest(ProxyTurn& t) {
  Split& s = *split_;
  http::HeaderList headers = forward_.headers;
  // These were answered already.
  for (std::string_view condition : {"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}) headers.Remove(condition);
  headers.Replace("Range", absl::StrCat("bytes=", s.sent, "-", s.wanted.last));
  headers.Replace("If-Range", s.validator.if_range());
  s.part_at = s.sent, s.part_end = s.wanted.last + 1;
  Ask(t, headers);
}

// The pod or our connection failed: what was not queued yet is asked for once more.
void ProxyClient::GoAlone(ProxyTurn& t) {
  Split& s = *split_;
  LeavePod(t);
  // It lies behind a gap. Or the pod did not vouch for it: our own word for the last byte at least does, since it is held to the state
  // that the first part had.
  if (s.part_at < s.part_end || s.pod_at > s.wanted.last) s.pod.Clear();
  if (++s.resumes > kResumesMax) {
    step_ = Step::kAnswering, s.part_end = s.part_at;
    return RunDry(t, "given-up");
  }
  // A part that still comes goes on.
  if (up_ == nullptr || origin_done_) s.part_end = s.part_at;
  ++t.stats.alone;
  s.alone = true;
  Pump(t);
}

void ProxyClient::LeavePod(ProxyTurn& t) {
  if (split_ == nullptr || !split_->transfer.has_value()) return;
  const TransferId transfer = *std::exchange(split_->transfer, std::nullopt);
  t.transfers.erase(transfer);
  t.downloads.Abort(t.turn, transfer, t.news);
}

void ProxyClient::OnDelivered(ProxyTurn& t, PodDelivered&& delivered) {
  Split& s = *split_;
  if (delivered.offset != s.pod_at || delivered.bytes.size() > s.wanted.last + 1 - s.pod_at) Cut(t, "wrong-range");
  else s.pod_at += delivered.bytes.size(), s.pod.Push(std::move(delivered.bytes)), Pump(t);
  Settle(t);
}

void ProxyClient::OnPodDone(ProxyTurn& t) {
  split_->transfer.reset();
  if (split_->pod_at != split_->wanted.last + 1) Cut(t, "closed-early");
  else Pump(t);
  Settle(t);
}

void ProxyClient::OnPodFailed(ProxyTurn& t, Ending why) {
  split_->transfer.reset();
  if (why == Ending::kHashMismatch || why == Ending::kPoisoned) Cut(t, "hash-mismatch");
  else if (why == Ending::kChanged) Cut(t, "changed");
  else GoAlone(t);
  Settle(t);
}

void ProxyClient::PumpSplit(ProxyTurn& t) {
  Split& s = *split_;
  if (origin_done_ && s.part_at < s.part_end && !dry_) return GoAlone(t);  // It is shorter than it said.
  const bool part_over = s.part_at == s.part_end;
  if (part_over && download_.empty() && !s.pod.empty()) {
    // Until the pod vouches for all of it, the client shall not believe that it has all of it.
    const size_t n = WriteSome(t, s.pod, s.transfer.has_value() ? s.wanted.last - s.sent : UINT64_MAX);
    s.sent += n, t.stats.pod_bytes += n;
    if (s.transfer.has_value() && n > 0) t.downloads.Read(t.turn, *s.transfer, s.sent - s.pod_first, t.news);
  }
  if (s.sent > s.wanted.last) return FinishAnswer(t);
  if (dry_ && download_.empty() && s.pod.empty()) return EndDry(t);
  const bool mine = s.alone && !dry_ && part_over && download_.empty() && s.pod.empty();
  if (mine && step_ == Step::kAnswering && (origin_done_ || up_ == nullptr)) AskRest(t);
}

}  // namespace orchard::pod
