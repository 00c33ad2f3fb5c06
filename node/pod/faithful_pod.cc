#include "node/pod/faithful_pod.h"

#include <algorithm>
#include <utility>

#include "node/crypto/sha256.h"
#include "node/pod/trace.h"

namespace orchard::pod {

std::optional<TransferId> FaithfulPod::Start(Turn& turn, const DownloadRequest& request, Hands hands) {
  if (request.url.https || request.last < request.first || tasks_.size() >= kTasksMax) return std::nullopt;
  std::optional<FaithfulCore::Accelerate> go = core_.OnIncomingRequest(turn.rng, std::pair(request.first, request.last));
  if (!go.has_value()) return std::nullopt;
  Task task{.url = request.url, .first = request.first, .plan = std::move(go->chunks), .next = 0, .fetch = std::nullopt, .got = {},
            .deadline = turn.now + kPatience};
  turn.trace.Add(TracePodStarted{go->transfer, go->total, peers()});
  Task& kept = tasks_[go->transfer] = std::move(task);
  Advance(turn, go->transfer, kept, hands);
  return go->transfer;
}

// In the order of the plan: a member is asked and not waited for, our own WAN is.
void FaithfulPod::Advance(Turn& turn, const TransferId& id, Task& task, Hands hands) {
  const std::string url = task.url.ToString();
  for (; task.next < task.plan.size(); ++task.next) {
    const FaithfulCore::Assignment& a = task.plan[task.next];
    if (a.peer.has_value()) {
      hands.members.Send(turn, *a.peer, ChunkRequest{id, a.start, a.end, url}, hands.heard);
      continue;
    }
    task.fetch = http::FetchId{next_fetch_++};
    task.got.clear();
    hands.own_wan.Fetch(turn, hands.ids, *task.fetch, task.url, {a.start, a.end - 1}, {}, hands.fetched);
    return;
  }
}

void FaithfulPod::OnFetched(Turn& turn, const http::FetchNews& list, Hands hands, PodNews& news) {
  auto find = [&](http::FetchId fetch) {
    return std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& t) { return t.second.fetch == fetch; });
  };
  for (const auto& n : list) {
    if (const auto* progress = std::get_if<http::FetchProgress>(&n)) {
      if (const auto it = find(progress->fetch); it != tasks_.end()) it->second.got.append(AsText(progress->bytes));
    } else if (const auto* failed = std::get_if<http::FetchFailed>(&n)) {
      const auto it = find(failed->fetch);
      if (it == tasks_.end()) continue;
      const TransferId id = it->first;
      tasks_.erase(it);
      turn.trace.Add(TracePodEnded{id, "unavailable", 0, 0});
      news.push_back(PodFailed{id, Ending::kUnavailable});
    } else if (const auto* done = std::get_if<http::FetchDone>(&n)) {
      const auto it = find(done->fetch);
      if (it == tasks_.end()) continue;
      const TransferId id = it->first;
      Task& task = it->second;
      const FaithfulCore::Assignment a = task.plan[task.next++];
      const std::string body = std::exchange(task.got, {});
      task.fetch.reset();
      turn.trace.Add(TracePodChunk{id, {}, 0, body.size(), 1});
      Advance(turn, id, task, hands);
      Received(turn, {id, a.start, a.end, crypto::Sha256(AsBytes(body)), AsBytes(body)}, news);
    }
  }
}

// What the core would have others fetch again is dropped here, as two of the original's three callers do.
void FaithfulPod::Received(Turn& turn, const ChunkData& data, PodNews& news) {
  FaithfulCore::Received received = core_.OnChunkReceived(data);
  if (!received.body.has_value()) return;
  const auto it = tasks_.find(data.transfer);
  if (it == tasks_.end()) return;
  const uint64_t first = it->second.first;
  tasks_.erase(it);
  turn.trace.Add(TracePodEnded{data.transfer, "done", 0, 0});
  news.push_back(PodDelivered{data.transfer, first, *std::move(received.body)});
  news.push_back(PodDone{data.transfer, false, 0});
}

void FaithfulPod::Abort(Turn& turn, const TransferId& transfer, Hands hands) {
  const auto it = tasks_.find(transfer);
  if (it == tasks_.end()) return;
  if (it->second.fetch.has_value()) hands.own_wan.Cancel(turn, hands.ids, *it->second.fetch, hands.fetched);
  tasks_.erase(it);
  turn.trace.Add(TracePodEnded{transfer, "aborted", 0, 0});
}

void FaithfulPod::OnJoined(Turn& turn, const DeviceId& device) {
  core_.OnPeerJoined(device);
  if (tick_at_ == kNever) tick_at_ = turn.now + kTick;
}

void FaithfulPod::OnLeft(Turn& turn, const DeviceId& device, Hands hands) { Send(turn, core_.OnPeerLeft(device), hands); }

void FaithfulPod::OnSaid(Turn& turn, const DeviceId& device, const Message& message, Hands hands, PodNews& news) {
  if (const auto* data = std::get_if<ChunkData>(&message)) {
    turn.trace.Add(TracePodChunk{data->transfer, device, 1, data->payload.size(), 0});
    return Received(turn, *data, news);
  }
  Send(turn, core_.OnMessage(device, message), hands);
}

void FaithfulPod::Send(Turn& turn, const std::vector<FaithfulCore::Outbound>& list, Hands hands) {
  for (const FaithfulCore::Outbound& o : list) hands.members.Send(turn, o.to, o.message, hands.heard);
}

void FaithfulPod::OnTime(Turn& turn, Hands hands, PodNews& news) {
  if (tick_at_ <= turn.now) {
    tick_at_ = turn.now + kTick;
    Send(turn, core_.Tick(), hands);
  }
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    if (it->second.deadline > turn.now) {
      ++it;
      continue;
    }
    if (it->second.fetch.has_value()) hands.own_wan.Cancel(turn, hands.ids, *it->second.fetch, hands.fetched);
    turn.trace.Add(TracePodEnded{it->first, "unavailable", 0, 0});
    news.push_back(PodFailed{it->first, Ending::kUnavailable});
    it = tasks_.erase(it);
  }
}

Instant FaithfulPod::next_deadline() const {
  Instant next = tick_at_;
  for (const auto& [id, task] : tasks_) next = std::min(next, task.deadline);
  return next;
}

}  // namespace orchard::pod
