#include "sim/run/pod_watch.h"

#include <algorithm>

#include "sim/language/text.h"
#include "sim/run/trace_fields.h"

namespace orchard::sim {
std::string PodWatch::LinkOf(HostIndex h) const {
  const HostPlan& host = plan_.world.hosts[h];
  return Cat(host.id, "/", host.uplinks.empty() ? host.lan : host.uplinks[0].name);
}

Tag PodWatch::OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  if (event == "pod.device") devices_[std::string(Word(fields, "peer"))] = host;
  if (event == "pod.chunk") Chunk(now, host, fields);
  if (event == "pod.refetched") recorder_.Count("pod.refetched_bytes", host, int64_t(Number(fields, "bytes")) * kMicro);
  if (event == "pod.keyed") {
    const std::string key(Word(fields, "key"));
    if (const auto it = keys_.find(key); it != keys_.end()) ++it->second, recorder_.Count("pod.nonce_reused", host, kMicro);
    else if (keys_.size() < kKeysMax) keys_.emplace(key, 1);
  }
  if (event == "pod.ended") Ended(now, host, fields);
  return recorder_.Intern("why", Word(fields, "why"));
}

void PodWatch::Chunk(Instant now, HostIndex host, absl::Span<const TraceField> fields) {
  const uint64_t bytes = Number(fields, "bytes");
  std::string link = LinkOf(host);
  if (Number(fields, "own") == 0) {
    const auto device = devices_.find(Word(fields, "peer"));
    link = device == devices_.end() ? "unknown" : LinkOf(device->second);
  }
  const Tag tag = recorder_.Intern("link", link);
  recorder_.Count("pod.chunks", host, kMicro, tag);
  recorder_.Count("pod.bytes", host, int64_t(bytes) * kMicro, tag);
  shares_[host][link] += bytes;
  const Transfer transfer(host, Word(fields, "transfer"));
  const auto it = transfers_.find(transfer);
  if (it != transfers_.end()) it->second[link] = now;
  else if (transfers_.size() < kTransfersMax) transfers_[transfer][link] = now;
}

void PodWatch::Ended(Instant now, HostIndex host, absl::Span<const TraceField> fields) {
  const auto it = transfers_.find({host, std::string(Word(fields, "transfer"))});
  if (it == transfers_.end()) return;
  std::vector<Instant> last;
  for (const auto& [link, at] : it->second) last.push_back(at);
  transfers_.erase(it);
  if (last.size() < 2 || Word(fields, "why") != "done") return;  // Nobody waited for anybody.
  std::sort(last.begin(), last.end());
  recorder_.Add("pod.tail_ms", now, host, (now - last[last.size() - 2]).count());
}

void PodWatch::OnHostDown(HostIndex host) {
  transfers_.erase(transfers_.lower_bound({host, ""}), transfers_.lower_bound({host + 1, ""}));
}

void PodWatch::Second(Instant now) {
  if (!recorder_.reads("pod.share_ratio", now)) return;
  for (HostIndex h = 0; h < shares_.size(); ++h) {
    uint64_t total = 0;
    for (const auto& [link, bytes] : shares_[h]) total += bytes;
    for (const auto& [link, bytes] : shares_[h]) {
      if (total > 0) recorder_.Add("pod.share_ratio", now, h, int64_t(static_cast<unsigned __int128>(bytes) * kMicro / total), 0, recorder_.Intern("link", link));
    }
  }
}

}  // namespace orchard::sim
