// Faults of the timeline and their words.

#include "node/cage/config.h"
#include "sim/language/loader_context.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

struct WithReader {
  Context& c;
  const Fields& f;
  void Amount(std::string_view word, Unit unit, std::optional<Draw>& to) {
    if (const Json* j = f[word]) to = c.DrawOf(*j, f.At(word), unit);
  }
  void Amount(std::string_view word, Unit unit, Draw& to) {
    if (const Json* j = f[word]) {
      if (std::optional<Draw> d = c.DrawOf(*j, f.At(word), unit)) to = *d;
    }
  }
  std::optional<size_t> Choice(std::string_view word, std::string_view choices) {
    const Json* j = f[word];
    return j == nullptr ? std::nullopt : c.Choice(*j, f.At(word), choices);
  }
};

void ReadLinkFault(WithReader r, Fault& fault) {
  r.Amount("rate", Unit::kRate, fault.down);
  fault.up = fault.down;
  r.Amount("down", Unit::kRate, fault.down);
  r.Amount("up", Unit::kRate, fault.up);
  r.Amount("delay", Unit::kDuration, fault.delay);
  r.Amount("jitter", Unit::kDuration, fault.jitter);
  r.Amount("loss", Unit::kShare, fault.loss);
  r.Amount("queue", Unit::kDuration, fault.queue);
  r.Amount("mtu", Unit::kCount, fault.mtu);
  r.Amount("reorder", Unit::kShare, fault.reorder);
  r.Amount("duplicate", Unit::kShare, fault.duplicate);
  r.Amount("corrupt", Unit::kShare, fault.corrupt);
  r.Amount("burst", Unit::kCount, fault.burst);
  if (std::optional<size_t> way = r.Choice("way", "both in out")) fault.inbound = *way != 2, fault.outbound = *way != 1;
  if (std::optional<size_t> cuts = r.Choice("cuts", "none tcp udp")) fault.cuts = *cuts == 0 ? 0 : *cuts == 1 ? 6 : 17;
  if (std::optional<size_t> is = r.Choice("is", "up down")) fault.is_up = *is == 0;
}

void ReadPartition(WithReader r, const Json& at, const std::string& path, Fault& fault) {
  const Json *groups = r.f["groups"], *from = r.f["from"], *to = r.f["to"];
  if (groups != nullptr && (from != nullptr || to != nullptr)) {
    return r.c.Fail(*groups, r.f.At("groups"), "\"groups\" beside \"from\" and \"to\"", "a partition has groups, or one way from + to");
  }
  if (groups != nullptr) {
    if (!groups->is_array() || groups->items.size() < 2) {
      return r.c.WrongKind(*groups, r.f.At("groups"), "a list of two groups or more, such as [[\"eu\"], [\"us\", \"asia\"]]");
    }
    for (const Json& g : groups->items) {
      if (std::optional<Selector> s = r.c.SelectorOf(g, r.f.At("groups"))) fault.groups.push_back(*s);
    }
  } else if (from != nullptr && to != nullptr) {
    fault.from = r.c.SelectorOf(*from, r.f.At("from"));
    fault.to = r.c.SelectorOf(*to, r.f.At("to"));
  } else {
    r.c.Fail(at, path, "no groups", "a partition has \"with\": {\"groups\": [[…], […]]}, or from + to");
  }
}

void ReadHeal(WithReader r, Fault& fault) {
  const Json* of = r.f["of"];
  if (of == nullptr) return;
  std::optional<std::string> name = r.c.Text(*of, r.f.At("of"));
  if (!name) return;
  fault.heal_of = *name;
  if (!r.c.names.entries.contains(*name)) {
    r.c.Fail(*of, r.f.At("of"), Cat("no entry is called ", Quoted(*name), " (\"as\")"),
             r.c.Suggest(*name, r.c.names.EntryWords(), "the partition gets its name by \"as\""));
  }
}

void ReadCages(WithReader r, Fault& fault) {
  if (const Json* site = r.f["site"]) fault.site = r.c.Text(*site, r.f.At("site")).value_or("");
  if (const Json* cages = r.f["cages"]) {
    if (cages->is_text() && cages->text == "all") {
      fault.cages = 0;
    } else if (const std::optional<int64_t> n = r.c.Amount(*cages, r.f.At("cages"), Unit::kCount)) {
      if (*n < 1 || *n > cage::kReplicasMax) r.c.Fail(*cages, r.f.At("cages"), Cat("found ", *n), Cat("\"all\", or a whole number from 1 to ", cage::kReplicasMax));
      else fault.cages = uint32_t(*n);
    }
  }
  if (std::optional<size_t> i = r.Choice("cause", "panic timeout memory engine")) fault.cause = cage::Cause(*i + 1);
}

void ReadPorts(WithReader r, Fault& fault) {
  const Json* ports = r.f["ports"];
  if (ports == nullptr || (ports->is_text() && ports->text == "all")) return;
  if (ports->is_text() && ParseQuantity(ports->text) == std::nullopt) return r.c.WrongKind(*ports, r.f.At("ports"), "\"all\", or a share");
  if (std::optional<int64_t> v = r.c.Amount(*ports, r.f.At("ports"), Unit::kShare)) fault.share_ppm = uint32_t(*v);
}

}  // namespace

