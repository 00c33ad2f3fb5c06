// A web server of files that nobody stored: what scenarios fetch from, and tests of proxies. A machine of its own, on real
// sockets as in the simulator. Besides, it misbehaves on request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/http/content.h"
#include "node/http/gzip.h"
#include "node/http/range.h"
#include "node/http/server_connection.h"

namespace orchard::http {

struct OriginConfig {
  Endpoint local = Endpoint::V4(0, 80);
  uint64_t seed = 1;
  absl::btree_map<std::string, uint64_t> files;  // Path to size in bytes.
  bool ranges = true;          // Else: 200 whatever is asked, and no Accept-Ranges.
  bool gzip = false;           // Content-Encoding for those who take it; then no ranges.
  bool etags = true;
  std::string last_modified;   // An IMF-fixdate, or nothing.
  // What is wrong with it:
  bool chunked = false;        // Lengths are not told.
  uint64_t rate = 0;           // Bytes a second and connection; 0: as fast as it goes.
  int64_t lie = 0;             // Added to each Content-Length.
  int status = 0;              // Answers so, always: 404, 503 …
  std::string redirect;        // Location of a 302, always.
  uint64_t changes_after = 0;  // So many requests; then all files are others, as are their tags and dates. 0: never.
  int64_t shift = 0;           // Added to the offset of what it sends for a range, and not to what it says.
};

class Origin final : public Machine {
 public:
  static constexpr size_t kConnectionsMax = 4096;
  static constexpr size_t kSlice = 16 << 10;  // Bytes made at once.
  struct Stats {
    uint64_t connections = 0, requests = 0, refused = 0, crowded = 0, body_bytes = 0;
  };

  explicit Origin(OriginConfig config) : config_(std::move(config)) {}
  void Handle(Turn& turn, const Input& input) override;
  Instant next_deadline() const override { return due_.next(); }

  // Of one of the files, as it was at first: for claims about what was fetched.
  std::optional<Content> content(std::string_view path) const;
  const Stats& stats() const { return stats_; }
  // Once it listens: where; and why not.
  const std::optional<Endpoint>& listening() const { return listening_; }
  absl::StatusCode bind_failure() const { return bind_failure_; }

 private:
  struct Client {
    explicit Client(StreamId stream) : server(stream) {}
    ServerConnection server;
    // The body under way.
    std::optional<Content> file;
    uint64_t at = 0, end = 0;     // Of the file.
    int64_t shift = 0;
    std::unique_ptr<StoredGzip> gzip;
    Instant next_slice{};         // With a rate.
    bool over = false;
    Instant deadline() const;
  };
  using Clients = absl::btree_map<StreamId, std::unique_ptr<Client>>;

  void OnClient(Turn& turn, Clients::iterator it, const Input& input);
  bool changed() const { return config_.changes_after > 0 && stats_.requests > config_.changes_after; }
  void Answer(Turn& turn, Client& c, ServerNews& news);
  void AnswerFile(Turn& turn, Client& c, const Content& file, ServerNews& news);
  void Pump(Turn& turn, Client& c, ServerNews& news);
  void PumpGzip(Turn& turn, Client& c, ServerNews& news);

  OriginConfig config_;
  Clients clients_;
  Deadlines<StreamId> due_;
  Stats stats_;
  std::optional<Endpoint> listening_;
  absl::StatusCode bind_failure_ = absl::StatusCode::kOk;
};

}  // namespace orchard::http
