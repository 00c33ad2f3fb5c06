// Machines for tests of the layer: a site that answers as its paths say, and a client on nghttp2.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "node/base/check.h"
#include "node/http2/server_session.h"
#include "tests/http2/frames.h"

namespace orchard::http2 {

// "/1000" so many bytes, of known length; "/stream/1000" of unknown length; "/echo" what comes, no faster than it is taken back;
// "/hold" takes nothing and never answers; "/never" takes all; "/short" says ten bytes and writes five; "/none"; "/headers".
class Site final : public Machine {
 public:
  struct Ask {
    std::string target, host, back;
    uint64_t left = 0;
    bool echo = false, done = false, body = false;
  };
  struct Client {
    Client(StreamId s, SessionLimits limits) : session(s, limits) {}
    ServerSession session;
    std::map<RequestId, Ask> asks;
  };
  explicit Site(SessionLimits limits = {}, Endpoint local = Endpoint::V4(0, 80), bool secure = false) : limits_(limits), secure_(secure), local_(local) {}

  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) secure_ ? turn.out.ListenSecure(SocketId{1}, local_) : turn.out.Listen(SocketId{1}, local_);
    if (const auto* o = std::get_if<SocketOpened>(&input)) listening = o->local;
    if (const auto* o = std::get_if<StreamOpened>(&input)) {
      last = o->stream;
      clients[o->stream] = std::make_unique<Client>(o->stream, limits_);
      clients[o->stream]->session.OnOpened(turn);
      memory_idle = clients[o->stream]->session.memory().used();
    }
    if (const auto id = http::StreamOf(input)) {
      if (const auto it = clients.find(*id); it != clients.end()) Give(turn, *it->second, input);
    }
    if (std::holds_alternative<Deadline>(input)) {
      for (auto& [id, c] : clients) {
        if (c->session.next_deadline() <= turn.now) Give(turn, *c, input);
      }
    }
    if (todo && std::holds_alternative<OpCall>(input)) std::exchange(todo, nullptr)(turn, *this);
  }
  Instant next_deadline() const override {
    Instant next = kNever;
    for (const auto& [id, c] : clients) next = std::min(next, c->session.next_deadline());
    return next;
  }
  ServerSession& session() { return clients.at(last)->session; }

  std::map<StreamId, std::unique_ptr<Client>> clients;
  StreamId last{};
  std::optional<Endpoint> listening;
  std::vector<std::string> heads;                                      // "GET site /path".
  std::map<RequestId, http::Failure> resets;
  std::optional<SessionClosed> closed;
  size_t held = 0, held_max = 0, memory_idle = 0, memory_max = 0;
  uint64_t taken = 0;
  std::function<void(Turn&, Site&)> todo;

 private:
  void Give(Turn& turn, Client& c, const Input& input) {
    SessionNews news;
    if (const auto* x = std::get_if<StreamData>(&input)) c.session.OnData(turn, x->bytes, news);
    if (const auto* x = std::get_if<StreamCredit>(&input)) c.session.OnCredit(turn, x->bytes, news);
    if (std::holds_alternative<StreamEnded>(input)) c.session.OnEnded(turn, news);
    if (const auto* x = std::get_if<StreamClosed>(&input)) c.session.OnClosed(turn, x->status, news);
    if (std::holds_alternative<Deadline>(input)) c.session.OnTime(turn, news);
    for (size_t i = 0; i < news.size(); ++i) {
      const auto n = news[i];
      CHECK(!closed.has_value() || clients.size() > 1);  // It is the last.
      if (const auto* x = std::get_if<RequestStarted>(&n)) Started(turn, c, x->id, news);
      if (const auto* x = std::get_if<RequestBody>(&n)) Body(turn, c, x->id, x->bytes);
      if (const auto* x = std::get_if<RequestDone>(&n); x != nullptr && c.asks.contains(x->id)) c.asks[x->id].done = true;
      if (const auto* x = std::get_if<RequestReset>(&n)) {
        CHECK(c.asks.contains(x->id));
        resets[x->id] = x->why, held -= c.asks[x->id].back.size(), c.asks.erase(x->id);
      }
      if (const auto* x = std::get_if<SessionClosed>(&n)) closed = *x;
    }
    for (auto it = c.asks.begin(); it != c.asks.end();) it = Pump(turn, c, it->first, it->second, news) ? c.asks.erase(it) : std::next(it);
    memory_max = std::max(memory_max, c.session.memory().used());
  }
  void Started(Turn& turn, Client& c, RequestId id, SessionNews& news) {
    const http::RequestHead& head = c.session.request(id);
    Ask& a = c.asks[id];
    a.target = head.target, a.host = std::string(head.headers.Find("Host").value_or(""));
    heads.push_back(head.method + " " + a.host + " " + a.target);
    http::Response r;
    r.headers.Add("X-Site", "Yes"), r.headers.Add("Connection", "keep-alive"), r.headers.Add("Keep-Alive", "5");
    if (absl::SimpleAtoi(absl::string_view(a.target).substr(1), &a.left)) {
      a.body = true, r.length = a.left;
      c.session.Respond(turn, id, std::move(r), news);
    } else if (a.target.starts_with("/stream/")) {
      CHECK(absl::SimpleAtoi(absl::string_view(a.target).substr(8), &a.left));
      a.body = true;
      c.session.Respond(turn, id, std::move(r), news);
    } else if (a.target == "/echo") {
      a.echo = a.body = true;
      c.session.Continue(turn, id);
      c.session.Respond(turn, id, std::move(r), news);
    } else if (a.target == "/short") {
      r.length = 10;
      c.session.Respond(turn, id, std::move(r), news);
      c.session.WriteBody(turn, id, AsBytes("12345"));
      c.session.FinishBody(turn, id, news);
    } else if (a.target == "/none") {
      c.session.Respond(turn, id, {.status = 204}, news);
      c.asks.erase(id);
    } else if (a.target == "/text") {
      c.session.RespondText(turn, id, 404, "no such thing\n", news);
    }
  }
  void Body(Turn& turn, Client& c, RequestId id, Bytes bytes) {
    const auto it = c.asks.find(id);
    if (it == c.asks.end() || it->second.target == "/never") {
      taken += bytes.size();
      return c.session.Took(turn, id, bytes.size());
    }
    it->second.back += AsText(bytes), held += bytes.size(), held_max = std::max(held_max, held);
  }
  // True if it is over.
  bool Pump(Turn& turn, Client& c, RequestId id, Ask& a, SessionNews& news) {
    if (!a.body) return false;
    if (a.echo) {
      const size_t n = std::min(a.back.size(), c.session.room(id));
      const std::string part = a.back.substr(0, n);
      c.session.WriteBody(turn, id, AsBytes(part));
      c.session.Took(turn, id, n);
      a.back.erase(0, n), held -= n;
      if (!a.done || !a.back.empty()) return false;
      c.session.FinishBody(turn, id, news);
      return true;
    }
    const size_t n = size_t(std::min<uint64_t>(a.left, c.session.room(id)));
    c.session.WriteBody(turn, id, AsBytes(std::string(n, 'x')));
    a.left -= n;
    if (a.left > 0) return false;
    c.session.FinishBody(turn, id, news);
    return true;
  }
  SessionLimits limits_;
  bool secure_;
  Endpoint local_;
};

