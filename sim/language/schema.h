// What is generated from the tables of words: scenarios/schema.json, from which editors complete, and the word tables of
// docs/SCENARIOS.md. A test holds the files in the tree against what these functions return.
#pragma once

#include <string>

namespace orchard::sim {

// JSON Schema 2020-12, indented by two.
std::string SchemaText();
// The word tables in Markdown, one section per set.
std::string WordTablesText();

}  // namespace orchard::sim
