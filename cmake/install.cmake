# The install tree for library users: headers, libraries, a CMake package and a pkg-config file.
#
#   find_package(caisson REQUIRED)                     cc $(pkg-config --cflags --libs caisson) …
#   target_link_libraries(mine PRIVATE caisson::caisson)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# In the order in which a linker needs them.
set(stages kernel linux runtime optimized baseline interp gas isa image memory compile store capability perf base)
list(TRANSFORM stages PREPEND caisson_ OUTPUT_VARIABLE stage_targets)

add_library(caisson_library INTERFACE)
add_library(caisson::caisson ALIAS caisson_library)
set_target_properties(caisson_library PROPERTIES EXPORT_NAME caisson)
target_link_libraries(caisson_library INTERFACE caisson_linux caisson_kernel)
target_compile_features(caisson_library INTERFACE cxx_std_23)

install(TARGETS caisson_library caisson_headers ${stage_targets} EXPORT caisson_targets)
if(TARGET caisson_metrics)
  set_target_properties(caisson_metrics PROPERTIES EXPORT_NAME metrics)
  add_library(caisson::metrics ALIAS caisson_metrics)
  install(TARGETS caisson_metrics EXPORT caisson_metrics_targets)
endif()
install(TARGETS caisson_plugin DESTINATION ${CMAKE_INSTALL_LIBDIR}/caisson)
install(DIRECTORY include/caisson TYPE INCLUDE)
# For compiling guests.
install(DIRECTORY guest/sdk/include/caisson DESTINATION ${CMAKE_INSTALL_DATADIR}/caisson/guest/include)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/caisson)
install(EXPORT caisson_targets NAMESPACE caisson:: DESTINATION ${package_folder})
if(TARGET caisson_metrics)
  install(EXPORT caisson_metrics_targets NAMESPACE caisson:: DESTINATION ${package_folder})
endif()
configure_package_config_file(cmake/caisson-config.cmake.in ${CMAKE_BINARY_DIR}/caisson-config.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/caisson-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/caisson-config.cmake ${CMAKE_BINARY_DIR}/caisson-config-version.cmake
  cmake/FindLMDB.cmake cmake/FindZstd.cmake
  DESTINATION ${package_folder})

set(pkgconfig_libraries)
foreach(target ${stage_targets})
  get_target_property(type ${target} TYPE)
  if(NOT type STREQUAL INTERFACE_LIBRARY)
    string(APPEND pkgconfig_libraries " -l${target}")
  endif()
endforeach()
configure_file(cmake/caisson.pc.in ${CMAKE_BINARY_DIR}/caisson.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/caisson.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
