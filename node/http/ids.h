// The ids of streams and jobs that a node chooses: one source for all who connect, so that none is given twice.
#pragma once

#include <cstdint>

#include "node/base/input.h"

namespace orchard::http {

struct Ids {
  uint32_t next_stream = 1;
  uint32_t next_job = 0x02000000;  // Those of the DHT lie below.

  StreamId NextStream() { return StreamId{next_stream++}; }
  JobId NextJob() { return JobId{next_job++}; }
};

}  // namespace orchard::http
