# Writes OUTPUT, a header with a name for what makes units: the SHA-256 of all of its SOURCES and of the version of LLVM. Compiled code of
# another name is not used.
set(hashes "${LLVM}")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${source} hash)
  string(APPEND hashes "${hash}")
endforeach()
string(SHA256 id "${hashes}")
file(WRITE ${OUTPUT} "#pragma once\n\nnamespace caisson::optimized {\ninline constexpr const char* kUnitBuildId = \"${id}\";\n}\n")
