// SPDX-License-Identifier: Apache-2.0
// Runs one step of augmentation with given parameters for test_augment_torch.py: pictures come as
// "STEP H W OUT_H OUT_W P1 .. P6\n" and H * W * 3 bytes on stdin, results leave as bytes on stdout.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/augment_parts.h"

static void run(const char *step, uint8_t *src, int h, int w, uint8_t *dst, int oh, int ow,
                const double *p)
{
    fct_affine map = { p[0], p[1], p[2], p[3], p[4], p[5] };
    int pixels = h * w;
    if (strcmp(step, "warp") == 0) {
        fct_warp(src, h, w, &map, dst, oh, ow);
        return;
    }
    if (strcmp(step, "brightness") == 0)
        fct_colour_brightness(src, pixels, p[0]);
    else if (strcmp(step, "contrast") == 0)
        fct_colour_contrast(src, pixels, p[0]);
    else if (strcmp(step, "saturation") == 0)
        fct_colour_saturation(src, pixels, p[0]);
    else if (strcmp(step, "hue") == 0)
        fct_colour_hue(src, pixels, p[0]);
    else if (strcmp(step, "grey") == 0)
        fct_colour_grey(src, pixels);
    else if (strcmp(step, "blur") == 0)
        fct_colour_blur(src, h, w, p[0]);
    memcpy(dst, src, (size_t)pixels * 3);
}

int main(void)
{
    char step[16];
    int h, w, oh, ow;
    double p[6];
    while (scanf("%15s %d %d %d %d %lf %lf %lf %lf %lf %lf", step, &h, &w, &oh, &ow, &p[0], &p[1],
                 &p[2], &p[3], &p[4], &p[5]) == 11 &&
           getchar() == '\n') {
        size_t n = (size_t)h * (size_t)w * 3, m = (size_t)oh * (size_t)ow * 3;
        uint8_t *src = malloc(n), *dst = malloc(m);
        if (!src || !dst || fread(src, 1, n, stdin) != n)
            return 1;
        run(step, src, h, w, dst, oh, ow, p);
        if (fwrite(dst, 1, m, stdout) != m)
            return 1;
        fflush(stdout);
        free(src);
        free(dst);
    }
    return 0;
}
