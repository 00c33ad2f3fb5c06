// The download itself, by libcurl: through the daemon's proxy on this machine, which leads each connection out by the uplink that it is told.
// TLS ends here. One thread for each connection, since libcurl would share connections between the handles of one thread, and each
// must stay with its uplink.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/apps/get_plan.h"

namespace orchard::cli {

struct GetOptions {
  std::string url;
  std::string proxy;                   // "http://127.0.0.1:3128".
  std::vector<std::string> uplinks;    // "own" first, then members' ids.
  size_t connections = 0;              // Over all uplinks; 0: two for each.
  std::string cacert, sha256;          // May be empty.
  int fd = -1;                         // The file.
};

struct GetUplink {
  std::string id;
  uint64_t bytes = 0;
  int failures = 0;                    // In a row.
  std::string out;                     // Why it was given up; empty: it was not.
};

class GetFetch {
 public:
  static constexpr size_t kConnectionsMax = 32, kPerUplink = 8, kRedirectsMax = 10;  // A member carries eight (pod/relay_serve.h).
  static constexpr int kFailuresMax = 3;
  static constexpr size_t kThrownMax = 64 << 10;  // Bytes of what a redirect says beside where to.

  explicit GetFetch(GetOptions options);
  ~GetFetch();

  // Blocks; calls `look` a few times a second, from this thread. Empty: all is in the file. Else what went wrong.
  std::string Run(const std::function<void()>& look);

  // From `look`: nothing more is wanted; Run ends with that word.
  void Cancel(std::string_view why);

  // While `look` is called, and afterwards. Without a size it is not known.
  std::optional<uint64_t> size();
  uint64_t bytes();
  std::vector<GetUplink> uplinks();
  bool ranged();                       // The origin gave ranges, and they were split here.
  const std::string& url() const { return url_; }  // After redirects.

 private:
  struct Connection;
  enum class Kind { kUnknown, kWhole, kRanges, kStateless, kRedirect };  // Stateless: parts, and nothing that says that they belong together.

  void Begin(Connection& c);           // The first request, which tells what the origin does.
  void Work(Connection& c);
  bool Ask(Connection& c, std::optional<GetPlan::Range> range);
  void Failed(Connection& c);
  bool OnHead(Connection& c);
  bool Redirects(const Connection& c) const;
  size_t OnBody(Connection& c, const char* data, size_t size);
  void Fail(const std::string& why);   // For all; the first word counts. Under the lock.
  void Stop();
  double Now() const;
  static size_t HeaderCallback(char* data, size_t one, size_t size, void* c);
  static size_t BodyCallback(char* data, size_t one, size_t size, void* c);

  GetOptions options_;
  std::string url_;
  std::mutex mutex_;                   // Of all that follows.
  std::condition_variable changed_;
  Kind kind_ = Kind::kUnknown;
  std::optional<GetPlan> plan_;
  std::optional<uint64_t> size_;
  uint64_t bytes_ = 0;
  std::string etag_, modified_, redirect_, fatal_;
  bool stopping_ = false, begun_ = false;
  std::vector<GetUplink> uplinks_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace orchard::cli
