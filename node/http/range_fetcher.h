// Byte ranges of URLs, over a few kept connections per origin. What comes is checked: 206, the very range, the very length, the
// same state of the representation; everything else is a failure that says what it was. Redirects are not followed. What stalls is
// resumed over another connection, if its state has a name (If-Range): TCP that lost too much waits ever longer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/http/addresses.h"
#include "node/http/client_connection.h"
#include "node/http/ids.h"
#include "node/http/public_address.h"
#include "node/http/range.h"
#include "node/http/url.h"

namespace orchard::http {

// Chosen by the parent, never reused.
enum class FetchId : uint32_t {};

// The head was right: bytes will follow. What it said of the whole.
struct FetchStarted { FetchId fetch; std::optional<uint64_t> size; Validator validator; };
// The next bytes of the range; `offset` of the first, within the whole.
struct FetchProgress { FetchId fetch; uint64_t offset; Bytes bytes; };
struct FetchDone { FetchId fetch; };
// What came by FetchProgress before holds. `status` is 0 if none came.
struct FetchFailed { FetchId fetch; Failure why; int status; Refusal refusal; };

using FetchNews = std::vector<std::variant<FetchStarted, FetchProgress, FetchDone, FetchFailed>>;

class RangeFetcher {
 public:
  // Browsers open six. The parent has fewer fetches under way where the line is short.
  static constexpr size_t kConnectionsPerOrigin = 8;
  static constexpr uint32_t kResumesMax = 4;  // Of one fetch, over other connections.
  static constexpr size_t kFetchesMax = 1024;
  static constexpr size_t kOriginsMax = 64;

  struct Stats {
    uint64_t started = 0, done = 0, failed = 0, connects = 0, reused = 0, retried = 0, resumed = 0;
  };

  explicit RangeFetcher(ClientConnection::Patience patience) : patience_(patience) {}
  RangeFetcher() : RangeFetcher(ClientConnection::Patience()) {}
  // For what is fetched from now on. The address that is judged is the one that is connected to, so a name cannot lead
  // elsewhere the second time.
  void SetRules(AddressRules rules) { rules_ = std::move(rules); }

  // Asks for range.first to range.last, of that state if `validator` names one. FetchFailed may follow at once.
  void Fetch(Turn& turn, Ids& ids, FetchId fetch, const Url& url, const ByteRange& range, const Validator& validator, FetchNews& news);
  // No news of it follow. False if there is none.
  bool Cancel(Turn& turn, Ids& ids, FetchId fetch, FetchNews& news);
  // Ends all, quietly.
  void Clear(Turn& turn);

  // True if the input is about its streams and jobs.
  bool OnInput(Turn& turn, Ids& ids, const Input& input, FetchNews& news);
  void OnTime(Turn& turn, Ids& ids, FetchNews& news);
  Instant next_deadline() const { return due_.next(); }

  size_t fetches() const { return fetches_.size(); }
  size_t connections() const { return links_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  struct Wanted {
    Authority origin;
    std::string target, host;
    ByteRange range;
    Validator validator;
    uint64_t got = 0;
    bool begun = false, retried = false;
    uint32_t resumes = 0;
    size_t addresses_tried = 1;
    std::optional<StreamId> stream;
  };
  struct Link {
    explicit Link(StreamId stream, ClientConnection::Patience patience) : http(stream, patience) {}
    ClientConnection http;
    Authority origin;
    Endpoint to;
    std::optional<FetchId> fetch;
  };
  struct Pool {
    Addresses addresses;
    std::vector<FetchId> waiting;  // In the order they came.
    size_t links = 0;
    bool forbidden = false;        // It has addresses, none of which may be reached.
  };
  using Links = absl::btree_map<StreamId, std::unique_ptr<Link>>;

  void Dispatch(Turn& turn, Ids& ids, const Authority& origin, FetchNews& news);
  void Ask(Turn& turn, Link& link, FetchId fetch);
  void Take(Turn& turn, Ids& ids, Links::iterator it, const ClientNews& heard, FetchNews& news);
  void OnHead(Turn& turn, Link& link, FetchNews& news);
  void OnLost(Turn& turn, const Link& link, FetchId fetch, const ClientFailed& failed, FetchNews& news);
  void Fail(Turn& turn, FetchId fetch, Failure why, int status, Refusal refusal, FetchNews& news);
  void FailAll(Turn& turn, const Authority& origin, Failure why, FetchNews& news);
  void Unlink(Links::iterator it);

  ClientConnection::Patience patience_;
  AddressRules rules_;
  absl::btree_map<Authority, Pool> pools_;
  absl::btree_map<FetchId, Wanted> fetches_;
  Links links_;
  Deadlines<StreamId> due_;
  Stats stats_;
};

}  // namespace orchard::http
