// Clients that ask very slowly: each opens a connection and writes the head of a request a byte at a time, without ever coming to its
// end (Slowloris). What scenarios do as http.drip. It ends when the server ends it, or its time is over.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/http/addresses.h"
#include "node/http/ids.h"
#include "node/http/url.h"

namespace orchard::sim {

struct DripRequest {
  http::Url url;
  std::string host;  // What the header Host says; empty: the URL's.
  Duration every{};  // Between bytes.
  Duration most{};   // Then it lets go by itself.
};

class Drips {
 public:
  static constexpr size_t kMax = 4096;  // At once.
  enum class End : uint8_t { kClosed, kHeld, kNoName, kUnreachable, kTooMany };
  struct Done {
    OpId op;
    End end;
    int status = 0;      // What the server said before it closed; 0: nothing.
    uint64_t bytes = 0;  // Written.
    Duration took{};
  };
  using News = std::vector<Done>;

  void Start(Turn& turn, http::Ids& ids, OpId op, DripRequest request, News& news);
  // False if there is none.
  bool Cancel(Turn& turn, OpId op);
  void Clear(Turn& turn);
  // True if the input is about its streams and jobs.
  bool OnInput(Turn& turn, http::Ids& ids, const Input& input, News& news);
  void OnTime(Turn& turn, News& news);
  Instant next_deadline() const { return due_.next(); }

 private:
  struct Drip {
    DripRequest request;
    std::string head;    // How its request begins.
    http::Addresses addresses;
    StreamId stream{};
    bool connecting = false, open = false;
    std::string answer;  // The first line of it.
    uint64_t sent = 0;
    Instant began{}, next = kNever;
  };
  using Table = std::map<OpId, Drip>;
  void Connect(Turn& turn, http::Ids& ids, Table::iterator it);
  void Fall(Turn& turn, Table::iterator it, News& news);
  void Finish(Turn& turn, Table::iterator it, End end, News& news);
  void Wait(Table::iterator it, Instant until);
  void Forget(Table::iterator it);

  Table drips_;
  std::map<StreamId, OpId> streams_;
  Deadlines<OpId> due_;
};

}  // namespace orchard::sim
