// SPDX-License-Identifier: Apache-2.0
// The reader of AffectNet's lists: labels, boxes and landmarks of the pictures at hand are in
// range.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/affectnet/affectnet.h"
#include "fuzz_file.h"

enum { FILES = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void write_list(const char *folder, const void *data, size_t n)
{
    char path[600];
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/training.csv", folder);
    FILE *f = fopen(path, "wb");
    if (!f || fputs("subDirectory_filePath,", f) < 0 || fwrite(data, 1, n, f) != n ||
        fclose(f) != 0)
        abort();
}

static void check(const fct_plan_draft *d)
{
    for (int i = 0; i < FILES; i++) {
        if (d->layout.label[i] >= d->layout.labels)
            abort();
        if (d->landmark_of[i] >= 0 && (size_t)d->landmark_of[i] >= d->landmarks.keys.keys)
            abort();
        if (d->box_of[i] >= 0 &&
            ((const int32_t *)(const void *)d->box.data)[4 * d->box_of[i] + 2] < 1)
            abort();
        for (int k = 0; k < 2 && d->affect_of[i] >= 0; k++)
            if (fabsf(((const float *)(const void *)d->affect.data)[2 * d->affect_of[i] + k]) > 1)
                abort();
    }
}

static void release(fct_plan_draft *d)
{
    fct_scan_release(&d->scan);
    fct_landmark_cache_release(&d->landmarks);
    fct_text_release(&d->layout.names);
    fct_text_release(&d->box);
    fct_text_release(&d->affect);
    free(d->layout.label);
    free(d->layout.split);
    free(d->landmark_of);
    free(d->box_of);
    free(d->affect_of);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[FILES] = { "0/a.jpg", "0/b.jpg", "1/a.jpg" };
    char folder[512];
    const char *temporary = getenv("TMPDIR");
    fct_plan_draft d = { 0 };
    snprintf(folder, sizeof folder, "%s/fuzz-%d-set", temporary ? temporary : "/tmp",
             (int)getpid());
    write_list(folder, data, n);
    d.scan.file = calloc(FILES, sizeof *d.scan.file);
    for (int i = 0; i < FILES && d.scan.file; i++) {
        d.scan.file[d.scan.files++].name = d.scan.names.size;
        fct_text_add_bytes(&d.scan.names, names[i], strlen(names[i]) + 1);
    }
    const fct_pack_spec spec = { .input = folder, .format = "affectnet" };
    if (fct_affectnet_read_lists(&spec, &d) == FCT_OK)
        check(&d);
    release(&d);
    return 0;
}
