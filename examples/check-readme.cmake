# Fails where README.md does not hold the lines of EXAMPLE, whole and unchanged, as a block of C++.
file(READ ${README} readme)
file(READ ${EXAMPLE} example)
string(FIND "${readme}" "```cpp\n${example}```\n" position)
if(position EQUAL -1)
  message(FATAL_ERROR "README.md shows another embedding example than ${EXAMPLE}: copy the file between ```cpp and ```")
endif()
