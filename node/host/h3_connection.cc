#include "node/host/h3_connection.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/host/sockaddr.h"

namespace orchard::host {
namespace {

constexpr char kPriorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CCM:"
    "-GROUP-ALL:+GROUP-SECP256R1:+GROUP-X25519:+GROUP-SECP384R1:+GROUP-SECP521R1:%DISABLE_TLS13_COMPAT_MODE";

void Draw(uint8_t* into, size_t size) { CHECK_EQ(gnutls_rnd(GNUTLS_RND_RANDOM, into, size), 0); }
uint64_t Stamp(Instant now) { return uint64_t(now.time_since_epoch().count()); }
std::string TextOf(const ngtcp2_cid& cid) { return std::string(AsText(Bytes(cid.data, cid.datalen))); }
std::string_view TextOf(nghttp3_rcbuf* b) {
  const nghttp3_vec v = nghttp3_rcbuf_get_buf(b);
  return AsText(Bytes(v.base, v.len));
}

}  // namespace

struct H3Connection::Callbacks {
  static H3Connection& Self(void* user) { return *static_cast<H3Connection*>(user); }

  static ngtcp2_callbacks Quic() {
    ngtcp2_callbacks c{};
    c.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    c.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    c.encrypt = ngtcp2_crypto_encrypt_cb, c.decrypt = ngtcp2_crypto_decrypt_cb, c.hp_mask = ngtcp2_crypto_hp_mask_cb;
    c.update_key = ngtcp2_crypto_update_key_cb;
    c.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    c.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    c.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    c.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    c.rand = [](uint8_t* into, size_t n, const ngtcp2_rand_ctx*) { Draw(into, n); };
    c.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* cid, uint8_t* token, size_t n, void* user) -> int {
      H3Connection& s = Self(user);
      cid->datalen = n;
      Draw(cid->data, n);
      if (ngtcp2_crypto_generate_stateless_reset_token(token, s.registry_->secret().data(), s.registry_->secret().size(), cid) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
      s.registry_->NewCid(s.id_, TextOf(*cid));
      return 0;
    };
    c.remove_connection_id = [](ngtcp2_conn*, const ngtcp2_cid* cid, void* user) -> int {
      Self(user).registry_->DropCid(TextOf(*cid));
      return 0;
    };
    c.recv_tx_key = [](ngtcp2_conn*, ngtcp2_crypto_level level, void* user) -> int {
      return level == NGTCP2_CRYPTO_LEVEL_APPLICATION && Self(user).http_ == nullptr && !Self(user).StartHttp() ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
    };
    c.recv_stream_data = [](ngtcp2_conn* quic, uint32_t flags, int64_t stream, uint64_t, const uint8_t* data, size_t size, void* user, void*) -> int {
      H3Connection& s = Self(user);
      if (s.http_ == nullptr) return 0;
      const nghttp3_ssize n = nghttp3_conn_read_stream(s.http_, stream, data, size, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
      if (n < 0) {
        ngtcp2_connection_close_error_set_application_error(&s.error_, nghttp3_err_infer_quic_app_error_code(int(n)), nullptr, 0);
        return NGTCP2_ERR_CALLBACK_FAILURE;
      }
      ngtcp2_conn_extend_max_stream_offset(quic, stream, uint64_t(n));  // Of bodies, none: those are extended as the node takes them.
      ngtcp2_conn_extend_max_offset(quic, uint64_t(n));
      return 0;
    };
    c.acked_stream_data_offset = [](ngtcp2_conn*, int64_t stream, uint64_t, uint64_t n, void* user, void*) -> int {
      return Self(user).http_ != nullptr && nghttp3_conn_add_ack_offset(Self(user).http_, stream, n) != 0 ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
    };
    c.stream_close = [](ngtcp2_conn* quic, uint32_t flags, int64_t stream, uint64_t error, void* user, void*) -> int {
      H3Connection& s = Self(user);
      if (s.http_ == nullptr) return 0;
      if ((flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) == 0) error = NGHTTP3_H3_NO_ERROR;
      const int r = nghttp3_conn_close_stream(s.http_, stream, error);
      if (r != 0 && r != NGHTTP3_ERR_STREAM_NOT_FOUND) return NGTCP2_ERR_CALLBACK_FAILURE;
      if (ngtcp2_is_bidi_stream(stream)) ngtcp2_conn_extend_max_streams_bidi(quic, 1);
      if (H3Exchange* e = s.Find(stream)) {
        e->closed = true;
        // An answer that is not whole, or a request that is not: broken off.
        if (!(e->complete() && e->ended())) e->dead = true;
        s.registry_->Ready(s.id_, stream);
      }
      return 0;
    };
    c.stream_reset = [](ngtcp2_conn*, int64_t stream, uint64_t, uint64_t, void* user, void*) -> int {
      if (Self(user).http_ != nullptr) nghttp3_conn_shutdown_stream_read(Self(user).http_, stream);
      Self(user).CountReset();
      if (H3Exchange* e = Self(user).Find(stream); e != nullptr && !e->ended()) Self(user).Gone(stream), Self(user).Reset(stream);
      return 0;
    };
    c.stream_stop_sending = [](ngtcp2_conn*, int64_t stream, uint64_t, void* user, void*) -> int {
      Self(user).CountReset();
      if (Self(user).http_ != nullptr) nghttp3_conn_shutdown_stream_read(Self(user).http_, stream);
      return 0;
    };
    return c;
  }

  static nghttp3_callbacks Http() {
    nghttp3_callbacks c{};
    c.begin_headers = [](nghttp3_conn*, int64_t stream, void* user, void*) -> int {
      H3Connection& s = Self(user);
      if (s.Find(stream) == nullptr) s.exchanges_[stream] = std::make_unique<H3Exchange>(s.registry_->NewStream(s.id_, stream), kStreamWindowBytes);
      return 0;
    };
    c.recv_header = [](nghttp3_conn*, int64_t stream, int32_t, nghttp3_rcbuf* name, nghttp3_rcbuf* value, uint8_t, void* user, void*) -> int {
      if (H3Exchange* e = Self(user).Find(stream); e != nullptr && !e->open()) e->OnField(TextOf(name), TextOf(value));
      return 0;
    };
    c.end_headers = [](nghttp3_conn*, int64_t stream, int fin, void* user, void*) -> int {
      H3Exchange* e = Self(user).Find(stream);
      if (e == nullptr) return 0;
      if (const http::Refusal why = e->OnHead(fin != 0); why != http::Refusal::kNone) Self(user).Refuse(stream, why);
      else Self(user).registry_->Ready(Self(user).id_, stream);
      return 0;
    };
    c.recv_data = [](nghttp3_conn*, int64_t stream, const uint8_t* data, size_t size, void* user, void*) -> int {
      H3Connection& s = Self(user);
      H3Exchange* e = s.Find(stream);
      if (e == nullptr || !e->open() || e->dead) return s.Extend(stream, size), 0;
      e->OnBody(Bytes(data, size));
      s.registry_->Ready(s.id_, stream);
      return 0;
    };
    c.end_stream = [](nghttp3_conn*, int64_t stream, void* user, void*) -> int {
      if (H3Exchange* e = Self(user).Find(stream)) e->OnEnd(), Self(user).registry_->Ready(Self(user).id_, stream);
      return 0;
    };
    c.deferred_consume = [](nghttp3_conn*, int64_t stream, size_t n, void* user, void*) -> int { return Self(user).Extend(stream, n), 0; };
    c.acked_stream_data = [](nghttp3_conn*, int64_t stream, uint64_t n, void* user, void*) -> int {
      if (H3Exchange* e = Self(user).Find(stream)) e->OnAcked(n), Self(user).registry_->Ready(Self(user).id_, stream);
      return 0;
    };
    c.stop_sending = [](nghttp3_conn*, int64_t stream, uint64_t code, void* user, void*) -> int {
      return ngtcp2_conn_shutdown_stream_read(Self(user).quic_, stream, code) != 0 ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
    };
    c.reset_stream = [](nghttp3_conn*, int64_t stream, uint64_t code, void* user, void*) -> int {
      return ngtcp2_conn_shutdown_stream_write(Self(user).quic_, stream, code) != 0 ? NGHTTP3_ERR_CALLBACK_FAILURE : 0;
    };
    return c;
  }

  static nghttp3_ssize ReadBody(nghttp3_conn*, int64_t stream, nghttp3_vec* out, size_t, uint32_t* flags, void* user, void*) {
    H3Exchange* e = Self(user).Find(stream);
    if (e == nullptr) return NGHTTP3_ERR_CALLBACK_FAILURE;
    const Bytes piece = e->NextPiece();
    if (e->complete() && e->all_handed_over()) *flags |= NGHTTP3_DATA_FLAG_EOF;
    if (piece.empty()) return (*flags & NGHTTP3_DATA_FLAG_EOF) != 0 ? 0 : NGHTTP3_ERR_WOULDBLOCK;
    out[0] = {const_cast<uint8_t*>(piece.data()), piece.size()};
    return 1;
  }
};

H3Connection::H3Connection(uint64_t id, H3Registry* registry, gnutls_certificate_credentials_t credentials, const H3Accept& accept, Instant now)
    : id_(id), registry_(registry), local_(accept.local), peer_(accept.peer), now_(now), quiet_deadline_(now + kQuietMax) {
  ngtcp2_connection_close_error_default(&error_);
  const ngtcp2_callbacks calls = Callbacks::Quic();
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = Stamp(now);
  settings.handshake_timeout = 10 * NGTCP2_SECONDS;
  if (accept.original.has_value()) settings.token = accept.head.token;
  ngtcp2_transport_params params;
  ngtcp2_transport_params_default(&params);
  params.initial_max_stream_data_bidi_remote = params.initial_max_stream_data_uni = kStreamWindowBytes;
  params.initial_max_data = kWindowBytes;
  params.initial_max_streams_bidi = kStreamsMax, params.initial_max_streams_uni = 3;
  params.max_idle_timeout = 60 * NGTCP2_SECONDS;
  params.active_connection_id_limit = 4;
  params.original_dcid = accept.original.value_or(accept.head.dcid);
  if (accept.original.has_value()) params.retry_scid = accept.head.dcid, params.retry_scid_present = 1;
  ngtcp2_cid ours;
  ours.datalen = 18;
  Draw(ours.data, ours.datalen);
  params.stateless_reset_token_present = 1;
  CHECK_EQ(ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token, registry_->secret().data(), registry_->secret().size(), &ours), 0);
  const ngtcp2_path path = Path(peer_);
  CHECK_EQ(ngtcp2_conn_server_new(&quic_, &accept.head.scid, &ours, &path, accept.head.version, &calls, &settings, &params, nullptr, this), 0);
  registry_->NewCid(id_, TextOf(ours));
  registry_->NewCid(id_, TextOf(accept.head.dcid));
  CHECK_EQ(gnutls_init(&tls_, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET), 0);
  CHECK_EQ(gnutls_priority_set_direct(tls_, kPriorities, nullptr), 0);
  CHECK_EQ(ngtcp2_crypto_gnutls_configure_server_session(tls_), 0);
  ref_.user_data = this;
  ref_.get_conn = [](ngtcp2_crypto_conn_ref* r) { return static_cast<H3Connection*>(r->user_data)->quic_; };
  gnutls_session_set_ptr(tls_, &ref_);
  gnutls_credentials_set(tls_, GNUTLS_CRD_CERTIFICATE, credentials);
  uint8_t h3[] = {'h', '3'};
  const gnutls_datum_t alpn{h3, 2};
  gnutls_alpn_set_protocols(tls_, &alpn, 1, GNUTLS_ALPN_MANDATORY);
  ngtcp2_conn_set_tls_native_handle(quic_, tls_);
}

H3Connection::~H3Connection() {
  nghttp3_conn_del(http_);
  ngtcp2_conn_del(quic_);
  gnutls_deinit(tls_);
}

ngtcp2_path H3Connection::Path(const Endpoint& from) {
  const socklen_t local = ToSockaddr(local_, local_.is_v4(), local_address_), peer = ToSockaddr(from, local_.is_v4(), peer_address_);
  return {.local = {reinterpret_cast<ngtcp2_sockaddr*>(&local_address_), local}, .remote = {reinterpret_cast<ngtcp2_sockaddr*>(&peer_address_), peer}, .user_data = nullptr};
}

bool H3Connection::StartHttp() {
  const nghttp3_callbacks calls = Callbacks::Http();
  nghttp3_settings settings;
  nghttp3_settings_default(&settings);
  settings.max_field_section_size = 32 << 10;
  settings.qpack_max_dtable_capacity = 4096, settings.qpack_blocked_streams = 16;
  if (nghttp3_conn_server_new(&http_, &calls, &settings, nghttp3_mem_default(), this) != 0) return false;
  nghttp3_conn_set_max_client_streams_bidi(http_, kStreamsMax);
  int64_t control, encoder, decoder;
  for (int64_t* s : {&control, &encoder, &decoder}) {
    if (ngtcp2_conn_open_uni_stream(quic_, s, nullptr) != 0) return false;
  }
  return nghttp3_conn_bind_control_stream(http_, control) == 0 && nghttp3_conn_bind_qpack_streams(http_, encoder, decoder) == 0;
}

H3Exchange* H3Connection::Find(int64_t stream) {
  const auto it = exchanges_.find(stream);
  return it == exchanges_.end() ? nullptr : it->second.get();
}

void H3Connection::OnPacket(const Endpoint& from, Bytes packet, Instant now) {
  if (dead_ || dying_) return;
  now_ = now;
  const ngtcp2_path path = Path(from);
  const ngtcp2_pkt_info info{};
  const int r = ngtcp2_conn_read_pkt(quic_, &path, &info, packet.data(), packet.size(), Stamp(now));
  if (r == 0) return;
  if (r == NGTCP2_ERR_DRAINING || r == NGTCP2_ERR_DROP_CONN || r == NGTCP2_ERR_RETRY) silent_ = true;
  else if (r == NGTCP2_ERR_CRYPTO) ngtcp2_connection_close_error_set_transport_error_tls_alert(&error_, ngtcp2_conn_get_tls_alert(quic_), nullptr, 0);
  else if (error_.error_code == 0) ngtcp2_connection_close_error_set_transport_error_liberr(&error_, r, nullptr, 0);
  dying_ = true;
}

void H3Connection::OnTime(Instant now) {
  if (dying_ || dead_ || next_deadline() > now) return;
  if (quiet_deadline_ <= now) {
    ngtcp2_connection_close_error_set_application_error(&error_, NGHTTP3_H3_NO_ERROR, nullptr, 0);
    dying_ = true;
    return;
  }
  if (ngtcp2_conn_handle_expiry(quic_, Stamp(now)) != 0) dying_ = silent_ = true;  // Idle, or no handshake in time: nobody listens.
}

Instant H3Connection::next_deadline() const {
  if (dead_) return kNever;
  if (dying_) return Instant{};
  const uint64_t expiry = ngtcp2_conn_get_expiry(quic_);
  return std::min(quiet_deadline_, expiry > uint64_t(kNever.time_since_epoch().count()) ? kNever : Instant(Duration(int64_t(expiry))));
}

bool H3Connection::Flush(Instant now, Send send) {
  if (dead_) return false;
  const bool quiet = std::none_of(exchanges_.begin(), exchanges_.end(), [](const auto& e) { return e.second->open() && !e.second->finished; });
  if (!quiet) quiet_deadline_ = kNever;
  else if (quiet_deadline_ == kNever) quiet_deadline_ = now + kQuietMax;
  uint8_t packet[kPacketMax];
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info;
  const auto to = [&] {
    sockaddr_storage out{};
    std::memcpy(&out, path.path.remote.addr, path.path.remote.addrlen);
    return FromSockaddr(out);
  };
  for (int k = 0; !dying_ && k < kPacketsMax;) {
    nghttp3_vec vec[16];
    int64_t stream = -1;
    int fin = 0;
    nghttp3_ssize n = 0;
    if (http_ != nullptr && ngtcp2_conn_get_max_data_left(quic_) > 0) n = nghttp3_conn_writev_stream(http_, &stream, &fin, vec, std::size(vec));
    if (n < 0) {
      ngtcp2_connection_close_error_set_application_error(&error_, nghttp3_err_infer_quic_app_error_code(int(n)), nullptr, 0);
      dying_ = true;
      break;
    }
    ngtcp2_ssize taken = -1;
    const uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (fin != 0 ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
    const ngtcp2_ssize size = ngtcp2_conn_writev_stream(quic_, &path.path, &info, packet, sizeof packet, &taken, flags, stream, reinterpret_cast<ngtcp2_vec*>(vec), size_t(n), Stamp(now));
    if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      nghttp3_conn_block_stream(http_, stream);
    } else if (size == NGTCP2_ERR_STREAM_SHUT_WR) {
      nghttp3_conn_shutdown_stream_write(http_, stream);
    } else if (size == NGTCP2_ERR_WRITE_MORE) {
      nghttp3_conn_add_write_offset(http_, stream, size_t(taken));
    } else if (size < 0) {
      ngtcp2_connection_close_error_set_transport_error_liberr(&error_, int(size), nullptr, 0);
      dying_ = true;
    } else {
      if (taken >= 0 && stream >= 0) nghttp3_conn_add_write_offset(http_, stream, size_t(taken));
      if (size == 0) {
        // Before the handshake ends there is no measured round trip, and pacing by the initial 333 ms would hold the first answer back.
        if (ngtcp2_conn_get_handshake_completed(quic_) != 0) ngtcp2_conn_update_pkt_tx_time(quic_, Stamp(now));
        return false;
      }
      send(to(), Bytes(packet, size_t(size))), ++k;
    }
  }
  if (!dying_) return true;
  if (!silent_) {
    const ngtcp2_ssize size = ngtcp2_conn_write_connection_close(quic_, &path.path, &info, packet, sizeof packet, &error_, Stamp(now));
    if (size > 0) send(to(), Bytes(packet, size_t(size)));
  }
  dead_ = true;
  return false;
}

void H3Connection::Gone(int64_t stream) {
  if (H3Exchange* e = Find(stream)) e->dead = true, registry_->Ready(id_, stream);
}

void H3Connection::CountReset() {
  if (now_ >= window_ends_) window_ends_ = now_ + kRateWindow, resets_ = 0;
  if (++resets_ <= kResetsMax || dying_) return;
  ngtcp2_connection_close_error_set_application_error(&error_, NGHTTP3_H3_EXCESSIVE_LOAD, nullptr, 0);
  dying_ = true;
}

void H3Connection::Extend(int64_t stream, uint64_t bytes) {
  if (bytes == 0) return;
  ngtcp2_conn_extend_max_stream_offset(quic_, stream, bytes);
  ngtcp2_conn_extend_max_offset(quic_, bytes);
}

void H3Connection::Refuse(int64_t stream, http::Refusal why) {
  const std::string status = absl::StrCat(http::StatusOf(why));
  const auto text = [](std::string_view s) { return reinterpret_cast<uint8_t*>(const_cast<char*>(s.data())); };
  const nghttp3_nv fields[] = {{text(":status"), text(status), 7, status.size(), NGHTTP3_NV_FLAG_NONE}};
  if (nghttp3_conn_submit_response(http_, stream, fields, 1, nullptr) != 0) dying_ = true;
}

void H3Connection::Answer(int64_t stream, H3Exchange& e) {
  e.submitted = true;
  const http::ResponseHead& head = e.head();
  const std::string status = absl::StrCat(head.status);
  std::vector<std::string> names;
  names.reserve(head.headers.size());
  const auto text = [](std::string_view s) { return reinterpret_cast<uint8_t*>(const_cast<char*>(s.data())); };
  std::vector<nghttp3_nv> fields = {{text(":status"), text(status), 7, status.size(), NGHTTP3_NV_FLAG_NONE}};
  http::HeaderList headers = head.headers;
  headers.RemoveHopByHop();
  for (size_t i = 0; i < headers.size(); ++i) {
    names.push_back(absl::AsciiStrToLower(absl::string_view(headers[i].name.data(), headers[i].name.size())));
    const std::string_view value = headers[i].value;
    if (!http2::IsConnectionSpecific(names.back())) fields.push_back({text(names.back()), text(value), names.back().size(), value.size(), NGHTTP3_NV_FLAG_NONE});
  }
  const nghttp3_data_reader body{.read_data = Callbacks::ReadBody};
  const bool none = head.body == http::BodyKind::kNone;
  if (nghttp3_conn_submit_response(http_, stream, fields.data(), fields.size(), none ? nullptr : &body) != 0) dying_ = true;
}

void H3Connection::Write(int64_t stream, Bytes text) {
  H3Exchange* e = Find(stream);
  if (e == nullptr || e->dead || dying_) return;
  const H3Exchange::Step step = e->OnText(text);
  if (step == H3Exchange::Step::kNonsense) return Reset(stream);
  if (step == H3Exchange::Step::kHead) Answer(stream, *e);
  if (e->submitted) nghttp3_conn_resume_stream(http_, stream);
}

void H3Connection::EndWrites(int64_t stream) {
  H3Exchange* e = Find(stream);
  if (e == nullptr || e->dead || dying_) return;
  if (e->OnTextEnd() == H3Exchange::Step::kNonsense) return Reset(stream);
  if (e->submitted) nghttp3_conn_resume_stream(http_, stream);
}

void H3Connection::Reset(int64_t stream) {
  if (http_ == nullptr || dying_) return;
  nghttp3_conn_shutdown_stream_read(http_, stream);
  ngtcp2_conn_shutdown_stream(quic_, stream, NGHTTP3_H3_INTERNAL_ERROR);
}

}  // namespace orchard::host
