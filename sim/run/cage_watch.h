// What cages do, from the traces of their hosts: how long healing took and where, and how many are healthy.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "node/base/trace.h"
#include "sim/run/cage_film.h"
#include "sim/run/recorder.h"
#include "sim/world/world.h"

namespace orchard::sim {

class CageWatch {
 public:
  explicit CageWatch(Recorder& recorder) : recorder_(recorder) {}
  static bool Takes(std::string_view event) { return event.starts_with("cage."); }
  // Samples of what `host` traced. The events themselves are the caller's to record, with the tag returned.
  Tag OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields);
  void OnHostDown(Instant now, HostIndex host);
  // Reads the gauges.
  void Second(Instant now);
  const CageFilm& film() const { return film_; }

 private:
  Recorder& recorder_;
  CageFilm film_;
  std::map<std::pair<HostIndex, std::string>, uint64_t> healthy_;  // By host and site.
};

}  // namespace orchard::sim
