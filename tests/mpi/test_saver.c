// SPDX-License-Identifier: Apache-2.0
// Saving with a part from every rank: it comes back, and a fault on one rank is everybody's answer.
// usage: test_saver; or, with FACET_FAULT set to a fault of the second save: test_saver faulty
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim.h"
#include "facet/checkpoint.h"
#include "facet/clock.h"
#include "facet/path.h"

enum { N = 200000 };

static char folder[64];

static void new_folder(fct_comm *c)
{
    snprintf(folder, sizeof folder, "/tmp/facet-saver-XXXXXX");
    int is_made = fct_comm_rank(c) != 0 || mkdtemp(folder) != NULL;
    CLAIM(c, fct_comm_broadcast(c, folder, sizeof folder, 0) == FCT_OK && is_made);
}

static void remove_folder(fct_comm *c)
{
    CLAIM(c, fct_comm_barrier(c) == FCT_OK);
    if (fct_comm_rank(c) == 0)
        fct_path_remove(folder);
}

// A9: what is handed over is saved, whatever becomes of the memory that it came from.
static void test_a_save_under_way_keeps_the_values_of_its_step(fct_comm *c)
{
    const int64_t n = 4 << 20;
    char taken[FCT_PATH_MAX];
    fct_saver *s;
    fct_blobs state = { 0 }, back;
    float *weights = malloc((size_t)n * sizeof *weights);
    int wrong = 0;
    for (int64_t i = 0; weights && i < n; i++)
        weights[i] = (float)(i % 8191);
    new_folder(c);
    CLAIM(c, fct_saver_create(c, folder, 2, &s) == FCT_OK);
    CLAIM(c, weights && !fct_blobs_add(&state, "model/weight", FCT_BLOB_F32, 1, &n, weights));
    CLAIM(c, fct_saver_start(s, 6, 0, &state) == FCT_OK);
    for (int64_t i = 0; weights && i < n; i++) // the next step, while the thread writes
        weights[i] = -1;
    fct_blobs_release(&state);
    CLAIM(c, fct_saver_wait(s) == FCT_OK);
    fct_saver_destroy(s);
    CLAIM(c, fct_checkpoint_load(folder, fct_comm_rank(c), &back, taken) == FCT_OK);
    const fct_blob *b = fct_blobs_find(&back, "model/weight");
    for (int64_t i = 0; b && i < n; i++)
        wrong += ((const float *)b->data)[i] != (float)(i % 8191);
    CLAIM(c, b && wrong == 0);
    fct_blobs_release(&back);
    free(weights);
    remove_folder(c);
}

// Rank 0 has the model too; rank `without` has nothing.
static fct_blobs state_of(fct_comm *c, int64_t step, int without)
{
    fct_blobs s = { 0 };
    const int64_t n = N;
    float *v = malloc(N * sizeof *v);
    for (int i = 0; i < N; i++)
        v[i] = (float)(step * 1000 + fct_comm_rank(c) * 100 + i % 97);
    if (fct_comm_rank(c) == 0)
        fct_blobs_add(&s, "model/weight", FCT_BLOB_F32, 1, &n, v);
    if (fct_comm_rank(c) != without)
        fct_blobs_add(&s, "head/weight", FCT_BLOB_F32, 1, &n, v);
    free(v);
    return s;
}

// The step that comes back, -1 when nothing does, -2 when it is not what was saved.
static int64_t load(fct_comm *c, int without)
{
    char taken[FCT_PATH_MAX];
    fct_blobs s;
    if (fct_checkpoint_load(folder, fct_comm_rank(c), &s, taken) != FCT_OK)
        return -1;
    const fct_blob *head = fct_blobs_find(&s, "head/weight");
    const float *v = head ? head->data : NULL;
    int64_t step = v ? ((int64_t)v[0] - fct_comm_rank(c) * 100) / 1000 : -2;
    fct_blobs want = state_of(c, step, without);
    for (int i = 0; i < want.n; i++) {
        const fct_blob *b = fct_blobs_find(&s, want.blob[i].name);
        if (!b || memcmp(b->data, want.blob[i].data, fct_blob_bytes(b)) != 0)
            step = -2;
    }
    fct_blobs_release(&want);
    fct_blobs_release(&s);
    return step;
}

static int count_temporaries(void)
{
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        n += strstr(e->d_name, ".tmp") != NULL;
    closedir(dir);
    return n;
}

