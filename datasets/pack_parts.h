// SPDX-License-Identifier: Apache-2.0
// The stages of pack: scan -> layout -> labels -> plan (on rank 0, then known to all) -> shards.
// Seen by pack_*.c only.
#ifndef FACET_PACK_PARTS_H
#define FACET_PACK_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "facet/pack.h"

enum { FCT_PACK_SPLITS_MAX = 3, FCT_PACK_NAME_BYTES = 16, FCT_PLAN_SECTIONS = 7 };

// ---- scan: what lies under the input folder

typedef struct {
    size_t name; // offset of its path in scan->names, relative to the input, '/' between parts
    int64_t size_bytes, mtime_ns;
} fct_scan_file;

typedef struct {
    fct_text names;      // paths, each closed by 0
    fct_scan_file *file; // sorted by the bytes of their paths
    size_t files, capacity;
    fct_text excluded; // path 0 reason 0 ... of what is never opened, sorted
    int64_t ignored;   // files that are no pictures
} fct_scan;

// Not collective. Follows no symbolic link below `input`. E_IO when a folder cannot be read.
fct_status fct_scan_folder(const char *input, fct_scan *out);
void fct_scan_release(fct_scan *scan);
const char *fct_scan_path(const fct_scan *scan, size_t i);

// ---- layout: what the folders' names say

typedef enum { FCT_PACK_EXPRESSION, FCT_PACK_IDENTITY, FCT_PACK_FLAT } fct_pack_kind;
enum {
    FCT_LABEL_NONE = -1,
    FCT_LABEL_DROP = -2,  // the class map leaves it out
    FCT_LABEL_ASTRAY = -3 // lies in no class folder
};

typedef struct {
    fct_pack_kind kind;
    int has_splits; // the input's first folder level names the split
    int labels;     // classes or persons
    fct_text names; // the labels' names, each closed by 0
    int32_t *label; // one a file of the scan
    int8_t *split;  // one a file: index into fct_pack_split_names
} fct_layout;

extern const char *const fct_pack_split_names[FCT_PACK_SPLITS_MAX]; // train val test

// Not collective. E_ARG names the folder that does not fit, with the nearest alias.
fct_status fct_layout_find(const fct_scan *scan, const fct_pack_spec *spec, fct_layout *out);
void fct_layout_release(fct_layout *layout);

// The classes that folder names stand for, by the aliases or by a class map.
typedef struct fct_class_map fct_class_map;
// `spec`: "file.json" or "a=happy,b=sad"; NULL: the aliases and AffectNet's numbers. folders (n).
fct_status fct_class_map_create(const char *spec, const char *const *folder, size_t n,
                                fct_class_map **out);
void fct_class_map_destroy(fct_class_map *map);
// The class of a folder, FCT_LABEL_DROP for one to leave out.
fct_status fct_class_map_find(const fct_class_map *map, const char *folder, int32_t *out);
int fct_class_map_classes(const fct_class_map *map);
const char *fct_class_map_name(const fct_class_map *map, int i);
// 1 for an alias or one of AffectNet's numbers 0 .. 10.
int fct_class_map_knows(const char *folder);

// ---- keyed labels: rows of a file whose keys are picture paths

typedef struct {
    const char *file; // for messages
    fct_text blob;    // the keys as written, each closed by 0
    size_t *at;       // offset of each key in blob
    size_t keys, capacity;
} fct_keys;

fct_status fct_keys_add(fct_keys *keys, const char *key);
void fct_keys_release(fct_keys *keys);
const char *fct_keys_name(const fct_keys *keys, size_t i);
// Not collective. row_out (files): the key that means each file, -1 none. A key fits a file when
// one's path is the end of the other's (whole parts); the longest common end wins; E_ARG when two
// do.
fct_status fct_keys_match(const fct_keys *keys, const char *input, const fct_scan *scan,
                          int32_t *row_out);

// Landmarks of the cache: point (rows, points, 2).
typedef struct {
    fct_keys keys;
    fct_text point;
    int points;
} fct_landmark_cache;
// `files`: one or several, separated by commas.
fct_status fct_landmark_cache_load(const char *files, fct_landmark_cache *out);
void fct_landmark_cache_release(fct_landmark_cache *cache);

// Action units of a csv: value (rows, units) int8.
typedef struct {
    fct_keys keys;
    fct_text value;
    fct_text names; // each closed by 0
    int units;
} fct_unit_table;
fct_status fct_unit_table_load(const char *file, fct_unit_table *out);
void fct_unit_table_release(fct_unit_table *table);

// ---- plan: everything that decides what the shards hold, as one block of bytes

typedef struct {
    uint64_t name; // offset in plan->text
    int64_t size_bytes, mtime_ns;
    int32_t label, landmark, unit; // rows of the tables, -1 none
    int32_t split;
} fct_plan_row;

typedef struct {
    char name[FCT_PACK_NAME_BYTES];
    int64_t first, rows, shards; // rows [first, first + rows) of the plan
    int64_t path_bytes;          // fixed length of the path column
} fct_plan_split;

typedef struct {
    int32_t kind, labels, points, units;
    int32_t height, width, fit, is_jpeg, quality, splits;
    int64_t max_pixels, max_bytes, max_scans;
    int64_t rows, excluded, ignored, dropped, unmatched_landmarks, unmatched_units;
    fct_plan_split split[FCT_PACK_SPLITS_MAX];
    int64_t section_bytes[FCT_PLAN_SECTIONS]; // of what follows the head, each on a multiple of 8
} fct_plan_head;

