// What becomes of a request that a site's guard finds something in: it is told, and, if the site says so, refused.
#pragma once

#include "node/base/turn.h"
#include "node/cage/sites.h"

namespace orchard::cage {

// It has begun: true if its client asks too often, and is to be told so.
bool IsOneTooMany(Turn& turn, Sites::Site& site, RequestId id, const Endpoint& peer);
// It is whole.
bool IsToBeRefused(Turn& turn, Sites::Site& site, RequestId id, const Endpoint& peer, const Request& request);

}  // namespace orchard::cage
