# V8 as Debian's libnode-dev has it, in the system or unpacked in build/deps (./orchard does that). Headers and library must be of one
# place: a Node.js of elsewhere leaves headers of another version in /usr/include/node, and no library.
set(V8_FOUND FALSE)
foreach(prefix ${PROJECT_SOURCE_DIR}/build/deps/usr /usr)
  file(GLOB library ${prefix}/lib/*/libnode.so.108 ${prefix}/lib/libnode.so.108)
  if(library AND EXISTS ${prefix}/include/node/v8.h AND EXISTS ${prefix}/include/node/libplatform/libplatform.h AND NOT V8_FOUND)
    list(GET library 0 library)
    get_filename_component(V8_LIBRARY_DIR ${library} DIRECTORY)
    set(V8_LIBRARY ${library})
    set(V8_INCLUDE_DIR ${prefix}/include/node)
    set(V8_FOUND TRUE)
  endif()
endforeach()
