// A browser that looks at nothing: gets URLs, perhaps through a proxy, and measures what comes. What scenarios do as http.get.
// Each get has a connection of its own. Redirects are answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/crypto/sha256.h"
#include "node/http/addresses.h"
#include "node/http/client_connection.h"
#include "node/http/ids.h"
#include "node/http/range.h"

namespace orchard::http {

// Chosen by the parent, never reused.
enum class GetId : uint32_t {};

struct GetRequest {
  std::string url;                // http://…
  std::string host;               // What the header Host says; empty: the URL's.
  std::string range;              // "0-99", "100-", "-50"; empty: the whole.
  std::optional<Endpoint> proxy;  // Asked for the absolute URL.
  bool head = false;
  ClientConnection::Patience patience;
};

struct GetResult {
  Failure why = Failure::kNone;
  Refusal refusal = Refusal::kNone;
  int status = 0;                 // 0: no answer came.
  uint64_t bytes = 0;             // Of the body.
  Key32 sha256{};                 // Of the body, as far as it came.
  std::optional<ContentRange> content_range;
  // From the start: until the first byte of the body (or the head, if it has none), and until the end. The longest time between
  // pieces of the body.
  Duration first_byte{}, took{}, longest_gap{};

  // All of it came, and the status says success.
  bool ok() const { return why == Failure::kNone && status / 100 == 2; }
  // Of the body, over all the time it took; rounded down.
  uint64_t kbps() const;
};

struct GetDone { GetId get; GetResult result; };
using GetNews = std::vector<GetDone>;

class Gets {
 public:
  static constexpr size_t kMax = 4096;  // At once.

  // GetDone follows, perhaps at once.
  void Start(Turn& turn, Ids& ids, GetId get, GetRequest request, GetNews& news);
  // No news of it follow. False if there is none.
  bool Cancel(Turn& turn, GetId get);
  void Clear(Turn& turn);
  // Bytes of the body so far; 0 if there is none such.
  uint64_t bytes(GetId get) const;
  size_t size() const { return gets_.size(); }

  // True if the input is about its streams and jobs.
  bool OnInput(Turn& turn, Ids& ids, const Input& input, GetNews& news);
  void OnTime(Turn& turn, Ids& ids, GetNews& news);
  Instant next_deadline() const { return due_.next(); }

 private:
  struct Running {
    Url url;
    GetRequest request;
    Addresses addresses;
    size_t addresses_tried = 0;
    std::unique_ptr<ClientConnection> http;
    crypto::Sha256Stream sum;
    GetResult result;
    Instant started{}, last = kNever;  // Last: the piece before.
  };
  using Table = absl::btree_map<GetId, Running>;

  void Connect(Turn& turn, Ids& ids, Table::iterator it);
  void Take(Turn& turn, Ids& ids, Table::iterator it, Instant before, const ClientNews& heard, GetNews& news);
  void Finish(Turn& turn, Table::iterator it, Failure why, Refusal refusal, GetNews& news);
  void Forget(Table::iterator it);

  Table gets_;
  absl::btree_map<StreamId, GetId> streams_;
  Deadlines<GetId> due_;
};

}  // namespace orchard::http
