#include "node/base/json_writer.h"

namespace orchard {

JsonWriter& JsonWriter::Raw(std::string_view json) {
  if (!fresh_) text_ += ',';
  text_ += json;
  fresh_ = false;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view name) {
  if (!fresh_) text_ += ',';
  Quote(name);
  text_ += ':';
  fresh_ = true;
  return *this;
}

JsonWriter& JsonWriter::Text(std::string_view utf8) {
  if (!fresh_) text_ += ',';
  Quote(utf8);
  fresh_ = false;
  return *this;
}

// RFC 8259 §7: quotation mark, reverse solidus and control characters are escaped; the rest stays UTF-8.
void JsonWriter::Quote(std::string_view utf8) {
  static constexpr char kDigits[] = "0123456789abcdef";
  text_ += '"';
  for (char c : utf8) {
    switch (c) {
      case '"': text_ += "\\\""; break;
      case '\\': text_ += "\\\\"; break;
      case '\n': text_ += "\\n"; break;
      case '\r': text_ += "\\r"; break;
      case '\t': text_ += "\\t"; break;
      default:
        if (uint8_t(c) < 0x20) {
          text_ += "\\u00";
          text_ += kDigits[uint8_t(c) >> 4], text_ += kDigits[uint8_t(c) & 15];
        } else {
          text_ += c;
        }
    }
  }
  text_ += '"';
}

}  // namespace orchard
