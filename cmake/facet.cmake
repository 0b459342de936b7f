# SPDX-License-Identifier: Apache-2.0
# The few CMake functions that the folders share.

# fct_library(NAME SOURCES a.c b.c LINKS facet_core PkgConfig::X): a static library of one folder.
function(fct_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${A_LINKS} PRIVATE facet_flags)
endfunction()

# fct_unit_test(test_rng LINKS facet_core [ENV A=b] [LABEL unit] [TIMEOUT 60]): cmocka, one process.
function(fct_unit_test name)
  cmake_parse_arguments(A "" "LABEL;TIMEOUT" "LINKS;SOURCES;ENV" ${ARGN})
  add_executable(${name} ${name}.c ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_LINKS} cmocka m facet_flags)
  add_test(NAME ${name} COMMAND ${name})
  fct_test_defaults(${name} "${A_LABEL}" "${A_TIMEOUT}" 1 "${A_ENV}")
endfunction()

# fct_mpi_test(test_comm RANKS 1 2 3 4 LINKS facet_cluster): one ctest entry for each number of ranks.
function(fct_mpi_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "LINKS;RANKS;SOURCES;ENV" ${ARGN})
  add_executable(${name} ${name}.c ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_LINKS} m facet_flags)
  foreach(np ${A_RANKS})
    add_test(NAME ${name}_np${np}
             COMMAND ${MPIEXEC_EXECUTABLE} -n ${np} $<TARGET_FILE:${name}>)
    fct_test_defaults(${name}_np${np} mpi "${A_TIMEOUT}" ${np} "${A_ENV}")
  endforeach()
endfunction()

# fct_script_test(t0100-pack.sh LABEL cli [TIMEOUT 120] [RANKS 2]): a shell or Python script; 77 = skipped.
function(fct_script_test script)
  cmake_parse_arguments(A "" "LABEL;TIMEOUT;RANKS;PYTHON" "ENV" ${ARGN})
  get_filename_component(name ${script} NAME_WE)
  if(NOT A_RANKS)
    set(A_RANKS 1)
  endif()
  if(script MATCHES "\\.py$")
    add_test(NAME ${name} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/${script})
  else()
    add_test(NAME ${name} COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/${script})
  endif()
  fct_test_defaults(${name} "${A_LABEL}" "${A_TIMEOUT}" ${A_RANKS} "${A_ENV}")
endfunction()

# Every test: a time limit, its number of cores, no root refusal by Open MPI, the tools by name.
function(fct_test_defaults name label timeout ranks env)
  if(NOT label)
    set(label unit)
  endif()
  if(NOT timeout)
    set(timeout 60)
  endif()
  if(FACET_ASAN OR FACET_TSAN)
    math(EXPR timeout "${timeout} * 6")
  endif()
  set(all OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
          OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_base_warn_component_unused=0
          OMPI_MCA_btl=vader,self,tcp OMPI_MCA_hwloc_base_binding_policy=none
          FACET=$<TARGET_FILE:facet> FACET_SOURCE=${CMAKE_SOURCE_DIR} FACET_BUILD=${CMAKE_BINARY_DIR}
          FACET_SANITIZED=$<IF:$<OR:$<BOOL:${FACET_ASAN}>,$<BOOL:${FACET_TSAN}>>,1,0>
          LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0
          OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive ${env})
  # Open MPI leaks a little in plugins that it has unloaded by the time of the leak report; only a
  # whole call stack leads from there to a library that tests/lsan.supp names.
  if(FACET_ASAN)
    list(APPEND all ASAN_OPTIONS=fast_unwind_on_malloc=0)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout} PROCESSORS ${ranks}
                       SKIP_RETURN_CODE 77 ENVIRONMENT "${all}")
endfunction()

function(fct_set_flags target)
  target_compile_options(${target} INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wpedantic -Wstrict-prototypes -Wmissing-prototypes
    -fno-math-errno -fno-trapping-math -ffp-contract=off)
  target_compile_definitions(${target} INTERFACE _GNU_SOURCE FACET_VERSION="${PROJECT_VERSION}")
  if(FACET_WERROR)
    target_compile_options(${target} INTERFACE -Werror)
  endif()
  if(FACET_ASAN)
    target_compile_options(${target} INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -g)
    target_link_options(${target} INTERFACE -fsanitize=address,undefined)
  elseif(FACET_TSAN)
    target_compile_options(${target} INTERFACE -fsanitize=thread -fno-omit-frame-pointer -g)
    target_link_options(${target} INTERFACE -fsanitize=thread)
  endif()
endfunction()

# CUDA C as C++ for the host (tests/standin): what it was written for is the device.
function(fct_set_standin_flags target)
  target_compile_options(${target} INTERFACE -Wall -Wextra -Wno-unknown-pragmas
    "$<$<COMPILE_LANGUAGE:C>:SHELL:-Wshadow -Wconversion -Wpedantic -Wstrict-prototypes -Wmissing-prototypes>"
    -O2 -fno-math-errno -fno-trapping-math -ffp-contract=off)
  target_compile_definitions(${target} INTERFACE _GNU_SOURCE FACET_VERSION="${PROJECT_VERSION}")
  if(FACET_WERROR)
    target_compile_options(${target} INTERFACE -Werror)
  endif()
  if(FACET_ASAN)
    target_compile_options(${target} INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -g)
    target_link_options(${target} INTERFACE -fsanitize=address,undefined)
  endif()
endfunction()

# Debian keeps the serial HDF5 beside the parallel ones; pkg-config names it exactly.
macro(fct_find_hdf5)
  pkg_search_module(HDF5 REQUIRED IMPORTED_TARGET hdf5-serial hdf5)