typedef struct {
    const fct_plan_head *head;
    const fct_plan_row *row;
    const char *text, *label_names, *unit_names, *excluded;
    const float *point;  // (n, points, 2)
    const int8_t *value; // (n, units)
    void *bytes;         // owns all of the above
    size_t size;
    uint64_t hash; // of bytes and of where they come from
} fct_plan;

// Not collective. Scans, labels, splits; the bytes of the plan for fct_plan_open.
fct_status fct_plan_make(const fct_pack_spec *spec, fct_text *out);
// Takes `bytes` over, also on failure.
fct_status fct_plan_open(void *bytes, size_t size, const fct_pack_spec *spec, fct_plan *out);
void fct_plan_close(fct_plan *plan);
void fct_plan_preprocessing(const fct_plan_head *head, char out[128]);
// Rows of shard i of a split.
void fct_plan_shard(const fct_plan_split *split, int64_t i, int64_t *first, int64_t *count);
// The i-th of names that are closed by 0 each.
const char *fct_pack_name_at(const char *names, int i);

// ---- work: pictures read, decoded and fitted by threads, handed out in order

typedef struct {
    uint8_t *picture; // as stored; valid until the next call
    size_t bytes;
    uint64_t checksum;
    float *landmark; // (points, 2), when has_landmarks
    int has_landmarks;
    int is_cut;      // had landmarks, but the fit left some outside the picture
    const char *bad; // why it is left out, NULL when it is not
} fct_packed;

typedef struct fct_workers fct_workers;
// `row_of` (n): rows of the plan in the order in which they are handed out. E_NOMEM.
fct_status fct_workers_create(const fct_pack_spec *spec, const fct_plan *plan,
                              const int64_t *row_of, int64_t n, fct_workers **out);
void fct_workers_destroy(fct_workers *w);
// The next row's picture. Fails for what is no fault of the picture (no memory, too many files).
fct_status fct_workers_next(fct_workers *w, fct_packed *out);

// ---- shard: rows appended, then closed as an HDF5 file

// What is known of a shard once it is done; also what its .done.tmp holds.
typedef struct {
    int64_t split, index;
    int64_t rows, bytes; // pictures kept, bytes of `images` or `bytes`
    uint64_t data_hash;
    int64_t cut; // pictures whose landmarks were left outside by the fit
    int64_t bad; // pictures left out; their rows and reasons follow in text form
} fct_shard_record;

typedef struct fct_shard_writer fct_shard_writer;
fct_status fct_shard_writer_create(const fct_pack_spec *spec, const fct_plan *plan, int split,
                                   int64_t index, fct_shard_writer **out);
fct_status fct_shard_writer_add(fct_shard_writer *w, int64_t row, const fct_packed *picture);
// Makes the file durable under its .tmp name and tells what it holds.
fct_status fct_shard_writer_finish(fct_shard_writer *w, fct_shard_record *out);
void fct_shard_writer_destroy(fct_shard_writer *w);
// OUTPUT/<split>-00000-of-00008.h5 followed by `suffix`.
fct_status fct_pack_shard_path(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                               int64_t index, const char *suffix, char out[4096]);

// ---- journal: shards that are done

// `records` are those of several shards, one behind the other, each with its notes: what happened
// to a row. A note is its row in decimal behind 'b' (bad, left out) or 'c' (the fit cut its
// landmarks off), 0, the reason, 0. Both functions append to records.
fct_status fct_journal_write(const fct_pack_spec *spec, const fct_plan *plan,
                             const fct_shard_record *record, const fct_text *notes,
                             fct_text *records);
// 1 when the shard is done under this very plan.
int fct_journal_read(const fct_pack_spec *spec, const fct_plan *plan, int64_t split, int64_t index,
                     fct_text *records);
fct_status fct_journal_forget(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                              int64_t index);
// Walks records; *at starts at 0. 0 at the end.
int fct_journal_next(const char *records, size_t n, size_t *at, fct_shard_record *record,
                     const char **notes, size_t *notes_bytes);
// Walks notes; *at starts at 0. 0 at the end.
int fct_journal_next_note(const char *notes, size_t n, size_t *at, char *kind, int64_t *row,
                          const char **reason);

// ---- the end: names, the file that shows all shards as one, bad.csv, the summary

// Keeps other packs off OUTPUT until let go of; E_ARG when one is at work there. fd -1 is let go
// for free.
fct_status fct_pack_hold(const char *output, int *fd_out);
void fct_pack_let_go(const char *output, int fd);
// Readies OUTPUT: *is_done when it holds this very plan's finished set; E_ARG when it holds shards
// of another one. Removes unfinished shards of other plans. Holds OUTPUT for this process until it
// ends.
fct_status fct_pack_prepare(const fct_pack_spec *spec, const fct_plan *plan, int *is_done);
// `records`: of all shards. Gives the shards their names, shows them as one, writes bad.csv.
fct_status fct_pack_publish(const fct_pack_spec *spec, const fct_plan *plan, const char *records,
                            size_t n);
// record (shards of the split, in order).
fct_status fct_virtual_write(const fct_pack_spec *spec, const fct_plan *plan, int split,
                             const fct_shard_record *record);
// 1 when OUTPUT/<split>.h5 was made by this plan, 0 when by another one, -1 when there is none.
int fct_virtual_is_of_plan(const char *path, uint64_t plan_hash);
fct_status fct_pack_summarise(const fct_plan *plan, const char *records, size_t n, fct_text *out);

#endif
