# SPDX-License-Identifier: Apache-2.0
list(APPEND FCT_STANDIN_SOURCES nccl_calls.c nccl_comm.c nccl_sum.c)
