#include "node/udx/streams.h"

#include <utility>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "node/base/deadlines.h"
#include "node/udx/closed_streams.h"
#include "node/udx/stream.h"

namespace orchard::udx {

struct Streams::State {
  // A turn asks for the same stream again and again.
  Stream* Find(StreamId id) const {
    if (id == found_id && found != nullptr) return found;
    auto it = streams.find(id);
    found_id = id, found = it == streams.end() ? nullptr : it->second.get();
    return found;
  }
  void Touch(Stream& s) {
    if (!std::exchange(s.dirty, true)) touched.push_back(s.id());
  }
  // Removes a stream and, without a word to the other side, those that relay to it. All but the first are told.
  void Remove(Turn& turn, Stream& s, CloseReason why, std::vector<StreamClosed>& also);
  void SettleClosed(Turn& turn, Stream& s, News& news);
  void Relay(Turn& turn, Stream& from, const Header& h, const Datagram& d, News& news);
  // For news that a call down caused: the next verb tells it.
  void Owe(Turn& turn, std::variant<RemoteChanged, StreamClosed> what) {
    if (owed.empty()) owed_at = turn.now + Duration(1);
    owed.push_back(what);
  }

  Shared shared;
  mutable StreamId found_id{};
  mutable Stream* found = nullptr;
  absl::flat_hash_map<StreamId, std::unique_ptr<Stream>> streams;  // Never walked: its order is chance.
  absl::btree_set<std::pair<StreamId, StreamId>> relays;           // (to, from).
  Deadlines<StreamId> deadlines;
  std::vector<StreamId> touched;
  ClosedStreams gone;
  std::vector<std::variant<RemoteChanged, StreamClosed>> owed;
  Instant owed_at = kNever;
};

void Streams::State::Remove(Turn& turn, Stream& s, CloseReason why, std::vector<StreamClosed>& also) {
  const StreamId id = s.id();
  const StreamStats stats = s.stats();
  turn.trace.Add(trace::Closed{uint64_t(id), uint64_t(why), stats.packets_sent, stats.packets_received, stats.retransmits, stats.timeouts});
  if (!shared.config.deployed && s.connected() && !s.relay_to && (why == CloseReason::kEnded || why == CloseReason::kDestroyed)) {
    gone.Add(turn.now, s, shared.config.receive_window, why == CloseReason::kDestroyed);
  }
  s.Leave(shared);
  deadlines.Move(id, s.indexed_at, kNever);
  if (s.relay_to) relays.erase({*s.relay_to, id});
  streams.erase(id), found = nullptr;
  std::vector<StreamId> orphans;
  for (auto it = relays.lower_bound({id, StreamId{0}}); it != relays.end() && it->first == id; ++it) orphans.push_back(it->second);
  for (StreamId orphan : orphans) {
    Stream* o = Find(orphan);  // Two may relay to each other.
    if (o == nullptr) continue;
    also.push_back({orphan, CloseReason::kDestroyed});
    Remove(turn, *o, CloseReason::kDestroyed, also);
  }
}

void Streams::State::SettleClosed(Turn& turn, Stream& s, News& news) {
  if (!s.closed().has_value()) return;
  const StreamClosed closed{s.id(), *s.closed()};
  std::vector<StreamClosed> also;
  Remove(turn, s, closed.why, also);
  news.list.push_back(closed);
  for (const StreamClosed& c : also) news.list.push_back(c);
}

// Forwards the packet as it is, but for the id. Nothing is acknowledged or kept: the ends do all that.
void Streams::State::Relay(Turn& turn, Stream& from, const Header& h, const Datagram& d, News& news) {
  Stream* to = Find(*from.relay_to);
  if (to != nullptr && to->connected()) {
    Header forwarded = h;
    forwarded.id = to->path().remote_id;
    turn.out.Send(to->path().socket, to->path().to, WriteHeader(forwarded), Gate::kNone);
    turn.out.Append(d.payload.subspan(kHeaderBytes));
    ++shared.counters.relayed;
    from.CountRelayed(d.payload.size());
  } else {
    ++shared.counters.relay_dropped;
  }
  if ((h.type & kDestroy) == 0) return;
  std::vector<StreamClosed> also = {{from.id(), CloseReason::kReset}};
  Remove(turn, from, CloseReason::kReset, also);
  for (const StreamClosed& c : also) news.list.push_back(c);
}

Streams::Streams(const StreamsConfig& config) : state_(std::make_unique<State>()) { state_->shared.config = config; }
Streams::~Streams() = default;
Streams::Streams(Streams&&) noexcept = default;
Streams& Streams::operator=(Streams&&) noexcept = default;

StreamId Streams::Create(Turn& turn, const StreamOptions& options) {
  State& s = *state_;
  StreamId id;
  do {
    id = StreamId{uint32_t(turn.rng.Next())};
  } while (id == StreamId{0} || s.streams.contains(id) || s.gone.contains(id));
  s.streams[id] = std::make_unique<Stream>(id, options, s.shared.config);
  return id;
}

void Streams::Connect(Turn&, StreamId stream, SocketId socket, const Endpoint& to, uint32_t remote_id) {
  Stream* s = state_->Find(stream);
  if (s == nullptr) return;
  s->Connect(state_->shared, {socket, to, remote_id});
  state_->Touch(*s);
}

bool Streams::connected(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s != nullptr && s->connected();
}

bool Streams::exists(StreamId stream) const { return state_->Find(stream) != nullptr; }

void Streams::Write(Turn&, StreamId stream, std::string&& bytes) {
  if (Stream* s = state_->Find(stream)) s->Write(std::move(bytes)), state_->Touch(*s);
}

size_t Streams::room(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s == nullptr ? 0 : s->room();
}

uint64_t Streams::unacknowledged(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s == nullptr ? 0 : s->unacknowledged();
}

void Streams::SendMessage(Turn& turn, StreamId stream, Bytes bytes) {
  if (Stream* s = state_->Find(stream)) s->SendMessage(turn, bytes);
}

size_t Streams::max_message(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s == nullptr ? 0 : s->max_message();
}

void Streams::End(Turn&, StreamId stream) {
  if (Stream* s = state_->Find(stream)) s->End(), state_->Touch(*s);
}

void Streams::Destroy(Turn& turn, StreamId stream) {
  Stream* s = state_->Find(stream);
  if (s == nullptr) return;
  s->SendDestroy(turn);
  std::vector<StreamClosed> also;
  state_->Remove(turn, *s, CloseReason::kDestroyed, also);
  for (const StreamClosed& c : also) state_->Owe(turn, c);
}

void Streams::Consumed(Turn&, StreamId stream, size_t bytes) {
  if (Stream* s = state_->Find(stream)) s->Consumed(state_->shared, bytes), state_->Touch(*s);
}

void Streams::ChangeRemote(Turn& turn, StreamId stream, SocketId socket, const Endpoint& to, uint32_t remote_id, bool abandon_old) {
  Stream* s = state_->Find(stream);
  if (s == nullptr) return;
  if (!s->connected()) return Connect(turn, stream, socket, to, remote_id);
  if (s->ChangeRemote(turn, state_->shared, {socket, to, remote_id}, abandon_old)) state_->Owe(turn, RemoteChanged{stream});
  state_->Touch(*s);
}

void Streams::RelayTo(StreamId from, StreamId to) {
  Stream* s = state_->Find(from);
  if (s == nullptr || state_->Find(to) == nullptr) return;
  if (s->relay_to) state_->relays.erase({*s->relay_to, from});
  s->relay_to = to;
  state_->relays.insert({to, from});
}

void Streams::SetKeepAlive(Turn& turn, StreamId stream, Duration interval) {
  if (Stream* s = state_->Find(stream)) s->SetKeepAlive(turn, interval), state_->Touch(*s);
}

void Streams::SetPatient(StreamId stream) {
  if (Stream* s = state_->Find(stream)) s->SetPatient();
}

bool Streams::OnDatagram(Turn& turn, const Datagram& d, News& news) {
  State& st = *state_;
  std::optional<Header> h = ReadHeader(d.payload);
  if (!h.has_value()) return false;
  Stream* s = st.Find(StreamId{h->id});
  if (s == nullptr) return st.gone.OnPacket(turn, *h, st.shared.counters);
  if (!s->connected() || s->path().socket != d.socket || (s->any_socket() && s->path().to != d.from)) {
    if (s->any_socket()) {
      news.list.push_back(RemoteSeen{s->id(), d.socket, d.from});
    } else if (!s->OwnSocket(d.socket)) {
      st.shared.Reject(turn, st.shared.counters.wrong_socket, "wrong-socket");
      return true;
    }
  }
  if (s->relay_to) {
    st.Relay(turn, *s, *h, d, news);
    return true;
  }
  s->OnPacket(turn, st.shared, *h, d, news);
  st.Touch(*s);
  st.SettleClosed(turn, *s, news);
  return true;
}

void Streams::OnTime(Turn& turn, News& news) {
  State& st = *state_;
  if (st.owed_at <= turn.now) {
    for (const auto& what : st.owed) std::visit([&](const auto& w) { news.list.push_back(w); }, what);
    st.owed.clear(), st.owed_at = kNever;
  }
  while (std::optional<StreamId> id = st.deadlines.due(turn.now)) {
    Stream& s = *st.Find(*id);
    st.deadlines.Move(*id, s.indexed_at, kNever);
    s.indexed_at = kNever;
    s.OnTime(turn, st.shared, news);
    st.Touch(s);  // Flush puts its next deadline into the index.
    st.SettleClosed(turn, s, news);
  }
}

Instant Streams::next_deadline() const { return std::min(state_->deadlines.next(), state_->owed_at); }

void Streams::Flush(Turn& turn) {
  State& st = *state_;
  for (size_t i = 0; i < st.touched.size(); ++i) {
    Stream* s = st.Find(st.touched[i]);
    if (s == nullptr) continue;
    s->dirty = false;
    s->Flush(turn, st.shared);
    // An entry that is too early costs one idle call; moving it with each packet would cost more.
    if (s->deadline() < s->indexed_at) st.deadlines.Move(s->id(), s->indexed_at, s->deadline()), s->indexed_at = s->deadline();
  }
  st.touched.clear();
}

bool Streams::uses(SocketId socket) const { return state_->shared.users.contains(socket); }

StreamStats Streams::stats(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s == nullptr ? StreamStats{} : s->stats();
}

Instant Streams::heard_at(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s == nullptr ? Instant{} : s->heard_at();
}

Instant Streams::acked_at(StreamId stream) const {
  const Stream* s = state_->Find(stream);
  return s == nullptr ? Instant{} : s->acked_at();
}

size_t Streams::size() const { return state_->streams.size(); }
const StreamCounters& Streams::counters() const { return state_->shared.counters; }

}  // namespace orchard::udx
