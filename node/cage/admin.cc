#include "node/cage/admin.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "node/cage/admin_text.h"
#include "node/cage/dashboard.h"
#include "node/cage/trace.h"
#include "node/crypto/hash.h"
#include "node/crypto/secret.h"
#include "node/crypto/sha256.h"
#include "node/http/url.h"

namespace orchard::cage {
namespace {

// As a source of a Content-Security-Policy: what stands in the page between these tags, and nothing else. CSP 3 §2.3.1.
std::string HashOf(std::string_view page, std::string_view open, std::string_view close) {
  const size_t from = page.find(open) + open.size();
  const Key32 sum = crypto::Sha256(AsBytes(page.substr(from, page.find(close, from) - from)));
  return absl::StrCat("'sha256-", absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(sum.data()), sum.size())), "'");
}

std::string PagePolicy() {
  const std::string_view page = DashboardPage();
  return absl::StrCat("default-src 'none'; script-src ", HashOf(page, "<script>", "</script>"), "; style-src ", HashOf(page, "<style>", "</style>"),
                      "; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}

}  // namespace

void Admin::Open(Turn& turn) {
  opened_ = turn.now;
  if (config_.local.port != 0) turn.out.Listen(listener_, config_.local);
}

void Admin::Finish(Turn& turn) {
  if (std::exchange(finishing_, true)) return;
  if (listening_.has_value()) turn.out.CloseSocket(listener_);
  for (auto& [id, c] : clients_) {
    const Instant before = c->server.next_deadline();
    c->server.Finish(turn);
    due_.Move(id, before, c->server.next_deadline());
  }
}

void Admin::Close(Turn& turn) {
  Finish(turn);
  for (auto& [id, c] : clients_) c->server.Abort(turn);
  clients_.clear(), due_ = {}, held_ = 0;
}

bool Admin::OnInput(Turn& turn, View view, const Input& input) {
  if (const auto* opened = std::get_if<SocketOpened>(&input); opened != nullptr && opened->socket == listener_) {
    if (opened->status == absl::StatusCode::kOk) {
      listening_ = opened->local;
      turn.trace.Add(TraceCageAdmin{.port = opened->local.port});
    } else {
      const std::string why = absl::StatusCodeToString(opened->status);
      turn.trace.Add(TraceCageAdminUnbound{.port = config_.local.port, .why = why});
    }
    return true;
  }
  if (const auto* stream = std::get_if<StreamOpened>(&input); stream != nullptr && stream->listener == listener_) {
    if (clients_.size() >= kClientsMax || finishing_) {
      ++stats_.crowded;
      turn.out.Close(stream->stream);
      return true;
    }
    const auto it = clients_.emplace(stream->stream, std::make_unique<Client>(stream->stream)).first;
    it->second->server.OnOpened(turn);
    due_.Move(it->first, kNever, it->second->server.next_deadline());
    return true;
  }
  const auto id = http::StreamOf(input);
  const auto it = id.has_value() ? clients_.find(*id) : clients_.end();
  if (it == clients_.end()) return false;
  OnClient(turn, view, it, input);
  return true;
}

void Admin::OnTime(Turn& turn, View view) {
  while (const auto id = due_.due(turn.now)) OnClient(turn, view, clients_.find(*id), Deadline{});
}

void Admin::OnClient(Turn& turn, View view, Clients::iterator it, const Input& input) {
  Client& c = *it->second;
  const Instant before = c.server.next_deadline();
  http::ServerNews heard;
  if (const auto* x = std::get_if<StreamData>(&input)) c.server.OnData(turn, x->bytes, heard);
  if (const auto* x = std::get_if<StreamCredit>(&input)) c.server.OnCredit(turn, x->bytes, heard);
  if (std::holds_alternative<StreamEnded>(input)) c.server.OnEnded(turn, heard);
  if (const auto* x = std::get_if<StreamClosed>(&input)) c.server.OnClosed(turn, x->status, heard);
  if (std::holds_alternative<Deadline>(input)) c.server.OnTime(turn, heard);
  for (size_t i = 0; i < heard.size(); ++i) {
    const auto n = heard[i];  // What is done about it adds news.
    if (std::holds_alternative<http::RequestStarted>(n)) Answer(turn, view, c, heard);
    if (const auto* body = std::get_if<http::RequestBody>(&n)) c.server.Took(turn, body->bytes.size());
    if (std::holds_alternative<http::ServerWritable>(n)) Pump(turn, c, heard);
  }
  const bool over = c.server.ended();
  due_.Move(it->first, before, over ? kNever : c.server.next_deadline());
  if (!over) return;
  Hold(c, "");
  clients_.erase(it);
}

void Admin::Hold(Client& c, std::string answer) {
  held_ += answer.size() - c.answer.size();
  c.answer = std::move(answer), c.at = 0;
}

void Admin::Answer(Turn& turn, View view, Client& c, http::ServerNews& heard) {
  ++stats_.requests;
  Reply reply = Compose(turn, view, c.server.request());
  // No other site's page may read it, show it in a frame, or guess what it is; and no cache keeps it.
  reply.headers.Add("Cache-Control", "no-store");
  reply.headers.Add("X-Content-Type-Options", "nosniff");
  reply.headers.Add("Referrer-Policy", "no-referrer");
  reply.headers.Add("Cross-Origin-Resource-Policy", "same-origin");
  Hold(c, std::move(reply.body));
  c.server.Respond(turn, {.status = reply.status, .headers = std::move(reply.headers), .length = c.answer.size()}, heard);
  if (c.server.answering()) Pump(turn, c, heard);
  else Hold(c, "");
}

void Admin::Pump(Turn& turn, Client& c, http::ServerNews& heard) {
  if (!c.server.answering()) return;
  const size_t n = std::min(c.server.room(), c.answer.size() - c.at);
  if (n > 0) c.server.WriteBody(turn, AsBytes(std::string_view(c.answer).substr(c.at, n)));
  c.at += n;
  if (c.at < c.answer.size()) return;
  Hold(c, "");
  c.server.FinishBody(turn, heard);  // May bring the next request.
}

Admin::Reply Admin::Compose(Turn& turn, View view, const http::RequestHead& head) {
  Reply reply;
  const auto say = [&](int status, std::string_view error) {
    reply.status = status, reply.body = absl::StrCat("{\"error\":\"", absl::string_view(error.data(), error.size()), "\",\"status\":", status, "}\n");
    reply.headers.Add("Content-Type", "application/json");
    return std::move(reply);
  };
  std::string_view host = head.headers.Find("Host").value_or(""), path = head.target;
  const auto url = http::Url::Parse(path);
  const std::string absolute = url.ok() ? url->host_header() : "";
  if (url.ok()) host = absolute, path = url->target;
  path = path.substr(0, path.find('?'));
  if (!IsOurName(host)) {
    ++stats_.strange_hosts;
    return say(421, "This is no name of the admin's");
  }
  if (head.method != "GET" && head.method != "HEAD") {
    reply.headers.Add("Allow", "GET, HEAD");
    return say(405, "Method not allowed");
  }
  if (path == "/") {
    reply.headers.Add("Content-Type", "text/html; charset=utf-8");
    reply.headers.Add("Content-Security-Policy", PagePolicy());
    reply.body = std::string(DashboardPage());
    return reply;
  }
  if (path == "/health") {
    const size_t down = SitesDown(view.sites);
    reply.status = down == 0 ? 200 : 503;
    reply.headers.Add("Content-Type", "application/json");
    reply.body = absl::StrCat("{\"status\":\"", down == 0 ? "healthy" : "unhealthy", "\",\"sites\":", view.sites.all().size(), ",\"down\":", down, "}\n");
    return reply;
  }
  if (path != "/stats" && path != "/metrics") return say(404, "There are /, /health, /stats and /metrics");
  if (!HasToken(head)) {
    ++stats_.denied;
    reply.headers.Add("WWW-Authenticate", head.headers.Has("Authorization") ? "Bearer realm=\"orchard\", error=\"invalid_token\"" : "Bearer realm=\"orchard\"");  // RFC 6750 §3.
    return say(401, "A token is needed");
  }
  if (held_ > kHeldMax) return say(503, "Too much is under way");
  if (path == "/stats") {
    reply.headers.Add("Content-Type", "application/json");
    reply.body = StatsJson(turn.now, turn.now - opened_, view.sites, view.front);
  } else {
    reply.headers.Add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    reply.body = MetricsText(view.sites, view.front);
  }
  return reply;
}

bool Admin::IsOurName(std::string_view host) const {
  const auto authority = http::Authority::Parse(host, 80);
  if (!authority.ok()) return false;
  if (authority->host == "localhost" || authority->host == "localhost.") return true;
  const auto literal = authority->literal();
  if (!literal.has_value()) return false;
  const Endpoint at = literal->with_port(0), ours = config_.local.with_port(0);
  if (at.is_v4() && at.v4() >> 24 == 127) return true;
  // Whoever serves it on all addresses is asked by any: an address is no name that somebody could lead here.
  return at == ours || ours == Endpoint::V4(0, 0);
}

bool Admin::HasToken(const http::RequestHead& head) const {
  const std::string_view said = head.headers.Find("Authorization").value_or("");
  if (config_.token.empty() || head.headers.Count("Authorization") != 1 || said.size() < 7 || !http::EqualsIgnoringCase(said.substr(0, 7), "Bearer ")) return false;
  // Of hashes, so that the time tells nothing of the length either.
  return crypto::SameSecret(crypto::Blake2b256(AsBytes(http::Trimmed(said.substr(7)))), crypto::Blake2b256(AsBytes(config_.token)));
}

}  // namespace orchard::cage
