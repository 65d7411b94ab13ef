# How targets are built: language, warnings, sanitizers, and the ll_ functions of CMakeLists.txt.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)  # the examples of loopline/c.h
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# LL_CHECK is on in every build and NDEBUG decides nothing of ours; only LL_CHECKED adds checks.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(LL_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")  # compiles in two thirds of the time
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
if(NOT CMAKE_RUNTIME_OUTPUT_DIRECTORY)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_package(Threads REQUIRED)
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/runtime)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                    -Wno-missing-field-initializers  # {.ring = 8_MiB} leaves out the rest
                    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)  # messages name shm/ring.cc
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-mcx16 -mavx)  # aligned 16-byte accesses are atomic only with AVX
endif()
add_link_options(-Wl,--as-needed)
if(LL_CHECKED)
  add_compile_definitions(LL_CHECKED=1)
endif()
if(LL_SANITIZE)
  add_compile_options(-fsanitize=${LL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LL_SANITIZE})
  if(LL_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # "atomic_thread_fence is not supported": the fences stay
  endif()
endif()

# ll_sources(OUT glob... [NEEDS glob...] [NOT glob...]): the files the globs name. NEEDS are sources
# too, and without any of them OUT is empty: the target would make no sense yet.
function(ll_sources out)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "NEEDS;NOT")
  set(files "")
  foreach(kind UNPARSED_ARGUMENTS NEEDS NOT)
    set(found "")
    if(arg_${kind})
      file(GLOB found CONFIGURE_DEPENDS ${arg_${kind}})
    endif()
    if(kind STREQUAL "NOT")
      list(REMOVE_ITEM files ${found})
    else()
      list(APPEND files ${found})
    endif()
    if(kind STREQUAL "NEEDS" AND arg_NEEDS AND NOT found)
      set(files "")
      break()
    endif()
  endforeach()
  set(${out} ${files} PARENT_SCOPE)
endfunction()

# ll_library(NAME STATIC|SHARED|OBJECT sources...): without sources an empty target, to link to.
function(ll_library name kind)
  ll_sources(files ${ARGN})
  if(files)
    add_library(${name} ${kind} ${files})
  else()
    add_library(${name} INTERFACE)
  endif()
endfunction()

# ll_program(NAME sources...): without sources, no target.
function(ll_program name)
  ll_sources(files ${ARGN})
  if(files)
    add_executable(${name} ${files})
  endif()
endfunction()

# ll_test(NAME sources...): a GoogleTest program, its tests known to ctest by name.
function(ll_test name)
  ll_program(${name} ${ARGN})
  if(TARGET ${name})
    # EXPECT_ is long and not worth optimising: -O2 takes twice the time of -O1, and with sanitizers
    # that takes twice the time of -O0. What is tested keeps its own. Several files are compiled as
    # one, so that headers are read once: their unnamed namespaces are one, too.
    if(LL_SANITIZE)
      target_compile_options(${name} PRIVATE -O0)
    else()
      target_compile_options(${name} PRIVATE -O1)
    endif()
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest GTest::gtest_main)
    target_compile_definitions(${name} PRIVATE LL_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                               LL_BUILD_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
                         PROPERTIES TIMEOUT 120 LABELS ${name})
  endif()
endfunction()

# ll_link(NAME libraries...): what a static or object library uses, its users use; a shared library
# keeps it to itself.
function(ll_link name)
  if(NOT TARGET ${name})
    return()
  endif()
  get_target_property(type ${name} TYPE)
  set(scope PRIVATE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    set(scope INTERFACE)
  elseif(type MATCHES "STATIC_LIBRARY|OBJECT_LIBRARY")
    set(scope PUBLIC)
  endif()
  target_link_libraries(${name} ${scope} ${ARGN})
endfunction()

# ll_unity(NAME): several files are compiled as one, where the same files are compiled alone too.
function(ll_unity name)
  if(TARGET ${name})
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# ll_atomic_alias(NAME header): the target, and what links it, takes its atomics from that header.
function(ll_atomic_alias name header)
  if(TARGET ${name})
    get_target_property(type ${name} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      target_compile_definitions(${name} PUBLIC LL_ATOMIC_ALIAS="${header}")
    endif()
  endif()
endfunction()

function(ll_output_name name output)
  if(TARGET ${name})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME ${output})
  endif()
endfunction()

# ll_fuzz(tests/fuzz/NAME_fuzz.cc libraries...): libFuzzer with LL_FUZZ; else a test that replays
# tests/fuzz/corpus/NAME.
function(ll_fuzz file)
  get_filename_component(target ${file} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name ${target})
  if(LL_FUZZ)
    add_executable(${target} ${file})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${target} ${file} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME Fuzz.Replays_${name}
             COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  endif()
  ll_link(${target} ${ARGN})
endfunction()

# ll_exports(NAME map): the shared library shows what the version script names, and nothing else.
function(ll_exports name map)
  if(TARGET ${name})
    target_link_options(${name} PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/${map})
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/${map})
  endif()
endfunction()

# ll_examples(NAME libraries... FILES glob...): a program for each file, example_hello of hello.cc
# and example_hello_c of hello.c; NAME builds all of them.
function(ll_examples name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FILES")
  ll_sources(files ${arg_FILES})
  add_custom_target(${name})
  foreach(file IN LISTS files)
    string(REGEX REPLACE ".*/(.*)\\.cc?$" "example_\\1" program ${file})
    if(file MATCHES "\\.c$")
      string(APPEND program "_c")
    endif()
    add_executable(${program} ${file})
    ll_link(${program} ${arg_UNPARSED_ARGUMENTS})
    add_dependencies(${name} ${program})
  endforeach()
endfunction()

# ll_install(targets...): those that exist; with a library, what ll_install_package says. All of it
# may be moved afterwards.
function(ll_install)
  file(RELATIVE_PATH libdir_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  foreach(name ${ARGN})
    if(TARGET ${name})
      get_target_property(type ${name} TYPE)
      if(type STREQUAL "SHARED_LIBRARY")
        ll_install_package(${name})
      elseif(type STREQUAL "EXECUTABLE")
        set_target_properties(${name} PROPERTIES INSTALL_RPATH "$ORIGIN/${libdir_from_bin}")
        install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
      endif()
    endif()
  endforeach()
endfunction()

# ll_install_package(NAME): a library with its public headers, find_package and pkg-config.
function(ll_install_package name)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/${name})
  set_target_properties(${name} PROPERTIES VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR})
  target_include_directories(${name} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${name} INTERFACE cxx_std_20)
  install(TARGETS ${name} EXPORT ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY runtime/loopline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILES_MATCHING PATTERN "*.h")
  # Found as "shm/base/result.h" from the headers beside it, and by nobody else.
  install(DIRECTORY shm/base DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/loopline/shm
          FILES_MATCHING PATTERN "*.h")
  install(EXPORT ${name} NAMESPACE loopline:: FILE ${name}-config.cmake
          DESTINATION ${package_dir})
  include(CMakePackageConfigHelpers)
  write_basic_package_version_file(${name}-config-version.cmake COMPATIBILITY SameMinorVersion)
  file(RELATIVE_PATH LL_PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
       ${CMAKE_INSTALL_PREFIX})
  string(REGEX REPLACE "/$" "" LL_PREFIX_FROM_PC ${LL_PREFIX_FROM_PC})
  configure_file(runtime/sdk/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}-config-version.cmake DESTINATION ${package_dir})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
