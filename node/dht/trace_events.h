// The events that this layer writes (base/trace.h). Names are part of the contract with reports and claims.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::dht::trace {

// Another node answered, for the first time in this life.
struct Bootstrapped {
  static constexpr std::string_view kName = "dht.bootstrapped";
  uint64_t ms;
  template <class V>
  void Fields(V&& v) const { v("ms", ms); }
};

// ... and the first walk to our own neighbourhood is over. `nodes` are those met on it.
struct Joined {
  static constexpr std::string_view kName = "dht.joined";
  uint64_t ms, nodes;
  template <class V>
  void Fields(V&& v) const { v("ms", ms), v("nodes", nodes); }
};

struct Persistent {
  static constexpr std::string_view kName = "dht.persistent";
  uint64_t ms;
  Bytes id;
  uint64_t host, port, nodes;
  template <class V>
  void Fields(V&& v) const { v("ms", ms), v("id", id), v("host", host), v("port", port), v("nodes", nodes); }
};

// After a sleep.
struct Ephemeral {
  static constexpr std::string_view kName = "dht.ephemeral";
  uint64_t nodes;
  template <class V>
  void Fields(V&& v) const { v("nodes", nodes); }
};

struct Rejected {
  static constexpr std::string_view kName = "dht.rejected";
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("why", why); }
};

// The firewall probe is over.
struct Probed {
  static constexpr std::string_view kName = "dht.probed";
  uint64_t asked, reached, open;
  template <class V>
  void Fields(V&& v) const { v("asked", asked), v("reached", reached), v("open", open); }
};

// Every tick.
struct Table {
  static constexpr std::string_view kName = "dht.table";
  uint64_t nodes, lost, added, removed, online, degraded;
  template <class V>
  void Fields(V&& v) const {
    v("nodes", nodes), v("lost", lost), v("added", added), v("removed", removed), v("online", online), v("degraded", degraded);
  }
};

// Every tick; totals of this life.
struct Stats {
  static constexpr std::string_view kName = "dht.stats";
  uint64_t requests, responses, timeouts, retries, ping, find_node, down_hint, ping_nat, user, received;
  template <class V>
  void Fields(V&& v) const {
    v("requests", requests), v("responses", responses), v("timeouts", timeouts), v("retries", retries), v("ping", ping);
    v("find_node", find_node), v("down_hint", down_hint), v("ping_nat", ping_nat), v("user", user), v("received", received);
  }
};

struct QueryFinished {
  static constexpr std::string_view kName = "dht.query.finished";
  uint64_t ms, hops, requests, replies, timeouts, closest, outcome, background;
  template <class V>
  void Fields(V&& v) const {
    v("ms", ms), v("hops", hops), v("requests", requests), v("replies", replies), v("timeouts", timeouts);
    v("closest", closest), v("outcome", outcome), v("background", background);
  }
};

// The roots are asked again because the table lost much, or because someone thought lost answered.
struct Heal {
  static constexpr std::string_view kName = "dht.heal";
  uint64_t nodes, lost, contact;
  template <class V>
  void Fields(V&& v) const { v("nodes", nodes), v("lost", lost), v("contact", contact); }
};

}  // namespace orchard::dht::trace
