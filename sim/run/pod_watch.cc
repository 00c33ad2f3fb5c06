#include "sim/run/pod_watch.h"

#include <algorithm>

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

const TraceField* Field(absl::Span<const TraceField> fields, std::string_view name) {
  for (const TraceField& f : fields) {
    if (name == f.name) return &f;
  }
  return nullptr;
}
uint64_t Number(absl::Span<const TraceField> fields, std::string_view name) {
  const TraceField* f = Field(fields, name);
  return f == nullptr ? 0 : f->number;
}
std::string Octets(absl::Span<const TraceField> fields, std::string_view name) {
  const TraceField* f = Field(fields, name);
  return f == nullptr ? std::string() : std::string(AsText(f->bytes));
}

}  // namespace

std::string PodWatch::LinkOf(HostIndex h) const {
  const HostPlan& host = plan_.world.hosts[h];
  return Cat(host.id, "/", host.uplinks.empty() ? host.lan : host.uplinks[0].name);
}

Tag PodWatch::OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  if (event == "pod.device") devices_[Octets(fields, "peer")] = host;
  if (event == "pod.chunk") Chunk(now, host, fields);
  if (event == "pod.refetched") recorder_.Count("pod.refetched_bytes", host, int64_t(Number(fields, "bytes")) * kMicro);
  if (event == "pod.ended") Ended(now, host, fields);
  return recorder_.Intern("why", Octets(fields, "why"));
}

void PodWatch::Chunk(Instant now, HostIndex host, absl::Span<const TraceField> fields) {
  const uint64_t bytes = Number(fields, "bytes");
  std::string link = LinkOf(host);
  if (Number(fields, "own") == 0) {
    const auto device = devices_.find(Octets(fields, "peer"));
    link = device == devices_.end() ? "unknown" : LinkOf(device->second);
  }
  const Tag tag = recorder_.Intern("link", link);
  recorder_.Count("pod.chunks", host, kMicro, tag);
  recorder_.Count("pod.bytes", host, int64_t(bytes) * kMicro, tag);
  shares_[host][link] += bytes;
  const Transfer transfer(host, Octets(fields, "transfer"));
  const auto it = transfers_.find(transfer);
  if (it != transfers_.end()) it->second[link] = now;
  else if (transfers_.size() < kTransfersMax) transfers_[transfer][link] = now;
}

void PodWatch::Ended(Instant now, HostIndex host, absl::Span<const TraceField> fields) {
  const auto it = transfers_.find({host, Octets(fields, "transfer")});
  if (it == transfers_.end()) return;
  std::vector<Instant> last;
  for (const auto& [link, at] : it->second) last.push_back(at);
  transfers_.erase(it);
  if (last.size() < 2 || Octets(fields, "why") != "done") return;  // Nobody waited for anybody.
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
