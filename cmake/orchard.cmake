# One library per folder; sources are whatever *.cc lies in it.

find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)

add_library(orchard_flags INTERFACE)
target_compile_options(orchard_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers
                       -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside Abseil and the standard library at -O2.
  target_compile_options(orchard_flags INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow
                         -Wno-stringop-overread -Wno-array-bounds -Wno-restrict)
endif()
find_program(MOLD mold)
if(MOLD)
  target_link_options(orchard_flags INTERFACE -fuse-ld=mold)
endif()
if(ORCHARD_SANITIZE)
  target_compile_options(orchard_flags INTERFACE -fsanitize=${ORCHARD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(orchard_flags INTERFACE -fsanitize=${ORCHARD_SANITIZE})
endif()
if(ORCHARD_FUZZ)
  target_compile_options(orchard_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_include_directories(orchard_flags INTERFACE ${PROJECT_SOURCE_DIR})

# orchard_library(<name> [LINK target...]): the library of the folder that calls it.
function(orchard_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_main\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC orchard_flags ${ARG_LINK})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE orchard_flags ${ARG_LINK})
  endif()
endfunction()

# orchard_test(<name> [LINK target...] [LABELS label...] [SOURCES file...]): one GoogleTest binary of the calling folder's
# *_test.cc; each TEST is one ctest. ALONE: a filter of those beside which nothing else may run.
function(orchard_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;ALONE" "LINK;LABELS;SOURCES" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS core)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE orchard_flags ${ARG_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE ORCHARD_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             ORCHARD_BINARY_DIR="${PROJECT_BINARY_DIR}")
  set(rest)
  if(ARG_ALONE)
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_FILTER "${ARG_ALONE}" TEST_LIST ${name}_alone
                         PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ON)
    set(rest TEST_FILTER "-${ARG_ALONE}")
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 ${rest}
                       PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
