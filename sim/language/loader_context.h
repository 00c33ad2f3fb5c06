// What the parts of the loader share: where errors go, which names exist, and readers for each kind of word. Every reader
// reports what is wrong at its place and then returns nothing, so that one pass finds all errors.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/language/grammar.h"
#include "sim/language/grammar_words.h"
#include "sim/language/loader.h"

namespace orchard::sim {

// The names of one case, gathered before anything is typed, so that words may name what stands further down.
struct Names {
  struct Host {
    uint32_t count = 1;
    bool grouped = false;
    bool runs_node = true;
    std::set<std::string> uplinks;
  };
  struct EntryName {
    size_t index = 0;
    bool has_end = false;      // It acts or lasts.
    std::string operation;     // Empty: a fault or a moment.
    std::string place;
  };
  std::map<std::string, Host> hosts;
  std::map<std::string, EntryName> entries;
  std::set<std::string> picks, lans, boxes, links;

  std::vector<std::string> HostWords() const;   // Ids, groups and picks, for nearest words.
  std::vector<std::string> EntryWords() const;  // In file order.
  bool IsMember(std::string_view text, std::string* group) const;  // "peer-3" of a group "peer" of at least 3.
  // "peer-501": the group, if there is one of that name, whatever the number.
  const Host* GroupOfMember(std::string_view text, std::string* group) const;
};

struct Context {
  std::vector<LoadError>& errors;
  Scenario& out;
  const Suite& suite;
  const Json& root;  // Of this case.
  Names names;

  void Fail(Place place, uint32_t caret, std::string path, std::string found, std::string expected, std::string hint = {});
  void Fail(const Json& at, std::string path, std::string found, std::string expected, std::string hint = {});
  // 'expected a list'.
  void WrongKind(const Json& at, const std::string& path, std::string_view expected);
  // "…; did you mean "x"?" or what there is.
  std::string Suggest(std::string_view found, const std::vector<std::string>& words, std::string_view otherwise) const;

  std::optional<std::string> Text(const Json& at, const std::string& path);
  std::optional<std::string> Name(const Json& at, const std::string& path);
  std::vector<std::string> TextList(const Json& at, const std::string& path);
  std::optional<bool> Bool(const Json& at, const std::string& path);
  std::optional<uint64_t> Count(const Json& at, const std::string& path, uint64_t least, uint64_t most);
  std::optional<int64_t> Amount(const Json& at, const std::string& path, Unit unit);
  std::optional<Draw> DrawOf(const Json& at, const std::string& path, Unit unit);
  // The index among `choices`.
  std::optional<size_t> Choice(const Json& at, const std::string& path, std::string_view choices);
  std::optional<Moment> MomentOf(const Json& at, const std::string& path);
  enum class Targets : uint8_t { kHosts, kLinks, kBoxes, kInterfaces };  // What may be named beside hosts.
  std::optional<Selector> SelectorOf(const Json& at, const std::string& path, Targets targets = Targets::kHosts);
  std::vector<SelectorTerm> Terms(const Json& at, const std::string& path, Targets targets);
  std::optional<SelectorTerm> Term(const Json& at, const std::string& path, Targets targets);
  // `labels`: those allowed beside the host's. `up`: where up: "5min" goes, or null if it has no place here.
  std::vector<Match> Where(const Json& at, const std::string& path, std::string_view labels, Duration* up);

  bool IsRegion(std::string_view name) const;
};

// An object's words: refuses those that its set does not have, and those that this version does not have yet.
class Fields {
 public:
  Fields(Context& context, const Json& object, std::string path, std::string_view set);
  bool ok() const { return object_ != nullptr; }
  const Json* operator[](std::string_view word) const { return object_ == nullptr ? nullptr : object_->Find(word); }
  std::string At(std::string_view word) const;
  const std::string& path() const { return path_; }

 private:
  const Json* object_ = nullptr;
  std::string path_;
};

uint32_t CaretOf(const Json& value);
std::string Quoted(std::string_view text);  // In double quotes, cut if very long.
// NearestOf for texts of any length.
std::string Nearest(std::string_view found, const std::vector<std::string>& words);

// ---- The parts, in order ----
void GatherNames(Context& c);                                 // loader_names.cc
void ReadWorld(Context& c, const Json& world);                // loader_world.cc
std::optional<LinkChoice> ReadLinkChoice(Context& c, const Json& at, const std::string& path);
std::optional<NatChoice> ReadNatChoice(Context& c, const Json& at, const std::string& path);
std::optional<Mix> ReadMix(Context& c, const Json& at, const std::string& path);
void ReadHosts(Context& c, const Json& hosts);                // loader_hosts.cc
void ReadLans(Context& c, const Json& lans);
void ReadTimeline(Context& c, const Json& timeline);          // loader_timeline.cc
void ReadFault(Context& c, Entry& entry, const Json* with, const std::string& path);  // loader_faults.cc
void ReadOperation(Context& c, Entry& entry, const Json* with, Place at, const std::string& path);  // loader_operations.cc
// Checks "$x.field", "@host"; false and an error if it names what is not there.
bool CheckReference(Context& c, const Json& at, const std::string& path);
void ReadWeb(Context& c, const Json& at, const std::string& path, HostGroup& host);  // loader_web.cc
void CheckClientWords(Context& c, const Json& with, const std::string& path);
bool HasWebFile(const Context& c, std::string_view path);     // Some origin of this case has it.
void ReadClaims(Context& c, const Json& claims);              // loader_claims.cc

// "hosts.bob", "timeline[3]", "claims[\"…\"]".
std::string MemberPath(std::string_view list, const Json& member, size_t index);

// ---- Files (loader_cases.cc) ----
// Makes the change; false and an error if its path leads nowhere.
bool ApplyChange(Json& root, const Change& change, std::string path, std::vector<LoadError>& errors);
// Fills cases, fails_when, sweep, matrix.
void ReadSuite(Suite& suite, const LoadOptions& options, std::vector<LoadError>& errors);

}  // namespace orchard::sim
