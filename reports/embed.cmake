# Writes OUT: the page's style, script and shell as C++ strings. Scripts are joined in the order of their names' numbers.
file(READ ${DIR}/page.css css)
file(READ ${DIR}/page.html html)
file(GLOB scripts ${DIR}/*.js)
list(SORT scripts)
set(js "")
foreach(script ${scripts})
  file(READ ${script} text)
  string(APPEND js "${text}")
endforeach()
file(WRITE ${OUT} "#include \"reports/page.h\"\n\nnamespace orchard::reports {\n"
  "const std::string_view kPageCss = R\"orchard(${css})orchard\";\n"
  "const std::string_view kPageHtml = R\"orchard(${html})orchard\";\n"
  "const std::string_view kPageJs = R\"orchard(${js})orchard\";\n}\n")
