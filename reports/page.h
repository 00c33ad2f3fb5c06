// The page's parts, embedded from reports/page/ when the library is built (embed.cmake).
#pragma once

#include <string_view>

namespace orchard::reports {

extern const std::string_view kPageCss, kPageHtml, kPageJs;

}  // namespace orchard::reports
