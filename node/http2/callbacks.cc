#include "node/http2/callbacks.h"

#include <cstdint>

#include "node/base/check.h"

namespace orchard::http2 {
namespace {

ServerSession& Self(void* user) { return *static_cast<ServerSession*>(user); }

bool IsRequest(const nghttp2_frame* frame) { return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST; }

std::string_view Text(const uint8_t* bytes, size_t size) { return AsText(Bytes(bytes, size)); }

}  // namespace

nghttp2_session* ServerSession::Callbacks::NewSession(ServerSession& session) {
  nghttp2_session_callbacks* calls = nullptr;
  nghttp2_option* option = nullptr;
  CHECK_EQ(nghttp2_session_callbacks_new(&calls), 0);
  CHECK_EQ(nghttp2_option_new(&option), 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(calls, OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(calls, OnHeader);
  nghttp2_session_callbacks_set_on_invalid_header_callback(calls, OnBadHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(calls, OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, OnDataChunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(calls, OnStreamClose);
  nghttp2_session_callbacks_set_on_frame_send_callback(calls, OnFrameSent);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, kOutboundAcksMax);
  nghttp2_option_set_max_continuations(option, kContinuationsMax);
  // Its limit of resets asks the clock of the system; ours (limits.h) is lower, and virtual.
  nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
  nghttp2_session* made = nullptr;
  CHECK_EQ(nghttp2_session_server_new3(&made, calls, &session, option, session.memory_.allocator()), 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(calls);
  return made;
}

nghttp2_data_provider ServerSession::Callbacks::Provider() { return {.source = {}, .read_callback = Read}; }

int ServerSession::Callbacks::OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  if (!IsRequest(frame)) return 0;
  ServerSession& s = Self(user);
  s.reader_ = {};
  if (auto& e = s.exchanges_[RequestId(frame->hd.stream_id)]; e == nullptr) e = std::make_unique<Exchange>(), ++s.open_;
  return 0;
}

int ServerSession::Callbacks::OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size, const uint8_t* value,
                                       size_t value_size, uint8_t, void* user) {
  if (!IsRequest(frame)) return 0;  // Trailers tell nobody anything here.
  Self(user).reader_.OnField(Text(name, name_size), Text(value, value_size));
  return 0;
}

int ServerSession::Callbacks::OnBadHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t*, size_t, const uint8_t*, size_t, uint8_t, void* user) {
  if (!IsRequest(frame)) return 0;
  Self(user).reader_.OnBadField();
  return 0;
}

int ServerSession::Callbacks::OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  ServerSession& s = Self(user);
  const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      if (IsRequest(frame)) s.Head(frame->hd.stream_id, ends);
      if (ends) s.Done(frame->hd.stream_id);
      break;
    case NGHTTP2_DATA:
      if (ends) s.Done(frame->hd.stream_id);
      break;
    case NGHTTP2_RST_STREAM:
      if (Exchange* e = s.Find(RequestId(frame->hd.stream_id))) e->by_peer = true;
      break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_WINDOW_UPDATE: s.room_changed_ = true; break;
    default: break;
  }
  return 0;
}

int ServerSession::Callbacks::OnDataChunk(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size, void* user) {
  Self(user).Body(stream, Bytes(data, size));
  return 0;
}

int ServerSession::Callbacks::OnStreamClose(nghttp2_session*, int32_t stream, uint32_t, void* user) {
  Self(user).Over(stream);
  return 0;
}

int ServerSession::Callbacks::OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  ServerSession& s = Self(user);
  Exchange* e = s.Find(RequestId(frame->hd.stream_id));
  const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_DATA: s.sent_bytes_ += frame->hd.length; break;
    case NGHTTP2_RST_STREAM:
      // We were made to: a rule was broken, or a stream opened beyond the limit.
      if ((e == nullptr || !e->by_us) && frame->rst_stream.error_code != NGHTTP2_NO_ERROR) ++s.resets_;
      break;
    case NGHTTP2_GOAWAY: s.goaway_error_ = frame->goaway.error_code; break;
    default: break;
  }
  // Answered before it was asked in full: the rest is not wanted (RFC 9113 §8.1).
  if (ends && e != nullptr && !e->done && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

ssize_t ServerSession::Callbacks::Read(nghttp2_session*, int32_t stream, uint8_t* into, size_t size, uint32_t* flags, nghttp2_data_source*, void* user) {
  Exchange* e = Self(user).Find(RequestId(stream));
  if (e == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  bool end = false;
  const size_t n = Self(user).Fill(*e, into, size, end);
  if (end) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return n == 0 && !end ? ssize_t{NGHTTP2_ERR_DEFERRED} : ssize_t(n);
}

}  // namespace orchard::http2
