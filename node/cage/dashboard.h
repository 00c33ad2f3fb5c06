// The page that shows a node's sites live: dashboard/page.html, as bytes of the program (embed.cmake).
#pragma once

#include <string_view>

namespace orchard::cage {

std::string_view DashboardPage();

}  // namespace orchard::cage
