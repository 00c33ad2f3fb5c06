#include "node/pod/pod.h"

#include <algorithm>
#include <utility>

#include "node/pod/faithful_pod.h"
#include "node/pod/trace.h"

namespace orchard::pod {
namespace {

// Bytes of a ChunkData record before its payload, and behind it (docs/PEAPOD.md §1, §4).
constexpr size_t kChunkHeader = 80;
constexpr size_t kTag = 16;

}  // namespace

std::string_view NameOf(Ending ending) {
  switch (ending) {
    case Ending::kDone: return "done";
    case Ending::kUnavailable: return "unavailable";
    case Ending::kHashMismatch: return "hash-mismatch";
    case Ending::kPoisoned: return "poisoned";
    case Ending::kChanged: return "changed";
    case Ending::kAborted: return "aborted";
  }
  return "";
}

// ---- Life ----

Pod::Pod(const PodConfig& config) : config_(config), core_(config.core), serve_(config), relay_serve_(config) {}
Pod::~Pod() = default;

void Pod::Start(Turn& turn, absl::Span<const Interface> interfaces) {
  if (auto kept = turn.store.Get(AsBytes(kSecretKey)); kept.has_value() && kept->size() == 32) {
    crypto::Secret<32> secret;
    std::copy_n(kept->begin(), 32, secret.begin());
    own_ = Identity::FromSecret(secret);
  } else {
    own_ = Identity::Draw(turn.rng);
    turn.store.Put(AsBytes(kSecretKey), Bytes(own_.secret.data(), own_.secret.size()));
    turn.store.Sync();  // Nobody may hear of an identity that a power loss would take.
  }
  turn.trace.Add(TracePodDevice{own_.device});
  if (config_.profile == Profile::kFaithfulBugs) faithful_ = std::make_unique<FaithfulPod>(own_.device);
  serve_.SetInterfaces(interfaces);
  relay_serve_.SetInterfaces(interfaces);
  members_.emplace(config_, own_, kPodSocket);
  members_->Start(turn, interfaces);
}

bool Pod::OnInput(Turn& turn, const Input& input, PodNews& news) {
  const bool ours = members_->OnInput(turn, ids_, input, heard_) || own_wan_.OnInput(turn, ids_, input, fetched_) ||
                    serve_.OnInput(turn, ids_, input, *members_, heard_) || relay_serve_.OnInput(turn, input, hands());
  if (ours) Settle(turn, news);
  return ours;
}

void Pod::OnInterfacesChanged(Turn& turn, absl::Span<const Interface> interfaces) {
  serve_.SetInterfaces(interfaces);
  relay_serve_.SetInterfaces(interfaces);
  members_->SetInterfaces(turn, interfaces);
}

void Pod::OnTime(Turn& turn, PodNews& news) {
  members_->OnTime(turn, ids_, heard_);
  own_wan_.OnTime(turn, ids_, fetched_);
  serve_.OnTime(turn, ids_, *members_, heard_);
  relay_serve_.OnTime(turn, hands());
  relay_use_.OnTime(turn, *members_, news, heard_);
  if (core_.next_deadline() <= turn.now) core_.OnTime(turn, actions_);
  if (faithful_ != nullptr) faithful_->OnTime(turn, {*members_, ids_, own_wan_, heard_, fetched_}, news);
  Settle(turn, news);
  timed_ = turn.now;
}

void Pod::OnStop(Turn& turn) {
  members_->Stop(turn);
  serve_.Stop(turn);
  relay_serve_.Stop(turn);
  relay_use_.Clear();
  own_wan_.Clear(turn);
  own_fetches_.clear(), downloads_.clear();
  // The core has no peers any more, and nobody reads.
  for (const auto& [device, worker] : workers_) core_.OnPeerLeft(turn, worker, actions_);
  workers_.clear(), devices_.clear(), actions_.clear(), heard_ = {}, fetched_.clear();
}

Instant Pod::next_deadline() const {
  if (!members_.has_value()) return kNever;  // Before Start.
  const Instant faithful = faithful_ == nullptr ? kNever : faithful_->next_deadline();
  const Instant next = std::min({members_->next_deadline(), own_wan_.next_deadline(), serve_.next_deadline(), relay_serve_.next_deadline(),
                                 relay_use_.next_deadline(), core_.next_deadline(), faithful});
  // What one of them made due in another that had looked at the time before (who falls silent frees a place for others), or a reader
  // behind both, is not late: it has the next instant, since a turn of the clock must leave nothing behind that is due.
  return std::max(next, timed_ + Duration(1));
}

// ---- Downloads ----

std::optional<TransferId> Pod::Start(Turn& turn, const DownloadRequest& request, PodNews& news) {
  if (faithful_ != nullptr) {
    const auto id = faithful_->Start(turn, request, {*members_, ids_, own_wan_, heard_, fetched_});
    counters_.downloads += id.has_value();
    Settle(turn, news);
    return id;
  }
  if (request.url.https || request.last < request.first || request.last == UINT64_MAX) return std::nullopt;
  const std::string url = request.url.ToString();
  if (url.size() > kUrlMax) return std::nullopt;
  const std::optional<TransferId> id =
      core_.OnRequest(turn, {.url = url, .start = request.first, .end = request.last + 1, .sha256 = request.sha256,
                              .stated = !request.validator.empty()}, actions_);
  if (id.has_value()) {
    ++counters_.downloads;
    downloads_.emplace(*id, Download{request.url, request.validator,
                                     {.transfer = *id, .url = url, .bytes = request.before + request.last + 1 - request.first, .began = turn.now, .state = "running"}});
    if (request.before > 0) downloads_.at(*id).state.by[own_.device] = request.before;
    turn.trace.Add(TracePodStarted{*id, request.last + 1 - request.first, peers()});
  }
  Settle(turn, news);
  return id;
}

void Pod::Read(Turn& turn, const TransferId& transfer, uint64_t bytes_in_all, PodNews& news) {
  core_.OnRead(turn, transfer, bytes_in_all, actions_);
  Settle(turn, news);
}

void Pod::Abort(Turn& turn, const TransferId& transfer, PodNews& news) {
  if (faithful_ != nullptr) faithful_->Abort(turn, transfer, {*members_, ids_, own_wan_, heard_, fetched_});
  const auto it = downloads_.find(transfer);
  const bool there = it != downloads_.end();
  if (there) Remember(it, Ending::kAborted);
  core_.Abort(turn, transfer, actions_);
  if (there) turn.trace.Add(TracePodEnded{transfer, NameOf(Ending::kAborted), 0, 0});
  Settle(turn, news);
}

// It is over.
void Pod::Remember(absl::btree_map<TransferId, Download>::iterator it, Ending how) {
  it->second.state.state = NameOf(how);
  if (recent_.size() == kRecentMax) recent_.erase(recent_.begin());
  recent_.push_back(std::move(it->second.state));
  downloads_.erase(it);
}

std::vector<DownloadState> Pod::downloads() const {
  std::vector<DownloadState> out = recent_;
  for (const auto& [transfer, download] : downloads_) out.push_back(download.state);
  return out;
}

// ---- Relays ----

std::optional<RelayId> Pod::OpenRelay(Turn& turn, const DeviceId& through, const http::Authority& to, PodNews& news) {
  if (config_.profile != Profile::kHardened) return std::nullopt;
  const auto relay = relay_use_.Open(turn, *members_, through, to, heard_);
  Settle(turn, news);
  return relay;
}

void Pod::WriteRelay(Turn& turn, RelayId relay, Bytes bytes, PodNews& news) {
  relay_use_.Write(turn, *members_, relay, bytes, heard_);
  Settle(turn, news);
}

void Pod::TookFromRelay(Turn& turn, RelayId relay, size_t bytes, PodNews& news) {
  relay_use_.Took(turn, *members_, relay, bytes, heard_);
  Settle(turn, news);
}

void Pod::EndRelay(Turn& turn, RelayId relay, PodNews& news) {
  relay_use_.End(turn, *members_, relay, heard_);
  Settle(turn, news);
}

void Pod::CloseRelay(Turn& turn, RelayId relay, PodNews& news) {
  relay_use_.Close(turn, *members_, relay, heard_);
  Settle(turn, news);
}

// ---- What members say ----

void Pod::TakeMembers(Turn& turn, PodNews& news) {
  const MembersNews heard = std::exchange(heard_, {});
  for (const auto& n : heard.list) {
    if (const auto* joined = std::get_if<MemberJoined>(&n)) OnJoined(turn, joined->device, news);
    if (const auto* gone = std::get_if<MemberGone>(&n)) OnGone(turn, gone->device, gone->why, news);
    if (const auto* writable = std::get_if<MemberWritable>(&n)) {
      serve_.OnWritable(turn, ids_, *members_, heard_);
      relay_serve_.OnWritable(turn, hands());
      relay_use_.OnWritable(writable->device, news);
    }
    if (const auto* replaced = std::get_if<MemberReplaced>(&n)) {
      // What was asked on the old session is lost, both ways; who it is has not changed.
      const auto it = workers_.find(replaced->device);
      if (it == workers_.end() || faithful_ != nullptr) continue;
      serve_.OnGone(turn, ids_, replaced->device);
      relay_serve_.OnGone(turn, replaced->device);
      relay_use_.OnGone(replaced->device, news);
      core_.OnPeerLeft(turn, it->second, actions_);
      devices_.erase(it->second);
      const std::optional<WorkerId> worker = core_.OnPeerJoined(turn, replaced->device, actions_);
      CHECK(worker.has_value());  // It was there a moment ago.
      it->second = *worker, devices_.emplace(*worker, replaced->device);
    }
    const auto* said = std::get_if<MemberSaid>(&n);
    const auto* progress = std::get_if<MemberProgress>(&n);
    if (said == nullptr && progress == nullptr) continue;
    const DeviceId& from = said != nullptr ? said->device : progress->device;
    const auto it = workers_.find(from);
    if (it == workers_.end()) continue;
    core_.OnHeard(turn, it->second);
    if (said != nullptr) {
      if (faithful_ != nullptr) faithful_->OnSaid(turn, from, said->message, {*members_, ids_, own_wan_, heard_, fetched_}, news);
      OnSaid(turn, from, it->second, said->message, news);
    } else if (progress->length > kChunkHeader + kTag && progress->so_far > kChunkHeader) {
      // Which chunk it is stands in the record, which cannot be read before it is whole; members answer in order as a rule.
      const std::optional<FetchId> fetch = core_.oldest(it->second);
      if (fetch.has_value()) core_.OnProgress(turn, *fetch, progress->so_far - kChunkHeader, actions_);
    }
  }
}

void Pod::OnJoined(Turn& turn, const DeviceId& device, PodNews& news) {
  // The idle core of faithful-bugs must not keep its peers alive: that is the other one's affair.
  const std::optional<WorkerId> worker =
      faithful_ != nullptr ? WorkerId{uint32_t(++counters_.formed)} : core_.OnPeerJoined(turn, device, actions_);
  if (!worker.has_value()) {
    turn.trace.Add(TracePodRefused{"banned-or-full"});
    return members_->Drop(turn, device, "banned-or-full", heard_);
  }
  workers_[device] = *worker, devices_[*worker] = device;
  if (faithful_ != nullptr) faithful_->OnJoined(turn, device);
  if (faithful_ == nullptr) ++counters_.formed;
  turn.trace.Add(TracePodFormed{device, peers()});
  news.push_back(PodFormed{device, peers()});
}

void Pod::OnGone(Turn& turn, const DeviceId& device, std::string_view why, PodNews& news) {
  const auto it = workers_.find(device);
  if (it == workers_.end()) return;
  const WorkerId worker = it->second;
  workers_.erase(it), devices_.erase(worker);
  core_.OnPeerLeft(turn, worker, actions_);
  if (faithful_ != nullptr) faithful_->OnLeft(turn, device, {*members_, ids_, own_wan_, heard_, fetched_});
  serve_.OnGone(turn, ids_, device);
  relay_serve_.OnGone(turn, device);
  relay_use_.OnGone(device, news);
  ++counters_.left;
  turn.trace.Add(TracePodLeft{device, peers(), why});
  news.push_back(PodLeft{device, peers()});
}

void Pod::OnSaid(Turn& turn, const DeviceId& device, WorkerId worker, const Message& message, PodNews& news) {
  if (const auto* leave = std::get_if<Leave>(&message); leave != nullptr && leave->device == device) {
    members_->Drop(turn, device, "left", heard_);
  } else if (const auto* request = std::get_if<ChunkRequest>(&message)) {
    serve_.OnRequest(turn, ids_, *members_, device, *request, heard_);
  } else if (const auto* data = std::get_if<ChunkData>(&message)) {
    const Core::Counters before = core_.counters();
    core_.OnChunkData(turn, worker, *data, actions_);
    Accepted(turn, data->transfer, worker, data->payload.size(), before);
  } else if (const auto* nack = std::get_if<Nack>(&message)) {
    core_.OnNack(turn, worker, *nack, actions_);
  } else if (IsExtension(message)) {
    OfOpener(message) ? relay_serve_.OnMessage(turn, device, message, hands())
                      : relay_use_.OnMessage(turn, *members_, device, message, news, heard_);
  }
}

// ---- What the core wants ----

void Pod::Accepted(Turn& turn, const TransferId& transfer, WorkerId worker, uint64_t bytes, const Core::Counters& before) {
  const Core::Counters& after = core_.counters();
  if (after.chunks > before.chunks) {
    (worker == kOwnWan ? counters_.own_bytes : counters_.peer_bytes) += bytes;
    const DeviceId* from = worker == kOwnWan ? &own_.device : device(worker);
    if (const auto it = downloads_.find(transfer); it != downloads_.end() && from != nullptr) it->second.state.by[*from] += bytes;
    turn.trace.Add(TracePodChunk{transfer, from == nullptr ? Bytes() : Bytes(*from), uint64_t(worker), bytes, worker == kOwnWan});
  }
  if (after.wasted_bytes > before.wasted_bytes) turn.trace.Add(TracePodRefetched{after.wasted_bytes - before.wasted_bytes});
}

void Pod::TakeFetched(Turn& turn, PodNews& news) {
  const http::FetchNews list = std::exchange(fetched_, {});
  if (faithful_ != nullptr) return faithful_->OnFetched(turn, list, {*members_, ids_, own_wan_, heard_, fetched_}, news);
  for (const auto& n : list) {
    if (const auto* progress = std::get_if<http::FetchProgress>(&n)) {
      const auto it = own_fetches_.find(progress->fetch);
      if (it == own_fetches_.end()) continue;
      it->second.body.append(AsText(progress->bytes));
      core_.OnProgress(turn, FetchId(progress->fetch), it->second.body.size(), actions_);
    } else if (const auto* done = std::get_if<http::FetchDone>(&n)) {
      const auto it = own_fetches_.find(done->fetch);
      if (it == own_fetches_.end()) continue;
      const OwnFetch fetch = std::move(it->second);
      own_fetches_.erase(it);
      const Core::Counters before = core_.counters();
      core_.OnOwnChunk(turn, FetchId(done->fetch), AsBytes(fetch.body), actions_);
      Accepted(turn, fetch.transfer, kOwnWan, fetch.body.size(), before);
    } else if (const auto* failed = std::get_if<http::FetchFailed>(&n)) {
      const auto it = own_fetches_.find(failed->fetch);
      if (it == own_fetches_.end()) continue;
      const TransferId transfer = it->second.transfer;
      own_fetches_.erase(it);
      const auto download = downloads_.find(transfer);
      const bool held = download != downloads_.end() && !download->second.validator.empty();
      if (held && http::ShowsChange(failed->why)) core_.OnChanged(turn, transfer, actions_);
      else core_.OnFetchFailed(turn, FetchId(failed->fetch), actions_);
    }
  }
}

void Pod::Settle(Turn& turn, PodNews& news) {
  while (!heard_.list.empty() || !fetched_.empty() || !actions_.empty()) {
    if (!heard_.list.empty()) TakeMembers(turn, news);
    if (!fetched_.empty()) TakeFetched(turn, news);
    Actions actions = std::exchange(actions_, {});
    for (Action& a : actions) Do(turn, std::move(a), news);
  }
}

void Pod::Do(Turn& turn, Action action, PodNews& news) {
  if (const auto* fetch = std::get_if<Fetch>(&action)) {
    DoFetch(turn, *fetch);
  } else if (const auto* cancel = std::get_if<Cancel>(&action)) {
    const http::FetchId id{uint32_t(cancel->fetch)};
    if (own_fetches_.erase(id) > 0) own_wan_.Cancel(turn, ids_, id, fetched_);
  } else if (auto* deliver = std::get_if<Deliver>(&action)) {
    if (downloads_.contains(deliver->transfer)) news.push_back(PodDelivered{deliver->transfer, deliver->offset, std::move(deliver->bytes)});
  } else if (const auto* ended = std::get_if<Ended>(&action)) {
    const auto it = downloads_.find(ended->transfer);
    if (it == downloads_.end()) return;
    Remember(it, ended->how);
    turn.trace.Add(TracePodEnded{ended->transfer, NameOf(ended->how), ended->from_peers, ended->verified});
    ++(ended->how == Ending::kDone ? counters_.done : counters_.failed);
    if (ended->how == Ending::kDone) news.push_back(PodDone{ended->transfer, ended->verified, ended->from_peers});
    else news.push_back(PodFailed{ended->transfer, ended->how});
  } else if (const auto* nack = std::get_if<SendNack>(&action)) {
    if (const DeviceId* d = device(nack->worker)) members_->Send(turn, *d, nack->nack, heard_);
  } else if (const auto* beat = std::get_if<SendHeartbeat>(&action)) {
    if (const DeviceId* d = device(beat->worker)) members_->Send(turn, *d, Heartbeat{own_.device}, heard_);
  } else if (const auto* isolated = std::get_if<Isolated>(&action)) {
    const bool liar = isolated->why == Fault::kLiar;
    turn.trace.Add(TracePodIsolated{isolated->device, liar ? "liar" : "failures"});
    if (liar) members_->Drop(turn, isolated->device, "liar", heard_);
  } else if (const auto* silent = std::get_if<PeerSilent>(&action)) {
    members_->Drop(turn, silent->device, "silent", heard_);
  }
}

void Pod::DoFetch(Turn& turn, const Fetch& fetch) {
  const auto download = downloads_.find(fetch.transfer);
  // Start() learns the transfer's id when its first fetches are there already; they are done after that.
  if (download == downloads_.end()) return core_.OnFetchFailed(turn, fetch.fetch, actions_);
  if (fetch.worker == kOwnWan) {
    const http::FetchId id{uint32_t(fetch.fetch)};
    own_fetches_.emplace(id, OwnFetch{fetch.transfer, {}});
    return own_wan_.Fetch(turn, ids_, id, download->second.url, {fetch.start, fetch.end - 1}, download->second.validator, fetched_);
  }
  const DeviceId* d = device(fetch.worker);
  const std::string url = download->second.url.ToString();
  ChunkRequest request{.transfer = fetch.transfer, .start = fetch.start, .end = fetch.end, .url = url};
  const std::string& state = download->second.validator.if_range();
  if (config_.profile == Profile::kHardened && !state.empty() && state.size() <= kValidatorMax) request.validator = state;
  if (d == nullptr || !members_->Send(turn, *d, request, heard_)) core_.OnFetchFailed(turn, fetch.fetch, actions_);
}

const DeviceId* Pod::device(WorkerId worker) const {
  const auto it = devices_.find(worker);
  return it == devices_.end() ? nullptr : &it->second;
}

std::vector<Pod::Peer> Pod::list() const {
  std::vector<Peer> out;
  for (const auto& [device, worker] : workers_) {
    const Link* link = members_->link(device);
    const Worker* w = core_.worker(worker);
    if (link == nullptr) continue;
    Peer p{.device = device, .at = link->at, .dialled = link->dialled, .id_bound = link->session.remote_id_bound(),
           .since = link->opened_at, .serves_it = serve_.bytes_for(device)};
    if (w != nullptr) {
      p.rate = w->rate(), p.rtt_ns = uint64_t(w->rtt().count()), p.served = w->served();
      p.under_way = w->pipe().size(), p.isolated = w->isolated_until != Instant{};
    }
    out.push_back(p);
  }
  return out;
}

}  // namespace orchard::pod
