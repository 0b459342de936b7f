# SPDX-License-Identifier: Apache-2.0
add_library(slow_steps MODULE slow_steps.c)
target_link_libraries(slow_steps PRIVATE facet_flags ${CMAKE_DL_LIBS})
# They sleep most of the time: one core each is enough.
foreach(name submit requeue time-limit preempt node-failure array dependency cancel signal sweep)
  fct_script_test(slurm-${name}.py LABEL slurm TIMEOUT 400 ENV SLOW_STEPS=$<TARGET_FILE:slow_steps>)
endforeach()
