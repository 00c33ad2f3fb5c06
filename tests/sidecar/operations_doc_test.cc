// docs/OPERATIONS.md is the table of operations, written out. ORCHARD_GENERATE=1 writes it again.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "node/sidecar/operations.h"

namespace orchard::sidecar {
namespace {

absl::string_view A(std::string_view s) { return {s.data(), s.size()}; }

std::string TypeName(const Param& p) {
  switch (p.type) {
    case ParamType::kKey: return "key";
    case ParamType::kTopic: return "topic";
    case ParamType::kAddress: return "address";
    case ParamType::kText: return "text";
    case ParamType::kUint: return "number";
    case ParamType::kBytes: return "bytes";
    case ParamType::kBool: return "true or false";
    case ParamType::kChoice: return absl::StrCat("one of `", A(p.choices), "`");
  }
  return "";
}

std::string Markdown() {
  std::string out =
      "# Operations\n\n"
      "What a node can be asked to do. The same names and parameters serve the command line (`orchard dht lookup apples`), IPC\n"
      "(docs/IPC.md) and the timeline of a scenario (`\"do\": \"dht.lookup\", \"with\": {\"topic\": \"apples\"}`). Each ends in one `final` event:\n"
      "`{\"ok\": true, …}` with the fields named here, or `{\"ok\": false, \"code\", \"message\"}`; what was searched in vain\n"
      "still says `nodes`, `hops` and `requests`. Generated from the table in\n"
      "node/sidecar/operations.cc.\n";
  for (const Operation& o : Operations()) {
    absl::StrAppend(&out, "\n## ", A(o.name), "\n", A(o.says), o.standing ? " It lasts: a host that comes back carries it out again." : !o.amends.empty() ? " It lasts as long as what it changes: a host that comes back deploys the site so." : "",
                    o.local ? " The command line does it, with what the node tells; the node itself, and so IPC and scenarios, cannot." : "",
                    "\n\n`orchard ", A(o.example), "`\n\nGives `", absl::StrReplaceAll(A(o.result), {{" ", "` `"}}), "`.\n");
    if (o.params.empty()) continue;
    absl::StrAppend(&out, "\n| parameter | | |\n|---|---|---|\n");
    for (const Param& p : o.params) {
      absl::StrAppend(&out, "| `", A(p.name), "`", p.required ? " (required)" : "", " | ", TypeName(p), " | ", A(p.says),
                      p.secret ? "; never logged" : "", " |\n");
    }
  }
  return out;
}

TEST(OperationsDocTest, ThePageIsTheTable) {
  const std::string path = ORCHARD_SOURCE_DIR "/docs/OPERATIONS.md";
  if (std::getenv("ORCHARD_GENERATE") != nullptr) std::ofstream(path) << Markdown();
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), Markdown()) << "run this test with ORCHARD_GENERATE=1";
}

}  // namespace
}  // namespace orchard::sidecar
