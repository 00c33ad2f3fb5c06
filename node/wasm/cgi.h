// A request in the two forms that guests read.
#pragma once

#include <string>
#include <vector>

#include "node/cage/job.h"

namespace orchard::wasm {

// "NAME=value", of RFC 3875 §4.1. A header whose name has what a variable's name may not is left out, and so is Proxy, which programs
// take for their own setting HTTP_PROXY (CVE-2016-5385).
std::vector<std::string> Environment(const cage::Request& request);

// As HTTP/1.1 would have it: a line, headers with one Host and, if there is a body, its length, an empty line, the body.
std::string HttpText(const cage::Request& request);

}  // namespace orchard::wasm
