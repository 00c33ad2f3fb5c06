// The smallest scenario that still breaks: delta debugging over its JSON. Members are dropped in pieces that halve, from the whole
// down to words, then numbers and the duration shrink, until nothing more can go. Knows nothing of what "breaks" means.
// Source: Zeller & Hildebrandt, Simplifying and isolating failure-inducing input, IEEE TSE 28(2), 2002; Misherghi & Su,
// HDD: hierarchical delta debugging, ICSE 2006.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "sim/language/json_text.h"

namespace orchard::sim {

// The index of the first of these that still breaks, or their number. They are independent of each other: several may be tried at
// once. To stop, answer none any more.
using FirstThatBreaks = std::function<size_t(const std::vector<Json>& candidates)>;

// `scenario` breaks the claim that says `claim`, which stays as it is.
Json Reduce(Json scenario, const std::string& claim, const FirstThatBreaks& first);

}  // namespace orchard::sim
