// SPDX-License-Identifier: Apache-2.0
// Kernels on the host: threads of a block take turns.
#ifndef FCT_STANDIN_KERNEL_H
#define FCT_STANDIN_KERNEL_H
#endif
