#include "node/http/grammar.h"

#include <llhttp.h>

namespace orchard::http {

struct Grammar::State {
  llhttp_t parser;
  llhttp_type_t type;
  bool head_complete, message_complete, chunk_begun;
  uint16_t flags;
  uint64_t content_length, chunk_size;
};

namespace {

// llhttp's user data. It keeps the pointer; the state never moves.
template <class S>
S& StateOf(llhttp_t* parser) { return *static_cast<S*>(parser->data); }

Refusal Translate(llhttp_errno_t error) {
  switch (error) {
    case HPE_OK:
    case HPE_PAUSED_UPGRADE: return Refusal::kNone;  // CONNECT and Upgrade: the parser decides what follows.
    case HPE_INVALID_METHOD: return Refusal::kUnknownMethod;
    case HPE_INVALID_URL: return Refusal::kBadTarget;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE: return Refusal::kUnknownVersion;
    case HPE_INVALID_HEADER_TOKEN: return Refusal::kBadHeader;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH: return Refusal::kBadLength;
    case HPE_INVALID_TRANSFER_ENCODING: return Refusal::kBadCoding;
    case HPE_INVALID_CHUNK_SIZE: return Refusal::kBadChunk;
    case HPE_CR_EXPECTED:
    case HPE_LF_EXPECTED: return Refusal::kBareLineEnd;
    default: return Refusal::kMalformed;
  }
}

}  // namespace

Grammar::Grammar(bool requests) : state_(std::make_unique<State>()) {
  state_->type = requests ? HTTP_REQUEST : HTTP_RESPONSE;
  Reset();
}
Grammar::Grammar(Grammar&&) noexcept = default;
Grammar& Grammar::operator=(Grammar&&) noexcept = default;
Grammar::~Grammar() = default;

void Grammar::Reset() {
  using S = State;
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_headers_complete = [](llhttp_t* p) {
      S& state = StateOf<S>(p);
      state.head_complete = true, state.flags = p->flags, state.content_length = p->content_length;
      return 0;
    };
    s.on_chunk_header = [](llhttp_t* p) {
      StateOf<S>(p).chunk_begun = true, StateOf<S>(p).chunk_size = p->content_length;
      return 0;
    };
    s.on_message_complete = [](llhttp_t* p) {
      StateOf<S>(p).message_complete = true;
      return 0;
    };
    return s;
  }();
  State& s = *state_;
  llhttp_init(&s.parser, s.type, &kSettings);
  s.parser.data = &s;
  s.head_complete = s.message_complete = s.chunk_begun = false;
  s.flags = 0, s.content_length = s.chunk_size = 0;
}

Refusal Grammar::Feed(Bytes bytes) {
  state_->chunk_begun = false;
  return Translate(llhttp_execute(&state_->parser, reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

bool Grammar::head_complete() const { return state_->head_complete; }
bool Grammar::chunked() const { return (state_->flags & F_CHUNKED) != 0; }
uint64_t Grammar::content_length() const { return state_->content_length; }
bool Grammar::chunk_begun() const { return state_->chunk_begun; }
uint64_t Grammar::chunk_size() const { return state_->chunk_size; }
bool Grammar::message_complete() const { return state_->message_complete; }

}  // namespace orchard::http
