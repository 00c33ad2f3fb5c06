// The operations with lasting effect (`listen`, `swarm.join`, `dht.announce`) that this daemon shall carry out again when it comes
// back: lines of {"op":…,"params":{…}} in a private file, the earliest first.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/base/bytes.h"

namespace orchard::host {

class StandingOrders {
 public:
  // Topics and servers that a node can have are fewer.
  static constexpr size_t kMax = 1024;
  // What tells one order of an operation from another: its topic, and the key pair it is for.
  struct Subject {
    std::optional<Key32> topic;
    std::optional<std::string> seed, site;
    bool operator==(const Subject&) const = default;
  };
  struct Order {
    std::string operation, params;  // JSON.
    Subject subject;
    std::string former{};           // What its last amendment changed, as it was: for whoever takes that back. Gone with the process.
  };

  // A file that is not there is an empty list. What is no order (any more) is left out, said in complaints(), and goes with the next
  // change, when a copy of the file as it was is kept beside it (.bad). Fails if there is a file that cannot be read, or is no file.
  static absl::StatusOr<StandingOrders> Open(const std::string& path);
  // "line 3 is no order", at most kComplaintsMax; then how many more.
  static constexpr size_t kComplaintsMax = 5;
  const std::vector<std::string>& complaints() const { return complaints_; }

  // Whether the end of such an operation is of interest.
  static bool Concerns(std::string_view operation);
  // It changes an order, and only if it succeeds: one that nobody waits for to its end is none.
  static bool Amends(std::string_view operation);
  // It was carried out, or will be as soon as that is possible: a new order, the same in other words, or the end of one. Fails if it cannot be written; it holds then until
  // the process ends.
  absl::Status Done(std::string_view operation, std::string_view params);
  const std::vector<Order>& orders() const { return orders_; }

 private:
  explicit StandingOrders(std::string path) : path_(std::move(path)) {}
  // Whether the list is another; nothing: that is no order.
  std::optional<bool> Apply(std::string_view operation, std::string_view params);
  absl::Status Write() const;
  std::string path_;
  std::vector<Order> orders_;
  std::vector<std::string> complaints_;
};

}  // namespace orchard::host
