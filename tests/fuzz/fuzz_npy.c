// SPDX-License-Identifier: Apache-2.0
// The reader of .npy: every number that it promises can be read, and faces are whole.
#include <math.h>
#include <stdlib.h>

#include "datasets/landmark_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fct_npy npy;
    size_t faces;
    double x;
    if (fct_npy_parse(data, n, "array", &npy) != FCT_OK)
        return 0;
    if (npy.count > n || npy.rank > FCT_NPY_RANK_MAX)
        abort();
    for (size_t i = 0; i < npy.count; i++)
        if (fct_npy_number(&npy, i, &x) != FCT_OK && npy.kind != 'S' && npy.kind != 'U')
            abort();
    if (fct_npy_faces(&npy, &faces) != FCT_OK)
        return 0;
    for (size_t i = 0; i < faces; i++) {
        fct_face_points face;
        if (fct_npy_points(&npy, i, &face) != FCT_OK)
            continue;
        for (int k = 0; k < face.points; k++)
            if (!isfinite(face.xy[k][0]) || !isfinite(face.xy[k][1]))
                abort();
        fct_face_points_reduce(&face, i % 2 ? 5 : 10);
    }
    return 0;
}
