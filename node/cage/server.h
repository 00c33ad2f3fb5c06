// Sites, their door and what watches them together, as a node has them.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "node/base/turn.h"
#include "node/cage/admin.h"
#include "node/cage/front.h"
#include "node/cage/sites.h"

namespace orchard::cage {

struct ServerConfig {
  FrontConfig front;
  AdminConfig admin{};
  std::vector<SiteConfig> sites;
  std::string sites_dir{};  // Empty: none.
  guard::Mode guard = guard::Mode::kFlag;
};

class Server {
 public:
  static constexpr uint32_t kCageSocket = 0x70000000;  // Of listeners: those of the DHT, the pod and its proxy lie below.

  explicit Server(ServerConfig config) : config_(std::move(config)), sites_(config_.guard), front_(SocketId{kCageSocket}, config_.front), admin_(SocketId{kCageSocket + 16}, config_.admin) {}

  void Start(Turn& turn) {
    PoolNews news;
    for (const SiteConfig& site : config_.sites) (void)sites_.Add(turn, site, "", news);  // The configuration was checked.
    if (!config_.sites_dir.empty()) sites_.Serve(turn, config_.sites_dir);
    front_.Open(turn);
    admin_.Open(turn);
  }
  // The answers under way are awaited: by whoever stops the node.
  void Finish(Turn& turn) { front_.Finish(turn), admin_.Finish(turn); }
  bool idle() const { return front_.exchanges() == 0; }
  void Close(Turn& turn) {
    PoolNews news;
    front_.Close(turn);
    admin_.Close(turn);
    sites_.Stop(turn, news);
  }
  // True if it was ours.
  bool OnInput(Turn& turn, const Input& input) {
    PoolNews news;
    bool ours = front_.OnInput(turn, sites_, input, news);
    if (const auto* done = std::get_if<JobDone>(&input)) ours = sites_.OnJobDone(turn, *done, news);
    if (std::holds_alternative<Deadline>(input)) {
      sites_.OnTime(turn, news);
      front_.OnTime(turn, sites_, news);
    }
    front_.OnNews(turn, sites_, std::move(news));
    // Last: it tells how things stand after this turn.
    if (!ours) ours = admin_.OnInput(turn, {sites_, front_}, input);
    if (std::holds_alternative<Deadline>(input)) admin_.OnTime(turn, {sites_, front_});
    return ours;
  }
  Instant next_deadline() const { return std::min({front_.next_deadline(), sites_.next_deadline(), admin_.next_deadline()}); }

  Sites& sites() { return sites_; }
  const Sites& sites() const { return sites_; }
  const Front& front() const { return front_; }
  // The site of requests for none: that one, or again what the configuration says.
  void SetFallback(const std::string& site, bool on) {
    if (on) front_.set_fallback(site);
    else if (front_.fallback() == site) front_.set_fallback(config_.front.fallback);
  }
  const Admin& admin() const { return admin_; }
  // Hands on what an operation on the sites brought.
  void OnNews(Turn& turn, PoolNews news) { front_.OnNews(turn, sites_, std::move(news)); }

 private:
  ServerConfig config_;
  Sites sites_;
  Front front_;
  Admin admin_;
};

}  // namespace orchard::cage
