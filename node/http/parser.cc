#include "node/http/parser.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "node/base/check.h"
#include "node/http/limits.h"

namespace orchard::http {
namespace {

bool AllDigits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit); }

// "HTTP/1.1" → 1. Others are unknown versions if they look like one.
Refusal ReadVersion(std::string_view text, uint8_t& minor) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || !absl::ascii_isdigit(text[5]) || text[6] != '.' || !absl::ascii_isdigit(text[7])) {
    return Refusal::kMalformed;
  }
  if (text != "HTTP/1.0" && text != "HTTP/1.1") return Refusal::kUnknownVersion;
  minor = uint8_t(text[7] - '0');
  return Refusal::kNone;
}

// The target's form is the method's. RFC 9112 §3.2.
bool TargetFits(std::string_view method, std::string_view target) {
  if (target.empty() || !std::all_of(target.begin(), target.end(), absl::ascii_isgraph)) return false;
  if (method == "CONNECT") return target.find('/') == target.npos && target.find(':') != target.npos;
  if (target == "*") return method == "OPTIONS";
  return target[0] == '/' || target.find("://") != target.npos;
}

bool KeepsAlive(const MessageHead& head) {
  if (head.headers.HasToken("Connection", "close")) return false;
  return head.minor >= 1 || head.headers.HasToken("Connection", "keep-alive");
}

}  // namespace

void MessageParser::Restart() {
  grammar_.Reset();
  step_ = Step::kStartLine;
  line_.clear(), trailers_.Clear();
  empty_lines_ = 0, left_ = 0, body_bytes_ = 0, extension_bytes_ = 0;
  has_length_ = has_coding_ = false, length_ = 0;
}

size_t MessageParser::OnBytes(Bytes bytes, ParserNews& news) {
  size_t used = 0;
  while (used < bytes.size() && step_ != Step::kComplete && step_ != Step::kRefused) {
    const Bytes rest = bytes.subspan(used);
    const bool body = step_ == Step::kBody || step_ == Step::kUntilEnd || step_ == Step::kChunkData;
    used += body ? TakeBody(rest, news) : TakeLine(rest, news);
  }
  return used;
}

void MessageParser::OnEnd(ParserNews& news) {
  if (step_ == Step::kUntilEnd) Complete(news);
  else if (step_ != Step::kComplete && step_ != Step::kRefused && !between()) Refuse(Refusal::kTruncated, news);
}

size_t MessageParser::LineMax() const {
  switch (step_) {
    case Step::kStartLine: return kStartLineMax;
    case Step::kChunkLine: return kChunkLineMax;
    case Step::kChunkEnd: return 0;
    default: return kHeaderLineMax;
  }
}

Refusal MessageParser::TooLong() const {
  switch (step_) {
    case Step::kStartLine: return Refusal::kStartLineTooLong;
    case Step::kChunkLine: return Refusal::kChunkExtensions;
    case Step::kChunkEnd: return Refusal::kBadChunk;
    case Step::kTrailers: return Refusal::kBadTrailer;
    default: return Refusal::kHeadersTooLarge;
  }
}

size_t MessageParser::TakeLine(Bytes bytes, ParserNews& news) {
  const auto end = std::find(bytes.begin(), bytes.end(), uint8_t('\n'));
  const bool whole = end != bytes.end();
  const size_t n = size_t(end - bytes.begin()) + whole;
  const size_t before = line_.size(), most = LineMax() + 2;
  // Refused at the byte that is too much, whatever the split.
  line_.append(AsText(bytes.subspan(0, std::min(n, most + 1 - std::min(before, most)))));
  Refusal refusal = Refusal::kNone;
  // A CR is followed by LF, and the LF that ends a line follows a CR; a NUL is nowhere. RFC 9112 §2.2.
  for (size_t i = before == 0 ? 0 : before - 1; i < line_.size() && refusal == Refusal::kNone; ++i) {
    const char c = line_[i];
    if (c == '\0') refusal = Refusal::kMalformed;
    if (c == '\r' && i + 1 < line_.size() && line_[i + 1] != '\n') refusal = Refusal::kBareLineEnd;
    if (c == '\n' && (i == 0 || line_[i - 1] != '\r')) refusal = Refusal::kBareLineEnd;
    // A line may have LineMax() bytes, CR and LF.
    if (refusal == Refusal::kNone && i >= most - 2 && !(c == '\r' && i == most - 2) && c != '\n') refusal = TooLong();
  }
  if (refusal == Refusal::kNone && whole) {
    const std::string line = std::exchange(line_, {});
    refusal = OnLine(line, news);
  }
  if (refusal != Refusal::kNone) Refuse(refusal, news);
  return n;
}

