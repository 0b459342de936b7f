// SPDX-License-Identifier: Apache-2.0
// Saves and loads small checkpoints for the fault tests.
//   checkpoint_tool save FOLDER FROM TO   prints "saved N" once step N is acknowledged; exit 1 on
//   failure checkpoint_tool load FOLDER           prints the step that loads whole; exit 1 when
//   none does
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facet/checkpoint.h"
#include "facet/log.h"
#include "facet/path.h"
#include "facet/text.h"

enum { TENSORS = 6, N = 9000 };

static fct_status fill(fct_blobs *s, int64_t step)
{
    static float v[N];
    const int64_t n = N;
    for (int t = 0; t < TENSORS; t++) {
        char name[32];
        for (int i = 0; i < N; i++)
            v[i] = (float)(step * 1000 + t * 100 + i % 97);
        snprintf(name, sizeof name, "model/layer%d.weight", t);
        FCT_TRY(fct_blobs_add(s, name, FCT_BLOB_F32, 1, &n, v));
    }
    return fct_blobs_add(s, "train/step", FCT_BLOB_I64, 0, NULL, &step);
}

static fct_status save(fct_comm *c, const char *folder, int64_t from, int64_t to)
{
    fct_saver *saver;
    FCT_TRY(fct_saver_create(c, folder, 2, &saver));
    fct_status status = FCT_OK;
    for (int64_t step = from; step <= to && status == FCT_OK; step++) {
        fct_blobs s = { 0 };
        FCT_TRY(fill(&s, step));
        status = fct_saver_start(saver, step, step % 2 == 0, &s);
        if (status == FCT_OK)
            status = fct_saver_wait(saver);
        if (status == FCT_OK && printf("saved %" PRId64 "\n", step) > 0)
            fflush(stdout);
    }
    fct_saver_destroy(saver);
    return status;
}

static fct_status load(const char *folder)
{
    char taken[FCT_PATH_MAX];
    fct_blobs got, want = { 0 };
    FCT_TRY(fct_checkpoint_load(folder, 0, &got, taken));
    const fct_blob *at = fct_blobs_find(&got, "train/step");
    int64_t step = at ? *(const int64_t *)at->data : -1;
    FCT_TRY(fill(&want, step));
    for (int i = 0; i < want.n; i++) {
        const fct_blob *b = fct_blobs_find(&got, want.blob[i].name);
        if (!b || memcmp(b->data, want.blob[i].data, fct_blob_bytes(&want.blob[i])) != 0)
            return FCT_FAIL(FCT_E_FORMAT, "%s: WRONG VALUES in %s", taken, want.blob[i].name);
    }
    fct_blobs_release(&want);
    fct_blobs_release(&got);
    printf("%" PRId64 "\n", step);
    return FCT_OK;
}

static fct_status dump(const char *folder)
{
    char taken[FCT_PATH_MAX];
    fct_blobs got;
    FCT_TRY(fct_checkpoint_load(folder, 0, &got, taken));
    for (int i = 0; i < got.n; i++) {
        const fct_blob *b = &got.blob[i];
        printf("%s %d (", b->name, (int)b->type);
        for (int k = 0; k < b->ndim; k++)
            printf("%" PRId64 ",", b->dim[k]);
        printf(") %zu\n", fct_blob_bytes(b));
        fwrite(b->data, 1, fct_blob_bytes(b), stdout);
    }
    fct_blobs_release(&got);
    return FCT_OK;
}

int main(int argc, char **argv)
{
    fct_comm *c;
    fct_status status = FCT_E_ARG;
    int64_t from, to;
    if (fct_comm_create("auto", &c) != FCT_OK) {
        fct_log_failure(fct_fail_text());
        return 2;
    }
    if (argc == 5 && !strcmp(argv[1], "save") && fct_text_to_i64(argv[3], &from) == FCT_OK &&
        fct_text_to_i64(argv[4], &to) == FCT_OK)
        status = save(c, argv[2], from, to);
    else if (argc == 3 && !strcmp(argv[1], "load"))
        status = load(argv[2]);
    else if (argc == 3 && !strcmp(argv[1], "dump"))
        status = dump(argv[2]);
    if (status != FCT_OK)
        fct_log_failure(fct_fail_text());
    fct_comm_destroy(c);
    return status == FCT_OK ? 0 : 1;
}
