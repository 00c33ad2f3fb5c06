#include "node/host/ipc_server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>
#include "node/base/nearest_word.h"
#include "node/sidecar/operations.h"

namespace orchard::host {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kIdMax = uint64_t{1} << 53;  // What every JSON implementation keeps exactly (RFC 8259 §6).

// Removes what a dead daemon left behind.
absl::Status RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return absl::OkStatus();
  if (!S_ISSOCK(st.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is in the way and is no socket; move it, or set ipc_socket"));
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN) {
    return absl::AlreadyExistsError(absl::StrCat("another daemon listens on ", path, "; stop it, or set ipc_socket"));
  }
  if (unlink(path.c_str()) != 0) return ErrnoStatus(errno, absl::StrCat("cannot remove the stale socket ", path));
  return absl::OkStatus();
}

std::string_view Trim(std::string_view s) {
  while (!s.empty() && (s.back() == '\r' || s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  return s;
}

// A call that did not begin. One that failed goes on being tried by the node.
bool Refused(std::string_view final) {
  auto says = [&](std::string_view code) { return final.find(absl::StrCat("\"ok\":false,\"code\":\"", std::string(code), "\"")) != final.npos; };
  return says("ERR_PARAMS") || says("OVERLOAD");
}

// Whether the other end is closed both ways, and not only done with writing.
bool HungUp(int fd) {
  pollfd p{.fd = fd, .events = 0, .revents = 0};
  return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace

std::string QuoteJson(std::string_view text) { return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace); }

absl::StatusOr<std::unique_ptr<IpcServer>> IpcServer::Listen(RealHost* host, const std::string& path, StandingOrders* orders, Log* log) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("the socket's path is too long (", path.size(), " bytes, at most ", sizeof address.sun_path - 1, "): ", path, "; set ipc_socket to a shorter one"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (absl::Status s = RemoveStale(path, address); !s.ok()) return s;
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "cannot make a Unix socket");
  mode_t before = umask(0177);  // Mode 0600 from its first moment.
  int bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  int error = errno;
  umask(before);
  if (bound != 0) return ErrnoStatus(error, absl::StrCat("cannot listen on ", path));
  if (listen(fd.get(), 512) != 0) return ErrnoStatus(errno, absl::StrCat("cannot listen on ", path));
  return std::unique_ptr<IpcServer>(new IpcServer(host, path, std::move(fd), orders, log));
}

IpcServer::IpcServer(RealHost* host, std::string path, Fd fd, StandingOrders* orders, Log* log)
    : host_(host), path_(std::move(path)), listen_(std::move(fd)), orders_(orders), log_(log) {
  host_->set_door(this);
  host_->Watch(listen_.get(), EPOLLIN, [this](uint32_t) { OnAccept(); });
}

IpcServer::~IpcServer() {
  host_->set_door(nullptr);
  host_->Unwatch(listen_.get());
  for (auto& [key, c] : clients_) {
    host_->Unwatch(c.fd.get());
    // What is already said leaves if the socket takes it.
    if (c.waiting() > 0) [[maybe_unused]] ssize_t n = send(c.fd.get(), c.out.data() + c.out_done, c.waiting(), MSG_NOSIGNAL);
  }
  unlink(path_.c_str());
}

void IpcServer::OnAccept() {
  for (;;) {
    Fd fd(accept4(listen_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.ok()) return;  // None left, or no descriptor for it: it waits in the backlog.
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool friendly = getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == geteuid() || peer.uid == 0);
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
    uint64_t key = next_client_++;
    Client& c = clients_[key];
    c.fd = std::move(fd);
    ++counters_.clients;
    if (!friendly || clients_.size() > kClientsMax) {
      ++counters_.refused;
      if (!friendly) Error(c, "null", "ERR_PERMISSION", "this daemon belongs to another user");
      else Error(c, "null", "ERR_BUSY", absl::StrCat("too many clients; at most ", kClientsMax, " at a time"));
      c.closing = true;
    }
    host_->Watch(c.fd.get(), c.closing ? 0u : uint32_t(EPOLLIN), [this, key](uint32_t events) { OnClient(key, events); });
    Write(key);
  }
}

void IpcServer::OnClient(uint64_t key, uint32_t events) {
  // Both ways closed, or an error: nobody reads the answers.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0) return Drop(key);
  if ((events & EPOLLIN) != 0) clients_.at(key).stream ? ReadStream(key) : Read(key);
  if (clients_.contains(key) && (events & EPOLLHUP) != 0) return Drop(key);
  if (clients_.contains(key)) Write(key);
}

void IpcServer::Read(uint64_t key) {
  char buffer[16 << 10];
  // One buffer a round: a client that writes without end does not starve the others.
  Client& c = clients_.at(key);
  ssize_t n = recv(c.fd.get(), buffer, sizeof buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Drop(key);
  if (n == 0) {
    c.half_closed = true;
    host_->Rewatch(c.fd.get(), Wants(c));
    if (!c.in.empty()) {
      std::string last = std::exchange(c.in, {});  // A last line without its end.
      OnLine(key, last);
    }
    return;
  }
  c.in.append(buffer, size_t(n));
  size_t start = 0;
  for (size_t end; !c.closing && !c.stream && (end = c.in.find('\n', start)) != c.in.npos; start = end + 1) {
    if (end - start > kLineMax) break;
    OnLine(key, std::string_view(c.in).substr(start, end - start));
  }
  c.in.erase(0, start);
  if (c.stream) return host_->Rewatch(c.fd.get(), Wants(c));  // The rest is input already.
  if (!c.closing && c.in.size() > kLineMax) {
    // What follows cannot be told from the rest of the line.
    ++counters_.bad_lines;
    Error(c, "null", "ERR_LINE_TOO_LONG", absl::StrCat("a line has at most ", kLineMax, " bytes"));
    c.closing = true, c.in.clear();
    host_->Rewatch(c.fd.get(), 0);
  }
}

void IpcServer::ReadStream(uint64_t key) {
  Client& c = clients_.at(key);
  // What came behind the request's line goes first; then straight from the socket. Never more than the operation takes.
  char buffer[64 << 10];
  while (c.stream_credit > 0 && !c.stream_ended) {
    const size_t room = size_t(std::min<uint64_t>(c.stream_credit, sizeof buffer));
    size_t n = std::min(room, c.in.size());
    if (n > 0) {
      std::memcpy(buffer, c.in.data(), n), c.in.erase(0, n);
    } else {
      ssize_t got = recv(c.fd.get(), buffer, room, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno != EAGAIN) return Drop(key);
      if (got < 0) break;
      if (got == 0 && HungUp(c.fd.get())) return Drop(key);  // Killed in the middle: that is not the end of its input.
      n = size_t(got), c.stream_ended = c.half_closed = got == 0;
    }
    c.stream_credit -= n;
    const OpId op = *c.stream;
    host_->Data(op, {reinterpret_cast<const uint8_t*>(buffer), n}, c.stream_ended);
  }
  host_->Rewatch(c.fd.get(), Wants(c));
}

uint32_t IpcServer::Wants(const Client& c) const {
  const bool reads = !c.closing && !c.half_closed && (!c.stream || c.stream_credit > 0);
  return (reads ? uint32_t(EPOLLIN) : 0) | (c.waits_for_room ? uint32_t(EPOLLOUT) : 0);
}

void IpcServer::OnLine(uint64_t key, std::string_view line) {
  Client& c = clients_.at(key);
  line = Trim(line);
  if (line.empty()) return;
  auto bad = [&](std::string_view id, std::string_view code, std::string_view message) { ++counters_.bad_lines, Error(c, id, code, message); };
  bool too_deep = false;
  auto shallow = [&](int depth, Json::parse_event_t, Json&) { return too_deep |= depth > kDepthMax, depth <= kDepthMax; };
  Json request = Json::parse(line, shallow, /*allow_exceptions=*/false);
  if (request.is_discarded()) return bad("null", "ERR_JSON", "a request is one line with one JSON object; this is no JSON");
  if (too_deep) return bad("null", "ERR_REQUEST", absl::StrCat("a request is nested at most ", kDepthMax, " deep"));
  if (!request.is_object()) return bad("null", "ERR_REQUEST", "a request is a JSON object such as {\"id\":1,\"op\":\"info\"}");
  auto id_at = request.find("id");
  if (id_at == request.end() || !id_at->is_number_unsigned() || id_at->get<uint64_t>() > kIdMax) {
    return bad("null", "ERR_REQUEST", "\"id\" is missing, or no whole number from 0 to 2^53");
  }
  const uint64_t id = id_at->get<uint64_t>();
  const std::string id_text = std::to_string(id);
  for (const auto& [name, value] : request.items()) {
    if (name != "id" && name != "op" && name != "params" && name != "cancel") {
      return bad(id_text, "ERR_REQUEST", absl::StrCat("unknown member ", QuoteJson(name), "; a request has id, op, params or id, cancel"));
    }
  }
  auto running = std::find_if(c.ops.begin(), c.ops.end(), [&](const auto& o) { return o.second.id == id; });
  if (auto cancel = request.find("cancel"); cancel != request.end()) {
    if (!cancel->is_boolean() || !cancel->get<bool>() || request.contains("op")) return bad(id_text, "ERR_REQUEST", "write {\"id\":n,\"cancel\":true}");
    if (running == c.ops.end()) return;  // It ended meanwhile: both sides were right.
    OpId op = running->first;
    Remember(running->second.lasts, false);  // Whoever waits no longer does not take it back.
    c.ops.erase(running), owner_.erase(op);
    Error(c, id_text, "ERR_CANCELLED", "cancelled");
    return host_->Cancel(op);
  }
  auto op_name = request.find("op");
  if (op_name == request.end() || !op_name->is_string()) return bad(id_text, "ERR_REQUEST", "\"op\" is missing, or no text");
  const std::string& name = op_name->get_ref<const std::string&>();
  const sidecar::Operation* operation = sidecar::FindOperation(name);
  if (operation == nullptr) {
    std::vector<std::string_view> words;
    for (const auto& o : sidecar::Operations()) words.push_back(o.name);
    std::string_view near = NearestWord(name, words);
    return bad(id_text, "ERR_UNKNOWN_OPERATION",
               absl::StrCat("no operation is called ", QuoteJson(name), near.empty() ? "" : absl::StrCat("; did you mean \"", std::string(near), "\"?")));
  }
  auto params = request.find("params");
  if (params != request.end() && !params->is_object()) return bad(id_text, "ERR_REQUEST", "\"params\" is no JSON object");
  if (running != c.ops.end()) return bad(id_text, "ERR_REQUEST", "this id is in use; wait for its end, or take another");
  if (c.ops.size() >= kOpsMax) return bad(id_text, "ERR_BUSY", absl::StrCat("too many operations; at most ", kOpsMax, " at a time"));

  if (operation->raw && (!c.ops.empty() || c.half_closed)) {
    return bad(id_text, "ERR_REQUEST", absl::StrCat(QuoteJson(name), " takes a connection of its own, and its input behind the request"));
  }

  ++counters_.calls;
  std::string text = params == request.end() ? "{}" : params->dump(-1, ' ', false, Json::error_handler_t::replace);
  // Answers come after the turn's commit, so the operation is known here before its first event.
  OpId op = host_->NewOp();
  c.ops[op] = {.id = id, .granted = kWindow};
  if (orders_ != nullptr && StandingOrders::Concerns(name)) c.ops[op].lasts = {name, text};
  owner_[op] = key;
  if (operation->raw) c.stream = op;
  host_->CallAs(op, name, AsBytes(text));
  host_->Credit(op, kWindow - 1);  // The first was granted by the call itself.
}

void IpcServer::Say(Client& c, std::string_view id, std::string_view tagged) {
  // {"tag":…} becomes {"id":…,"tag":…}.
  c.out += "{\"id\":", c.out += id, c.out += ',', c.out += tagged.substr(1), c.out += '\n';
}

void IpcServer::Error(Client& c, std::string_view id, std::string_view code, std::string_view message) {
  Say(c, id, absl::StrCat("{\"tag\":\"error\",\"data\":{\"code\":", QuoteJson(code), ",\"message\":", QuoteJson(message), "}}"));
}

void IpcServer::OnOpEvent(OpId op, Bytes json, bool final) {
  constexpr std::string_view kGood = R"({"tag":"final","data":{"ok":true)";
  if (auto own = carried_out_.find(op); own != carried_out_.end()) {
    if (!final) return;
    if (log_ != nullptr && !AsText(json).starts_with(kGood)) {
      log_->Write(Level::kWarn, "host.order-failed", {{"operation", own->second}, {"answer", std::string(AsText(json))}});
    }
    carried_out_.erase(own);
    return;
  }
  auto owner = owner_.find(op);
  if (owner == owner_.end()) return;
  Client& c = clients_.at(owner->second);
  Op& o = c.ops.at(op);
  if (final && !Refused(AsText(json))) Remember(o.lasts, true);
  if (c.stream) Frame(c, 'J', json);
  else if (!json.empty() && json[0] == '{') Say(c, std::to_string(o.id), AsText(json));
  if (o.granted > 0) --o.granted;
  if (final) c.ops.erase(op), owner_.erase(owner), c.closing |= c.stream.has_value();
}

void IpcServer::Remember(const StandingOrders::Order& order, bool ended) {
  if (order.operation.empty() || (!ended && StandingOrders::Amends(order.operation))) return;
  const absl::Status status = orders_->Done(order.operation, order.params);
  if (!status.ok() && log_ != nullptr) log_->Write(Level::kError, "host.order-lost", {{"operation", order.operation}, {"why", std::string(status.message())}});
}

void IpcServer::CarryOutOrders() {
  if (orders_ == nullptr) return;
  for (const StandingOrders::Order& o : orders_->orders()) {
    const OpId op = host_->NewOp();
    carried_out_[op] = o.operation;
    host_->CallAs(op, o.operation, AsBytes(o.params));
    host_->Credit(op, UINT32_MAX / 2);  // Nobody reads its events.
  }
}

void IpcServer::Frame(Client& c, char kind, Bytes bytes) {
  const uint32_t size = uint32_t(bytes.size());
  const char head[5] = {char(size), char(size >> 8), char(size >> 16), char(size >> 24), kind};
  c.out.append(head, sizeof head).append(AsText(bytes));
}

void IpcServer::OnOpBytes(OpId op, Bytes bytes) {
  auto owner = owner_.find(op);
  if (owner == owner_.end()) return;
  Client& c = clients_.at(owner->second);
  if (Op& o = c.ops.at(op); o.granted > 0) --o.granted;
  Frame(c, 'D', bytes);
}

void IpcServer::OnOpAccept(OpId op, uint32_t bytes) {
  auto owner = owner_.find(op);
  if (owner == owner_.end()) return;
  Client& c = clients_.at(owner->second);
  c.stream_credit += bytes;
  host_->Rewatch(c.fd.get(), Wants(c));
}

bool IpcServer::Pump() {
  bool more = false;
  std::vector<uint64_t> keys;
  for (const auto& [key, c] : clients_) {
    if (c.waiting() > 0 || !c.ops.empty() || c.half_closed || c.closing) keys.push_back(key);
  }
  for (uint64_t key : keys) {
    if (!Write(key)) continue;
    if (Client& c = clients_.at(key); c.stream && c.stream_credit > 0 && !c.in.empty()) ReadStream(key);
    if (!clients_.contains(key)) continue;
    Client& c = clients_.at(key);
    if (c.waiting() > kQueueCredit) continue;
    std::vector<std::pair<OpId, uint32_t>> grants;
    for (auto& [op, o] : c.ops) {
      if (o.granted <= kWindow / 2) grants.emplace_back(op, kWindow - o.granted), o.granted = kWindow;
    }
    for (auto [op, credit] : grants) host_->Credit(op, credit), more = true;
  }
  return more;
}

bool IpcServer::Write(uint64_t key) {
  Client& c = clients_.at(key);
  while (c.waiting() > 0) {
    ssize_t n = send(c.fd.get(), c.out.data() + c.out_done, c.waiting(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return Drop(key), false;
    if (n < 0) break;
    c.out_done += size_t(n);
  }
  if (c.waiting() == 0) c.out.clear(), c.out_done = 0;
  if (c.out_done > kQueueCredit) c.out.erase(0, c.out_done), c.out_done = 0;
  if (c.waiting() > kQueueMax) return ++counters_.cut_off, Drop(key), false;
  if (c.waiting() == 0 && (c.closing || (c.half_closed && c.ops.empty()))) return Drop(key), false;
  const bool waits = c.waiting() > 0;
  if (waits != c.waits_for_room) {
    c.waits_for_room = waits;
    host_->Rewatch(c.fd.get(), Wants(c));
  }
  return true;
}

void IpcServer::Drop(uint64_t key) {
  auto node = clients_.extract(key);
  Client& c = node.mapped();
  host_->Unwatch(c.fd.get());
  for (const auto& [op, o] : c.ops) Remember(o.lasts, false), owner_.erase(op), host_->Cancel(op);
}

}  // namespace orchard::host
