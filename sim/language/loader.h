// From a scenario file to typed cases. A file is loaded once into a Suite; BuildCase then applies a case's `set`, a proof's
// change and --set, and types the result. Everything wrong is reported at its place, up to a maximum, before anything runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/language/scenario.h"

namespace orchard::sim {

struct LoadError {
  Place place;           // Line 0: the file as a whole.
  std::string path;      // "hosts.bob.nats"
  std::string found;     // 'unknown key "nats"'
  std::string expected;  // "a host has id, count, …"
  std::string hint;      // 'did you mean "nat"?'
  uint32_t caret = 1;    // Characters to underline.
};

// A change that a path makes: `null` removes.
struct Change {
  std::string path;   // "hosts.server.node.profile"
  Place place;        // Of the path.
  Json value;
};

struct CaseWords {
  std::string name, says, cell, row, column;
  std::vector<Change> set;
  Place place;
};

struct FailsWhen {
  std::string says;
  std::vector<Change> set;
  std::vector<std::string> in;  // Cases, globs allowed; empty: all.
  std::string claim;            // Its `says`.
  Place place;
};

struct Suite {
  Sources sources;
  Json root;                     // The file with its includes laid under it.
  std::string says;
  uint64_t seed = 1;
  std::vector<CaseWords> cases;  // Never empty; a file without cases has one whose name is empty.
  std::vector<FailsWhen> fails_when;
  std::vector<Change> overrides; // --set: after a case's own changes, before those of a proof.
  std::optional<std::pair<uint64_t, uint64_t>> sweep;  // First and last seed.
  bool has_matrix = false;
  std::vector<std::string> rows, columns;              // Of the matrix, in order.
};

struct LoadOptions {
  std::vector<std::string> set;      // --set path=value, in order; the value is JSON, or else text.
  bool ships = false;                // fails_when is required.
};

// Reads the file and its includes, types every case and every change of fails_when. Nothing if there was an error.
std::optional<Suite> LoadScenario(const std::string& file, const LoadOptions& options, std::vector<LoadError>& errors,
                                  Sources& sources);
// The same without touching the file system: includes are errors.
std::optional<Suite> LoadScenarioFromText(std::string_view text, std::string_view name, const LoadOptions& options,
                                          std::vector<LoadError>& errors, Sources& sources);

// Types one case; with `proof` after the changes of that fails_when too. Nothing and errors if that breaks it (LoadScenario has
// tried all of them already).
std::optional<Scenario> BuildCase(const Suite& suite, const CaseWords& which, const FailsWhen* proof,
                                  std::vector<LoadError>& errors);
inline std::optional<Scenario> BuildCase(const Suite& suite, const CaseWords& which, std::vector<LoadError>& errors) {
  return BuildCase(suite, which, nullptr, errors);
}

// One case as a scenario of its own, without cases or proofs: includes laid under, all changes made.
Json CaseJson(const Suite& suite, const CaseWords& which);

// True if `name` matches one of `patterns` (globs), or there are none.
bool CaseMatches(const std::vector<std::string>& patterns, std::string_view name);

// FILE:LINE:COL: PATH: found; expected, the line with a caret, the hint; at most 20, then "… and N more".
std::string RenderErrors(const std::vector<LoadError>& errors, const Sources& sources);
// One {"tag":"error","data":{…}} a line.
std::string RenderErrorsJson(const std::vector<LoadError>& errors, const Sources& sources);

inline constexpr size_t kErrorsShownMax = 20;

}  // namespace orchard::sim
