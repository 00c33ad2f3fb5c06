// A world without packets for tests of the timeline and the claims: hosts are up or down, operations answer as the test says.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/run/claims.h"
#include "sim/language/loader.h"
#include "sim/language/text.h"
#include "sim/run/timeline.h"

namespace orchard::sim {

class ToyStage final : public Stage {
 public:
  explicit ToyStage(size_t hosts) : up_(hosts) {}
  Instant now() const override { return now_; }
  void At(Instant when, std::function<void()> act) override { acts_.emplace(std::pair(when, next_++), std::move(act)); }
  bool up(HostIndex h) const override { return up_[h]; }
  void StartHost(HostIndex h, World::Keep) override {
    if (up_[h]) return;
    up_[h] = true, Log("start", h);
    if (on_up) on_up(h);
  }
  void Kill(HostIndex h) override { Down(h, "kill"); }
  void Stop(HostIndex h) override { Down(h, "stop"); }
  bool Call(HostIndex h, OpId op, std::string_view name, std::string_view params) override {
    if (!up_[h]) return false;
    Log(Cat(name, " ", params), h);
    if (on_call) on_call(h, op, name, params);
    return true;
  }
  bool Cancel(HostIndex h, OpId) override { return Log("cancel", h), true; }
  Endpoint public_address(HostIndex h) const override { return Endpoint::V4(0x01020300 + h, 0); }
  bool ChangeLink(std::string_view link, const World::LinkChange&) override { return Log(Cat("link ", link)), true; }
  uint64_t PushLinkChange(std::string_view link, const World::LinkChange&) override { return Log(Cat("push ", link)), ++tickets_; }
  void PopLinkChange(uint64_t t) override { Log(Cat("pop ", t)); }
  bool Renumber(std::string_view link) override { return Log(Cat("renumber ", link)), true; }
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups) override {
    std::string text = "partition";
    for (const auto& g : groups) text += Cat(" ", g.size());
    return Log(text), ++tickets_;
  }
  uint64_t PartitionOneWay(const std::vector<HostIndex>&, const std::vector<HostIndex>&) override { return Log("one-way"), ++tickets_; }
  void Heal(uint64_t t) override { Log(Cat("heal ", t)); }
  bool NatRemap(std::string_view box, uint32_t ppm, bool) override { return Log(Cat("remap ", box, " ", ppm)), true; }
  bool NatReboot(std::string_view box, Duration d, bool) override { return Log(Cat("reboot ", box, " ", TimeText(d))), true; }
  bool Clock(HostIndex h, Duration o, int64_t) override { return Log(Cat("clock ", TimeText(o)), h), true; }
  bool BreakCages(HostIndex h, const std::string& site, uint32_t count, std::optional<cage::Cause> cause) override {
    return Log(Cat(cause.has_value() ? "cage-crash " : "cage-hang ", site, " ", count, " ", cage::CauseName(cause.value_or(cage::Cause::kNone))), h), true;
  }
  bool SlowCages(HostIndex h, const std::string& site, uint32_t count, Duration by) override {
    return Log(Cat("cage-slow ", site, " ", count, " ", TimeText(by)), h), true;
  }
  bool KillCageProcess(HostIndex h, uint32_t process) override { return Log(Cat("cage-worker-kill ", process), h), true; }
  bool Misbehave(HostIndex h, Misdeed how, uint32_t ppm) override { return Log(Cat("misbehave ", int(how), " ", ppm), h), true; }
  bool ChangeDisk(HostIndex h, World::Disk, Duration) override { return Log("disk", h), true; }

  // Carries out everything up to `end`.
  void RunUntil(Instant end) {
    while (!acts_.empty() && acts_.begin()->first.first <= end) {
      now_ = std::max(now_, acts_.begin()->first.first);
      auto act = std::move(acts_.begin()->second);
      acts_.erase(acts_.begin());
      act();
    }
    now_ = end;
  }

  std::function<void(HostIndex)> on_up, on_down;
  std::function<void(HostIndex, OpId, std::string_view, std::string_view)> on_call;
  std::vector<std::string> log;                 // "10s kill peer"
  std::vector<std::string> names;

 private:
  void Down(HostIndex h, std::string_view how) {
    if (!up_[h]) return;
    up_[h] = false, Log(how, h);
    if (on_down) on_down(h);
  }
  void Log(std::string_view what, std::optional<HostIndex> h = {}) {
    log.push_back(Cat(TimeText(now_.time_since_epoch()), " ", what, h && *h < names.size() ? Cat(" ", names[*h]) : ""));
  }
  std::vector<bool> up_;
  std::map<std::pair<Instant, uint64_t>, std::function<void()>> acts_;
  Instant now_{};
  uint64_t next_ = 0, tickets_ = 0;
};

