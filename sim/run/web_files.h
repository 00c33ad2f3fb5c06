// What the origins of a run have to give: their servers, and the digests by which claims know what was fetched.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "node/base/turn.h"
#include "sim/language/plan.h"

namespace orchard::sim {

// The server of a host that runs one. What is in a file comes of its path and the run's seed: origins with the same path and size
// are mirrors.
std::unique_ptr<Machine> MakeOrigin(const WebSpec& web, uint64_t seed);

class WebFiles {
 public:
  explicit WebFiles(const WorldPlan& world) : world_(world) {}
  // In hexadecimal, of what an http.get with these parameters should have brought, if it asked for `path`: the part that its range
  // names. Of the origin that its URL names, or of the first that has the file. Nothing: nobody has it, or no such part of it.
  std::optional<std::string> Sha256(std::string_view path, const Json& with);

 private:
  const WorldPlan& world_;
  std::map<std::string, std::string> known_;  // By path, size and range: long to make.
};

}  // namespace orchard::sim
