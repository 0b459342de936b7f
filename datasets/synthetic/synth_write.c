// SPDX-License-Identifier: Apache-2.0
// The output folder: class and person folders, pictures, landmarks.json, au.csv.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "facet/path.h"
#include "facet/text.h"
#include "synth_plan.h"

static fct_status refuse_used_folder(const char *path)
{
    DIR *folder = opendir(path);
    int entries = 0;
    if (!folder)
        return FCT_FAIL(FCT_E_IO, "%s: cannot open folder: %s", path, strerror(errno));
    for (struct dirent *e = readdir(folder); e; e = readdir(folder))
        entries += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(folder);
    if (entries == 0)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG,
                    "%s: is not empty (%d entries), nothing was drawn\n"
                    "remove it or choose another folder with -o",
                    path, entries);
}

static fct_status make_folder(const fct_synth_plan *plan, const char *set, const char *name)
{
    char part[128], path[FCT_PATH_MAX];
    snprintf(part, sizeof part, "%s/%s", set, name);
    FCT_TRY(fct_path_join(path, plan->spec->output, part));
    return fct_path_make_folders(path);
}

static fct_status make_subfolders(const fct_synth_plan *plan)
{
    char name[32];
    const fct_synth_spec *spec = plan->spec;
    for (int c = 0; spec->expression > 0 && c < spec->classes; c++) {
        fct_synth_class_folder(spec, c, name);
        FCT_TRY(make_folder(plan, fct_synth_set_names[FCT_SYNTH_EXPRESSION], name));
    }
    for (int64_t person = 0; person < spec->identities; person++) {
        snprintf(name, sizeof name, "%04lld", (long long)person);
        FCT_TRY(make_folder(plan, fct_synth_set_names[FCT_SYNTH_IDENTITY], name));
    }
    for (int64_t i = 0; i < plan->count[FCT_SYNTH_PAIRS]; i += FCT_SYNTH_PAIR_PICTURES) {
        snprintf(name, sizeof name, "%04lld", (long long)plan->picture[FCT_SYNTH_PAIRS][i].person);
        FCT_TRY(make_folder(plan, fct_synth_set_names[FCT_SYNTH_PAIRS], name));
    }
    return FCT_OK;
}

fct_status fct_synth_folders_make(const fct_synth_plan *plan)
{
    const char *output = plan->spec->output;
    FCT_TRY(fct_path_make_folders(output));
    FCT_TRY(refuse_used_folder(output));
    fct_status status = make_subfolders(plan);
    if (status != FCT_OK)
        fct_synth_remove_all(plan);
    return status;
}

// No fsync: what is lost in a power cut is drawn again.
fct_status fct_synth_file_write(const char *folder, const char *path, const void *bytes, size_t n)
{
    char full[FCT_PATH_MAX];
    FCT_TRY(fct_path_join(full, folder, path));
    int fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return FCT_FAIL(FCT_E_IO, "%s: cannot create: %s", full, strerror(errno));
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(fd, (const char *)bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            break;
        done += (size_t)k;
    }
    int failed = done < n ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (failed)
        return FCT_FAIL(FCT_E_IO, "%s: cannot write: %s%s", full, strerror(failed),
                        failed == ENOSPC ? "\nfree some space or choose another folder with -o"
                                         : "");
    return FCT_OK;
}

static fct_status write_text(const fct_synth_plan *plan, const char *name, fct_text *text)
{
    char path[FCT_PATH_MAX];
    fct_status status = fct_path_join(path, plan->spec->output, name);
    if (status == FCT_OK && text->failed)
        status = FCT_FAIL_NOMEM(text->size, name);
    if (status == FCT_OK)
        status = fct_path_replace(path, text->data, text->size);
    fct_text_release(text);
    return status;
}

