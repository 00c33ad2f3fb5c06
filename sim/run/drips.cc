#include "sim/run/drips.h"

#include <algorithm>
#include <utility>

#include "node/http/stream_io.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr size_t kFirstLineMax = 64;  // "HTTP/1.1 408 Request Timeout" is all that is looked at.
constexpr uint32_t kReadAhead = 16 << 10;

}  // namespace

void Drips::Wait(Table::iterator it, Instant until) { due_.Move(it->first, std::exchange(it->second.next, until), until); }

void Drips::Forget(Table::iterator it) {
  Wait(it, kNever);
  if (it->second.connecting) streams_.erase(it->second.stream);
  drips_.erase(it);
}

void Drips::Start(Turn& turn, http::Ids& ids, OpId op, DripRequest request, News& news) {
  const std::string host = request.host.empty() ? request.url.host_header() : request.host;
  std::string head = Cat("GET ", request.url.target, " HTTP/1.1\r\nHost: ", host, "\r\n");
  const auto it = drips_.emplace(op, Drip{.request = std::move(request), .head = std::move(head), .addresses = {}, .answer = {}, .began = turn.now}).first;
  if (drips_.size() > kMax) return Finish(turn, it, End::kTooMany, news);
  if (it->second.addresses.Ask(turn, ids, it->second.request.url.authority)) Connect(turn, ids, it);
}

void Drips::Connect(Turn& turn, http::Ids& ids, Table::iterator it) {
  Drip& d = it->second;
  d.stream = ids.NextStream(), d.connecting = true;
  streams_[d.stream] = it->first;
  Wait(it, turn.now + d.request.most);  // Until it is open.
  turn.out.Connect(d.stream, d.addresses.now());
}

bool Drips::Cancel(Turn& turn, OpId op) {
  const auto it = drips_.find(op);
  if (it == drips_.end()) return false;
  it->second.addresses.Cancel(turn);
  if (it->second.connecting) turn.out.Close(it->second.stream);
  Forget(it);
  return true;
}

void Drips::Clear(Turn& turn) {
  while (!drips_.empty()) Cancel(turn, drips_.begin()->first);
}

bool Drips::OnInput(Turn& turn, http::Ids& ids, const Input& input, News& news) {
  if (const auto* done = std::get_if<JobDone>(&input)) {
    const auto it = std::find_if(drips_.begin(), drips_.end(), [&](const auto& d) { return d.second.addresses.asked(done->job); });
    if (it == drips_.end()) return false;
    if (it->second.addresses.OnJobDone(*done)) Connect(turn, ids, it);
    else Finish(turn, it, End::kNoName, news);
    return true;
  }
  const auto stream = http::StreamOf(input);
  const auto* opened = std::get_if<StreamOpened>(&input);
  if (!stream.has_value() || (opened != nullptr && opened->listener.has_value())) return false;
  const auto known = streams_.find(*stream);
  if (known == streams_.end()) return false;
  const auto it = drips_.find(known->second);
  Drip& d = it->second;
  if (opened != nullptr) d.open = true, turn.out.Accept(d.stream, kReadAhead), Fall(turn, it, news);
  if (const auto* data = std::get_if<StreamData>(&input)) {
    d.answer.append(AsText(data->bytes).substr(0, kFirstLineMax - std::min(kFirstLineMax, d.answer.size())));
    turn.out.Accept(d.stream, uint32_t(data->bytes.size()));
  }
  if (std::holds_alternative<StreamEnded>(input)) turn.out.Close(d.stream), Finish(turn, it, End::kClosed, news);
  else if (std::holds_alternative<StreamClosed>(input)) Finish(turn, it, d.open ? End::kClosed : End::kUnreachable, news);
  return true;
}

void Drips::OnTime(Turn& turn, News& news) {
  while (const auto op = due_.due(turn.now)) Fall(turn, drips_.find(*op), news);
}

// The next byte, of a head that begins as it should, and goes on for ever with one header after another; or its time is over.
void Drips::Fall(Turn& turn, Table::iterator it, News& news) {
  Drip& d = it->second;
  const Instant end = d.began + d.request.most;
  if (turn.now >= end) {
    if (d.connecting) turn.out.Close(d.stream);
    return Finish(turn, it, d.open ? End::kHeld : End::kUnreachable, news);
  }
  constexpr std::string_view kMore = "X-a: b\r\n";
  const char byte = d.sent < d.head.size() ? d.head[size_t(d.sent)] : kMore[size_t(d.sent - d.head.size()) % kMore.size()];
  // A window is far more than it ever writes: a byte a millisecond for a minute.
  if (d.sent < kStreamWindow) turn.out.Write(d.stream, AsBytes(std::string_view(&byte, 1))), ++d.sent;
  Wait(it, std::min(turn.now + d.request.every, end));
}

void Drips::Finish(Turn& turn, Table::iterator it, End end, News& news) {
  const Drip& d = it->second;
  Done done{.op = it->first, .end = end, .bytes = d.sent, .took = turn.now - d.began};
  if (d.answer.starts_with("HTTP/1.1 ") && d.answer.size() >= 12) {
    for (char c : d.answer.substr(9, 3)) done.status = done.status * 10 + (c >= '0' && c <= '9' ? c - '0' : 0);
  }
  Forget(it);
  news.push_back(done);
}

}  // namespace orchard::sim
