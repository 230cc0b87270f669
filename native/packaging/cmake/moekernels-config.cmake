# find_package(moekernels CONFIG) from the NuGet package MoeKernels.Runtime.linux-x64:
#   cmake -Dmoekernels_DIR=PACKAGE/build/native/lib/cmake/moekernels
# gives the target moekernels::moekernels.
if(NOT TARGET moekernels::moekernels)
  get_filename_component(_moekernels_package "${CMAKE_CURRENT_LIST_DIR}/../../../../.." ABSOLUTE)
  set(_moekernels_library "${_moekernels_package}/runtimes/linux-x64/native/libmoekernels.so")
  if(NOT EXISTS "${_moekernels_library}")
    set(moekernels_FOUND FALSE)
    set(moekernels_NOT_FOUND_MESSAGE "${_moekernels_library} is missing")
    return()
  endif()
  add_library(moekernels::moekernels SHARED IMPORTED)
  set_target_properties(moekernels::moekernels PROPERTIES
    IMPORTED_LOCATION "${_moekernels_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${_moekernels_package}/build/native/include")
  unset(_moekernels_library)
  unset(_moekernels_package)
endif()