// {"expression/happy/000001.jpg": [[x, y], ...], ...}: normalised, image-left first.
static fct_status write_landmarks(const fct_synth_plan *plan, int set)
{
    char name[64];
    fct_text text = { 0 };
    fct_text_add(&text, "{");
    for (int64_t i = 0; i < plan->count[set]; i++) {
        const fct_synth_picture *p = &plan->picture[set][i];
        fct_text_add(&text, "%s\n\"%s\": [", i ? "," : "", p->path);
        for (int l = 0; l < plan->spec->landmarks; l++)
            fct_text_add(&text, "%s[%.5f, %.5f]", l ? ", " : "", (double)p->landmarks[2 * l],
                         (double)p->landmarks[2 * l + 1]);
        fct_text_add(&text, "]");
    }
    fct_text_add(&text, "\n}\n");
    snprintf(name, sizeof name, "%s_landmarks.json", fct_synth_set_names[set]);
    return write_text(plan, name, &text);
}

// path,AU1,AU2,...: 1 shown, 0 not shown, empty: hidden by something in front of the face.
static fct_status write_units(const fct_synth_plan *plan, int set)
{
    static const char *const cell[] = { ",", ",0", ",1" };
    char name[64];
    fct_text text = { 0 };
    fct_text_add(&text, "path");
    for (int au = 0; au < FCT_AU_COUNT; au++)
        fct_text_add(&text, ",AU%d", fct_au_number[au]);
    for (int64_t i = 0; i < plan->count[set]; i++) {
        const fct_synth_picture *p = &plan->picture[set][i];
        fct_text_add(&text, "\n%s", p->path);
        for (int au = 0; au < FCT_AU_COUNT; au++)
            fct_text_add(&text, "%s", cell[p->au[au] + 1]);
    }
    fct_text_add(&text, "\n");
    snprintf(name, sizeof name, "%s_au.csv", fct_synth_set_names[set]);
    return write_text(plan, name, &text);
}

// As LFW's: ten folds of other people each, in every fold first the pairs of one person, then those
// of two.
static fct_status write_pairs(const fct_synth_plan *plan)
{
    int64_t pairs = plan->spec->pairs, people = fct_synth_pair_people(plan->spec);
    fct_text text = { 0 };
    fct_text_add(&text, "%d\t%lld\n", FCT_SYNTH_FOLDS, (long long)pairs);
    for (int64_t fold = 0; fold < FCT_SYNTH_FOLDS; fold++) {
        int64_t first = plan->spec->identities + fold * people;
        for (int64_t i = 0; i < pairs; i++)
            fct_text_add(&text, "%04lld\t1\t2\n", (long long)(first + i));
        for (int64_t i = 0; i < pairs; i++)
            fct_text_add(&text, "%04lld\t%lld\t%04lld\t%lld\n", (long long)(first + i),
                         (long long)(1 + i % 2), (long long)(first + (i + 1) % people),
                         (long long)(1 + i / 2 % 2));
    }
    return write_text(plan, "pairs.txt", &text);
}

fct_status fct_synth_labels_write(const fct_synth_plan *plan)
{
    for (int set = 0; set < FCT_SYNTH_SETS; set++) {
        if (plan->count[set] == 0)
            continue;
        FCT_TRY(write_landmarks(plan, set));
        FCT_TRY(write_units(plan, set));
    }
    return plan->spec->pairs > 0 ? write_pairs(plan) : FCT_OK;
}

// The folder was empty when the run began, so these names are ours. The message of the failure
// stays.
void fct_synth_remove_all(const fct_synth_plan *plan)
{
    static const char *const suffix[] = { "", "_landmarks.json", "_au.csv", ".txt" };
    char why[4096], name[64], path[FCT_PATH_MAX];
    snprintf(why, sizeof why, "%s", fct_fail_text());
    for (int set = 0; set < FCT_SYNTH_SETS; set++) {
        for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
            snprintf(name, sizeof name, "%s%s", fct_synth_set_names[set], suffix[i]);
            if (fct_path_join(path, plan->spec->output, name) == FCT_OK)
                (void)fct_path_remove(path);
        }
    }
    (void)fct_fail_set(FCT_E_IO, why);
}