struct Answer {
  int status = 0, interim = 0;
  Fields headers;
  std::string body;
  bool done = false;
  std::optional<uint32_t> reset;
  std::string Header(std::string_view name) const {
    for (const auto& [n, v] : headers) {
      if (n == name) return v;
    }
    return "";
  }
};

// Asks all at once as soon as it is connected; bodies leave as the windows allow.
class Client final : public Machine {
 public:
  struct Ask {
    Fields fields;
    std::string body;
    bool has_body = false;
  };
  struct Options {
    std::vector<Ask> asks;
    bool reads = true;           // Gives windows back.
    bool accepts = true;         // Reads its stream at all.
  };
  Client(Endpoint to, Options options) : to_(to), o_(std::move(options)) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_header_callback(calls, [](nghttp2_session*, const nghttp2_frame* f, const uint8_t* n, size_t ns, const uint8_t* v, size_t vs, uint8_t, void* u) {
      Answer& a = static_cast<Client*>(u)->answers[f->hd.stream_id];
      const std::string name(AsText(Bytes(n, ns))), value(AsText(Bytes(v, vs)));
      if (name == ":status") (f->headers.cat == NGHTTP2_HCAT_RESPONSE && value[0] != '1' ? a.status : value[0] == '1' ? a.interim : a.status) = std::stoi(value);
      else a.headers.push_back({name, value});
      return 0;
    });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, [](nghttp2_session*, uint8_t, int32_t s, const uint8_t* d, size_t n, void* u) {
      static_cast<Client*>(u)->answers[s].body += AsText(Bytes(d, n));
      return 0;
    });
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, [](nghttp2_session*, int32_t s, uint32_t error, void* u) {
      Answer& a = static_cast<Client*>(u)->answers[s];
      if (error == NGHTTP2_NO_ERROR) a.done = true;
      else a.reset = error;
      return 0;
    });
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, [](nghttp2_session*, const nghttp2_frame* f, void* u) {
      if (f->hd.type == NGHTTP2_GOAWAY) static_cast<Client*>(u)->goaway = f->goaway.error_code;
      return 0;
    });
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, !o_.reads);
    CHECK_EQ(nghttp2_session_client_new2(&session_, calls, this, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    nghttp2_submit_settings(session_, 0, nullptr, 0);
  }
  ~Client() override { nghttp2_session_del(session_); }

  void Handle(Turn& turn, const Input& input) override {
    constexpr StreamId kStream{1};
    if (std::holds_alternative<Start>(input)) turn.out.Connect(kStream, to_);
    if (std::holds_alternative<StreamOpened>(input)) {
      if (o_.accepts) turn.out.Accept(kStream, 1u << 30);
      out_.OnOpened(turn, kStream);
      for (Ask& a : o_.asks) Submit(a);
    }
    if (const auto* d = std::get_if<StreamData>(&input)) CHECK_EQ(nghttp2_session_mem_recv(session_, d->bytes.data(), d->bytes.size()), ssize_t(d->bytes.size()));
    if (const auto* c = std::get_if<StreamCredit>(&input)) out_.OnCredit(turn, kStream, c->bytes);
    if (std::holds_alternative<StreamEnded>(input)) ended = true, out_.End(turn, kStream);
    if (const auto* c = std::get_if<StreamClosed>(&input)) closed = c->status;
    if (todo && std::holds_alternative<OpCall>(input)) std::exchange(todo, nullptr)(turn, *this);
    if (closed.has_value() || ended) return;
    for (const uint8_t* bytes = nullptr; out_.room() > 0;) {
      const ssize_t n = nghttp2_session_mem_send(session_, &bytes);
      if (n <= 0) break;
      out_.Write(turn, kStream, Bytes(bytes, size_t(n)));
    }
  }
  Instant next_deadline() const override { return kNever; }
  int32_t Submit(Ask& a) {
    std::vector<nghttp2_nv> nv;
    for (const auto& [n, v] : a.fields) {
      nv.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(n.data())), reinterpret_cast<uint8_t*>(const_cast<char*>(v.data())), n.size(), v.size(), 0});
    }
    nghttp2_data_provider body{.source = {}, .read_callback = [](nghttp2_session*, int32_t s, uint8_t* into, size_t size, uint32_t* flags, nghttp2_data_source*, void* u) {
      std::string& rest = static_cast<Client*>(u)->bodies_[s];
      const size_t n = std::min(size, rest.size());
      std::copy_n(rest.data(), n, into);
      rest.erase(0, n);
      if (rest.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return ssize_t(n);
    }};
    const int32_t id = nghttp2_submit_request(session_, nullptr, nv.data(), nv.size(), a.has_body || !a.body.empty() ? &body : nullptr, nullptr);
    CHECK(id > 0);
    bodies_[id] = a.body;
    return id;
  }
  size_t done() const {
    return size_t(std::count_if(answers.begin(), answers.end(), [](const auto& a) { return a.second.done; }));
  }
  nghttp2_session* raw() { return session_; }

  std::map<int32_t, Answer> answers;
  std::optional<uint32_t> goaway;
  bool ended = false;
  std::optional<absl::StatusCode> closed;
  std::function<void(Turn&, Client&)> todo;

 private:
  Endpoint to_;
  Options o_;
  nghttp2_session* session_ = nullptr;
  http::StreamOut out_;
  std::map<int32_t, std::string> bodies_;
};

}  // namespace orchard::http2
