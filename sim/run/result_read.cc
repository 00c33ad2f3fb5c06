#include "sim/run/result_read.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/language/text.h"
#include "sim/run/result.h"

namespace orchard::sim {

std::string ReadText(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

std::optional<Json> ReadJsonFile(const std::string& file) {
  JsonError error;
  std::optional<Json> j = ParseJson(ReadText(file), 0, error);
  return j && j->is_object() ? j : std::nullopt;
}

std::string TextIn(const Json& object, std::string_view key) {
  const Json* v = object.Find(key);
  return v == nullptr || !v->is_text() ? "" : v->text;
}

int64_t MicroIn(const Json& object, std::string_view key) {
  const Json* v = object.Find(key);
  return v == nullptr ? 0 : v->Micro().value_or(0);
}

uint64_t CountIn(const Json& object, std::string_view key) {
  const Json* v = object.Find(key);
  const int64_t n = v == nullptr ? 0 : v->Integer().value_or(0);
  return n < 0 ? 0 : uint64_t(n);
}

bool TruthIn(const Json& object, std::string_view key) {
  const Json* v = object.Find(key);
  return v != nullptr && v->is(Json::Kind::kBool) && v->truth;
}

const std::vector<Json>& ListIn(const Json& object, std::string_view key) {
  static const std::vector<Json>& none = *new std::vector<Json>();
  const Json* v = object.Find(key);
  return v == nullptr || !v->is_array() ? none : v->items;
}

bool ReplaceText(const std::string& file, const std::string& text) {
  char machine[64] = "";  // Ranks of several machines share the folder.
  gethostname(machine, sizeof machine - 1);
  const std::string beside = Cat(file, ".", machine, "-", getpid(), ".part");
  std::error_code error;
  if (!WriteText(beside, text)) return std::filesystem::remove(beside, error), false;
  std::filesystem::rename(beside, file, error);
  if (error) std::fprintf(stderr, "orchard: cannot write %s: %s\n", file.c_str(), error.message().c_str());
  return !error;
}

}  // namespace orchard::sim
