# Include directories, as the ROS wheels need them. On a real ROS install both functions change nothing that matters.

# The wheels export include directories of the machine that built them, and CMake refuses to link against a target
# whose include directory does not exist.
function(drop_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target ${targets})
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(existing "")
    foreach(directory ${directories})
      if(EXISTS "${directory}" OR directory MATCHES "^\\$<")
        list(APPEND existing "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
  endforeach()
endfunction()

# rosidl exports Python's and numpy's own include directories. With the usual `.venv` inside the source tree CMake
# refuses to export them ("prefixed in the source directory"): they are of use to this build only.
function(keep_includes_private target)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set_target_properties(${target} PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "$<BUILD_INTERFACE:${directories}>")
endfunction()
