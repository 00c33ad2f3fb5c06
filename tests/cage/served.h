// A node's sites as their clients see them: HTTP in, HTTP out, by a runner that is a toy.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/cage/server.h"
#include "tests/http/net.h"

namespace orchard::cage {

// The machine that a node makes of it.
class Served final : public Machine {
 public:
  explicit Served(ServerConfig config) : server(std::move(config)) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) return server.Start(turn);
    if (std::holds_alternative<Stop>(input)) server.Finish(turn), stopping_ = true;
    server.OnInput(turn, input);
    if (todo) std::exchange(todo, nullptr)(turn, *this);
    if (!stopping_ || !server.idle()) return;
    stopping_ = false;
    server.Close(turn);
    turn.out.Stopped();
  }
  Instant next_deadline() const override { return server.next_deadline(); }
  Server server;
  std::function<void(Turn&, Served&)> todo;

 private:
  bool stopping_ = false;
};

using SiteList = std::vector<SiteConfig>;

struct World {
  using Node = MemHost::NodeIndex;
  explicit World(SiteList sites = {{.name = "shop", .aliases = {"www.shop"}, .module = "toy", .replicas = 2}}, std::string fallback = "")
      : World(ServerConfig{.front = {.local = Endpoint::V4(0, 80), .fallback = std::move(fallback), .body_max = 1000}, .sites = std::move(sites)}) {}
  explicit World(ServerConfig config) {
    net.do_job = [this](JobKind kind, Bytes args) { return Job(kind, args); };
    node = net.Add("node", [=](uint32_t) { return std::make_unique<Served>(config); });
    net.Run(std::chrono::seconds(1));
  }
  std::pair<absl::StatusCode, std::string> Job(JobKind kind, Bytes args) {
    switch (kind) {
      case JobKind::kCageLoad: {
        const std::string name = Decode<LoadArgs>(args)->name;
        if (name == "broken") return {absl::StatusCode::kInvalidArgument, "function 3, offset 17: found else, expected end"};
        return {absl::StatusCode::kOk, Encode(LoadResult{.module = Key32{uint8_t(name.size())}, .bytes = 10, .files = Key32{files}})};
      }
      case JobKind::kListSites:
        if (directory.has_value()) return {absl::StatusCode::kOk, *directory};
        return {absl::StatusCode::kNotFound, "/sites: No such file or directory"};
      case JobKind::kCageSpawn: return {absl::StatusCode::kOk, ""};
      case JobKind::kCageRun: return {absl::StatusCode::kOk, Encode(Answer(*Decode<RunArgs>(args)))};
      default: return {absl::StatusCode::kUnknown, ""};
    }
  }
  RunResult Answer(const RunArgs& run) {
    if (run.request.headers.size() == 2 && run.request.headers[1].second == "orchard-check") return {.fuel = 1, .answer = "A: b\n\n"};
    ++runs;
    last = run.request;
    if (run.request.target == "/trap") return {.cause = Cause::kPanic};
    if (run.request.target == "/late") return {.cause = Cause::kTimeout};
    if (run.request.target == "/nonsense") return {.answer = "nothing of the kind"};
    if (run.request.target == "/own") return {.answer = "Server: guest\nDate: never\nContent-Type: text/plain\n\nx"};
    if (run.request.target == "/empty") return {.answer = "A: b\n\n"};
    if (run.request.target == "/same") return {.answer = "Status: 304 Not Modified\nETag: \"1\"\n\n"};
    if (run.request.target == "/large") return {.answer = "A: b\n\n" + std::string(3'000'000, 'x')};
    return {.fuel = 7, .answer = absl::StrCat("Content-Type: text/plain\nConnection: keep-alive\n\n", run.request.method, " ", run.request.target, " ", run.request.body)};
  }
  std::string Say(std::string script) { return SayTo(80, std::move(script)); }
  std::string SayTo(uint16_t port, std::string script) {
    const Endpoint to = net.address(node).with_port(port);
    const Node c = net.Add("client-" + std::to_string(net.size()), [=](uint32_t) { return std::make_unique<http::RawClient>(to, http::RawClient::Options{.script = script, .end = true}); });
    net.RunUntil([&] { return net.machine<http::RawClient>(c).closed.has_value(); }, std::chrono::seconds(100));
    return net.machine<http::RawClient>(c).got;
  }
  Server& server() { return net.machine<Served>(node).server; }
  MemHost net;
  Node node = 0;
  size_t runs = 0;
  uint8_t files = 0;                     // Of whatever is loaded.
  std::optional<std::string> directory;  // What kListSites says.
  Request last;
};

inline std::string Ask(std::string_view target, std::string_view host = "shop", std::string_view lines = "", std::string_view method = "GET") {
  return absl::StrCat(std::string(method), " ", std::string(target), " HTTP/1.1\r\nHost: ", std::string(host), "\r\n", std::string(lines), "\r\n");
}

}  // namespace orchard::cage
