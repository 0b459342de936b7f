// SPDX-License-Identifier: Apache-2.0
// Walks the input folder: pictures by suffix, sorted by bytes; nothing outside it is ever reached.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "facet/path.h"
#include "pack_parts.h"

enum { DEPTH_MAX = 32, TICK_ENTRIES = 256 };

typedef struct {
    fct_scan *scan;
    const char *input;
    const fct_pack_tick *tick;
    int64_t entries;
    char path[FCT_PATH_MAX]; // of the folder being read, relative
} walk;

static int is_picture_name(const char *name)
{
    // The foreign ones too: such a file is a picture that must not be lost without a word.
    static const char *const suffixes[] = { ".jpg", ".jpeg", ".jpe", ".jfif", ".png",
                                            ".pgm", ".ppm",  ".pnm", ".bmp",  ".webp",
                                            ".gif", ".tiff", ".tif", ".heic" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (fct_text_ends_with(name, suffixes[i]))
            return 1;
    return 0;
}

static int is_utf8(const char *name)
{
    json_t *text = json_string(name); // NULL for what is not UTF-8
    json_decref(text);
    return text != NULL;
}

void fct_scan_exclude(fct_scan *scan, const char *path, const char *reason)
{
    for (const char *c = path; *c; c++)
        if (is_utf8(path) || (unsigned char)*c < 0x80)
            fct_text_add_bytes(&scan->excluded, c, 1);
        else
            fct_text_add(&scan->excluded, "\\x%02x", (unsigned)(unsigned char)*c);
    fct_text_add_bytes(&scan->excluded, "", 1);
    fct_text_add_bytes(&scan->excluded, reason, strlen(reason) + 1);
}

fct_status fct_scan_add(fct_scan *scan, const char *path, int64_t size_bytes, int64_t mtime_ns,
                        int64_t at)
{
    if (scan->files == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 1024;
        fct_scan_file *file = realloc(scan->file, capacity * sizeof *file);
        if (!file)
            return FCT_FAIL_NOMEM(capacity * sizeof *file, "the list of pictures");
        scan->file = file;
        scan->capacity = capacity;
    }
    scan->file[scan->files++] = (fct_scan_file){ scan->names.size, size_bytes, mtime_ns, at };
    fct_text_add_bytes(&scan->names, path, strlen(path) + 1);
    return scan->names.failed ? FCT_FAIL_NOMEM(scan->names.size, "the list of pictures") : FCT_OK;
}

static fct_status add_file(walk *w, const char *path, const struct stat *st)
{
    int64_t mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    return fct_scan_add(w->scan, path, st->st_size, mtime_ns, 0);
}

static fct_status read_folder(walk *w, int fd, int depth);

static fct_status enter_folder(walk *w, int parent, const char *name, int depth)
{
    if (depth == DEPTH_MAX)
        return FCT_FAIL(FCT_E_ARG, "%s/%s: more than %d folders deep", w->input, w->path,
                        DEPTH_MAX);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s/%s: cannot open this folder: %s", w->input, w->path,
                        strerror(errno));
    return read_folder(w, fd, depth + 1);
}

// A folder of millions takes minutes on a network file system.
static fct_status tick(walk *w)
{
    if (!w->tick || ++w->entries % TICK_ENTRIES != 0)
        return FCT_OK;
    return w->tick->call(w->tick->ctx);
}

static fct_status take_entry(walk *w, int fd, const char *name, int depth)
{
    struct stat st;
    size_t length = strlen(w->path);
    int n = snprintf(w->path + length, sizeof w->path - length, "%s%s", length ? "/" : "", name);
    fct_status status = FCT_OK;
    if (n >= (int)(sizeof w->path - length))
        fct_scan_exclude(w->scan, name, "path is too long");
    else if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        fct_scan_exclude(w->scan, w->path,
                         errno == ENOENT ? "vanished while the folder was read" : strerror(errno));
    else if (S_ISLNK(st.st_mode))
        fct_scan_exclude(w->scan, w->path, "symbolic link, not followed");
    else if (S_ISDIR(st.st_mode))
        status = enter_folder(w, fd, name, depth);
    else if (!is_picture_name(name))
        w->scan->ignored++;
    else if (!S_ISREG(st.st_mode))
        fct_scan_exclude(w->scan, w->path, "not a regular file");
    else if (!is_utf8(w->path))
        fct_scan_exclude(w->scan, w->path, "name is not UTF-8");
    else
        status = add_file(w, w->path, &st);
    w->path[length] = 0;
    return status;
}

