// What a worker process gives up before it meets its first guest.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace orchard::cage_worker {

// Writable memory of one worker. Address space is not bounded: an engine reserves ten gigabytes of it for each guest's memory, so that a
// bad address is a fault.
inline constexpr uint64_t kDataBytesMax = uint64_t{4} << 30;

// Closes all descriptors but `keep`; no files, cores or further descriptors from here on; of system calls only those by which a
// process computes and uses what it has. What else it asks the kernel for fails with EPERM. Holds for all threads, which must have
// been started before.
absl::Status EnterSandbox(int keep);

}  // namespace orchard::cage_worker