// `line` is whole, with its CR LF.
Refusal MessageParser::OnLine(std::string_view line, ParserNews& news) {
  const std::string_view text = line.substr(0, line.size() - 2);
  Refusal refusal = Refusal::kNone;
  switch (step_) {
    case Step::kStartLine:
      if (text.empty()) return ++empty_lines_ > kEmptyLinesMax ? Refusal::kMalformed : Refusal::kNone;
      refusal = OnStartLine(text);
      step_ = Step::kHeaders;
      break;
    case Step::kHeaders:
    case Step::kTrailers:
      if (!text.empty()) refusal = OnHeaderLine(line, step_ == Step::kHeaders ? mutable_head().headers : trailers_);
      break;
    case Step::kChunkLine: refusal = OnChunkLine(text); break;
    case Step::kChunkEnd:
      if (!text.empty()) return Refusal::kBadChunk;
      break;
    default: CHECK(false);
  }
  if (refusal != Refusal::kNone) return refusal;
  if (refusal = grammar_.Feed(AsBytes(line)); refusal != Refusal::kNone) return refusal;

  switch (step_) {
    case Step::kHeaders: return text.empty() ? OnHeadEnd(news) : Refusal::kNone;
    case Step::kChunkLine:
      if (!grammar_.chunk_begun() || grammar_.chunk_size() != left_) return Refusal::kBadChunk;
      if (left_ > body_max_ - body_bytes_) return Refusal::kBodyTooLarge;
      step_ = left_ == 0 ? Step::kTrailers : Step::kChunkData;
      break;
    case Step::kChunkEnd: step_ = Step::kChunkLine; break;
    case Step::kTrailers:
      if (!text.empty()) break;
      if (!grammar_.message_complete()) return Refusal::kBadTrailer;
      Complete(news);
      break;
    default: break;
  }
  return Refusal::kNone;
}

Refusal MessageParser::OnHeaderLine(std::string_view line, HeaderList& into) {
  const bool trailer = step_ == Step::kTrailers;
  const std::string_view text = line.substr(0, line.size() - 2);
  if (text[0] == ' ' || text[0] == '\t') return Refusal::kFoldedHeader;
  const size_t colon = text.find(':');
  if (colon == text.npos || colon == 0) return Refusal::kBadHeader;
  const std::string_view name = text.substr(0, colon), value = Trimmed(text.substr(colon + 1));
  if (name.back() == ' ' || name.back() == '\t') return Refusal::kSpaceBeforeColon;
  if (!IsToken(name) || !IsFieldValue(value)) return Refusal::kBadHeader;
  if (into.size() >= kHeadersMax) return Refusal::kTooManyHeaders;
  if (into.bytes().size() + line.size() > (trailer ? kTrailerBytesMax : kHeaderBytesMax)) {
    return trailer ? Refusal::kBadTrailer : Refusal::kHeadersTooLarge;
  }
  const bool length = EqualsIgnoringCase(name, "Content-Length"), coding = EqualsIgnoringCase(name, "Transfer-Encoding");
  // What frames or routes has no place behind the body. RFC 9110 §6.5.1.
  if (trailer && (length || coding || EqualsIgnoringCase(name, "Host"))) return Refusal::kBadTrailer;
  if (length) {
    if (has_length_) return Refusal::kSeveralLengths;
    // 18 digits are an exabyte, and nothing that overflows.
    if (!AllDigits(value) || value.size() > 18) return Refusal::kBadLength;
    std::from_chars(value.data(), value.data() + value.size(), length_);
    has_length_ = true;
  }
  if (coding) {
    if (has_coding_ || mutable_head().minor == 0) return Refusal::kBadCoding;
    if (!EqualsIgnoringCase(value, "chunked")) return Refusal::kUnknownCoding;
    has_coding_ = true;
  }
  if (has_length_ && has_coding_) return Refusal::kLengthAndCoding;
  into.AddLine(line, name, value);
  return Refusal::kNone;
}

Refusal MessageParser::OnHeadEnd(ParserNews& news) {
  if (!grammar_.head_complete()) return Refusal::kMalformed;
  if (grammar_.chunked() != has_coding_ || (has_length_ && grammar_.content_length() != length_)) return Refusal::kBadLength;
  MessageHead& head = mutable_head();
  head.keep_alive = KeepsAlive(head);
  head.length = length_;
  head.body = has_coding_ ? BodyKind::kChunked : length_ > 0 ? BodyKind::kLength : BodyKind::kNone;
  if (Refusal r = OnHead(); r != Refusal::kNone) return r;
  if (head.body == BodyKind::kLength && length_ > body_max_) return Refusal::kBodyTooLarge;
  news.push_back(HeadComplete{});
  switch (head.body) {
    case BodyKind::kNone:
    case BodyKind::kTunnel: Complete(news); break;
    case BodyKind::kLength: left_ = length_, step_ = Step::kBody; break;
    case BodyKind::kChunked: step_ = Step::kChunkLine; break;
    case BodyKind::kUntilEnd: left_ = body_max_, step_ = Step::kUntilEnd; break;
  }
  return Refusal::kNone;
}

