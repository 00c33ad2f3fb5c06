#include "node/host/real_host.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "node/base/check.h"
#include "node/base/status_macros.h"

namespace orchard::host {
namespace {

// A suspend stops the clock that epoll waits by, but not ours: look again at least this often.
constexpr Duration kWaitMax = std::chrono::seconds(10);

}  // namespace

RealHost::RealHost(std::unique_ptr<Machine> machine, Rng rng, std::unique_ptr<RocksStore> store, Trace::Sink* sink)
    : store_(std::move(store)), runner_(std::move(machine), std::move(rng), store_.get(), nullptr, sink),
      epoll_(epoll_create1(EPOLL_CLOEXEC)), netlink_(InterfaceChanges()), streams_(epoll_.get()), interfaces_(Interfaces()) {
  CHECK(epoll_.ok());
  Watch(store_->sync_fd(), EPOLLIN, [this](uint32_t) { store_->ClearSyncEvent(), ReportSyncs(); });
  Watch(workers_.fd(), EPOLLIN, [this](uint32_t) {
    for (const Workers::Result& r : workers_.Take()) {
      if (jobs_.erase(uint32_t(r.job)) > 0) Feed(JobDone{r.job, r.status, AsBytes(r.bytes)});
    }
  });
  if (netlink_.ok()) Watch(netlink_.get(), EPOLLIN, [this](uint32_t) { OnInterfaces(); });
}

RealHost::~RealHost() = default;

absl::Status RealHost::Begin() {
  Tick();
  Feed(orchard::Start{interfaces_});
  return Flush();
}

void RealHost::Tick() { now_ = std::max(now_, BootNow()), unix_epoch_ = UnixEpoch(); }

void RealHost::Feed(const Input& input) {
  if (!failed_.ok() || stopped_) return;
  CatchUp();
  runner_.Feed(now_, unix_epoch_, input, *this, outbox_);
  ++counters_.turns;
}

absl::Status RealHost::RunOnce(Duration wait_max) {
  RETURN_IF_ERROR(failed_);
  Tick();
  Duration wait = std::min(wait_max, kWaitMax);
  if (runner_.next_deadline() != kNever) wait = std::min(wait, runner_.next_deadline() - now_);
  if (streams_.next_deadline() != kNever) wait = std::min(wait, streams_.next_deadline() - now_);
  if (h3_ != nullptr && h3_->busy()) wait = Duration{};
  if (h3_ != nullptr && h3_->next_deadline() != kNever) wait = std::min(wait, h3_->next_deadline() - now_);
  if (pump_ || !answers_.empty() || !inbox_.empty() || streams_.busy() || wait < Duration{}) wait = Duration{};
  timespec timeout{time_t(wait.count() / 1'000'000'000), long(wait.count() % 1'000'000'000)};
  epoll_event events[64];
  int n = epoll_pwait2(epoll_.get(), events, 64, &timeout, nullptr);
  Tick();
  CatchUp();
  if (runner_.next_deadline() <= now_) runner_.FeedDeadline(now_, unix_epoch_, *this, outbox_), ++counters_.turns;
  for (int i = 0; i < n; ++i) {
    if (events[i].data.fd < 0) {
      streams_.OnEvent(events[i].data.u64, events[i].events);
      continue;
    }
    auto it = handlers_.find(events[i].data.fd);
    if (it == handlers_.end()) continue;  // Unwatched by an earlier handler of this round.
    std::shared_ptr<Handler> handler = it->second;
    (*handler)(events[i].events);
  }
  Deliver();
  streams_.Work(now_, [this](const Input& news) { Feed(news); });
  if (h3_ != nullptr && (std::exchange(h3_ready_, false) || h3_->busy() || h3_->next_deadline() <= now_)) h3_->Work(now_, [this](const Input& news) { Feed(news); });
  RETURN_IF_ERROR(Flush());
  pump_ = door_ != nullptr && door_->Pump();
  return Flush();
}

absl::Status RealHost::Flush() {
  // A sync or a socket that opens causes turns, whose outputs leave with the rest.
  for (;;) {
    for (; !answers_.empty(); answers_.pop_front()) Feed(answers_.front());
    RETURN_IF_ERROR(Commit());
    for (Socket& s : closing_) {
      if (s.udp != nullptr) s.udp->Flush(counters_.udp);
    }
    closing_.clear();
    streams_.Flush(now_);
    if (h3_ != nullptr) h3_->Flush(now_);
    RunJobs();
    for (const Tell& t : std::exchange(to_tell_, {})) {
      if (door_ == nullptr) continue;
      if (t.what == Do::kOpBytes) door_->OnOpBytes(t.op, AsBytes(t.bytes));
      else if (t.what == Do::kOpAccept) door_->OnOpAccept(t.op, t.credit);
      else door_->OnOpEvent(t.op, AsBytes(t.bytes), t.what == Do::kOpFinal);
    }
    if (saw_stopped_) stopped_ = true;
    if (answers_.empty()) return failed_;
  }
}

void RealHost::RunJobs() {
  for (Job& j : to_run_) {
    if (!CageWorkers::Takes(j.kind)) {
      if (jobs_.contains(uint32_t(j.id))) workers_.Submit(j.id, j.kind, std::move(j.args));
      continue;
    }
    if (cages_ == nullptr) {
      cages_ = std::make_unique<CageWorkers>(cage_options_);
      Watch(cages_->fd(), EPOLLIN, [this](uint32_t) {
        for (const CageWorkers::Result& r : cages_->Take()) {
          if (jobs_.erase(uint32_t(r.job)) > 0) Feed(JobDone{r.job, r.status, AsBytes(r.bytes)});
        }
      });
    }
    // What was cancelled in the same turn is asked for all the same: a cage that was to be stopped shall stop.
    cages_->Submit(j.id, j.kind, j.args);
  }
  to_run_.clear();
  if (cages_ != nullptr) cages_->Flush();
}

absl::Status RealHost::Commit() {
  if (failed_.ok()) failed_ = store_->Flush();
  RETURN_IF_ERROR(failed_);
  if (counters_.syncs > syncs_requested_) store_->RequestSync(syncs_requested_ = counters_.syncs);
  for (uint32_t id : std::exchange(to_flush_, {})) {
    if (auto it = sockets_.find(id); it != sockets_.end()) it->second.queued = false, FlushSocket(it->second);
  }
  return failed_;
}

// ---- Outputs ----

void RealHost::Perform(const Output& o, Bytes b) {
  switch (o.what) {
    case Do::kOpenSocket: return OpenSocket(SocketId{o.id}, o.peer, false);
    case Do::kOpenSharedSocket: return OpenSocket(SocketId{o.id}, o.peer, true);
    case Do::kJoinGroup: {
      Endpoint interface;
      CHECK_EQ(b.size(), interface.ip.size());
      std::copy(b.begin(), b.end(), interface.ip.begin());
      return JoinGroup(SocketId{o.id}, o.peer, interface);
    }
    case Do::kListen:
    case Do::kListenSecure: return Listen(SocketId{o.id}, o.peer, o.what == Do::kListenSecure);
    case Do::kCloseSocket: return CloseSocket(SocketId{o.id});
    case Do::kConnect: return streams_.Connect(StreamId{o.id}, o.peer);
    case Do::kWrite: return CountDead(IsH3(o.id) ? h3_->Write(StreamId{o.id}, b) : streams_.Write(StreamId{o.id}, b));
    case Do::kAccept: return CountDead(IsH3(o.id) ? h3_->Accept(StreamId{o.id}, o.credit) : streams_.Accept(StreamId{o.id}, o.credit));
    case Do::kEnd: return CountDead(IsH3(o.id) ? h3_->End(StreamId{o.id}) : streams_.End(StreamId{o.id}));
    case Do::kClose: return CountDead(IsH3(o.id) ? h3_->Close(StreamId{o.id}) : streams_.Close(StreamId{o.id}));
    case Do::kSend: {
      auto it = sockets_.find(o.id);
      if (it == sockets_.end()) { ++counters_.dead_ids; return; }
      it->second.udp->Queue(o.peer, b, o.ttl, counters_.udp);
      if (!it->second.queued) it->second.queued = true, to_flush_.push_back(o.id);
      return;
    }
    case Do::kOpEvent:
    case Do::kOpBytes:
    case Do::kOpAccept:
    case Do::kOpFinal:
      if (!ops_.contains(o.id)) { ++counters_.dead_ids; return; }
      if (o.what == Do::kOpFinal) ops_.erase(o.id);
      to_tell_.push_back({o.what, OpId{o.id}, std::string(AsText(b)), o.credit});
      return;
    case Do::kRunJob:
      jobs_.insert(o.id), ++counters_.jobs;
      to_run_.push_back({JobId{o.id}, o.kind, std::string(AsText(b))});
      return;
    case Do::kCancelJob:
      if (jobs_.erase(o.id) == 0) ++counters_.dead_ids;
      return;
    case Do::kStopped: saw_stopped_ = true; return;
  }
}

void RealHost::StartSync() { ++counters_.syncs; }

void RealHost::ReportSyncs() {
  if (hold_syncs_) return;
  auto done = store_->synced();
  if (!done.ok()) {
    failed_ = done.status();
    return;
  }
  for (; syncs_reported_ < *done; ++syncs_reported_) runner_.Synced(*this);
}

void RealHost::HoldSyncs(bool hold) {
  hold_syncs_ = hold;
  ReportSyncs();
}

void RealHost::OpenSocket(SocketId id, const Endpoint& local, bool shared) {
  auto udp = UdpSocket::Open(local, shared);
  if (!udp.ok() || sockets_.contains(uint32_t(id))) {
    answers_.push_back(SocketOpened{id, local, udp.ok() ? absl::StatusCode::kAlreadyExists : udp.status().code()});
    return;
  }
  answers_.push_back(SocketOpened{id, (*udp)->local(), absl::StatusCode::kOk});
  Watch((*udp)->fd(), EPOLLIN, [this, id](uint32_t events) { OnSocket(id, events); });
  sockets_[uint32_t(id)].udp = *std::move(udp);
}

void RealHost::JoinGroup(SocketId id, const Endpoint& group, const Endpoint& interface) {
  auto it = sockets_.find(uint32_t(id));
  if (it == sockets_.end()) return CountDead(false);
  answers_.push_back(GroupJoined{id, group, interface, it->second.udp->Join(group, interface).code()});
}

void RealHost::Listen(SocketId id, const Endpoint& local, bool secure) {
  if (secure && tls_ == nullptr) return answers_.push_back(SocketOpened{id, local, absl::StatusCode::kFailedPrecondition});
  auto bound = streams_.Listen(id, local, secure ? tls_.get() : nullptr);
  if (bound.ok() && secure && h3_files_.has_value() && h3_ == nullptr) {
    auto door = H3Door::Open(id, *bound, *h3_files_);
    if (!door.ok()) {
      streams_.CloseListener(id);
      return answers_.push_back(SocketOpened{id, local, door.status().code()});
    }
    h3_ = *std::move(door);
    Watch(h3_->fd(), EPOLLIN, [this](uint32_t) { h3_ready_ = true; });
  }
  answers_.push_back(SocketOpened{id, bound.value_or(local), bound.status().code()});
}

void RealHost::CloseSocket(SocketId id) {
  if (h3_ != nullptr && h3_->listener() == id) h3_->Finish();
  auto it = sockets_.find(uint32_t(id));
  if (it == sockets_.end()) return CountDead(streams_.CloseListener(id));
  Unwatch(it->second.udp->fd());
  closing_.push_back(std::move(it->second));
  sockets_.erase(it);
}

void RealHost::OnSocket(SocketId id, uint32_t events) {
  if (auto s = sockets_.find(uint32_t(id)); s != sockets_.end() && (events & EPOLLOUT) != 0) FlushSocket(s->second);
  if ((events & (EPOLLIN | EPOLLERR)) == 0) return;
  if (auto s = sockets_.find(uint32_t(id)); s != sockets_.end()) inbox_.Fill(id, *s->second.udp, counters_.udp);
}

void RealHost::Deliver() {
  for (size_t n = 0; n < kDatagramsMax && !inbox_.empty();) {
    n += inbox_.Next(counters_.udp, [this](SocketId id, const Endpoint& from, Bytes payload) {
      if (sockets_.contains(uint32_t(id))) Feed(Datagram{id, from, payload});  // Else closed by a turn before.
    });
  }
}

// Stopped for twelve seconds, all timers of twelve seconds are due at once, and what would have reset them lies in the sockets.
void RealHost::CatchUp() {
  if (catching_up_ || runner_.next_deadline() == kNever || now_ - runner_.next_deadline() < kMissed) return;
  catching_up_ = true;
  for (size_t n = 0; n < kMissedMax;) {
    for (auto& [id, s] : sockets_) inbox_.Fill(SocketId{id}, *s.udp, counters_.udp);
    if (inbox_.empty()) break;
    while (!inbox_.empty()) {
      n += inbox_.Next(counters_.udp, [this](SocketId id, const Endpoint& from, Bytes payload) {
        if (!sockets_.contains(uint32_t(id))) return;
        runner_.FeedMissed(now_, unix_epoch_, Datagram{id, from, payload}, *this, outbox_), ++counters_.turns;
      });
    }
    if (!Commit().ok()) break;  // A send queue takes the answers to an inbox, not to all that waits.
  }
  catching_up_ = false;
}

void RealHost::FlushSocket(Socket& s) {
  bool all = s.udp->Flush(counters_.udp);
  if (s.waits_for_room == !all) return;
  s.waits_for_room = !all;
  Rewatch(s.udp->fd(), EPOLLIN | (all ? 0u : uint32_t(EPOLLOUT)));
}

void RealHost::OnInterfaces() {
  char scratch[8192];
  while (read(netlink_.get(), scratch, sizeof scratch) > 0) {
  }
  std::vector<Interface> now = Interfaces();
  auto same = [](const Interface& a, const Interface& b) { return a.address == b.address && a.prefix_bits == b.prefix_bits && a.loopback == b.loopback; };
  if (std::equal(now.begin(), now.end(), interfaces_.begin(), interfaces_.end(), same)) return;
  interfaces_ = std::move(now);
  Feed(InterfacesChanged{interfaces_});
}

// ---- Doors ----

void RealHost::Watch(int fd, uint32_t epoll_events, Handler handler) {
  epoll_event e{.events = epoll_events, .data = {.fd = fd}};
  CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e), 0);
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
}

void RealHost::Rewatch(int fd, uint32_t epoll_events) {
  epoll_event e{.events = epoll_events, .data = {.fd = fd}};
  CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &e), 0);
}

void RealHost::Unwatch(int fd) {
  if (handlers_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void RealHost::CallAs(OpId op, std::string_view name, Bytes params) {
  ops_.insert(uint32_t(op));
  Tick();
  Feed(OpCall{op, name, params});
}

void RealHost::Credit(OpId op, uint32_t events) {
  if (ops_.contains(uint32_t(op))) Tick(), Feed(OpCredit{op, events});
}

void RealHost::Data(OpId op, Bytes bytes, bool end) {
  if (ops_.contains(uint32_t(op))) Tick(), Feed(OpData{op, bytes, end});
}

void RealHost::Cancel(OpId op) {
  if (ops_.erase(uint32_t(op)) > 0) Tick(), Feed(OpCancelled{op});
}

void RealHost::Stop() {
  Tick();
  Feed(orchard::Stop{});
}

}  // namespace orchard::host
