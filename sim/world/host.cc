#include "sim/world/host.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "sim/world/full_stack.h"
#include "sim/world/pcap.h"
#include "sim/world/tcp_stack.h"

namespace orchard::sim {
namespace {

constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
constexpr int64_t kMillion = 1'000'000;
constexpr uint64_t kDiskBytes = uint64_t{1} << 40;

// A stateful firewall forgets as Linux's connection tracking does.
const NatSpec& FirewallSpec() {
  static const auto* spec = [] {
    auto* s = new NatSpec;
    s->preset = "firewall", s->ports = PortChoice::kPreserve, s->filtering = Dependence::kAddressAndPortDependent;
    return s;
  }();
  return *spec;
}
const NatSpec& TcpFirewallSpec() {
  static const auto* spec = new NatSpec(NatTable::TcpSpec(FirewallSpec()));
  return *spec;
}

}  // namespace

Host::Host(HostEnv* env, HostIndex index, Trace::Sink* sink)
    : env_(env), index_(index), sink_(sink), armed_at_(kFar), luck_(KeyOf(env->core->seed, env->plan->hosts[index].id, "host")) {
  if (plan().firewall == Firewall::kStateful) {
    firewall_ = std::make_unique<NatTable>(&FirewallSpec(), std::vector<uint32_t>{1}, 0);
    tcp_firewall_ = std::make_unique<NatTable>(&TcpFirewallSpec(), std::vector<uint32_t>{1}, 0);
  }
}
Host::~Host() = default;

void Host::set_pcap(std::unique_ptr<Pcap> pcap) { pcap_ = std::move(pcap); }

// ---- Time ----

Instant Host::Clock() const {
  const int64_t passed = env_->core->now() - clock_world_;
  return Instant(Duration(clock_host_ + passed + int64_t(static_cast<__int128>(passed) * drift_ppm_ / kMillion)));
}

int64_t Host::WorldTime(Instant host) const {
  // At least 1: a deadline of now or before is due.
  const __int128 ahead = ToNanos(host) - clock_host_;
  if (ahead <= 0) return clock_world_;
  if (drift_ppm_ == 0) return clock_world_ + int64_t(ahead);
  // Division rounds down; a clock that truncates shows `host` at most two ticks later.
  auto passed = int64_t(ahead * kMillion / (kMillion + drift_ppm_));
  while (passed + int64_t(static_cast<__int128>(passed) * drift_ppm_ / kMillion) < ahead) ++passed;
  return clock_world_ + passed;
}

void Host::SetClock(Duration offset, int64_t drift_ppm) {
  CHECK(drift_ppm > -kMillion);
  clock_host_ = ToNanos(Clock());
  clock_world_ = env_->core->now();
  drift_ppm_ = drift_ppm, wall_offset_ = offset;
  armed_at_ = kFar;  // The pending event was reckoned at the old rate.
  Arm();
}

// ---- Turns ----

template <class F>
void Host::Run(F turn) {
  CHECK(!env_->core->busy);
  env_->core->busy = true;
  env_->current = index_;
  std::construct_at(&env_->digest);  // Anew, in place: assigning would copy 576 bytes.
  turn();
  const XXH128_hash_t link[2] = {env_->history[index_], env_->digest.value()};
  env_->history[index_] = XXH3_128bits(link, sizeof link);
  env_->core->busy = false;
}

void Host::Feed(const Input& input) {
  Run([&] { runner_->Feed(Clock(), epoch(), input, *this, env_->core->outbox); });
  Settle();
}

// What a turn has caused: it may have died of it, its new sockets and streams want to hear, and its next deadline needs an event.
void Host::Settle() {
  auto feed = [&](const Input& input) { Run([&] { runner_->Feed(Clock(), epoch(), input, *this, env_->core->outbox); }); };
  while (up()) {
    if (disk_ == World::Disk::kFailing && store_.turns() != commits_seen_) return Die(false, true);
    commits_seen_ = store_.turns();
    if (store_.unsynced_turns() > kDirtyTurnsMax) store_.Synced(store_.turns() - kDirtyTurnsMax / 2);
    if (stopped_) return Die(true, true);
    if (!opened_.empty()) {
      const SocketOpened next = opened_.front();
      opened_.erase(opened_.begin());
      feed(next);
    } else if (!joined_.empty()) {
      const GroupJoined next = joined_.front();
      joined_.erase(joined_.begin());
      feed(next);
    } else if (auto next = tcp_ != nullptr ? tcp_->Take() : std::nullopt; next) {
      feed(*next);
    } else {
      break;
    }
  }
  Arm();
}

// Keeps one event pending, no later than the deadline. A deadline that moves away leaves its event where it is: that looks
// again when it comes.
void Host::Arm() {
  if (!runner_ || runner_->next_deadline() == kNever) return;
  const int64_t when = std::max(env_->core->now(), WorldTime(runner_->next_deadline()));
  if (when >= armed_at_) return;
  armed_at_ = when;
  env_->core->After(when - env_->core->now(), Alarm{this, when, incarnation_});
}

void Host::Ring(int64_t when, uint32_t life) {
  if (armed_at_ != when || life != incarnation_ || !runner_) return;
  armed_at_ = kFar;
  if (runner_->next_deadline() > Clock()) return Arm();
  Run([&] { runner_->FeedDeadline(Clock(), epoch(), *this, env_->core->outbox); });
  Settle();
}

void Host::Touch(int step) const {
  if (step == 0) return Fetch(this, sizeof *this);
  Fetch(&env_->history[index_], sizeof(XXH128_hash_t));
  // A machine's first lines are its dispatch and, as a rule, its deadlines.
  if (runner_) Fetch(&runner_->machine(), 256);
}

void Host::TouchPort(int step) const {
  if (step == 1 && !ports_.empty()) ports_[0]->Touch(0);
}

// ---- Lives ----

void Host::Start(World::Keep keep) {
  if (up()) return;
  if (keep == World::Keep::kLost) store_.Wipe();
  if (keep == World::Keep::kTorn) store_.PowerLoss(size_t(luck_.Below(store_.unsynced_turns() + 1)));
  commits_seen_ = store_.turns();
  ++incarnation_;
  armed_at_ = kFar, stopped_ = false, refuses_ = false, last_sync_done_ = 0;
  const Stack stack = env_->plan->stack.value_or(plan().stack);
  if (stack == Stack::kFull && full_ == nullptr) full_ = std::make_unique<FullStack>(this, Ip());
  runner_.emplace(env_->factory(plan(), incarnation_),
                  Rng::Named(env_->core->seed, plan().id, absl::StrCat("life-", incarnation_)), &store_, &env_->digest, sink_);
  if (env_->core->observer != nullptr) env_->core->observer->OnHostUp(index_);
  const std::vector<Interface> interfaces = Interfaces();
  Feed(orchard::Start{interfaces});
}

void Host::Die(bool graceful, bool computer_lives) {
  if (!up()) return;
  for (const Socket& s : sockets_) {
    if (full_ != nullptr) full_->Close(s.id);
  }
  runner_.reset();
  refuses_ = computer_lives;
  if (tcp_ != nullptr) tcp_->Die(computer_lives);
  sockets_.clear(), opened_.clear(), joined_.clear(), ops_.clear(), jobs_.clear();
  groups_.reset();
  if (firewall_ != nullptr) firewall_->Flush();
  if (tcp_firewall_ != nullptr && !computer_lives) tcp_firewall_->Flush();
  if (env_->core->observer != nullptr) env_->core->observer->OnHostDown(index_, graceful);
}

void Host::Kill() { Die(false, false); }
void Host::Crash() { Die(false, true); }

void Host::Stop() {
  if (!up()) return;
  env_->core->After(kStopMax.count(), [this, life = incarnation_] {
    if (life == incarnation_) Die(false, true);
  });
  Feed(orchard::Stop{});
}

bool Host::Call(OpId op, std::string_view name, std::string_view params, uint32_t credit) {
  if (!up()) return false;
  ops_.push_back(uint32_t(op));
  const uint32_t life = incarnation_;
  Feed(OpCall{op, name, AsBytes(params)});
  if (credit > 0 && life == incarnation_) Grant(op, credit);
  return true;
}

bool Host::Grant(OpId op, uint32_t events) {
  if (!up() || std::find(ops_.begin(), ops_.end(), uint32_t(op)) == ops_.end()) return false;
  Feed(OpCredit{op, events});
  return true;
}

bool Host::Cancel(OpId op) {
  if (!up() || std::erase(ops_, uint32_t(op)) == 0) return false;
  Feed(OpCancelled{op});
  return true;
}

// ---- Interfaces ----

std::vector<Interface> Host::Interfaces() const {
  std::vector<Interface> out;
  for (const Port* p : ports_) {
    if (!p->up()) continue;
    const uint8_t bits = p->segment()->space.bits();
    out.push_back({Endpoint::V4(p->address, 0), uint8_t(bits == 0 ? 24 : bits), false});
  }
  return out;
}

void Host::InterfacesChange() {
  if (ip_ != nullptr) ip_->UpdateAddresses();
  if (!up()) return;
  // Told in a moment: a fault may change several at once, and whoever causes one may be in the middle of a turn.
  if (std::exchange(changed_, true)) return;
  env_->core->After(0, [this, life = incarnation_] {
    changed_ = false;
    if (life != incarnation_ || !up()) return;
    const std::vector<Interface> interfaces = Interfaces();
    Feed(InterfacesChanged{interfaces});
  });
}

bool Host::IsMine(uint32_t address) const {
  if (address >> 24 == 127) return true;
  for (const Port* p : ports_) {
    if (p->address == address) return true;
  }
  return false;
}

Port* Host::default_port() const {
  for (Port* p : ports_) {
    if (p->up() && (p->segment()->wide() || p->segment()->gateway() != nullptr)) return p;
  }
  return nullptr;
}

Port* Host::Route(uint32_t to, uint32_t from) const {
  Port* first = nullptr;
  for (Port* p : ports_) {
    if (!p->up() || (from != 0 && p->address != from)) continue;
    if (p->segment()->space.Contains(to)) return p;  // Its own subnet.
    if (first == nullptr && (p->segment()->wide() || p->segment()->gateway() != nullptr || to >> 28 == 0xe)) first = p;
  }
  return first;
}

// ---- What a turn wants ----

void Host::Perform(const Output& o, Bytes bytes) {
  auto dead = [&](bool known) { dead_ids_ += known ? 0 : 1; };
  auto alive = [&] { return std::find(ops_.begin(), ops_.end(), o.id) != ops_.end(); };
  switch (o.what) {
    case Do::kOpenSocket:
    case Do::kOpenSharedSocket: return OpenSocket(o);
    case Do::kCloseSocket: return dead(CloseSocket(o.id));
    case Do::kJoinGroup: return dead(JoinGroup(o, bytes));
    case Do::kListen:
    case Do::kListenSecure: return Listen(o);
    case Do::kConnect: return Tcp().Connect(o.id, o.peer);
    case Do::kWrite: return dead(tcp_ != nullptr && tcp_->Write(o.id, bytes));
    case Do::kAccept: return dead(tcp_ != nullptr && tcp_->Accept(o.id, o.credit));
    case Do::kEnd: return dead(tcp_ != nullptr && tcp_->End(o.id));
    case Do::kClose: return dead(tcp_ != nullptr && tcp_->Close(o.id));
    case Do::kSend: return Send(o, bytes);
    case Do::kOpEvent:
    case Do::kOpFinal:
      if (!alive()) return dead(false);
      if (o.what == Do::kOpFinal) std::erase(ops_, o.id);
      if (env_->core->observer != nullptr) {
        env_->core->observer->OnOpEvent(index_, OpId{o.id}, AsText(bytes), o.what == Do::kOpFinal);
      }
      return;
    case Do::kOpBytes:
    case Do::kOpAccept: return dead(alive());  // A scenario's operations carry no binary data.
    case Do::kRunJob: return RunJob(o, bytes);
    case Do::kCancelJob: return dead(std::erase(jobs_, o.id) > 0);
    case Do::kStopped: stopped_ = true; return;
  }
}

void Host::StartSync() {
  const int64_t now = env_->core->now();
  const Duration delay = disk_ == World::Disk::kSlow ? disk_delay_ : env_->plan->sync_delay;
  last_sync_done_ = std::max(last_sync_done_, now + delay.count());
  env_->core->After(last_sync_done_ - now, [this, life = incarnation_, turns = store_.turns()] {
    if (life != incarnation_ || !up()) return;
    store_.Synced(turns);
    env_->core->busy = true;
    runner_->Synced(*this);
    env_->core->busy = false;
    Settle();
  });
}

void Host::SetDisk(World::Disk state, Duration delay) {
  disk_ = state, disk_delay_ = delay;
  store_.set_capacity_bytes(state == World::Disk::kFull ? store_.used_bytes() : kDiskBytes);
}

void Host::RunJob(const Output& o, Bytes args) {
  jobs_.push_back(o.id);
  if (o.kind != JobKind::kResolve && env_->jobs != nullptr) return env_->jobs->Run(index_, incarnation_, JobId{o.id}, o.kind, args);
  env_->core->After(env_->plan->resolve_delay.count(),
                    [this, life = incarnation_, id = o.id, resolve = o.kind == JobKind::kResolve, name = std::string(AsText(args))] {
    if (!resolve) return FinishJob(life, JobId{id}, absl::StatusCode::kFailedPrecondition, {});
    std::optional<uint32_t> address = env_->resolve(name);
    uint8_t result[4];
    Write32(result, address.value_or(0));
    FinishJob(life, JobId{id}, address ? absl::StatusCode::kOk : absl::StatusCode::kNotFound, address ? Bytes(result, 4) : Bytes());
  });
}

void Host::FinishJob(uint32_t life, JobId job, absl::StatusCode status, Bytes result) {
  if (life != incarnation_ || !up() || std::erase(jobs_, uint32_t(job)) == 0) return;
  Feed(JobDone{job, status, result});
}

}  // namespace orchard::sim