endmacro()

# Debian's own package file for oneDNN asks for OpenCL's headers, which the CPU engine does not need.
macro(fct_find_dnnl)
  find_path(DNNL_INCLUDE_DIR NAMES dnnl.h oneapi/dnnl/dnnl.h REQUIRED)
  find_library(DNNL_LIBRARY dnnl REQUIRED)
  find_file(DNNL_VERSION_FILE NAMES oneapi/dnnl/dnnl_version.h HINTS ${DNNL_INCLUDE_DIR} REQUIRED)
  file(STRINGS ${DNNL_VERSION_FILE} dnnl_VERSION REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH)")
  list(TRANSFORM dnnl_VERSION REPLACE "[^0-9]+([0-9]+)$" "\\1")
  list(JOIN dnnl_VERSION "." dnnl_VERSION)
  add_library(facet_dnnl INTERFACE)
  target_include_directories(facet_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
  target_link_libraries(facet_dnnl INTERFACE ${DNNL_LIBRARY})
endmacro()

# FACET_CUDA becomes ON or OFF. CUDA C is compiled for the devices of FACET_CUDA_ARCHITECTURES.
macro(fct_find_cuda)
  set(FACET_CUDA_ARCHITECTURES "80-real;90-real;100-real" CACHE STRING "devices to compile kernels for")
  string(TOUPPER "${FACET_CUDA}" FACET_CUDA)
  if(NOT FACET_CUDA STREQUAL "OFF")
    find_package(CUDAToolkit QUIET)
    set(hints ${CUDAToolkit_LIBRARY_ROOT} ${CUDAToolkit_TARGET_DIR} /usr/local/cuda)
    find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${hints} PATH_SUFFIXES include)
    find_library(CUDNN_LIBRARY cudnn HINTS ${hints} PATH_SUFFIXES lib64 lib)
    find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${hints} PATH_SUFFIXES include)
    find_library(NCCL_LIBRARY nccl HINTS ${hints} PATH_SUFFIXES lib64 lib)
    if(CUDAToolkit_NVCC_EXECUTABLE AND CUDNN_INCLUDE_DIR AND CUDNN_LIBRARY AND NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
      set(FACET_CUDA ON)
      set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
      set(CMAKE_CUDA_ARCHITECTURES ${FACET_CUDA_ARCHITECTURES})
      enable_language(CUDA)
      set(CMAKE_CUDA_STANDARD 17)
    elseif(FACET_CUDA STREQUAL "ON")
      message(FATAL_ERROR "FACET_CUDA=ON: nvcc, cudnn.h, libcudnn, nccl.h or libnccl is missing")
    else()
      set(FACET_CUDA OFF)
    endif()
  endif()
endmacro()

# fct_standin_env(OUT): what a test needs in ENV to train on the stand-in of a GPU (tests/standin);
# empty where it is not built. The test needs facet_cuda_standin built, which is part of `all`.
function(fct_standin_env out)
  set(${out} "" PARENT_SCOPE)
  if(FACET_CUDA AND NOT FACET_TSAN)
    set(${out} FACET_CUDA_LIBRARY=${CMAKE_BINARY_DIR}/tests/standin/libfacet_cuda.so PARENT_SCOPE)
  endif()
endfunction()

# fct_cuda_library(facet_cuda a.c b.cu): a library to be loaded, beside the program.
function(fct_cuda_library name)
  add_library(${name} MODULE ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src/backend
                             ${CMAKE_SOURCE_DIR}/src/backend/cuda)
  target_include_directories(${name} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE_DIR} ${NCCL_INCLUDE_DIR})
  target_link_libraries(${name} PRIVATE facet_core facet_cuda_flags ${CUDNN_LIBRARY} ${NCCL_LIBRARY}
                        CUDA::cublasLt CUDA::cudart)
  # One runtime, the shared one: what nvcc links by itself would be a second beside it.
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} CUDA_RUNTIME_LIBRARY Shared)
endfunction()

# The same strictness for CUDA C; what nvcc makes of it is not pedantic. Registers that do not
# suffice on one of the devices are a warning too: no test without a device would tell.
function(fct_set_cuda_flags target)
  target_compile_options(${target} INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wconversion -Wpedantic -Wstrict-prototypes -Wmissing-prototypes>
    "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xcompiler=-Wall,-Wextra,-Wshadow -Xptxas=-warn-spills>")
  target_compile_definitions(${target} INTERFACE _GNU_SOURCE FACET_VERSION="${PROJECT_VERSION}")
  if(FACET_WERROR)
    target_compile_options(${target} INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>
      "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror=all-warnings -Xcompiler=-Werror>")
  endif()
endfunction()

function(fct_feature_summary)
  message(STATUS "facet ${PROJECT_VERSION}")
  message(STATUS "  build type   ${CMAKE_BUILD_TYPE}   asan ${FACET_ASAN}   tsan ${FACET_TSAN}")
  message(STATUS "  MPI          ${MPI_C_LIBRARY_VERSION_STRING}")
  message(STATUS "  HDF5         ${HDF5_VERSION} (serial)")
  message(STATUS "  oneDNN       ${dnnl_VERSION}")
  if(FACET_CUDA)
    message(STATUS "  backends     ref, cpu, cuda (CUDA ${CUDAToolkit_VERSION}, ${FACET_CUDA_ARCHITECTURES})")
  else()
    message(STATUS "  backends     ref, cpu (no CUDA toolkit with cuDNN and NCCL)")
  endif()
endfunction()
