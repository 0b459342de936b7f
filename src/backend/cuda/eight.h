// SPDX-License-Identifier: Apache-2.0
// Eight neighbouring channels of one position, which is what a thread works on: 16 bytes of the
// 16-bit types in one access, two accesses of float32, one byte of flags. Activations have a
// multiple of 8 channels (fct_cuda_check_channels) and start at multiples of 64 bytes.
#ifndef FCT_CUDA_EIGHT_H
#define FCT_CUDA_EIGHT_H

#include <string.h>

#include "kernel.h"

template <typename T> struct fct_eight { // as they lie in memory
    uint4 part[sizeof(T) / 2];
};

template <typename T> FCT_DEVICE fct_eight<T> fct_fetch(const T *from)
{
    return *reinterpret_cast<const fct_eight<T> *>(from);
}

template <typename T> FCT_DEVICE void fct_unpack(const fct_eight<T> &raw, float v[8])
{
    T element[8];
    memcpy((void *)element, &raw, sizeof element);
    for (int j = 0; j < 8; j++)
        v[j] = fct_load(&element[j]);
}

template <typename T> FCT_DEVICE void fct_put(T *to, const float v[8])
{
    T element[8];
    fct_eight<T> raw;
    for (int j = 0; j < 8; j++)
        fct_store(&element[j], v[j]);
    memcpy(&raw, element, sizeof raw);
    *reinterpret_cast<fct_eight<T> *>(to) = raw;
}

// Eight floats of a vector over channels, which may start anywhere.
FCT_DEVICE void fct_channels(const float *from, float v[8])
{
    for (int j = 0; j < 8; j++)
        v[j] = from[j];
}

#endif
