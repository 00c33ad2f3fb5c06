// Notices that many nodes went silent at once, remembers them, and knocks at their doors until the cut is over. The deployed
// logic forgets a node after one time-out and asks the roots only when its table is nearly empty; so after a partition that
// outlives some tables, two healthy halves may never meet again.
//
// Wounded: the table fell below three quarters of its recent peak, or is empty though there are roots, or the network was
// offline and came back. While wounded, each tick one root and four lost nodes get a single ping (one message a second).
// Contact is an answer from a lost node, or from a root that was silent before. At once the roots are queried for our own
// neighbourhood again, and all lost nodes are pinged, 24 a tick: whoever answers with an id re-enters the table. Without
// contact the roots are queried every 30 s, then 60 s, then 120 s. It ends when the table is back at nine tenths of the peak,
// or after ten minutes, when the smaller network is accepted as what there is. After a heal, contact comes within one tick
// and the rest within the next two.
#pragma once

#include <cstdint>
#include <vector>

#include "node/dht/news.h"

namespace orchard::dht {

class Healer {
 public:
  static constexpr size_t kLostMax = 48;
  static constexpr uint32_t kGiveUpTicks = 120, kPeakWindowTicks = 60;
  static constexpr uint32_t kFirstQueryTicks = 6, kQueryTicksMax = 24;
  static constexpr size_t kKnocks = 4, kKnocksAfterContact = 24;
  static constexpr uint32_t kContactTicks = 2;  // Between two contacts' queries.
  static constexpr size_t kPeakMin = 4;  // Below this, only an empty table is a wound.

  struct Round {
    bool ask_roots = false;              // Query them for our own neighbourhood.
    bool ping_root = false;              // One of them, in turn.
    std::vector<Ipv4Address> pings;      // Once each.
  };

  void OnLost(Ipv4Address node);         // It timed out.
  void OnBack(Ipv4Address node);         // It is in the table (again).
  // A root or lost node answered a knock. What to do at once, perhaps nothing.
  Round OnAnswer(bool root);
  void OnSilence(bool root) { root_silent_ |= root; }
  void OnOnlineAgain() { wound_now_ = true; }
  // Once per tick of five seconds.
  Round OnTick(size_t nodes, bool has_roots);

  bool wounded() const { return wounded_; }
  bool contact() const { return contact_; }
  size_t lost() const { return lost_.size(); }

 private:
  void Knock(size_t count, Round& round);

  std::vector<Ipv4Address> lost_;        // A ring, the next to be pinged first.
  uint32_t ticks_ = 0, contact_ok_in_ = 0, query_in_ = 0, query_every_ = 0, peak_age_ = 0;
  uint16_t peak_ = 0, knocks_owed_ = 0;
  bool wounded_ = false, root_silent_ = false, contact_ = false, wound_now_ = false;
};

}  // namespace orchard::dht
