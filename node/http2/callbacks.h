// Where nghttp2, which is C, calls the session: each callback is one line of it.
#pragma once

#include <nghttp2/nghttp2.h>

#include "node/http2/server_session.h"

namespace orchard::http2 {

struct ServerSession::Callbacks {
  static nghttp2_session* NewSession(ServerSession& session);
  static nghttp2_data_provider Provider();

 private:
  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size, const uint8_t* value, size_t value_size, uint8_t, void* user);
  static int OnBadHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t*, size_t, const uint8_t*, size_t, uint8_t, void* user);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnDataChunk(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size, void* user);
  static int OnStreamClose(nghttp2_session*, int32_t stream, uint32_t, void* user);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static ssize_t Read(nghttp2_session*, int32_t stream, uint8_t* into, size_t size, uint32_t* flags, nghttp2_data_source*, void* user);
};

}  // namespace orchard::http2
