# SPDX-License-Identifier: Apache-2.0
add_executable(checkpoint_tool checkpoint_tool.c)
target_link_libraries(checkpoint_tool PRIVATE facet_cluster facet_flags)
set(tool CHECKPOINT_TOOL=$<TARGET_FILE:checkpoint_tool>)
fct_script_test(checkpoint-kill.sh LABEL fault TIMEOUT 180 ENV ${tool})
fct_script_test(checkpoint-errno.sh LABEL fault TIMEOUT 180 ENV ${tool})
fct_script_test(checkpoint-full-disk.sh LABEL fault ENV ${tool})
fct_script_test(checkpoint-h5py.py LABEL interop ENV ${tool})
fct_script_test(comm-auto.sh LABEL fault ENV ${tool})
