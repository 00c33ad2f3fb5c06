// Reads what runs left behind. What is missing or of another kind is empty, zero or false: a result may be of anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/language/json_text.h"

namespace orchard::sim {

// The whole file; empty if it cannot be read.
std::string ReadText(const std::string& file);
// Nothing if there is no such file, or it is no JSON (cut off, perhaps).
std::optional<Json> ReadJsonFile(const std::string& file);

std::string TextIn(const Json& object, std::string_view key);
int64_t MicroIn(const Json& object, std::string_view key);
uint64_t CountIn(const Json& object, std::string_view key);
bool TruthIn(const Json& object, std::string_view key);
// The members of the list of that name; none if there is no list.
const std::vector<Json>& ListIn(const Json& object, std::string_view key);

// What is about to be replaced is whole at every moment, for whoever reads it: written beside it, then renamed. False: the file
// could not be written (the message is on stderr).
bool ReplaceText(const std::string& file, const std::string& text);

}  // namespace orchard::sim
