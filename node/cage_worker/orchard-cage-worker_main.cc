// orchard-cage-worker: started by the daemon, with a channel as descriptor 3 and a page to say in how far it is as 4.
#include <string_view>

#include "node/cage_worker/worker.h"

int main(int argc, char** argv) { return orchard::cage_worker::Serve(argc > 1 && std::string_view(argv[1]) == "--interpreter"); }
