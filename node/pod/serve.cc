#include "node/pod/serve.h"

#include <algorithm>
#include <utility>

#include "node/crypto/sha256.h"
#include "node/pod/trace.h"

namespace orchard::pod {

std::string_view NameOf(Denial why) {
  switch (why) {
    case Denial::kNoUrl: return "no-url";
    case Denial::kBadUrl: return "bad-url";
    case Denial::kEmpty: return "empty";
    case Denial::kTooLong: return "too-long";
    case Denial::kTooMany: return "too-many";
    case Denial::kPrivate: return "private-address";
    case Denial::kFetchFailed: return "fetch-failed";
  }
  return "";
}

void Serve::SetInterfaces(absl::Span<const Interface> interfaces) {
  http::AddressRules rules{.public_only = !config_.allow_private, .own = {}};
  for (const Interface& i : interfaces) rules.own.push_back(i.address.with_port(0));
  fetcher_.SetRules(std::move(rules));
}

void Serve::Deny(Turn& turn, Members& members, const DeviceId& peer, const Nack& nack, Denial why, MembersNews& news) {
  ++counters_.denied, ++denied_[size_t(why)];
  turn.trace.Add(TracePodChunkRefused{peer, NameOf(why)});
  members.Send(turn, peer, nack, news);
}

void Serve::OnRequest(Turn& turn, http::Ids& ids, Members& members, const DeviceId& peer, const ChunkRequest& request, MembersNews& news) {
  ++counters_.requests;
  const Nack nack{request.transfer, request.start, request.end};
  auto deny = [&](Denial why) { Deny(turn, members, peer, nack, why, news); };
  if (!request.url.has_value() && config_.profile == Profile::kFaithfulBugs) return;  // The original's silence.
  if (!request.url.has_value()) return deny(Denial::kNoUrl);
  if (request.end <= request.start) return deny(Denial::kEmpty);
  if (request.end - request.start > Core::kChunkMax) return deny(Denial::kTooLong);
  absl::StatusOr<http::Url> url = http::Url::Parse(*request.url);
  if (!url.ok() || url->https) return deny(Denial::kBadUrl);
  Client& client = clients_[peer];
  if (client.waiting.size() >= kWaitingPerPeer) return deny(Denial::kTooMany);
  // In version 1 what lies behind the url says nothing.
  const bool stated = request.validator.has_value() && config_.profile == Profile::kHardened;
  client.waiting.push_back({request.transfer, request.start, request.end, *std::move(url),
                            stated ? http::Validator::OfIfRange(*request.validator) : http::Validator()});
  Pump(turn, ids, members, news);
}

// Begins what may begin: members in turn, so that one who asks for much does not starve the others.
void Serve::Pump(Turn& turn, http::Ids& ids, Members& members, MembersNews& news) {
  pump_at_ = kNever;
  for (bool any = true; any && jobs_.size() < kUnderWayMax;) {
    any = false;
    for (auto& [peer, c] : clients_) {
      if (c.waiting.empty() || jobs_.size() >= kUnderWayMax || members.pending(peer) > kUnsentMax) continue;
      const uint64_t bytes = c.waiting.front().end - c.waiting.front().start;
      if (!c.pace.may(c.under_way, c.left)) continue;
      if (config_.serve_rate > 0) {
        if (const Instant may = may_at(peer); may > turn.now) {
          pump_at_ = std::min(pump_at_, may);
          continue;
        }
        Spend(turn, peer, bytes);
      }
      Wanted wanted = std::move(c.waiting.front());
      c.waiting.erase(c.waiting.begin());
      ++c.under_way, c.left += bytes, any = true;
      const http::FetchId id{next_fetch_++};
      const http::ByteRange range{wanted.start, wanted.end - 1};
      const http::Url url = wanted.url;
      const http::Validator validator = wanted.validator;
      jobs_.emplace(id, Job{peer, std::move(wanted), turn.now, {}});
      fetcher_.Fetch(turn, ids, id, url, range, validator, fetched_);
    }
  }
  if (!fetched_.empty()) Take(turn, ids, members, news);
}

bool Serve::OnInput(Turn& turn, http::Ids& ids, const Input& input, Members& members, MembersNews& news) {
  const bool ours = fetcher_.OnInput(turn, ids, input, fetched_);
  Take(turn, ids, members, news);
  return ours;
}

void Serve::OnTime(Turn& turn, http::Ids& ids, Members& members, MembersNews& news) {
  fetcher_.OnTime(turn, ids, fetched_);
  Take(turn, ids, members, news);
  if (pump_at_ <= turn.now) Pump(turn, ids, members, news);
}

void Serve::Take(Turn& turn, http::Ids& ids, Members& members, MembersNews& news) {
  bool room = false;
  const http::FetchNews list = std::exchange(fetched_, {});
  for (const auto& n : list) {
    if (const auto* p = std::get_if<http::FetchProgress>(&n)) {
      const auto it = jobs_.find(p->fetch);
      if (it == jobs_.end()) continue;
      Job& job = it->second;
      if (const auto client = clients_.find(job.peer); client != clients_.end()) {
        if (job.body.empty()) client->second.pace.OnFirstBytes(turn.now - job.begun, turn.now);
        client->second.pace.OnBytes(p->bytes.size(), turn.now);
        client->second.left -= p->bytes.size();
        room = true;
      }
      job.body.append(AsText(p->bytes));
      continue;
    }
    const auto* done = std::get_if<http::FetchDone>(&n);
    const auto* failed = std::get_if<http::FetchFailed>(&n);
    if (done == nullptr && failed == nullptr) continue;
    const auto it = jobs_.find(done != nullptr ? done->fetch : failed->fetch);
    if (it == jobs_.end()) continue;
    const Job job = std::move(it->second);
    jobs_.erase(it);
    room = true;
    const auto client = clients_.find(job.peer);
    if (client == clients_.end()) continue;
    client->second.left -= job.wanted.end - job.wanted.start - job.body.size();  // Of one that failed.
    if (--client->second.under_way == 0) client->second.pace.OnIdle();
    const Wanted& w = job.wanted;
    if (failed != nullptr) {
      Deny(turn, members, job.peer, {w.transfer, w.start, w.end},
           failed->why == http::Failure::kForbidden ? Denial::kPrivate : Denial::kFetchFailed, news);
      continue;
    }
    const Bytes body = AsBytes(job.body);
    if (!members.Send(turn, job.peer, ChunkData{w.transfer, w.start, w.end, crypto::Sha256(body), body}, news)) continue;
    ++counters_.served, counters_.bytes += body.size(), client->second.bytes += body.size();
    turn.trace.Add(TracePodServed{job.peer, body.size()});
  }
  if (room) Pump(turn, ids, members, news);
}

void Serve::OnGone(Turn& turn, http::Ids& ids, const DeviceId& peer) {
  if (clients_.erase(peer) == 0) return;
  std::vector<http::FetchId> theirs;
  for (const auto& [id, job] : jobs_) {
    if (job.peer == peer) theirs.push_back(id);
  }
  for (http::FetchId id : theirs) {
    ++counters_.cancelled;
    jobs_.erase(id);
    fetcher_.Cancel(turn, ids, id, fetched_);
  }
  if (!theirs.empty()) pump_at_ = turn.now;  // Others have waited for the room.
}

uint64_t Serve::bytes_for(const DeviceId& peer) const {
  const auto it = clients_.find(peer);
  return it == clients_.end() ? 0 : it->second.bytes;
}

Instant Serve::may_at(const DeviceId& peer) const {
  const auto it = clients_.find(peer);
  return it == clients_.end() ? Instant{} : it->second.paid - kRateBurst;
}

void Serve::Spend(Turn& turn, const DeviceId& peer, uint64_t bytes) {
  if (config_.serve_rate == 0) return;
  Client& c = clients_[peer];
  c.paid = std::max(c.paid, turn.now) + TimeFor(bytes, config_.serve_rate);
}

void Serve::Stop(Turn& turn) {
  fetcher_.Clear(turn);
  jobs_.clear(), clients_.clear(), fetched_.clear(), pump_at_ = kNever;
}

}  // namespace orchard::pod
