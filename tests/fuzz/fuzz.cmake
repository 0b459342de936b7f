# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: built by clang (libFuzzer is its), beside the project, which gcc builds.

find_program(FCT_CLANG clang-14)
set(fct_fuzz_flags -std=c11 -D_GNU_SOURCE -DFACET_VERSION="fuzz" -g -O1 -fno-omit-frame-pointer
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -I${CMAKE_SOURCE_DIR}/include
    -I${CMAKE_SOURCE_DIR} -I${CMAKE_SOURCE_DIR}/datasets)

# Whether clang is there with its runtime: a package of its own.
set(FCT_HAS_FUZZER FALSE)
if(FCT_CLANG)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/probe.c
       "int LLVMFuzzerTestOneInput(const char *p, unsigned long n);\n"
       "int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return n > 1 && p[1] > 9; }\n")
  execute_process(COMMAND ${FCT_CLANG} -fsanitize=fuzzer,address,undefined probe.c -o probe
                  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
  if(result EQUAL 0)
    set(FCT_HAS_FUZZER TRUE)
  endif()
endif()

# An object file of one source of the project; `instrument` steers the fuzzer by what the code does.
function(fct_fuzz_object source out)
  string(REPLACE "/" "_" name ${source})
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
  get_property(made GLOBAL PROPERTY fct_fuzz_objects)
  if(NOT name IN_LIST made)
    get_filename_component(folder ${CMAKE_SOURCE_DIR}/${source} DIRECTORY)
    add_custom_command(OUTPUT ${object}
      COMMAND ${FCT_CLANG} ${fct_fuzz_flags} -fsanitize=fuzzer-no-link -I${folder} -MD -MF ${object}.d
              -c ${CMAKE_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${CMAKE_SOURCE_DIR}/${source} DEPFILE ${object}.d COMMENT "Fuzzing: ${source}" VERBATIM)
    set_property(GLOBAL APPEND PROPERTY fct_fuzz_objects ${name})
  endif()
  set(${out} ${object} PARENT_SCOPE)
endfunction()

# fct_fuzz_test(fuzz_x SOURCES datasets/x.c [LINKS jansson] [MEMORY 512] [LARGEST 65536]):
# tests/fuzz/fuzz_x.c holds LLVMFuzzerTestOneInput; it is linked with SOURCES (paths from the
# project's root), src/core and -l LINKS. The test runs 5 s, memory at most MEMORY MiB, inputs at most LARGEST
# bytes, from the seeds that fuzz_x_seeds.py writes into a folder that it is given, where there is
# such a script. long.sh runs it for as long as one likes.
function(fct_fuzz_test name)
  cmake_parse_arguments(A "" "MEMORY;LARGEST" "SOURCES;LINKS" ${ARGN})
  if(NOT A_MEMORY)
    set(A_MEMORY 512)
  endif()
  if(NOT A_LARGEST)
    set(A_LARGEST 65536)
  endif()
  set(program ${CMAKE_CURRENT_BINARY_DIR}/${name})
  if(FCT_HAS_FUZZER)
    set(objects)
    foreach(source tests/fuzz/${name}.c ${A_SOURCES} ${fct_fuzz_core})
      fct_fuzz_object(${source} object)
      list(APPEND objects ${object})
    endforeach()
    list(TRANSFORM A_LINKS PREPEND -l)
    add_custom_command(OUTPUT ${program}
      COMMAND ${FCT_CLANG} ${fct_fuzz_flags} -fsanitize=fuzzer ${objects} ${A_LINKS} -lm -lpthread -o ${program}
      DEPENDS ${objects} COMMENT "Fuzzing: linking ${name}" VERBATIM)
    set_property(GLOBAL APPEND PROPERTY fct_fuzz_programs ${program})
  endif()
  add_test(NAME ${name} COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_run.sh ${program} 5 ${A_MEMORY} ${A_LARGEST})
  fct_test_defaults(${name} fuzz 60 1 "")
endfunction()
