// What runs on a host beside its node, server or nothing: the programs that a timeline calls clients (http.get, http.drip). One machine around
// another: they share the host's network, its ids of streams and jobs apart, and neither sees the other's inputs.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "node/base/turn.h"
#include "node/http/get.h"
#include "node/http/ids.h"
#include "sim/run/drips.h"

namespace orchard::sim {

class WithClients final : public Machine {
 public:
  explicit WithClients(std::unique_ptr<Machine> inner) : inner_(std::move(inner)) {}
  void Handle(Turn& turn, const Input& input) override;
  Instant next_deadline() const override { return std::min({inner_->next_deadline(), gets_.next_deadline(), drips_.next_deadline()}); }

 private:
  struct Asked {
    http::GetRequest request;
    std::string other;  // Asked next, if nothing comes of this one.
    Instant began;
  };
  void OnCall(Turn& turn, const OpCall& call, http::GetNews& news, Drips::News& drips);
  // May ask somebody else instead; what comes of that at once is added to `news`.
  void Answer(Turn& turn, const http::GetDone& done, http::GetNews& news);
  void Answer(Turn& turn, const Drips::Done& done);
  static void Fail(Turn& turn, OpId op, std::string_view code, std::string_view message);

  std::unique_ptr<Machine> inner_;
  http::Gets gets_;                       // A GetId is the OpId of who asked.
  std::map<http::GetId, Asked> asked_;
  Drips drips_;
  std::map<OpId, std::string> dripped_;   // URLs.
  http::Ids ids_{.next_stream = 0x40000000, .next_job = 0x40000000};  // Nodes count up from 1 and stay below.
};

}  // namespace orchard::sim
