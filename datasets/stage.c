// SPDX-License-Identifier: Apache-2.0
// Node-local copies of shards. In the user's folder of the disk, "facet-stage-<uid>":
//   use.lock     shared by all who use copies; who gets it alone may remove
//   copy.lock    held by the one who copies, so that the others wait and then find the copies
//   <hash>/      copies of one packed folder's shards; a file `remove` in it asks the last user to
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "facet/clock.h"
#include "facet/log.h"
#include "facet/stage.h"
#include "facet/text.h"
#include "shard.h"
#include "stage_copy.h"

enum { MOST_TURNS = 100, TURNS_TO_TELL = 200 };
static const double nap_s = 0.02;

struct fct_stage {
    char home[FCT_PATH_MAX]; // the user's folder
    int use_lock;
    fct_stage_tick tick;
};

static fct_status find_home(const char *root, char out[FCT_PATH_MAX])
{
    char name[48];
    const char *folder = strcmp(root, "auto") ? root : getenv("TMPDIR");
    if (!folder || !*folder)
        return FCT_FAIL(FCT_E_ARG,
                        "data.stage is auto, but TMPDIR is not set: no local disk known");
    if (!fct_path_is_folder(folder))
        return FCT_FAIL(FCT_E_ARG, "data.stage: %s: not a folder", folder);
    FCT_TRY(fct_stage_check_disk(folder));
    snprintf(name, sizeof name, "facet-stage-%ld", (long)getuid());
    return fct_path_join(out, folder, name);
}

// ---- locks

// However long another process holds it: whoever copies there has a watchdog of its own.
static fct_status lock(const char *home, const char *name, int how, const fct_stage_tick *tick,
                       int *fd)
{
    char path[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(path, home, name));
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: %s", path, strerror(errno));
    for (int turn = 0; flock(*fd, how | LOCK_NB) != 0; turn++) {
        if (errno != EINTR && errno != EWOULDBLOCK) {
            fct_status status = FCT_FAIL(FCT_E_IO, "%s: cannot lock: %s", path, strerror(errno));
            close(*fd);
            *fd = -1;
            return status;
        }
        if (turn == TURNS_TO_TELL)
            FCT_INFO("%s: waiting for another process that copies", home);
        fct_stage_moved(tick);
        fct_clock_sleep_s(nap_s);
    }
    return FCT_OK;
}

// The lock that we hold is the one that others will find: nobody removed it meanwhile.
static int is_still_there(const char *home, int fd)
{
    struct stat mine, theirs;
    char path[FCT_PATH_MAX];
    return fct_path_join(path, home, "use.lock") == FCT_OK && fstat(fd, &mine) == 0 &&
           stat(path, &theirs) == 0 && mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev;
}

static fct_status enter(const char *home, const fct_stage_tick *tick, int *fd)
{
    struct stat st;
    for (int turn = 0; turn < MOST_TURNS; turn++) {
        if (mkdir(home, 0700) != 0 && errno != EEXIST)
            return FCT_FAIL(FCT_E_IO, "%s: %s", home, strerror(errno));
        if (lstat(home, &st) == 0 && (!S_ISDIR(st.st_mode) || st.st_uid != getuid()))
            return FCT_FAIL(FCT_E_IO, "%s: is not a folder of this user's", home);
        if (lock(home, "use.lock", LOCK_SH, tick, fd) != FCT_OK)
            continue;
        if (is_still_there(home, *fd))
            return FCT_OK;
        close(*fd);
        *fd = -1;
    }
    return FCT_FAIL(FCT_E_IO, "%s: cannot be used: %s", home, fct_fail_text());
}

// ---- items

// The folder of an item's copies; what to open there.
static fct_status place_item(const char *home, fct_stage_item *item, char folder[FCT_PATH_MAX])
{
    char *whole = realpath(item->path, NULL), name[24];
    if (!whole)
        return FCT_FAIL(FCT_E_IO, "%s: %s", item->path, strerror(errno));
    int is_folder = fct_path_is_folder(whole);
    snprintf(name, sizeof name, "%016llx", (unsigned long long)XXH3_64bits(whole, strlen(whole)));
    fct_status status = fct_path_join(folder, home, name);
    if (status == FCT_OK)
        status = is_folder ? fct_path_join(item->staged, folder, "")
                           : fct_path_join(item->staged, folder, strrchr(whole, '/') + 1);
    free(whole);
    return status;
}

// Calls `with` on each shard of the item: its source and its copy.
static fct_status each_shard(const fct_stage_item *item, const char *folder,
                             fct_status (*with)(const char *, const char *, void *), void *ctx)
{
    char name[FCT_PATH_MAX], from[FCT_PATH_MAX], to[FCT_PATH_MAX];
    fct_names splits = { 0 };
    int count = 0;
    if (!fct_path_is_folder(item->path))
        return with(item->path, item->staged, ctx);
    fct_status status = fct_shard_list(item->path, item->split, &splits, &count);
    fct_names_release(&splits);
    for (int i = 0; i < count && status == FCT_OK; i++) {
        if (snprintf(name, sizeof name, FCT_SHARD_FILE_FORMAT, item->split, i, count) >=
            (int)sizeof name)
            return FCT_FAIL(FCT_E_ARG, "%s: the name of the split is too long", item->path);
        FCT_TRY(fct_path_join(from, item->path, name));
        FCT_TRY(fct_path_join(to, folder, name));
        status = with(from, to, ctx);
    }
    return status;
}