// A scenario from text, run on the toy stage.
class ToyRun {
 public:
  explicit ToyRun(std::string_view json, uint64_t seed = 1) {
    std::vector<LoadError> errors;
    Sources sources;
    suite_ = LoadScenarioFromText(json, "toy.json", {}, errors, sources);
    EXPECT_TRUE(suite_) << RenderErrors(errors, sources);
    if (!suite_) return;
    scenario = BuildCase(*suite_, suite_->cases[0], errors);
    EXPECT_TRUE(scenario) << RenderErrors(errors, sources);
    plan = Expand(*scenario, seed);
    recorder = std::make_unique<Recorder>(plan.world.hosts, scenario->duration);
    moments = std::make_unique<Moments>(scenario->duration);
    stage = std::make_unique<ToyStage>(plan.world.hosts.size());
    for (const HostPlan& h : plan.world.hosts) stage->names.push_back(h.id);
    connections = std::make_unique<Connections>(plan, *recorder);
    timeline = std::make_unique<Timeline>(*scenario, plan, seed, *stage, *recorder, *moments, results, *connections);
    judge = std::make_unique<ClaimJudge>(ClaimSources{*scenario, plan, *recorder, *moments, results, *connections});
    stage->on_up = [this](HostIndex h) { recorder->HostUp(stage->now(), h), timeline->OnEvent(h, "host.up"), timeline->OnHostUp(h); };
    stage->on_down = [this](HostIndex h) { connections->OnHostDown(stage->now(), h), recorder->HostDown(stage->now(), h), timeline->OnEvent(h, "host.down"), timeline->OnHostDown(h); };
    // Every operation succeeds after 100 ms, unless the test answers otherwise.
    stage->on_call = [this](HostIndex h, OpId op, std::string_view name, std::string_view params) {
      Answer a = answer ? answer(h, name, params) : Answer{};
      if (a.json.empty()) return;
      stage->At(stage->now() + a.after, [this, h, op, a] { timeline->OnOpFinal(h, op, a.json); });
    };
    timeline->Prepare();
  }
  struct Answer {
    std::string json = R"({"tag":"final","data":{"ok":true,"peers":[1],"sha256":"aa","key":"kk","hops":3}})";
    Duration after = std::chrono::milliseconds(100);
  };
  // What a node would trace, now.
  template <class Event>
  void Trace(std::string_view who, const Event& e) {
    struct Sink final : orchard::Trace::Sink {
      ToyRun* run;
      HostIndex host;
      void Record(std::string_view event, absl::Span<const TraceField> fields) override {
        run->connections->OnTrace(run->stage->now(), host, event, fields);
        run->TellHappened();
      }
    } sink;
    sink.run = this, sink.host = host(who);
    orchard::Trace(nullptr, &sink).Add(e);
  }
  void TellHappened() {
    for (const Connections::Happened& x : connections->TakeHappened()) timeline->OnEvent(x.host, x.event, x.tag);
  }
  // Seconds, as the runner takes them. True if all claims were decided before the end.
  bool Run(std::optional<int> seconds = {}) {
    const Instant end = seconds ? Instant(std::chrono::seconds(*seconds)) : moments->end();
    for (Instant t = stage->now(); t < end;) {
      t = std::min(t + std::chrono::seconds(1), end);
      stage->RunUntil(t);
      connections->Second(t), TellHappened();
      recorder->Flush(t), timeline->Tick(), judge->Look(t);
    }
    return judge->all_decided();
  }
  const ClaimResult& Finish() {
    connections->Finish(stage->now()), recorder->Flush(stage->now());
    judge->Finish(stage->now(), cost, false, false);
    return judge->results()[0];
  }
  const ClaimResult& claim(size_t i = 0) const { return judge->results()[i]; }
  uint32_t host(std::string_view id) const {
    for (uint32_t h = 0; h < plan.world.hosts.size(); ++h) {
      if (plan.world.hosts[h].id == id) return h;
    }
    ADD_FAILURE() << "no host " << id;
    return 0;
  }
  size_t Logged(std::string_view what) const {
    size_t n = 0;
    for (const std::string& l : stage->log) n += l.find(what) != std::string::npos;
    return n;
  }

  std::optional<Scenario> scenario;
  Plan plan;
  CostFigures cost;
  Results results;
  std::unique_ptr<Recorder> recorder;
  std::unique_ptr<Moments> moments;
  std::unique_ptr<ToyStage> stage;
  std::unique_ptr<Connections> connections;
  std::unique_ptr<Timeline> timeline;
  std::unique_ptr<ClaimJudge> judge;
  std::function<Answer(HostIndex, std::string_view, std::string_view)> answer;

 private:
  std::optional<Suite> suite_;
};

inline Instant Second(int64_t s) { return Instant(std::chrono::seconds(s)); }

}  // namespace orchard::sim
