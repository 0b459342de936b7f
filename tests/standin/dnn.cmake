# SPDX-License-Identifier: Apache-2.0
# cuDNN's stand-in: its files; read by CMakeLists.txt.
list(APPEND FCT_STANDIN_SOURCES
     dnn_conv.c dnn_descriptor.c dnn_execute.c dnn_graph.c dnn_heuristics.c dnn_norm.c dnn_pointwise.c
     dnn_product.c dnn_resample.c dnn_rules.c dnn_surface.c dnn_tensor.c)
link_libraries(OpenMP::OpenMP_C)