static fct_status count_shard(const char *from, const char *to, void *ctx)
{
    fct_stage_report *report = ctx;
    int64_t bytes;
    int is_there;
    FCT_TRY(fct_stage_compare(from, to, &bytes, &is_there));
    report->bytes += bytes;
    report->copied += is_there ? 0 : bytes;
    return FCT_OK;
}

static fct_status copy_shard(const char *from, const char *to, void *ctx)
{
    int64_t bytes;
    int is_there;
    FCT_TRY(fct_stage_compare(from, to, &bytes, &is_there));
    return is_there ? FCT_OK : fct_stage_copy(from, to, ctx);
}

static fct_status want_shard(const char *from, const char *to, void *ctx)
{
    int64_t bytes;
    int is_there;
    (void)ctx;
    FCT_TRY(fct_stage_compare(from, to, &bytes, &is_there));
    return is_there ? FCT_OK : FCT_FAIL(FCT_E_IO, "%s: no whole copy of %s", to, from);
}

static fct_status check_room(const char *home, const fct_stage_report *report)
{
    unsigned long long room;
    char needs[32], has[32];
    FCT_TRY(fct_path_free_bytes(home, &room));
    if ((unsigned long long)report->copied <= room)
        return FCT_OK;
    fct_text_bytes((double)report->copied, needs);
    fct_text_bytes((double)room, has);
    return FCT_FAIL(FCT_E_IO, "%s: the shards need %s, %s are free there", home, needs, has);
}

// Copies that a killed process began. Under copy.lock nobody else has any.
static void remove_begun(const char *folder)
{
    char path[FCT_PATH_MAX];
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (fct_text_ends_with(e->d_name, FCT_STAGE_BEGUN) &&
            fct_path_join(path, folder, e->d_name) == FCT_OK)
            unlink(path);
    if (dir)
        closedir(dir);
}

// Before anything is copied into it: the copies of a job that is killed go with the next one's.
static void mark(const char *folder)
{
    char path[FCT_PATH_MAX];
    if (fct_path_join(path, folder, "remove") != FCT_OK)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static fct_status copy_items(fct_stage *s, fct_stage_item *item, int n, fct_stage_report *report)
{
    char folder[FCT_PATH_MAX];
    for (int i = 0; i < n; i++) {
        FCT_TRY(place_item(s->home, &item[i], folder));
        remove_begun(folder);
        FCT_TRY(each_shard(&item[i], folder, count_shard, report));
    }
    FCT_TRY(check_room(s->home, report));
    for (int i = 0; i < n; i++) {
        fct_stage_report mine = { 0 };
        FCT_TRY(place_item(s->home, &item[i], folder));
        FCT_TRY(each_shard(&item[i], folder, count_shard, &mine));
        if (mine.copied == 0)
            continue;
        FCT_TRY(fct_path_make_folders(folder));
        mark(folder);
        FCT_TRY(each_shard(&item[i], folder, copy_shard, &s->tick));
    }
    return FCT_OK;
}

fct_status fct_stage_create(const char *root, fct_stage_item *item, int n, fct_stage_tick tick,
                            fct_stage **out, fct_stage_report *report)
{
    fct_stage *s = calloc(1, sizeof *s);
    int copy_lock;
    *report = (fct_stage_report){ 0 };
    fct_status status = s ? FCT_OK : FCT_FAIL_NOMEM(sizeof *s, "staging");
    FCT_TRY(status);
    s->use_lock = -1;
    s->tick = tick;
    status = find_home(root, s->home);
    if (status == FCT_OK)
        status = enter(s->home, &s->tick, &s->use_lock);
    if (status == FCT_OK)
        status = lock(s->home, "copy.lock", LOCK_EX, &s->tick, &copy_lock);
    if (status == FCT_OK) {
        status = copy_items(s, item, n, report);
        close(copy_lock);
    }
    if (status == FCT_OK)
        *out = s;
    else
        fct_stage_destroy(s);
    return status;
}

fct_status fct_stage_find(const char *root, fct_stage_item *item, int n)
{
    char home[FCT_PATH_MAX], folder[FCT_PATH_MAX];
    FCT_TRY(find_home(root, home));
    for (int i = 0; i < n; i++) {
        FCT_TRY(place_item(home, &item[i], folder));
        FCT_TRY(each_shard(&item[i], folder, want_shard, NULL));
    }
    return FCT_OK;
}

// ---- the end

// Nobody else is here: every folder whose copier wanted it removed goes, and the rest when empty.
static void remove_marked(const char *home)
{
    char folder[FCT_PATH_MAX], path[FCT_PATH_MAX];
    DIR *dir = opendir(home);
    int left = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strlen(e->d_name) != 16 || fct_path_join(folder, home, e->d_name) != FCT_OK ||
            fct_path_join(path, folder, "remove") != FCT_OK)
            continue;
        if (fct_path_is_file(path))
            fct_path_remove(folder);
        else
            left++;
    }
    if (dir)
        closedir(dir);
    if (left == 0)
        fct_path_remove(home);
}

void fct_stage_destroy(fct_stage *s)
{
    if (!s)
        return;
    if (s->use_lock >= 0) {
        if (flock(s->use_lock, LOCK_EX | LOCK_NB) == 0)
            remove_marked(s->home);
        close(s->use_lock);
    }
    free(s);
}
