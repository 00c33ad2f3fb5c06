// Where a name leads: at once if it is an address, else by a job. The next address is tried when one does not answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/turn.h"
#include "node/http/ids.h"
#include "node/http/public_address.h"
#include "node/http/url.h"

namespace orchard::http {

class Addresses {
 public:
  static constexpr size_t kMax = 4;  // Of one name that are tried.

  // True if they are known already; else the job's JobDone is awaited.
  bool Ask(Turn& turn, Ids& ids, const Authority& authority) {
    if (auto literal = authority.literal(); literal.has_value()) return list_ = {*literal}, true;
    port_ = authority.port;
    job_ = ids.NextJob();
    turn.out.Run(*job_, JobKind::kResolve, AsBytes(authority.host));
    return false;
  }
  bool asking() const { return job_.has_value(); }
  bool asked(JobId job) const { return job_ == job; }
  // False if nobody is called so.
  bool OnJobDone(const JobDone& done) {
    job_.reset();
    list_.clear(), at_ = 0;
    for (size_t i = 0; done.status == absl::StatusCode::kOk && i + 4 <= done.result.size() && list_.size() < kMax; i += 4) {
      const Bytes b = done.result.subspan(i, 4);
      list_.push_back(Endpoint::V4(uint32_t(b[0]) << 24 | uint32_t(b[1]) << 16 | uint32_t(b[2]) << 8 | b[3], port_));
    }
    return !list_.empty();
  }
  void Cancel(Turn& turn) {
    if (job_.has_value()) turn.out.Cancel(*job_);
    job_.reset();
  }
  // Forgets those that may not be reached. False if none is left of some.
  bool Keep(const AddressRules& rules) {
    const bool some = !list_.empty();
    list_.erase(std::remove_if(list_.begin(), list_.end(), [&](const Endpoint& e) { return !rules.Allows(e); }), list_.end());
    return !some || !list_.empty();
  }
  bool known() const { return !list_.empty(); }
  size_t size() const { return list_.size(); }
  const Endpoint& now() const { return list_[at_]; }
  void Next() { at_ = (at_ + 1) % list_.size(); }

 private:
  std::optional<JobId> job_;
  uint16_t port_ = 0;
  std::vector<Endpoint> list_;
  size_t at_ = 0;
};

}  // namespace orchard::http
