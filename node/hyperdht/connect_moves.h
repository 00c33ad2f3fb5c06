// What may follow what in the life of a connection; checked at run time, drawn by reports.
#pragma once

#include "node/hyperdht/connection.h"

namespace orchard::hyperdht {

struct ConnectMove {
  ConnectStep from, to;
};
inline constexpr ConnectMove kConnectMoves[] = {
    // The dial.
    {ConnectStep::kFindPeer, ConnectStep::kHandshake},
    {ConnectStep::kFindPeer, ConnectStep::kClosed},
    {ConnectStep::kHandshake, ConnectStep::kFirstBytes},
    {ConnectStep::kHandshake, ConnectStep::kPassive},
    {ConnectStep::kHandshake, ConnectStep::kLanPing},
    {ConnectStep::kHandshake, ConnectStep::kProbe},
    {ConnectStep::kHandshake, ConnectStep::kRelayDial},
    {ConnectStep::kHandshake, ConnectStep::kClosed},
    {ConnectStep::kPassive, ConnectStep::kFirstBytes},
    {ConnectStep::kPassive, ConnectStep::kRelayDial},
    {ConnectStep::kPassive, ConnectStep::kClosed},
    {ConnectStep::kLanPing, ConnectStep::kProbe},
    {ConnectStep::kLanPing, ConnectStep::kFirstBytes},
    {ConnectStep::kLanPing, ConnectStep::kRelayDial},
    {ConnectStep::kLanPing, ConnectStep::kClosed},
    // The punch. A server goes from kProbe to kPunch, a client by way of its analysis.
    {ConnectStep::kProbe, ConnectStep::kAnalyze},
    {ConnectStep::kProbe, ConnectStep::kPunch},
    {ConnectStep::kProbe, ConnectStep::kFirstBytes},
    {ConnectStep::kProbe, ConnectStep::kRelayDial},
    {ConnectStep::kProbe, ConnectStep::kClosed},
    {ConnectStep::kAnalyze, ConnectStep::kProbe},
    {ConnectStep::kAnalyze, ConnectStep::kPunch},
    {ConnectStep::kAnalyze, ConnectStep::kTryLater},
    {ConnectStep::kAnalyze, ConnectStep::kFirstBytes},
    {ConnectStep::kAnalyze, ConnectStep::kRelayDial},
    {ConnectStep::kAnalyze, ConnectStep::kClosed},
    {ConnectStep::kTryLater, ConnectStep::kPunch},
    {ConnectStep::kTryLater, ConnectStep::kFirstBytes},
    {ConnectStep::kTryLater, ConnectStep::kRelayDial},
    {ConnectStep::kTryLater, ConnectStep::kClosed},
    {ConnectStep::kPunch, ConnectStep::kTryLater},
    {ConnectStep::kPunch, ConnectStep::kFirstBytes},
    {ConnectStep::kPunch, ConnectStep::kRelayDial},
    {ConnectStep::kPunch, ConnectStep::kClosed},
    // The relay.
    {ConnectStep::kRelayDial, ConnectStep::kRelayPair},
    {ConnectStep::kRelayDial, ConnectStep::kFirstBytes},
    {ConnectStep::kRelayDial, ConnectStep::kClosed},
    {ConnectStep::kRelayPair, ConnectStep::kFirstBytes},
    {ConnectStep::kRelayPair, ConnectStep::kClosed},
    // The stream.
    {ConnectStep::kFirstBytes, ConnectStep::kOpen},
    {ConnectStep::kFirstBytes, ConnectStep::kClosed},
    {ConnectStep::kOpen, ConnectStep::kClosed},
};

}  // namespace orchard::hyperdht
