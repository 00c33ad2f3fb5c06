// The events of this layer. `site` is its name, `cage` an id that is never used twice in a node's life, `slot` which of the site's
// replicas. Durations in microseconds.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::cage {

// The door is open; `secure` 1: behind TLS.
struct TraceCageListening {
  static constexpr std::string_view kName = "cage.listening";
  uint64_t port, secure;
  template <class V>
  void Fields(V&& v) const { v("port", port), v("secure", secure); }
};
// It is not: the port is taken, or there is no certificate.
struct TraceCageUnbound {
  static constexpr std::string_view kName = "cage.unbound";
  uint64_t port, secure;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("port", port), v("secure", secure), v("why", why); }
};
// The same of the admin's listener.
struct TraceCageAdmin {
  static constexpr std::string_view kName = "cage.admin";
  uint64_t port;
  template <class V>
  void Fields(V&& v) const { v("port", port); }
};
struct TraceCageAdminUnbound {
  static constexpr std::string_view kName = "cage.admin_unbound";
  uint64_t port;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("port", port), v("why", why); }
};
// The directory of sites was looked at; why not, otherwise.
struct TraceCageDirectory {
  static constexpr std::string_view kName = "cage.directory";
  uint64_t sites, added, updated, removed, skipped;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const {
    v("sites", sites), v("added", added), v("updated", updated), v("removed", removed), v("skipped", skipped), v("why", why);
  }
};
// A module was checked and compiled; why not, otherwise.
struct TraceCageLoaded {
  static constexpr std::string_view kName = "cage.loaded";
  std::string_view site;
  uint64_t bytes;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("bytes", bytes), v("why", why); }
};
// A cage was made in a slot, and answered for the first time: it gets requests from now on. The first cage of a slot has
// neither detection nor back-off. heal = detect + backoff + spawn + answer, from when its predecessor went wrong.
struct TraceCageServed {
  static constexpr std::string_view kName = "cage.served";
  std::string_view site, cause;  // What the predecessor died of; "none": there was none.
  uint64_t slot, cage, detect_us, backoff_us, spawn_us, answer_us;
  template <class V>
  void Fields(V&& v) const {
    v("site", site), v("cause", cause), v("slot", slot), v("cage", cage), v("detect_us", detect_us), v("backoff_us", backoff_us);
    v("spawn_us", spawn_us), v("answer_us", answer_us);
  }
};
struct TraceCageSpawned {
  static constexpr std::string_view kName = "cage.spawned";
  std::string_view site;
  uint64_t slot, cage, spawn_us;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("slot", slot), v("cage", cage), v("spawn_us", spawn_us); }
};
// A cage died, as its host knows; the supervisor may look later.
struct TraceCageCrashed {
  static constexpr std::string_view kName = "cage.crashed";
  std::string_view site, cause;
  uint64_t slot, cage;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("cause", cause), v("slot", slot), v("cage", cage); }
};
// A slot gets no more cages, until somebody says so.
struct TraceCageGaveUp {
  static constexpr std::string_view kName = "cage.gave_up";
  std::string_view site;
  uint64_t slot, attempts;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("slot", slot), v("attempts", attempts); }
};
// A cage finishes what it has, and then ends.
struct TraceCageDraining {
  static constexpr std::string_view kName = "cage.draining";
  std::string_view site;
  uint64_t slot, cage;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("slot", slot), v("cage", cage); }
};
// A cage was ended on purpose.
struct TraceCageStopped {
  static constexpr std::string_view kName = "cage.stopped";
  std::string_view site;
  uint64_t slot, cage;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("slot", slot), v("cage", cage); }
};
// How many of a site's cages get requests, whenever that changes.
struct TraceCageHealthy {
  static constexpr std::string_view kName = "cage.healthy";
  std::string_view site;
  uint64_t healthy, replicas;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("healthy", healthy), v("replicas", replicas); }
};
// A request whose cage died was given to another.
struct TraceCageRetried {
  static constexpr std::string_view kName = "cage.retried";
  std::string_view site;
  uint64_t request, cage;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("request", request), v("cage", cage); }
};
// A cage is, or is no longer, spared requests because it answers nonsense.
struct TraceCageBreaker {
  static constexpr std::string_view kName = "cage.breaker";
  std::string_view site;
  uint64_t slot, cage, open;
  template <class V>
  void Fields(V&& v) const { v("site", site), v("slot", slot), v("cage", cage), v("open", open); }
};
// The guard found something in a request: of which class, how sure it is in permille, and what gave it away; `blocked` 1: it was
// refused. Of a client that floods, the first request in each second.
struct TraceCageGuard {
  static constexpr std::string_view kName = "cage.guard";
  std::string_view site, what, matched, client;
  uint64_t score, blocked, request;
  template <class V>
  void Fields(V&& v) const {
    v("site", site), v("class", what), v("score", score), v("matched", matched), v("client", client), v("request", request), v("blocked", blocked);
  }
};
// A request was answered; cage 0: by none. The line of an access log.
struct TraceCageRequest {
  static constexpr std::string_view kName = "cage.request";
  std::string_view site, method;
  uint64_t request, status, cage, us, fuel, bytes, tries;
  template <class V>
  void Fields(V&& v) const {
    v("site", site), v("method", method), v("request", request), v("status", status), v("cage", cage), v("us", us), v("fuel", fuel);
    v("bytes", bytes), v("tries", tries);
  }
};

}  // namespace orchard::cage
