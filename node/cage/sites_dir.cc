// Sites, continued: those of a directory.

#include <utility>

#include "absl/strings/str_split.h"
#include "node/cage/site_id.h"
#include "node/cage/sites.h"
#include "node/cage/trace.h"

namespace orchard::cage {

void Sites::Serve(Turn& turn, std::string directory) {
  directory_ = std::move(directory);
  Reload(turn);
}

std::optional<uint64_t> Sites::Reload(Turn& turn) {
  if (directory_.empty()) return std::nullopt;
  if (look_ != JobId{}) {  // What it saw may be older than what is there now.
    look_again_ = true;
    return looks_ + 2;
  }
  look_ = jobs_.Run(turn, kDirectory, JobKind::kListSites, directory_);
  return looks_ + 1;
}

void Sites::Looked(Turn& turn, const JobDone& done, PoolNews& news) {
  look_ = {}, ++looks_;
  last_look_ = {};
  if (std::exchange(look_again_, false)) Reload(turn);
  const std::string_view text = AsText(done.result);
  if (done.status != absl::StatusCode::kOk) {
    last_look_.problem = text.empty() ? absl::StatusCodeToString(done.status) : std::string(text);
  } else {
    absl::btree_map<std::string, std::string> found;
    for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> entry = absl::StrSplit(line, absl::MaxSplits(' ', 1));
      if (IsSiteName(entry.first) && found.size() < kListedMax) found.insert(entry);
    }
    const auto path = [&](const std::string& name) { return directory_ + "/" + name + ".wasm"; };
    // An operator may have given the name to another module meanwhile: then it is his.
    const auto ours = [&](const std::string& name) {
      const Site* site = Named(name);
      return site != nullptr && from_directory_.contains(name) && site->config.module == path(name);
    };
    std::vector<std::string> gone;
    for (const auto& [name, stamp] : from_directory_) {
      if (!found.contains(name)) gone.push_back(name);
    }
    for (const std::string& name : gone) {
      if (ours(name) && Remove(turn, name, news)) last_look_.removed.push_back(name);
      from_directory_.erase(name);
    }
    for (const auto& [name, stamp] : found) {
      if (const auto known = from_directory_.find(name); known != from_directory_.end() && known->second == stamp) continue;
      if (Named(name) == nullptr && Add(turn, {.name = name, .aliases = {}, .module = path(name)}, "", news).ok()) {
        last_look_.added.push_back(name);
      } else if (ours(name) && Update(turn, name, path(name)).ok()) {
        last_look_.updated.push_back(name);
      } else {
        last_look_.skipped.push_back(name);
        continue;
      }
      from_directory_[name] = stamp;
    }
  }
  turn.trace.Add(TraceCageDirectory{.sites = from_directory_.size(), .added = last_look_.added.size(), .updated = last_look_.updated.size(),
                                    .removed = last_look_.removed.size(), .skipped = last_look_.skipped.size(), .why = std::string_view(last_look_.problem).substr(0, 200)});
}

}  // namespace orchard::cage
