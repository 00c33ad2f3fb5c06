#include "sim/netns/kernel_lab.h"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "node/base/check.h"
#include "node/base/fixed_point.h"
#include "node/base/status_macros.h"
#include "node/sidecar/config.h"
#include "sim/language/identity.h"
#include "sim/language/text.h"
#include "sim/run/timeline_values.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = "orchard-netns-";
// A daemon says goodbye within five seconds (node/host/daemon.h).
constexpr Duration kStopMax = std::chrono::seconds(7);
constexpr Duration kConnectEvery = std::chrono::milliseconds(10);

// What runs left behind whose process died: namespaces the kernel has taken down itself.
void RemoveLeftovers() {
  std::error_code ignored;
  for (const fs::directory_entry& e : fs::directory_iterator(fs::temp_directory_path(), ignored)) {
    const std::string name = e.path().filename().string();
    pid_t pid = 0;
    if (!name.starts_with(kFolder) || std::from_chars(name.data() + kFolder.size(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    if (kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(e.path(), ignored);
  }
}

bool IsHex32(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// When the process says that it happened; 0 if it does not, and OnEvent will complain.
Instant EventTime(const std::string& line) {
  constexpr std::string_view kAt = "{\"at\":";
  int64_t at = 0;
  if (line.starts_with(kAt)) std::from_chars(line.data() + kAt.size(), line.data() + line.size(), at);
  return Instant(Duration(at));
}

std::string FromHex(std::string_view hex) {
  std::string out;
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out += char(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return out;
}

}  // namespace

KernelLab::KernelLab(const Plan& plan, Observer* observer, Programs programs)
    : plan_(plan), observer_(observer), programs_(std::move(programs)), lives_(plan.world.hosts.size()) {}

absl::StatusOr<std::unique_ptr<KernelLab>> KernelLab::Make(const Plan& plan, Observer* observer, const Programs& programs) {
  std::unique_ptr<KernelLab> lab(new KernelLab(plan, observer, programs));
  RETURN_IF_ERROR(lab->Begin());
  return lab;
}

absl::Status KernelLab::Begin() {
  RemoveLeftovers();
  timespec monotonic{};
  clock_gettime(CLOCK_MONOTONIC, &monotonic);  // Does not count suspends.
  js_clock_ = host::BootNow() - Instant(std::chrono::seconds(monotonic.tv_sec) + Duration(monotonic.tv_nsec));
  dir_ = (fs::temp_directory_path() / Cat(kFolder, getpid())).string();
  std::error_code error;
  fs::remove_all(dir_, error);  // Of a dead process that had our number.
  fs::create_directories(dir_, error);
  if (error) return absl::InternalError(Cat("cannot make the directory ", dir_, ": ", error.message()));
  fs::permissions(dir_, fs::perms::owner_all, error);
  ASSIGN_OR_RETURN(net_, KernelNet::Build(plan_.world));
  for (HostIndex h = 0; h < size(); ++h) {
    const HostPlan& host = plan_.world.hosts[h];
    sidecar::Config config;
    std::vector<sidecar::ConfigError> errors;
    sidecar::MergeConfig(host.config_json, config, errors);
    CHECK(errors.empty());  // The loader has refused it otherwise.
    if (config.dht.bootstrap) roots_ += Cat(roots_.empty() ? "" : ",", public_address(h).with_port(config.dht.port).ToString());
    configs_.push_back(config.seed_hex.empty() ? Cat("seed=", HostSeedHex(plan_.world.seed, host.id)) : "");
    if (!config.dht.nodes) configs_.back() += "\n";  // The roots, once all are known.
  }
  for (std::string& c : configs_) {
    if (c.ends_with('\n')) c += Cat("dht.nodes=", roots_);
  }
  if (!net_->delays()) notes_.push_back("this machine has no /dev/net/tun: latency, jitter, reordering, duplicates and corruption are left out");
  for (const BoxWire& box : net_->wiring().boxes) {
    bool delayed = false;
    for (const WireLink& l : net_->wiring().links) {
      const PortWire& p = net_->wiring().ports[l.port];
      delayed = delayed || (p.inside != kNoPlace && net_->wiring().boxes[p.inside].name == box.name && p.cable != kNoPlace && l.spec.delay.count() > 0);
    }
    if (delayed && box.name.find('@') != std::string::npos) notes_.push_back(Cat("links behind ", box.name, " have their rates and losses, but no delay"));
    if (box.members.size() > 1 && box.spec.ports == PortChoice::kPreserve) {
      notes_.push_back(Cat("behind ", box.name, " only ", net_->wiring().ports[box.members[0]].name, " keeps its ports; each of the others is given ports of its own"));
    }
    remap_luck_.push_back(Rng::Named(plan_.world.seed, box.name, "remap"));
    if (box.spec.remap_every.count() > 0) ScheduleRemap(remap_luck_.size() - 1);
  }
  return absl::OkStatus();
}

KernelLab::~KernelLab() {
  for (Life& l : lives_) l.process.reset();
  net_.reset();
  std::error_code ignored;
  if (!dir_.empty()) fs::remove_all(dir_, ignored);
}

std::string KernelLab::Folder(HostIndex h) const { return Cat(dir_, "/", h); }

void KernelLab::Complain(std::string text) {
  if (complaints_.size() < 20) complaints_.push_back(std::move(text));
}

std::vector<std::string> KernelLab::complaints() const {
  std::vector<std::string> out = complaints_;
  out.insert(out.end(), net_->failures().begin(), net_->failures().end());
  return out;
}

// ---- Time ----

void KernelLab::At(Instant when, std::function<void()> act) { acts_.emplace(std::pair(std::max(when, now_), next_act_++), std::move(act)); }

void KernelLab::Tick(Instant end) { now_ = std::clamp(Instant(host::BootNow() - began_), now_, std::max(now_, end)); }

void KernelLab::RunUntil(Instant end) {
  if (began_ == Instant{}) began_ = host::BootNow() - now_.time_since_epoch();
  while (true) {
    Tick(end);
    while (!acts_.empty() && acts_.begin()->first.first <= now_) {
      auto act = acts_.extract(acts_.begin());
      act.mapped()();
      Tick(end);
    }
    if (now_ >= end) return;
    Wait(acts_.empty() ? end : std::min(end, acts_.begin()->first.first));
  }
}

// Until then, or until somebody says something.
void KernelLab::Wait(Instant until) {
  std::vector<pollfd> fds;
  for (const Life& l : lives_) {
    if (l.process == nullptr) continue;
    l.process->AddPolls(fds);
    if (l.process->connecting()) until = std::min(until, now_ + kConnectEvery);
    until = std::min(until, l.stop_by);
  }
  const int64_t wait = told_.empty() ? std::max<int64_t>((until - Instant(host::BootNow() - began_)).count(), 0) : 0;
  const timespec timeout{time_t(wait / 1'000'000'000), long(wait % 1'000'000'000)};
  ppoll(fds.data(), fds.size(), &timeout, nullptr);
  Tick(until);
  const Instant began = host::BootNow();
  for (HostIndex h = 0; h < lives_.size(); ++h) {
    if (lives_[h].process != nullptr) Listen(h);
  }
  TellOn(began);
}

void KernelLab::TellOn(Instant before) {
  told_.Take(before, [this](Told&& t) { t.answer ? OnAnswer(t.host, t.line) : OnEvent(t.host, t.line); });
}

void KernelLab::Listen(HostIndex h) {
  Life& l = lives_[h];
  std::vector<std::string> answers, events;
  const bool ended = l.process->Move(answers, events);
  const Duration ahead = plan_.world.hosts[h].runs_js ? js_clock_ : Duration{};
  for (std::string& line : events) {
    const Instant at = EventTime(line) + ahead;
    told_.Add(at, {h, false, std::move(line)});
  }
  const Instant read = host::BootNow();
  for (std::string& line : answers) told_.Add(read, {h, true, std::move(line)});
  if (ended) {
    TellOn(kNever);
    if (!l.stopping) {
      Complain(Cat("the node of ", plan_.world.hosts[h].id, " ended by itself at ", TimeText(now_.time_since_epoch()), ": ", l.process->end()));
      if (std::string words = l.process->LastWords(); !words.empty()) Complain(words);
    }
    return Down(h, l.stopping);
  }
  if (now_ >= l.stop_by) l.process->Kill(), Down(h, false);
}

void KernelLab::OnEvent(HostIndex h, const std::string& line) {
  JsonError broken;
  std::optional<Json> j = ParseJson(line, 0, broken);
  const Json* name = j ? j->Find("event") : nullptr;
  if (name == nullptr || !name->is_text()) return Complain(Cat("the node of ", plan_.world.hosts[h].id, " wrote an event that is none: ", Shortened(line, 200)));
  ++events_;
  std::vector<TraceField> fields;
  std::vector<std::string> bytes;
  bytes.reserve(j->keys.size());  // Fields point into it.
  for (size_t i = 0; i < j->keys.size(); ++i) {
    const std::string& key = j->keys[i].text;
    const Json& value = j->items[i];
    if (key == "at" || key == "event") continue;
    // Ids are 32 bytes in hexadecimal digits, other bytes text (node/host/log.cc).
    if (value.is_text()) {
      bytes.push_back(IsHex32(value.text) ? FromHex(value.text) : value.text);
      fields.push_back({.name = key.c_str(), .bytes = AsBytes(bytes.back())});
    } else {
      uint64_t n = 0;
      std::from_chars(value.text.data(), value.text.data() + value.text.size(), n);
      fields.push_back({.name = key.c_str(), .number = n});
    }
  }
  if (observer_ != nullptr) observer_->OnTrace(h, name->text, fields);
}

void KernelLab::OnAnswer(HostIndex h, const std::string& line) {
  JsonError broken;
  std::optional<Json> j = ParseJson(line, 0, broken);
  const Json *id = j ? j->Find("id") : nullptr, *tag = j ? j->Find("tag") : nullptr;
  const std::optional<int64_t> op = id == nullptr ? std::nullopt : id->Integer();
  if (!op || tag == nullptr) return Complain(Cat("the node of ", plan_.world.hosts[h].id, " answered: ", Shortened(line, 200)));
  if (observer_ != nullptr) observer_->OnOpEvent(h, OpId{uint32_t(*op)}, line, tag->text == "final" || tag->text == "error");
}

// ---- Lives ----

PeerProcess::Command KernelLab::CommandOf(HostIndex h) {
  const HostPlan& host = plan_.world.hosts[h];
  const std::string folder = Folder(h), config = Cat(folder, "/node.json");
  std::ofstream(config) << host.config_json;
  PeerProcess::Command c{.words = {}, .socket = Cat(folder, "/s"), .log = Cat(folder, "/log")};
  c.words = host.runs_js ? std::vector<std::string>{programs_.node, programs_.js_peer} : std::vector<std::string>{programs_.daemon, "node"};
  for (const std::string& w : {std::string("--config"), config, std::string("--data"), Cat(folder, "/data"), std::string("--trace"), std::string("/dev/fd/3"),
                               std::string("--set"), Cat("ipc_socket=", c.socket)}) {
    c.words.push_back(w);
  }
  for (size_t from = 0; from < configs_[h].size();) {
    const size_t end = std::min(configs_[h].find('\n', from), configs_[h].size());
    if (end > from) c.words.push_back("--set"), c.words.push_back(configs_[h].substr(from, end - from));
    from = end + 1;
  }
  return c;
}

void KernelLab::StartHost(HostIndex h, World::Keep keep) {
  Life& l = lives_[h];
  if (l.up) return;
  const HostPlan& host = plan_.world.hosts[h];
  ++l.incarnation, l.stopping = false, l.stop_by = kNever;
  if (host.runs_node) {
    std::error_code ignored;
    if (keep != World::Keep::kKept) fs::remove_all(Cat(Folder(h), "/data"), ignored);
    fs::create_directories(Folder(h), ignored);
    fs::remove(Cat(Folder(h), "/s"), ignored);  // A killed one's: nobody listens there any more.
    auto process = PeerProcess::Start(net_->space(h), CommandOf(h));
    if (!process.ok()) return Complain(Cat("the node of ", host.id, " did not start: ", std::string(process.status().message())));
    l.process = *std::move(process);
  }
  l.up = true;
  if (observer_ != nullptr) observer_->OnHostUp(h);
}

void KernelLab::Down(HostIndex h, bool graceful) {
  TellOn(kNever);  // What it told is of before.
  Life& l = lives_[h];
  l.process.reset();
  l.up = l.stopping = false, l.stop_by = kNever;
  if (observer_ != nullptr) observer_->OnHostDown(h, graceful);
}

void KernelLab::Kill(HostIndex h) {
  Life& l = lives_[h];
  if (!l.up) return;
  if (l.process != nullptr) l.process->Kill();
  Down(h, false);
}

void KernelLab::Stop(HostIndex h) {
  Life& l = lives_[h];
  if (!l.up || l.stopping) return;
  if (l.process == nullptr) return Down(h, true);
  l.stopping = true, l.stop_by = now_ + kStopMax;
  l.process->Terminate();
}

bool KernelLab::Call(HostIndex h, OpId op, std::string_view name, std::string_view params) {
  Life& l = lives_[h];
  if (!l.up || l.process == nullptr) return false;
  l.process->Say(Cat("{\"id\":", uint32_t(op), ",\"op\":", QuoteJson(name), ",\"params\":", params, "}"));
  return true;
}

bool KernelLab::Cancel(HostIndex h, OpId op) {
  Life& l = lives_[h];
  if (!l.up || l.process == nullptr) return false;
  l.process->Say(Cat("{\"id\":", uint32_t(op), ",\"cancel\":true}"));
  return true;
}

Endpoint KernelLab::public_address(HostIndex h) const {
  std::optional<uint32_t> address = net_->public_address(h);
  return address ? Endpoint::V4(*address, 0) : Endpoint{};
}

std::optional<HostIndex> KernelLab::Find(std::string_view id) const {
  for (HostIndex h = 0; h < size(); ++h) {
    if (plan_.world.hosts[h].id == id) return h;
  }
  return std::nullopt;
}

// ---- Boxes ----

bool KernelLab::NatRemap(std::string_view box, uint32_t share_ppm, bool new_address) {
  if (share_ppm < 1'000'000) notes_.push_back(Cat("nat-remap of a share: all mappings of ", box, " were taken away"));
  return net_->NatRemap(box, new_address);
}

bool KernelLab::NatReboot(std::string_view box, Duration down, bool new_address) {
  if (!net_->PowerOff(box, new_address)) return false;
  At(now_ + down, [this, name = std::string(box)] { net_->PowerOn(name); });
  return true;
}

void KernelLab::ScheduleRemap(size_t box) {
  const BoxWire& b = net_->wiring().boxes[box];
  At(now_ + Duration(1 + DrawExponential(remap_luck_[box], b.spec.remap_every.count())), [this, box] {
    net_->NatRemap(net_->wiring().boxes[box].name, false);
    ScheduleRemap(box);
  });
}

Totals KernelLab::totals() const {
  Totals t{.events = events_};
  for (HostIndex h = 0; h < size(); ++h) {
    const KernelNet::Sent sent = net_->sent(h);
    t.packets += sent.packets, t.bytes += sent.bytes;
  }
  return t;
}

// ---- The machine ----

KernelLab::Programs FindPrograms() {
  KernelLab::Programs p;
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& candidate : {here / "orchard", here / "../node/apps/orchard"}) {
    if (p.daemon.empty() && access(candidate.c_str(), X_OK) == 0) p.daemon = fs::weakly_canonical(candidate, ignored).string();
  }
  p.node = FindTool("node");
  if (const char* js = getenv("ORCHARD_JS_PEER"); js != nullptr) p.js_peer = js;
  else if (access(ORCHARD_JS_PEER, R_OK) == 0) p.js_peer = ORCHARD_JS_PEER;
  return p;
}

std::string KernelObstacle(const KernelLab::Programs& programs, bool js) {
  std::string missing;
  for (const auto& [tool, package] : {std::pair("ip", "iproute2"), std::pair("tc", "iproute2"), std::pair("nft", "nftables"), std::pair("conntrack", "conntrack")}) {
    if (FindTool(tool).empty() && missing.find(package) == std::string::npos) missing += Cat(missing.empty() ? "" : " ", package);
  }
  if (!missing.empty()) return Cat("these packages are missing; run:  apt-get install --no-install-recommends ", missing);
  if (absl::StatusOr<Space> space = Space::Make(); !space.ok()) {
    return Cat(std::string(space.status().message()), geteuid() == 0 ? "; does this container lack CAP_SYS_ADMIN?" : "; run it as root");
  }
  if (programs.daemon.empty()) return "the daemon is not there: build it with `ninja orchard`, or install `orchard` beside this program";
  if (!js) return "";
  if (programs.node.empty()) return "there is no `node` to run JavaScript peers; install nodejs";
  if (programs.js_peer.empty()) return "the JavaScript peer, tests/interop/peer.cjs, is not there; name it with ORCHARD_JS_PEER";
  if (!fs::exists(fs::path(programs.js_peer).parent_path() / "node_modules/hyperdht")) {
    return Cat("the JavaScript packages are not installed; run:  ", fs::path(programs.js_peer).parent_path().string(), "/install");
  }
  return "";
}

}  // namespace orchard::sim