void ReadFault(Context& c, Entry& entry, const Json* with, const std::string& path) {
  Fault& fault = entry.fault;
  constexpr std::pair<std::string_view, FaultKind> kKinds[] = {
      {"link", FaultKind::kLink},     {"partition", FaultKind::kPartition}, {"heal", FaultKind::kHeal},
      {"kill", FaultKind::kKill},     {"stop", FaultKind::kStop},           {"start", FaultKind::kStart},
      {"restart", FaultKind::kRestart}, {"nat-remap", FaultKind::kNatRemap}, {"nat-reboot", FaultKind::kNatReboot},
      {"renumber", FaultKind::kRenumber}, {"clock", FaultKind::kClock},     {"disk", FaultKind::kDisk},
      {"misbehave", FaultKind::kMisbehave}, {"cage-crash", FaultKind::kCageCrash}, {"cage-hang", FaultKind::kCageHang},
      {"cage-slow", FaultKind::kCageSlow},
      {"cage-worker-kill", FaultKind::kCageWorkerKill}};
  for (const auto& [name, kind] : kKinds) {
    if (name == entry.action) fault.kind = kind;
  }
  static const Json* const kNothing = new Json(Json::Object());
  const Json& words = with == nullptr ? *kNothing : *with;
  Fields f(c, words, path + ".with", Cat("with ", entry.action));
  WithReader r{c, f};
  const Json& at = with == nullptr ? c.root : *with;
  Json here = Json::Object();
  here.place = with == nullptr ? entry.place : at.place;
  switch (fault.kind) {
    case FaultKind::kLink:
      ReadLinkFault(r, fault);
      if (f.ok() && words.keys.empty()) c.Fail(here, path, "a link fault that changes nothing", "expected \"with\": {\"is\": \"down\"} or other words of a link");
      break;
    case FaultKind::kPartition: ReadPartition(r, here, path, fault); break;
    case FaultKind::kHeal: ReadHeal(r, fault); break;
    case FaultKind::kKill: case FaultKind::kStop: case FaultKind::kRenumber: break;
    case FaultKind::kStart: case FaultKind::kRestart:
      if (std::optional<size_t> i = r.Choice("store", "kept lost torn")) fault.store = Fault::Store(*i);
      if (std::optional<size_t> i = r.Choice("ip", "same new")) fault.new_ip = *i == 1;
      r.Amount("down", Unit::kDuration, fault.down_time);
      break;
    case FaultKind::kNatRemap: ReadPorts(r, fault); [[fallthrough]];
    case FaultKind::kNatReboot:
      if (std::optional<size_t> i = r.Choice("address", "same new")) fault.new_ip = *i == 1;
      break;
    case FaultKind::kClock:
      r.Amount("offset", Unit::kDuration, fault.offset);
      r.Amount("drift", Unit::kPpm, fault.drift_ppm);
      if (f["offset"] == nullptr && f["drift"] == nullptr) c.Fail(here, path, "a clock fault without words", "expected \"with\": {\"offset\": \"30s\"} or {\"drift\": \"200ppm\"}");
      break;
    case FaultKind::kMisbehave:
      if (std::optional<size_t> i = r.Choice("how", "flip-bytes spoof-beacon")) fault.misdeed = Misdeed(*i + 1);
      else if (f["how"] == nullptr) c.Fail(here, path, "misbehave without \"how\"", "expected \"with\": {\"how\": \"flip-bytes\"} or \"spoof-beacon\"");
      if (const Json* j = f["rate"]) fault.share_ppm = uint32_t(c.Amount(*j, f.At("rate"), Unit::kShare).value_or(1'000'000));
      break;
    case FaultKind::kCageWorkerKill:
      if (const Json* j = f["process"]; j != nullptr && j->is_text() && j->text == "all") {
        fault.process = 0;
      } else if (j != nullptr) {
        const std::optional<int64_t> which = j->Integer();
        if (which != 1 && which != 2) c.Fail(*j, f.At("process"), Cat("found ", j->Describe()), "1, 2 or \"all\"", "a host has two processes for cages");
        else fault.process = uint32_t(*which);
      }
      break;
    case FaultKind::kCageCrash: case FaultKind::kCageHang: ReadCages(r, fault); break;
    case FaultKind::kCageSlow:
      ReadCages(r, fault);
      r.Amount("by", Unit::kDuration, fault.by);
      if (f["by"] == nullptr) c.Fail(here, path, "cage-slow without \"by\"", "expected how much longer each run takes: \"with\": {\"by\": \"200ms\"}");
      break;
    case FaultKind::kDisk:
      if (std::optional<size_t> i = r.Choice("is", "full slow failing")) fault.disk = Fault::Disk(*i);
      r.Amount("delay", Unit::kDuration, fault.disk_delay);
      if (const Json* j = f["share"]) fault.share_ppm = uint32_t(c.Amount(*j, f.At("share"), Unit::kShare).value_or(1'000'000));
      if (fault.disk == Fault::Disk::kSlow && f["delay"] == nullptr) c.Fail(here, path, "a slow disk without \"delay\"", "expected how long a sync takes");
      break;
  }
}

}  // namespace orchard::sim
