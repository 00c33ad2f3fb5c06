// `orchard lint`: validates without running, and says what the kernel host (netns) would refuse or leave out.
#pragma once

#include <string>
#include <vector>

#include "sim/language/loader.h"

namespace orchard::sim {

struct NetnsLimit {
  LoadError error;      // As it is reported when `--host netns` refuses.
  bool refused = true;  // Else only approximated, and the run says so.
};
// Of one case, in file order. Worlds of more than kNetnsHostsMax hosts are refused too.
std::vector<NetnsLimit> NetnsLimits(const Suite& suite, const CaseWords& which);
inline constexpr uint32_t kNetnsHostsMax = 200;  // Namespaces with a daemon each that one machine carries in real time.

// What of `spec` the kernel's NAT cannot do, in words; empty: all of it. Words alone do not tell: some go only with others.
std::string_view KernelCannot(const NatSpec& spec);

struct LintResult {
  int exit_status = 0;  // 0, or 2: the file is wrong.
  std::string text;
};
LintResult Lint(const std::string& file, const LoadOptions& options, bool json);

}  // namespace orchard::sim