static void test_every_rank_gets_its_part_back(fct_comm *c)
{
    fct_saver *s;
    new_folder(c);
    CLAIM(c, fct_saver_create(c, folder, 2, &s) == FCT_OK);
    for (int64_t step = 1; step <= 5; step++) {
        fct_blobs state = state_of(c, step, -1);
        CLAIM(c, fct_saver_start(s, step, step == 2, &state) == FCT_OK);
    }
    CLAIM(c, fct_saver_wait(s) == FCT_OK);
    CLAIM(c, load(c, -1) == 5);
    CLAIM(c, count_temporaries() == 0);
    fct_saver_destroy(s);
    remove_folder(c);
}

static void test_ranks_may_have_no_part(fct_comm *c)
{
    int last = fct_comm_size(c) - 1;
    fct_saver *s;
    new_folder(c);
    CLAIM(c, fct_saver_create(c, folder, 2, &s) == FCT_OK);
    fct_blobs state = state_of(c, 3, last);
    CLAIM(c, fct_saver_start(s, 3, 0, &state) == FCT_OK);
    fct_saver_destroy(s);
    CLAIM(c, fct_comm_rank(c) == last || load(c, last) == 3);
    remove_folder(c);
}

static void test_fault_on_one_rank_is_everybodys_and_loses_nothing(fct_comm *c)
{
    fct_saver *s;
    new_folder(c);
    CLAIM(c, fct_saver_create(c, folder, 3, &s) == FCT_OK);
    fct_blobs first = state_of(c, 1, -1), second = state_of(c, 2, -1), third = state_of(c, 3, -1);
    CLAIM(c, fct_saver_start(s, 1, 0, &first) == FCT_OK);
    CLAIM(c, fct_saver_wait(s) == FCT_OK);
    fct_status status = fct_saver_start(s, 2, 0, &second);
    if (status == FCT_OK)
        status = fct_saver_wait(s);
    char text[2048];
    snprintf(text, sizeof text, "%s", fct_fail_text());
    CLAIM(c, status == FCT_E_IO);
    CLAIM(c, strstr(text, folder) != NULL);
    CLAIM(c, fct_comm_size(c) == 1 || strstr(text, ": rank ") != NULL);
    CLAIM(c, count_temporaries() == 0);
    int64_t step = load(c, -1);
    CLAIM(c, step == 1 || step == 2); // 2 when the fault came after the commit
    CLAIM(c, fct_saver_start(s, 3, 0, &third) == FCT_OK);
    fct_saver_destroy(s);
    CLAIM(c, load(c, -1) == 3);
    remove_folder(c);
}

// Returns when every other rank's thread has begun its part: asked of the files, not of the ranks.
static void await_the_others_parts(fct_comm *c)
{
    char part[128], done[128];
    snprintf(done, sizeof done, "%s/step_00000004", folder);
    for (int r = 0; r < fct_comm_size(c) - 1; r++) {
        snprintf(part, sizeof part, "%s/step_00000004.tmp/rank_%04d.h5", folder, r);
        while (!fct_path_is_file(part) && !fct_path_is_folder(done))
            fct_clock_sleep_s(0.001);
    }
}

// A step breaks on one rank while a save is under way: the save is finished all the same.
static void test_a_cancel_does_not_spoil_the_save_under_way(fct_comm *c)
{
    fct_saver *s;
    new_folder(c);
    CLAIM(c, fct_saver_create(c, folder, 2, &s) == FCT_OK);
    fct_blobs state = state_of(c, 4, -1);
    CLAIM_HERE(fct_saver_start(s, 4, 0, &state) == FCT_OK);
    if (fct_comm_rank(c) == fct_comm_size(c) - 1) {
        await_the_others_parts(c);
        fct_comm_cancel(c, FCT_FAIL(FCT_E_DIVERGED, "loss is not a number"));
    }
    fct_saver_destroy(s);
    CLAIM_HERE(fct_comm_rank(c) != 0 || load(c, -1) == 4);
    if (fct_comm_rank(c) == 0)
        fct_path_remove(folder);
}

int main(int argc, char **argv)
{
    fct_comm *c;
    if (fct_comm_create("auto", &c) != FCT_OK)
        return 2;
    if (argc == 2 && !strcmp(argv[1], "faulty")) {
        test_fault_on_one_rank_is_everybodys_and_loses_nothing(c);
    } else {
        test_every_rank_gets_its_part_back(c);
        test_ranks_may_have_no_part(c);
        test_a_save_under_way_keeps_the_values_of_its_step(c);
        test_a_cancel_does_not_spoil_the_save_under_way(c); // the last: it ends the communicator
    }
    fct_comm_destroy(c);
    return failed_claims != 0;
}
