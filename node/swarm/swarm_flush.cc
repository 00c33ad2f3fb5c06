// Flush: all topics are searched, and whoever waited then was tried once. Source: npm hyperswarm index.js, flush.
#include "node/swarm/swarm.h"

namespace orchard::swarm {

FlushId Swarm::Flush(News& news) {
  FlushId id{next_flush_++};
  if (suspended_ || flushes_.size() >= kFlushesMax) {
    news.push_back(Flushed{.flush = id, .ok = false});
    return id;
  }
  PendingFlush& flush = flushes_.emplace_back(PendingFlush{.id = id});
  for (const auto& [topic, d] : topics_) {
    if (d.searching()) flush.topics.insert(topic);
  }
  CountSearched(news);
  return id;
}

// For flushes whose searches are over it now counts whoever waits.
void Swarm::CountSearched(News& news) {
  for (size_t i = 0; i < flushes_.size(); ++i) {
    PendingFlush& f = flushes_[i];
    if (f.counting || !f.topics.empty()) continue;
    f.counting = true;
    f.missing = queue_.size() + connecting_;
    f.tick = flush_tick_++;
  }
  std::erase_if(flushes_, [&](const PendingFlush& f) {
    if (!f.counting || f.missing > 0) return false;
    news.push_back(Flushed{.flush = f.id, .ok = true});
    return true;
  });
  FlushAllMaybe(news);
}

void Swarm::TopicFlushed(const Key32& topic, News& news) {
  for (PendingFlush& f : flushes_) f.topics.erase(topic);
  CountSearched(news);
}

void Swarm::PeerTried(uint64_t tick, News& news) {
  for (PendingFlush& f : flushes_) {
    if (f.counting && tick <= f.tick && f.missing > 0) --f.missing;
  }
  CountSearched(news);
}

// Nobody else will be tried: whoever waits for that is done.
void Swarm::FlushAllMaybe(News& news) {
  if (connecting_ > 0 || (WithinMaxPeers() && client_connections_ < config_.max_client_connections)) return;
  std::erase_if(flushes_, [&](const PendingFlush& f) {
    if (!f.counting) return false;
    news.push_back(Flushed{.flush = f.id, .ok = true});
    return true;
  });
}

void Swarm::FailFlushes(News& news) {
  for (const PendingFlush& f : flushes_) news.push_back(Flushed{.flush = f.id, .ok = false});
  flushes_.clear();
}

}  // namespace orchard::swarm
