#include "node/host/standing_orders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>
#include "node/host/ipc_server.h"
#include "node/host/os.h"
#include "node/sidecar/params.h"

namespace orchard::host {
namespace {

using Json = nlohmann::json;
using sidecar::Operation;
using sidecar::Params;

constexpr size_t kFileMax = 1 << 20;

// The first key that an object of it has twice, of which a parser would silently take the last; empty: none.
std::string KeyTwiceIn(std::string_view text) {
  std::vector<std::set<std::string>> open;
  std::string twice;
  const Json whole = Json::parse(text, [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(value.get<std::string>()).second && twice.empty()) twice = value.get<std::string>();
    return true;
  }, /*allow_exceptions=*/false);
  return whole.is_discarded() ? "" : twice;
}

std::optional<StandingOrders::Subject> SubjectOf(const Operation& operation, std::string_view params) {
  auto parsed = Params::Parse(operation, AsBytes(params));
  const Params* p = std::get_if<Params>(&parsed);
  if (p == nullptr) return std::nullopt;
  auto has = [&](std::string_view name) {
    for (const sidecar::Param& x : operation.params) {
      if (x.name == name) return true;
    }
    return false;
  };
  if (const auto seed = has("seed") ? p->text("seed") : std::nullopt; seed.has_value() && (seed->size() != 64 || !FromHex(*seed))) return std::nullopt;
  return StandingOrders::Subject{has("topic") ? p->key("topic") : std::nullopt, has("seed") ? p->text("seed") : std::nullopt, has("site") ? p->text("site") : std::nullopt};
}

// True if it is another order now.
bool Amend(StandingOrders::Order& order, std::string_view operation, std::string_view params) {
  Json now = Json::parse(order.params, nullptr, false);
  const Json change = Json::parse(params, nullptr, false);
  if (!now.is_object() || !change.is_object()) return false;
  if (operation == "cage.rollback") {
    if (order.former.empty()) return false;
    now["module"] = order.former;
    order.former.clear();
  } else {
    if (operation == "cage.update" && now["module"].is_string()) order.former = now["module"].get<std::string>();
    for (const auto& [key, value] : change.items()) now[key] = value;
  }
  return std::exchange(order.params, now.dump()) != order.params;
}

}  // namespace

absl::StatusOr<StandingOrders> StandingOrders::Open(const std::string& path) {
  StandingOrders out(path);
  Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok() && errno == ENOENT) return out;
  // A write would put a file in its place.
  if (!fd.ok() && errno == ELOOP) return absl::FailedPreconditionError(absl::StrCat(path, " is a symbolic link; put the file itself there, or move the whole data directory (--data DIR)"));
  struct stat what;
  if (fd.ok() && (fstat(fd.get(), &what) != 0 || !S_ISREG(what.st_mode))) return absl::FailedPreconditionError(absl::StrCat(path, " is no regular file; move it away"));
  std::string text;
  char buffer[16 << 10];
  ssize_t n = fd.ok() ? 1 : -1;
  while (n > 0 && text.size() <= kFileMax && (n = read(fd.get(), buffer, sizeof buffer)) > 0) text.append(buffer, size_t(n));
  if (n < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  if (text.size() > kFileMax) return absl::FailedPreconditionError(absl::StrCat(path, " has more than ", kFileMax, " bytes; move it away"));
  size_t number = 0, wrong = 0, over = 0;
  for (size_t at = 0, end; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    ++number;
    if (end == at) continue;
    const Json line = Json::parse(text.substr(at, end - at), nullptr, /*allow_exceptions=*/false);
    const Operation* operation = line.is_object() && line.contains("op") && line["op"].is_string() && line.contains("params") ? sidecar::FindOperation(line["op"].get<std::string>()) : nullptr;
    const std::string twice = KeyTwiceIn(text.substr(at, end - at));
    const bool full = out.orders_.size() >= kMax;
    if (!twice.empty()) {
      if (++wrong <= kComplaintsMax) out.complaints_.push_back(absl::StrCat("line ", number, " has the key ", QuoteJson(twice), " twice, and is left out"));
    } else if (operation != nullptr && operation->standing && out.Apply(operation->name, line["params"].dump()).has_value()) {
      over += full;
    } else if (++wrong <= kComplaintsMax) {
      out.complaints_.push_back(absl::StrCat("line ", number, " is no order, and is left out"));
    }
  }
  if (wrong > kComplaintsMax) out.complaints_.push_back(absl::StrCat(wrong - kComplaintsMax, " more lines are none"));
  if (over > 0) out.complaints_.push_back(absl::StrCat("of more than ", kMax, " orders the rest is left out"));
  return out;
}

bool StandingOrders::Concerns(std::string_view operation) {
  const Operation* o = sidecar::FindOperation(operation);
  return o != nullptr && (o->standing || !o->undoes.empty() || !o->amends.empty());
}

bool StandingOrders::Amends(std::string_view operation) {
  const Operation* o = sidecar::FindOperation(operation);
  return o != nullptr && !o->amends.empty();
}

std::optional<bool> StandingOrders::Apply(std::string_view operation, std::string_view params) {
  const Operation* o = sidecar::FindOperation(operation);
  const std::optional<Subject> subject = SubjectOf(*o, params);
  if (!subject.has_value()) return std::nullopt;
  const std::string_view of = o->standing ? o->name : !o->undoes.empty() ? o->undoes : o->amends;
  const size_t before = orders_.size();
  auto same = [&](const Order& x) { return x.operation == of && x.subject == *subject; };
  if (!o->amends.empty()) {
    const auto it = std::find_if(orders_.begin(), orders_.end(), same);
    return it != orders_.end() && Amend(*it, o->name, params);
  }
  if (!o->standing) return std::erase_if(orders_, same) > 0;
  for (Order& x : orders_) {
    if (same(x)) return std::exchange(x.params, std::string(params)) != params;
  }
  if (before < kMax) orders_.push_back({std::string(operation), std::string(params), *subject});
  return orders_.size() != before;
}

absl::Status StandingOrders::Done(std::string_view operation, std::string_view params) {
  if (!Apply(operation, params).value_or(false)) return absl::OkStatus();
  if (!complaints_.empty()) {  // Somebody may want what could not be read.
    link(path_.c_str(), (path_ + ".bad").c_str());
    complaints_.clear();
  }
  return Write();
}

absl::Status StandingOrders::Write() const {
  std::string text;
  for (const Order& o : orders_) absl::StrAppend(&text, "{\"op\":", QuoteJson(o.operation), ",\"params\":", o.params, "}\n");
  const std::string fresh = path_ + ".new";
  Fd fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));  // It may hold seeds.
  size_t done = 0;
  while (fd.ok() && done < text.size()) {
    ssize_t n = write(fd.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    done += size_t(n);
  }
  // Whole or not at all, whenever the power fails.
  if (!fd.ok() || done < text.size() || fsync(fd.get()) != 0 || rename(fresh.c_str(), path_.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", path_));
  }
  return absl::OkStatus();
}

}  // namespace orchard::host
