# Writes OUTPUT, a source with a name for what makes units: the SHA-256 of all of its SOURCES and of the version of LLVM. Compiled code of
# another name is not used.
set(hashes "${LLVM}")
foreach(source IN LISTS SOURCES)
  file(SHA256 ${source} hash)
  string(APPEND hashes "${hash}")
endforeach()
string(SHA256 id "${hashes}")
file(WRITE ${OUTPUT} "namespace caisson::optimized {\nextern const char* const kUnitBuildId;\nconst char* const kUnitBuildId = \"${id}\";\n}\n")
