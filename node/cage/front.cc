#include "node/cage/front.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/cage/answer.h"
#include "node/cage/guarding.h"
#include "node/cage/trace.h"
#include "node/http/date.h"
#include "node/http/url.h"
#include "node/http2/preface.h"

namespace orchard::cage {
namespace {

constexpr size_t kSmallMax = 16 << 10;  // An answer that leaves at once, if the client has room.

std::string RequestIdText(RequestId id) { return absl::StrCat(absl::Hex(uint64_t(id), absl::kZeroPad16)); }

// The words of the seed.
std::string_view Words(int status) {
  switch (status) {
    case 404: return "Site not found";
    case 429: return "Too many requests";
    case 502: return "Request execution failed";
    case 503: return "No healthy instances available";
    case 504: return "Request timed out";
  }
  return "Request refused";
}

}  // namespace

void Front::Open(Turn& turn) {
  if (config_.local.port != 0) turn.out.Listen(listener_, config_.local);
  if (config_.secure.port != 0) turn.out.ListenSecure(secure_, config_.secure);
}

void Front::CloseListeners(Turn& turn) {
  if (listening_.has_value()) turn.out.CloseSocket(listener_);
  if (listening_secure_.has_value()) turn.out.CloseSocket(secure_);
}

void Front::Finish(Turn& turn) {
  if (std::exchange(finishing_, true)) return;
  CloseListeners(turn);
  for (auto& [id, client] : clients_) {
    const Instant before = client->next_deadline();
    client->Finish(turn);
    due_.Move(id, before, client->next_deadline());
  }
}

void Front::Close(Turn& turn) {
  if (!finishing_) CloseListeners(turn);
  finishing_ = true;
  for (auto& [id, client] : clients_) client->Abort(turn);
  clients_.clear(), exchanges_.clear(), due_ = {}, held_ = 0;
}

void Front::Hold(Exchange& e, size_t bytes) { held_ += bytes - e.held, e.held = bytes; }

Front::Exchange* Front::Find(Client& c, Which which) {
  const auto it = c.exchanges.find(which);
  return it == c.exchanges.end() ? nullptr : it->second;
}

bool Front::OnInput(Turn& turn, Sites& sites, const Input& input, PoolNews& news) {
  if (const auto* opened = std::get_if<SocketOpened>(&input); opened != nullptr && IsOurs(opened->socket)) {
    const bool secure = opened->socket == secure_;
    if (opened->status == absl::StatusCode::kOk) {
      (secure ? listening_secure_ : listening_) = opened->local;
      turn.trace.Add(TraceCageListening{.port = opened->local.port, .secure = secure});
    } else {
      if (bind_failure_ == absl::StatusCode::kOk) bind_failure_ = opened->status;
      const std::string why = absl::StatusCodeToString(opened->status);
      turn.trace.Add(TraceCageUnbound{.port = secure ? config_.secure.port : config_.local.port, .secure = secure, .why = why});
    }
    return true;
  }
  if (const auto* stream = std::get_if<StreamOpened>(&input); stream != nullptr && stream->listener.has_value() && IsOurs(*stream->listener)) {
    if (clients_.size() >= kClientsMax || finishing_) {
      ++stats_.crowded;
      turn.out.Close(stream->stream);
      return true;
    }
    ++stats_.connections;
    const auto it = clients_.emplace(stream->stream, std::make_unique<Client>(stream->stream, config_.body_max, stream->peer, stream->listener == secure_)).first;
    it->second->one.OnOpened(turn);
    due_.Move(it->first, kNever, it->second->next_deadline());
    return true;
  }
  if (const auto id = http::StreamOf(input); id.has_value()) {
    const auto it = clients_.find(*id);
    if (it == clients_.end()) return false;
    OnClient(turn, sites, it, input, news);
    return true;
  }
  return false;
}

void Front::OnTime(Turn& turn, Sites& sites, PoolNews& news) {
  while (const auto id = due_.due(turn.now)) OnClient(turn, sites, clients_.find(*id), Deadline{}, news);
}

void Front::OnBytes(Turn& turn, Client& c, Bytes bytes, Heard& heard) {
  if (c.told) return c.many != nullptr ? c.many->OnData(turn, bytes, heard.many) : c.one.OnData(turn, bytes, heard.one);
  c.sniffed.append(AsText(bytes));
  const http2::Spoken spoken = http2::SpokenBy(AsBytes(c.sniffed));
  if (spoken == http2::Spoken::kUnknown) return;
  c.told = true;
  const std::string first = std::move(c.sniffed);
  if (spoken == http2::Spoken::kOther) return c.one.OnData(turn, AsBytes(first), heard.one);
  ++stats_.http2;
  // The credit that the other has given stands, and the host is a little further ahead.
  c.many = std::make_unique<http2::ServerSession>(c.stream(), http2::SessionLimits{.body_max = config_.body_max});
  c.many->OnOpened(turn);
  c.many->OnData(turn, AsBytes(first), heard.many);
}

void Front::OnClient(Turn& turn, Sites& sites, Clients::iterator it, const Input& input, PoolNews& news) {
  Client& c = *it->second;
  const Instant before = c.next_deadline();
  Heard heard;
  if (const auto* x = std::get_if<StreamData>(&input)) OnBytes(turn, c, x->bytes, heard);
  const auto both = [&](auto call) { c.many != nullptr ? call(*c.many, heard.many) : call(c.one, heard.one); };
  if (const auto* x = std::get_if<StreamCredit>(&input)) both([&](auto& server, auto& heard) { server.OnCredit(turn, x->bytes, heard); });
  if (std::holds_alternative<StreamEnded>(input)) both([&](auto& server, auto& heard) { server.OnEnded(turn, heard); });
  if (const auto* x = std::get_if<StreamClosed>(&input)) both([&](auto& server, auto& heard) { server.OnClosed(turn, x->status, heard); });
  if (std::holds_alternative<Deadline>(input)) both([&](auto& server, auto& heard) { server.OnTime(turn, heard); });
  Take(turn, sites, c, heard, news);
  Settle(turn, sites, it, before);
}

void Front::Settle(Turn& turn, Sites& sites, Clients::iterator it, Instant before) {
  Client& c = *it->second;
  const bool over = c.ended();
  due_.Move(it->first, before, over ? kNever : c.next_deadline());
  if (!over) return;
  while (!c.exchanges.empty()) Lost(turn, sites, c, c.exchanges.begin()->first);
  clients_.erase(it);
}

void Front::Lost(Turn& turn, Sites& sites, Client& c, Which which) {
  Exchange* e = Find(c, which);
  if (e == nullptr) return;
  if (e->asked && e->status == 0) sites.Forget(e->site, e->id);
  Over(turn, c, *e);
}

void Front::Take(Turn& turn, Sites& sites, Client& c, Heard& heard, PoolNews& news) {
  for (size_t i = 0; i < heard.one.size(); ++i) {
    const auto n = heard.one[i];  // What is done about it adds news.
    if (std::holds_alternative<http::RequestStarted>(n)) Started(turn, sites, c, 0, heard);
    if (const auto* body = std::get_if<http::RequestBody>(&n)) Body(turn, c, 0, body->bytes, heard);
    if (std::holds_alternative<http::RequestDone>(n)) Done(turn, sites, c, 0, heard, news);
    if (std::holds_alternative<http::ServerWritable>(n)) Pump(turn, c, 0, heard);
    if (const auto* closed = std::get_if<http::ServerClosed>(&n); closed != nullptr && closed->refusal != http::Refusal::kNone) ++stats_.bad_requests;
  }
  for (size_t i = 0; i < heard.many.size(); ++i) {
    const auto n = heard.many[i];
    if (const auto* x = std::get_if<http2::RequestStarted>(&n)) Started(turn, sites, c, Which(x->id), heard);
    if (const auto* x = std::get_if<http2::RequestBody>(&n)) Body(turn, c, Which(x->id), x->bytes, heard);
    if (const auto* x = std::get_if<http2::RequestDone>(&n)) Done(turn, sites, c, Which(x->id), heard, news);
    if (const auto* x = std::get_if<http2::RequestReset>(&n)) Lost(turn, sites, c, Which(x->id));
    if (const auto* x = std::get_if<http2::Writable>(&n)) Pump(turn, c, Which(x->id), heard);
    if (const auto* x = std::get_if<http2::SessionClosed>(&n); x != nullptr && x->trouble != http2::Trouble::kNone) ++stats_.bad_requests;
  }
}

void Front::Started(Turn& turn, Sites& sites, Client& c, Which which, Heard& heard) {
  const http::RequestHead& head = c.request(which);
  const RequestId id{next_request_++};
  ++stats_.requests;
  Exchange& e = *(exchanges_[id] = std::make_unique<Exchange>());
  c.exchanges[which] = &e;
  e.id = id, e.stream = c.stream(), e.which = which, e.began = turn.now;
  e.request.method = head.method;
  if (head.method == "CONNECT") return Say(turn, c, e, 501, "CONNECT is for proxies", heard);
  std::string_view host = head.headers.Find("Host").value_or(""), target = head.target;
  if (target.find('#') != target.npos) return Say(turn, c, e, 400, "A fragment is no part of a target", heard);  // RFC 9112 §3.2.
  std::optional<http::Url> url;
  if (!target.starts_with('/') && target != "*") {
    auto parsed = http::Url::Parse(target);
    if (!parsed.ok()) return Say(turn, c, e, 400, "The target is no path, and no URL of http or https", heard);
    url = *std::move(parsed);
  }
  if (url.has_value()) {  // Absolute form counts more than Host (RFC 9112 §3.2.2).
    e.request.authority = url->host_header(), e.request.target = url->target;
    if (url->https && !c.secure) return Say(turn, c, e, 421, "https is not spoken on this connection", heard);  // RFC 9110 §7.4.
  } else if (!host.empty() && !http::Authority::Parse(host, 80).ok()) {
    return Say(turn, c, e, 400, "Host names no host", heard);  // RFC 9112 §3.2.
  } else {
    e.request.authority = std::string(host), e.request.target = std::string(target);
  }
  if (e.request.target == "*") return Say(turn, c, e, 200, "", heard);  // OPTIONS: of the server, not of a site (RFC 9110 §9.3.7).
  Sites::Site* site = sites.Find(e.request.authority, config_.fallback);
  if (site == nullptr) {
    const bool reads = head.method == "GET" || head.method == "HEAD";
    if (e.request.target == "/health") return reads ? Say(turn, c, e, 200, "", heard) : Say(turn, c, e, 405, "Method not allowed", heard);
    ++stats_.unknown_site;
    return Say(turn, c, e, 404, Words(404), heard);
  }
  e.site = site->config.name;
  if (traffic_.size() >= kTrafficMax) absl::erase_if(traffic_, [&](const auto& t) { return sites.Named(t.first) == nullptr; });
  traffic_.try_emplace(e.site);
  if (IsOneTooMany(turn, *site, e.id, c.peer)) return Say(turn, c, e, 429, Words(429), heard);
  e.request.scheme = c.secure ? "https" : "http", e.request.remote = c.peer_text;
  const std::vector<http::HeaderList::Header> headers = head.headers.EndToEnd();
  e.request.headers.reserve(headers.size());
  for (const http::HeaderList::Header& h : headers) e.request.headers.emplace_back(h.name, h.value);
  if (held_ > kBodiesMax) return Say(turn, c, e, 503, "Too much is under way", heard);
  if (head.body == http::BodyKind::kLength && head.length > config_.body_max) return Say(turn, c, e, 413, "The body is too large", heard);
  c.Continue(turn, which);
}

void Front::Body(Turn& turn, Client& c, Which which, Bytes bytes, Heard& heard) {
  if (Exchange* e = Find(c, which); e != nullptr && e->status == 0) {
    if (e->request.body.size() + bytes.size() > config_.body_max) {
      Say(turn, c, *e, 413, "The body is too large", heard);
    } else {
      e->request.body.append(AsText(bytes)), e->came += bytes.size();
      Hold(*e, e->request.body.size());
    }
  }
  c.Took(turn, which, bytes.size());
}

void Front::Done(Turn& turn, Sites& sites, Client& c, Which which, Heard& heard, PoolNews& news) {
  Exchange* e = Find(c, which);
  if (e == nullptr || e->status != 0) return;  // Answered before it was whole.
  Sites::Site* site = sites.Named(e->site);
  if (site == nullptr) return news.push_back(Refused{e->id, Unserved::kNoCage, Cause::kNone, 0, 0});
  if (IsToBeRefused(turn, *site, e->id, c.peer, e->request)) return Say(turn, c, *e, 403, Words(403), heard);
  e->asked = true;
  std::string method = e->request.method;
  sites.Ask(turn, *site, e->id, std::exchange(e->request, {.method = std::move(method)}), news);
}

void Front::OnNews(Turn& turn, Sites& sites, PoolNews news) {
  for (auto& n : news) {
    auto* answered = std::get_if<Answered>(&n);
    const auto* refused = std::get_if<Refused>(&n);
    const auto found = exchanges_.find(answered != nullptr ? answered->request : refused->request);
    if (found == exchanges_.end()) continue;
    Exchange& e = *found->second;
    const auto it = clients_.find(e.stream);
    Client& c = *it->second;
    const Instant before = c.next_deadline();
    Heard heard;
    if (answered != nullptr) {
      Answer(turn, sites, c, e, std::move(*answered), heard);
    } else {
      e.cage = refused->cage, e.tries = refused->tries;
      const int status = refused->why != Unserved::kDied ? 503 : refused->cause == Cause::kTimeout ? 504 : 502;
      Say(turn, c, e, status, refused->why == Unserved::kFull ? "All instances are busy" : Words(status), heard);
    }
    PoolNews more;  // The next of pipelined requests.
    Take(turn, sites, c, heard, more);
    Settle(turn, sites, it, before);
    if (!more.empty()) OnNews(turn, sites, std::move(more));
  }
}

void Front::Answer(Turn& turn, Sites& sites, Client& c, Exchange& e, Answered answered, Heard& heard) {
  e.fuel = answered.result.fuel, e.cage = answered.cage, e.tries = answered.tries;
  e.answer = std::move(answered.result.answer);
  auto answer = ParseAnswer(e.answer);
  sites.Judge(turn, e.site, answered.cage, answer.status());
  if (!answer.ok()) {
    ++stats_.nonsense;
    return Say(turn, c, e, 502, Words(502), heard);
  }
  e.status = answer->status, e.at = e.answer.size() - answer->body.size();
  http::Response response{.status = answer->status, .headers = std::move(answer->headers), .length = answer->body.size()};
  // How long the body is that a guest left out, as it may, nobody knows; and 0 would be a lie (RFC 9110 §8.6).
  if (answer->body.empty() && (e.request.method == "HEAD" || answer->status == 304)) {
    response.length.reset(), response.relayed = true;
    http::AddDate(response.headers, http::UnixSeconds(turn));
  }
  Respond(turn, c, e, std::move(response), heard);
}

void Front::Say(Turn& turn, Client& c, Exchange& e, int status, std::string_view error, Heard& heard) {
  e.status = status, e.at = 0;
  e.answer = status == 200 ? "{\"status\":\"healthy\"}\n" : absl::StrCat("{\"error\":\"", absl::string_view(error.data(), error.size()), "\",\"status\":", status, "}\n");
  http::Response response{.status = status, .headers = {}, .length = e.answer.size()};
  response.headers.Add("Content-Type", "application/json");
  if (status == 503 || status == 429) response.headers.Add("Retry-After", "1");
  if (status == 405) response.headers.Add("Allow", "GET, HEAD");
  Respond(turn, c, e, std::move(response), heard);
}

// With what is ours to say; the body is in its exchange.
void Front::Respond(Turn& turn, Client& c, Exchange& e, http::Response response, Heard& heard) {
  e.body = e.answer.size() - e.at;
  response.headers.Replace("X-Request-Id", RequestIdText(e.id));
  if (c.secure && config_.http3) response.headers.Replace("Alt-Svc", absl::StrCat("h3=\":", config_.secure.port, "\"; ma=86400"));  // RFC 7838.
  const Which which = e.which;
  if (e.body <= kSmallMax && c.Fits(which, e.body)) {
    c.RespondWhole(turn, which, std::move(response), AsBytes(std::string_view(e.answer).substr(e.at)), heard);
    return Over(turn, c, e);
  }
  Hold(e, e.answer.size());
  c.Respond(turn, which, std::move(response), heard);
  Pump(turn, c, which, heard);
}

void Front::Pump(Turn& turn, Client& c, Which which, Heard& heard) {
  Exchange* e = Find(c, which);
  if (e == nullptr || e->status == 0) return;
  const bool writes = c.answering(which);
  if (writes) {
    const size_t n = std::min(c.room(which), e->answer.size() - e->at);
    if (n > 0) c.Write(turn, which, AsBytes(std::string_view(e->answer).substr(e->at, n)));
    e->at += n;
    if (e->at < e->answer.size()) return;
  }
  Over(turn, c, *e);
  if (writes) c.FinishBody(turn, which, heard);  // May bring the next request.
}

void Front::Over(Turn& turn, Client& c, Exchange& e) {
  ++stats_.statuses[e.status];
  const uint64_t us = uint64_t((turn.now - e.began).count() / 1000);
  if (const auto it = traffic_.find(e.site); it != traffic_.end()) it->second.Add(turn.now, e.status, us, e.came, e.status == 0 ? 0 : e.body);
  turn.trace.Add(TraceCageRequest{.site = e.site, .method = std::string_view(e.request.method).substr(0, 16), .request = uint64_t(e.id), .status = uint64_t(e.status),
                                  .cage = e.cage, .us = us, .fuel = e.fuel, .bytes = e.body, .tries = e.tries});
  Hold(e, 0);
  c.exchanges.erase(e.which);
  exchanges_.erase(e.id);
}

}  // namespace orchard::cage
