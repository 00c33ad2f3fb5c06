// Kernels of sites (bench/kernels.h).
#pragma once

#include <cstddef>

namespace orchard::bench {

// A request over HTTP/2, eight at a time on one connection, through door, router and pool to a cage's answer and back; the cage itself is
// not run.
void SiteH2(size_t rounds);
// The same over HTTP/1.1, one after another.
void SiteH1(size_t rounds);

}  // namespace orchard::bench
