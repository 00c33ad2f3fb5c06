# Writes OUT: the page IN as a string of the program.
file(READ ${IN} html)
file(WRITE ${OUT} "#include \"node/cage/dashboard.h\"\n\nnamespace orchard::cage {\n\n"
  "std::string_view DashboardPage() { return R\"orchard(${html})orchard\"; }\n\n}  // namespace orchard::cage\n")
