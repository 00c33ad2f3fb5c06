// Writes JSON text, member by member, in the order given. The caller keeps the nesting right; commas are ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard {

class JsonWriter {
 public:
  JsonWriter& Open(char bracket) { return Raw(std::string_view(&bracket, 1)), fresh_ = true, *this; }  // '{' or '['.
  JsonWriter& Close(char bracket) { return text_ += bracket, fresh_ = false, *this; }                  // '}' or ']'.
  JsonWriter& Key(std::string_view name);
  JsonWriter& Text(std::string_view utf8);
  JsonWriter& Hex(Bytes bytes) { return Text(ToHex(bytes)); }
  JsonWriter& Uint(uint64_t n) { return Raw(std::to_string(n)); }
  JsonWriter& Bool(bool b) { return Raw(b ? "true" : "false"); }
  JsonWriter& Null() { return Raw("null"); }
  // A value that is JSON already.
  JsonWriter& Raw(std::string_view json);

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }

 private:
  void Quote(std::string_view utf8);
  std::string text_;
  bool fresh_ = true;  // No comma is due before the next value.
};

}  // namespace orchard
