# SPDX-License-Identifier: Apache-2.0
# NCCL's stand-in over MPI: its files; read by CMakeLists.txt.
foreach(file nccl_calls.c nccl_comm.c nccl_sum.c)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    list(APPEND FCT_STANDIN_SOURCES ${file})
  endif()
endforeach()