Refusal MessageParser::OnChunkLine(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789abcdefABCDEF"), text.size());
  if (digits == 0 || digits > 15) return Refusal::kBadChunk;
  left_ = 0;
  for (char c : text.substr(0, digits)) left_ = left_ << 4 | uint64_t(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  extension_bytes_ += text.size() - std::min(digits, text.size());
  if (text[0] == '0') extension_bytes_ += digits - 1;
  return extension_bytes_ > kChunkExtensionsMax ? Refusal::kChunkExtensions : Refusal::kNone;
}

size_t MessageParser::TakeBody(Bytes bytes, ParserNews& news) {
  if (step_ == Step::kUntilEnd && left_ == 0) return Refuse(Refusal::kBodyTooLarge, news), bytes.size();
  const Bytes part = bytes.subspan(0, size_t(std::min<uint64_t>(bytes.size(), left_)));
  if (step_ == Step::kChunkData) {
    if (Refusal r = grammar_.Feed(part); r != Refusal::kNone) return Refuse(r, news), bytes.size();
  }
  news.push_back(BodyPart{part});
  left_ -= part.size(), body_bytes_ += part.size();
  if (left_ == 0 && step_ == Step::kBody) Complete(news);
  if (left_ == 0 && step_ == Step::kChunkData) step_ = Step::kChunkEnd;
  return part.size();
}

void MessageParser::Refuse(Refusal why, ParserNews& news) {
  step_ = Step::kRefused;
  line_.clear();
  news.push_back(MessageRefused{why});
}

void MessageParser::Complete(ParserNews& news) {
  step_ = Step::kComplete;
  news.push_back(MessageComplete{});
}

// ---- Requests ----

// RFC 9112 §3: method SP target SP version, and no other space.
Refusal RequestParser::OnStartLine(std::string_view line) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last || !IsToken(line.substr(0, first))) return Refusal::kMalformed;
  head_.method = line.substr(0, first), head_.target = line.substr(first + 1, last - first - 1);
  if (head_.target.find(' ') != std::string::npos) return Refusal::kMalformed;
  if (Refusal r = ReadVersion(line.substr(last + 1), head_.minor); r != Refusal::kNone) return r;
  return TargetFits(head_.method, head_.target) ? Refusal::kNone : Refusal::kBadTarget;
}

Refusal RequestParser::OnHead() {
  // RFC 9112 §3.2: exactly one in HTTP/1.1.
  const size_t hosts = head_.headers.Count("Host");
  if (hosts > 1) return Refusal::kSeveralHosts;
  if (hosts == 0 && head_.minor >= 1) return Refusal::kNoHost;
  if (auto expect = head_.headers.Find("Expect"); expect.has_value() && head_.minor >= 1) {
    if (!EqualsIgnoringCase(*expect, "100-continue")) return Refusal::kUnknownExpectation;
    head_.expects_continue = head_.body != BodyKind::kNone;
  }
  if (head_.method == "CONNECT") {
    // The content of CONNECT has no meaning (RFC 9110 §9.3.6): it would be read as the tunnel's.
    if (head_.body != BodyKind::kNone) return Refusal::kBadLength;
    head_.body = BodyKind::kTunnel;
  }
  return Refusal::kNone;
}

// ---- Responses ----

// RFC 9112 §4: version SP status SP [reason]. The last space may be missing, as it often is.
Refusal ResponseParser::OnStartLine(std::string_view line) {
  const std::string_view version = line.substr(0, line.find(' '));
  if (Refusal r = ReadVersion(version, head_.minor); r != Refusal::kNone) return r;
  const std::string_view rest = line.substr(std::min(line.size(), version.size() + 1));
  if (rest.size() < 3 || !AllDigits(rest.substr(0, 3)) || rest[0] == '0' || (rest.size() > 3 && rest[3] != ' ')) return Refusal::kMalformed;
  head_.status = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
  head_.reason = Trimmed(rest.substr(std::min<size_t>(rest.size(), 4)));
  return IsFieldValue(head_.reason) ? Refusal::kNone : Refusal::kMalformed;
}

// RFC 9112 §6.3.
Refusal ResponseParser::OnHead() {
  if (request_method_ == "CONNECT" && head_.status / 100 == 2) {
    head_.body = BodyKind::kTunnel;
  } else if (head_.status == 101) {
    return Refusal::kUnexpectedUpgrade;
  } else if (request_method_ == "HEAD" || head_.status / 100 == 1 || head_.status == 204 || head_.status == 304) {
    head_.body = BodyKind::kNone;
  } else if (head_.body == BodyKind::kNone && !has_length_) {
    head_.body = BodyKind::kUntilEnd;
  }
  if (head_.body == BodyKind::kUntilEnd) head_.keep_alive = false;
  return Refusal::kNone;
}

}  // namespace orchard::http
