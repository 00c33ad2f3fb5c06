// The one table of operations: what a node can be asked to do. The command line, IPC and a scenario's timeline open on it;
// help texts, scenarios/schema.json and docs/OPERATIONS.md are generated from it.
#pragma once

#include <string_view>

#include "absl/types/span.h"

namespace orchard::sidecar {

enum class ParamType {
  kKey,       // 32 bytes: 64 hex digits or 52 of z-base-32; in scenarios also a reference.
  kTopic,     // 64 hex digits, or any text, which is hashed with BLAKE2b-256.
  kAddress,   // "1.2.3.4:5"; in scenarios also "@host" or a host id.
  kText,
  kUint,
  kBytes,     // A count of bytes: a whole number; on the command line and in scenarios also "64KiB".
  kBool,
  kChoice,    // One of `choices`, separated by spaces.
};

struct Param {
  std::string_view name;
  ParamType type;
  bool required = false;
  bool positional = false;  // On the command line the required ones come first, by position.
  std::string_view says;
  std::string_view choices = {};
  bool secret = false;      // Never logged, never in a report.
  char letter = 0;          // On the command line also `-o`.
  std::string_view value = {};  // What help calls it, such as "FILE"; else a word of its type.
};

struct Operation {
  std::string_view name;    // "dht.lookup"; on the command line `orchard dht lookup`.
  std::string_view says;    // One sentence.
  absl::Span<const Param> params;
  std::string_view result;  // Fields of the final event's data, separated by spaces: what `$x.field` may name.
  std::string_view example; // After `orchard `.
  bool standing = false;    // Lasting effect: a host that comes back carries it out again.
  std::string_view undoes = {};  // The standing operation that it ends, of the same topic and key pair.
  std::string_view amends = {};  // The standing operation of the same site whose parameters of the same name it changes for good.
  bool local = false;       // The command line carries it out itself, with what other operations tell it; a node does not.
  bool raw = false;         // Carries binary data both ways (docs/IPC.md); not for a scenario's timeline.
};

// Ordered by name.
absl::Span<const Operation> Operations();
const Operation* FindOperation(std::string_view name);

}  // namespace orchard::sidecar
