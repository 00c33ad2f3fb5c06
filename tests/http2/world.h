// A site, and whoever comes to it, on MemHost.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/http/net.h"
#include "tests/http2/net.h"
#include "tests/support/mem_host.h"

namespace orchard::http2 {

struct World {
  using Node = MemHost::NodeIndex;
  explicit World(SessionLimits limits = {}) {
    site = net.Add("site", [=](uint32_t) { return std::make_unique<Site>(limits); });
    net.Run(std::chrono::milliseconds(1));
  }
  Endpoint door() const { return net.address(site).with_port(80); }
  Node Ask(Client::Options options) {
    return net.Add("client-" + std::to_string(net.size()), [=, this](uint32_t) { return std::make_unique<Client>(door(), options); });
  }
  // Writes the bytes, in pieces, and keeps what comes.
  Node Say(std::string script, size_t piece = SIZE_MAX, Duration beat = {}) {
    http::RawClient::Options o{.script = std::move(script), .piece = piece, .beat = beat};
    return net.Add("raw-" + std::to_string(net.size()), [=, this](uint32_t) { return std::make_unique<http::RawClient>(door(), o); });
  }
  Client& client(Node n) { return net.machine<Client>(n); }
  http::RawClient& raw(Node n) { return net.machine<http::RawClient>(n); }
  std::vector<Parsed> frames(Node n) { return ParseFrames(raw(n).got); }
  Site& server() { return net.machine<Site>(site); }
  // The error of the GOAWAY that came, if one did.
  std::optional<uint32_t> Goaway(Node n) {
    for (const Parsed& f : frames(n)) {
      if (f.type == kGoaway) return f.Word(4);
    }
    return std::nullopt;
  }
  // The first of a stream that is a reset.
  std::optional<uint32_t> Rst(Node n, uint32_t stream) {
    for (const Parsed& f : frames(n)) {
      if (f.type == kRst && f.stream == stream) return f.Word(0);
    }
    return std::nullopt;
  }
  // The text of our small answer on that stream.
  std::string Text(Node n, uint32_t stream) {
    std::string out;
    for (const Parsed& f : frames(n)) {
      if (f.type == kData && f.stream == stream) out += f.payload;
    }
    return out;
  }
  MemHost net;
  Node site = 0;
};

}  // namespace orchard::http2
