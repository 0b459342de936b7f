// SPDX-License-Identifier: Apache-2.0
// What pack makes of a .rec with what lies beside it: the input is cut into .idx, property and .rec
// by its first three bytes.
#include <stdlib.h>
#include <string.h>

#include "datasets/pack_parts.h"
#include "facet/log.h"
#include "fuzz_file.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char folder[512];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *parent = getenv("TMPDIR");
    fct_log_set_level(FCT_LOG_ERROR);
    snprintf(folder, sizeof folder, "%s/fuzz-XXXXXX", parent ? parent : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static void put(const char *name, const uint8_t *data, size_t n)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
        abort();
}

// Every picture has a name and lies in the file; names rise.
static void check(const fct_scan *scan, size_t rec_bytes)
{
    for (size_t i = 0; i < scan->files; i++) {
        const fct_scan_file *file = &scan->file[i];
        if (file->at < 0 || file->size_bytes < 1 ||
            (uint64_t)file->at + (uint64_t)file->size_bytes > rec_bytes)
            abort();
        if (i > 0 && strcmp(fct_scan_path(scan, i - 1), fct_scan_path(scan, i)) >= 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3)
        return 0;
    char path[600];
    size_t index = data[0] * (n - 3) / 256, property = data[1] % 16, rest = n - 3;
    index = data[2] & 1 ? index : 0;
    property = property < rest - index ? property : 0;
    snprintf(path, sizeof path, "%s/train.idx", folder);
    unlink(path);
    if (data[2] & 1)
        put("train.idx", data + 3, index);
    snprintf(path, sizeof path, "%s/property", folder);
    unlink(path);
    if (data[2] & 2)
        put("property", data + 3 + index, property);
    put("train.rec", data + 3 + index + property, rest - index - property);
    fct_scan scan;
    snprintf(path, sizeof path, "%s/train.rec", folder);
    if (fct_scan_records(path, NULL, &scan) == FCT_OK) {
        check(&scan, rest - index - property);
        fct_scan_release(&scan);
    } else if (strchr(fct_fail_text(), '\n') != strrchr(fct_fail_text(), '\n'))
        abort(); // one line and a hint
    return 0;
}
