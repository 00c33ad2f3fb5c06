# Writes OUT: every *.wasm of DIR as bytes of the program.
file(GLOB modules ${DIR}/*.wasm)
list(SORT modules)
set(arrays "")
set(table "")
set(n 0)
foreach(module ${modules})
  get_filename_component(name ${module} NAME)
  file(READ ${module} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "const unsigned char k${n}[] = {${bytes}};\n")
  string(APPEND table "    {\"${name}\", {reinterpret_cast<const char*>(k${n}), sizeof k${n}}},\n")
  math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUT} "#include \"node/wasm/cage_host.h\"\n\nnamespace orchard::wasm {\nnamespace {\n\n${arrays}"
  "const std::pair<std::string_view, std::string_view> kExamples[] = {\n${table}};\n\n}  // namespace\n\n"
  "std::optional<std::string_view> ExampleModule(std::string_view name) {\n"
  "  for (const auto& [known, bytes] : kExamples) {\n    if (known == name) return bytes;\n  }\n  return std::nullopt;\n}\n"
  "std::vector<std::string_view> ExampleNames() {\n  std::vector<std::string_view> names;\n"
  "  for (const auto& [name, bytes] : kExamples) names.push_back(name);\n  return names;\n}\n\n}  // namespace orchard::wasm\n")
