#include "node/apps/get_plan.h"

#include <algorithm>

namespace orchard::cli {

GetPlan::GetPlan(uint64_t size, uint64_t done) : left_(size - done) {
  if (done > 0) have_[0] = done;
  if (done < size) unasked_.push_back({done, size});
}

double GetPlan::Work::Left(double now) const {
  const double took = std::max(now - began, 0.05);
  // One byte more than came: who brought nothing yet is as slow as he was silent. And who was silent is so for as long again.
  return std::max(double(end - at) * took / double(got + 1), now - seen);
}

GetPlan::Work* GetPlan::Last(double now) {
  std::map<uint64_t, Work*> fastest;  // By the end.
  for (auto& [connection, w] : work_) {
    if (over(connection)) continue;
    Work*& f = fastest[w.end];
    if (f == nullptr || w.Left(now) < f->Left(now)) f = &w;
  }
  Work* last = nullptr;
  for (const auto& [end, w] : fastest) {
    if (last == nullptr || w->Left(now) > last->Left(now)) last = w;
  }
  return last;
}

std::optional<GetPlan::Range> GetPlan::Take(int connection, double rate, double now) {
  if (!unasked_.empty()) {
    Range& first = unasked_.front();
    const uint64_t most = std::clamp<uint64_t>(uint64_t(std::max(rate, 0.0) * 2), kPieceMin, kPieceMax);
    Range taken{first.first, std::min(first.end, first.first + most)};
    if (first.end - taken.end < kPieceMin / 2) taken.end = first.end;
    first.first = taken.end;
    if (first.first == first.end) unasked_.erase(unasked_.begin());
    work_[connection] = {.at = taken.first, .end = taken.end, .began = now, .seen = now};
    return taken;
  }
  Work* last = Last(now);
  if (last == nullptr) return std::nullopt;
  const uint64_t left = last->end - last->at;
  const double theirs = last->Left(now), here = rate > 0 ? double(left) / rate : theirs / 2;
  if (theirs < 0.25 || here >= theirs) return std::nullopt;
  Range taken{last->at, last->end};
  if (left >= 2 * kSplitMin) {
    // So that both end together.
    taken.first = last->end - std::clamp<uint64_t>(uint64_t(double(left) * theirs / (theirs + here)), kSplitMin, left - kSplitMin / 2);
    last->end = taken.first;
  }
  work_[connection] = {.at = taken.first, .end = taken.end, .began = now, .seen = now};
  return taken;
}

uint64_t GetPlan::OnBytes(int connection, uint64_t bytes, double now) {
  const auto it = work_.find(connection);
  if (it == work_.end()) return 0;
  Work& w = it->second;
  const uint64_t n = std::min(bytes, w.end - w.at);
  Count(w.at, w.at + n);
  w.at += n, w.got += n, w.seen = now;
  return n;
}

// Bytes [first, end) are there; some may have been before.
void GetPlan::Count(uint64_t first, uint64_t end) {
  if (first == end) return;
  auto it = have_.upper_bound(first);
  if (it != have_.begin() && std::prev(it)->second >= first) --it, first = it->first;
  uint64_t known = 0, to = end;
  for (; it != have_.end() && it->first <= to; it = have_.erase(it)) known += it->second - it->first, to = std::max(to, it->second);
  have_[first] = to;
  left_ -= to - first - known;
}

bool GetPlan::over(int connection) const {
  const auto it = work_.find(connection);
  if (it == work_.end() || it->second.at == it->second.end) return true;
  // Another may have brought the rest.
  const auto has = have_.upper_bound(it->second.at);
  return has != have_.begin() && std::prev(has)->second >= it->second.end;
}

void GetPlan::Release(int connection) {
  const auto it = work_.find(connection);
  if (it == work_.end()) return;
  const Work w = it->second;
  const bool done = over(connection);
  work_.erase(it);
  if (done) return;
  for (const auto& [other, x] : work_) {
    if (x.end == w.end) return;  // It brings what is missing.
  }
  const Range back{w.at, w.end};
  unasked_.insert(std::upper_bound(unasked_.begin(), unasked_.end(), back, [](const Range& a, const Range& b) { return a.first < b.first; }), back);
}

}  // namespace orchard::cli
