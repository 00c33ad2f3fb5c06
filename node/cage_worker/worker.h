// The loop of a worker process.
#pragma once

namespace orchard::cage_worker {

// Serves kChannelFd until its other end closes, or says what makes no sense. The process's exit code. `interpreter`: even
// if there is V8.
int Serve(bool interpreter);

}  // namespace orchard::cage_worker
