#include "node/hyperdht/connection.h"

namespace orchard::hyperdht {

std::string_view PathName(Path path) {
  switch (path) {
    case Path::kNone: return "none";
    case Path::kLan: return "lan";
    case Path::kDirect: return "direct";
    case Path::kPunched: return "punched";
    case Path::kRelayed: return "relayed";
  }
  return "";
}

std::string_view StepName(ConnectStep step) {
  switch (step) {
    case ConnectStep::kFindPeer: return "find-peer";
    case ConnectStep::kHandshake: return "handshake";
    case ConnectStep::kPassive: return "passive";
    case ConnectStep::kLanPing: return "lan-ping";
    case ConnectStep::kAnalyze: return "analyze";
    case ConnectStep::kProbe: return "probe";
    case ConnectStep::kTryLater: return "try-later";
    case ConnectStep::kPunch: return "punch";
    case ConnectStep::kRelayDial: return "relay-dial";
    case ConnectStep::kRelayPair: return "relay-pair";
    case ConnectStep::kFirstBytes: return "first-bytes";
    case ConnectStep::kOpen: return "open";
    case ConnectStep::kClosed: return "closed";
  }
  return "";
}

std::string_view CodeName(ConnectCode code) {
  switch (code) {
    case ConnectCode::kOk: return "OK";
    case ConnectCode::kPeerNotFound: return "PEER_NOT_FOUND";
    case ConnectCode::kPeerConnectionFailed: return "PEER_CONNECTION_FAILED";
    case ConnectCode::kServerIncompatible: return "SERVER_INCOMPATIBLE";
    case ConnectCode::kServerError: return "SERVER_ERROR";
    case ConnectCode::kCannotHolepunch: return "CANNOT_HOLEPUNCH";
    case ConnectCode::kHolepunchInvalid: return "HOLEPUNCH_INVALID";
    case ConnectCode::kHolepunchAborted: return "HOLEPUNCH_ABORTED";
    case ConnectCode::kProbeTimeout: return "HOLEPUNCH_PROBE_TIMEOUT";
    case ConnectCode::kDoubleRandomized: return "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS";
    case ConnectCode::kRemoteNotPunching: return "REMOTE_NOT_HOLEPUNCHING";
    case ConnectCode::kRemoteNotPunchable: return "REMOTE_NOT_HOLEPUNCHABLE";
    case ConnectCode::kRemoteAborted: return "REMOTE_ABORTED";
    case ConnectCode::kRelayAborted: return "RELAY_ABORTED";
    case ConnectCode::kTimedOut: return "ETIMEDOUT";
    case ConnectCode::kReset: return "ECONNRESET";
    case ConnectCode::kBadStream: return "ERR_STREAM";
    case ConnectCode::kRefused: return "ERR_REFUSED";
    case ConnectCode::kOverload: return "OVERLOAD";
    case ConnectCode::kOffline: return "OFFLINE";
    case ConnectCode::kDestroyed: return "ERR_DESTROYED";
  }
  return "";
}

std::string_view RelayFailureName(RelayFailure failure) {
  switch (failure) {
    case RelayFailure::kNone: return "none";
    case RelayFailure::kUnreachable: return "unreachable";
    case RelayFailure::kRefused: return "refused";
    case RelayFailure::kNobodyCame: return "nobody-came";
    case RelayFailure::kLost: return "lost";
  }
  return "";
}

}  // namespace orchard::hyperdht