// Takes fd over.
static fct_status read_folder(walk *w, int fd, int depth)
{
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return FCT_FAIL(FCT_E_IO, "%s/%s: cannot read this folder: %s", w->input, w->path,
                        strerror(errno));
    }
    fct_status status = FCT_OK;
    struct dirent *entry;
    for (errno = 0; status == FCT_OK && (entry = readdir(folder)); errno = 0)
        if (entry->d_name[0] != '.') {
            status = tick(w);
            if (status == FCT_OK)
                status = take_entry(w, dirfd(folder), entry->d_name, depth);
        }
    if (status == FCT_OK && errno)
        status = FCT_FAIL(FCT_E_IO, "%s/%s: cannot read this folder: %s", w->input, w->path,
                          strerror(errno));
    closedir(folder);
    return status;
}

static int by_path(const void *a, const void *b, void *names)
{
    return strcmp((char *)names + ((const fct_scan_file *)a)->name,
                  (char *)names + ((const fct_scan_file *)b)->name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// readdir's order is the file system's; what is written down must not depend on it.
static fct_status sort_excluded(fct_text *excluded)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < excluded->size; i++)
        n += excluded->data[i] == 0;
    n /= 2;
    const char **pair = malloc((n + 1) * sizeof *pair);
    if (!pair || excluded->failed) {
        free(pair);
        return FCT_FAIL_NOMEM(n * sizeof *pair, "the list of files left out");
    }
    for (size_t i = 0; i < n; i++, at += strlen(excluded->data + at) + 1) {
        pair[i] = excluded->data + at;
        at += strlen(pair[i]) + 1;
    }
    qsort(pair, n, sizeof *pair, by_text);
    fct_text sorted = { 0 };
    for (size_t i = 0; i < n; i++) {
        size_t path = strlen(pair[i]) + 1;
        fct_text_add_bytes(&sorted, pair[i], path + strlen(pair[i] + path) + 1);
    }
    free(pair);
    fct_text_release(excluded);
    *excluded = sorted;
    return sorted.failed ? FCT_FAIL_NOMEM(at, "the list of files left out") : FCT_OK;
}

fct_status fct_scan_sort(fct_scan *scan)
{
    FCT_TRY(sort_excluded(&scan->excluded));
    if (scan->files)
        qsort_r(scan->file, scan->files, sizeof *scan->file, by_path, scan->names.data);
    return FCT_OK;
}

fct_status fct_scan_folder(const char *input, const fct_pack_tick *tick, fct_scan *out)
{
    *out = (fct_scan){ 0 };
    int fd = open(input, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open this folder: %s", input, strerror(errno));
    walk *w = calloc(1, sizeof *w);
    if (!w) {
        close(fd);
        return FCT_FAIL_NOMEM(sizeof *w, "the list of pictures");
    }
    w->scan = out;
    w->input = input;
    w->tick = tick;
    fct_status status = read_folder(w, fd, 0);
    free(w);
    if (status == FCT_OK)
        status = fct_scan_sort(out);
    if (status != FCT_OK)
        fct_scan_release(out);
    return status;
}

void fct_scan_release(fct_scan *scan)
{
    fct_text_release(&scan->names);
    fct_text_release(&scan->excluded);
    free(scan->file);
    *scan = (fct_scan){ 0 };
}

const char *fct_scan_path(const fct_scan *scan, size_t i)
{
    return scan->names.data + scan->file[i].name;
}
