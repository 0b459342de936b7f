// SPDX-License-Identifier: Apache-2.0
// The stages of pack: scan -> layout -> labels -> plan (on rank 0, then known to all) -> shards.
// Seen by pack_*.c only.
#ifndef FACET_PACK_PARTS_H
#define FACET_PACK_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "facet/pack.h"

enum { FCT_PACK_SPLITS_MAX = 3, FCT_PACK_NAME_BYTES = 16, FCT_PLAN_SECTIONS = 10 };
enum { FCT_PACK_DATA_AT = 4096 }; // where the pictures lie in a shard

// What a long step calls now and then: it is to end with the status that is not FCT_OK. NULL: none.
typedef struct {
    fct_status (*call)(void *ctx);
    void *ctx;
} fct_pack_tick;

// ---- scan: what lies under the input folder, or in the one file that holds all pictures

typedef enum {
    FCT_SOURCE_FOLDER,
    FCT_SOURCE_RECORDS, // .rec
    FCT_SOURCE_BIN      // .bin of a verification set
} fct_source_kind;

typedef struct {
    size_t name; // offset of its path in scan->names, relative to the input, '/' between parts
    int64_t size_bytes, mtime_ns;
    int64_t at; // its place in the file that holds all pictures, 0 in a folder
} fct_scan_file;

typedef struct {
    fct_source_kind source;
    int64_t source_bytes, source_mtime_ns; // of the file that holds all pictures, else 0
    fct_text names;                        // paths, each closed by 0
    fct_scan_file *file;                   // sorted by the bytes of their paths
    size_t files, capacity;
    fct_text excluded; // path 0 reason 0 ... of what is never opened, sorted
    int64_t ignored;   // files that are no pictures
} fct_scan;

// Not collective. Follows no symbolic link below `input`. E_IO when a folder cannot be read.
fct_status fct_scan_folder(const char *input, const fct_pack_tick *tick, fct_scan *out);
// The pictures of a .rec, named LABEL/KEY.jpg. E_FORMAT when an .idx beside it names what is not
// there.
fct_status fct_scan_records(const char *path, const fct_pack_tick *tick, fct_scan *out);
// For those that fill a scan: a picture; something left out, and why; at the end, the order of
// paths.
fct_status fct_scan_add(fct_scan *scan, const char *path, int64_t size_bytes, int64_t mtime_ns,
                        int64_t at);
void fct_scan_exclude(fct_scan *scan, const char *path, const char *reason);
fct_status fct_scan_sort(fct_scan *scan);
void fct_scan_release(fct_scan *scan);
const char *fct_scan_path(const fct_scan *scan, size_t i);

// ---- layout: what the folders' names say

typedef enum { FCT_PACK_EXPRESSION, FCT_PACK_IDENTITY, FCT_PACK_FLAT } fct_pack_kind;
enum {
    FCT_LABEL_NONE = -1,
    FCT_LABEL_DROP = -2,   // the class map leaves it out
    FCT_LABEL_ASTRAY = -3, // lies in no class folder
    FCT_LABEL_TOLD = -4,   // left out and counted, or why is among what the scan excluded
    FCT_LABEL_LISTED = -5, // of a person that spec->leave_out names
    FCT_LABEL_FEW = -6     // of a person with fewer pictures than spec->min_pictures
};

typedef struct {
    fct_pack_kind kind;
    int has_splits;  // the input's first folder level names the split
    int labels;      // classes or persons
    fct_text names;  // the labels' names, each closed by 0
    int32_t *label;  // one a file of the scan
    int8_t *split;   // one a file: index into fct_pack_split_names
    int listed, few; // persons left out by their names, and since they have few pictures
    int unknown;     // names of spec->leave_out that no person has
} fct_layout;

extern const char *const fct_pack_split_names[FCT_PACK_SPLITS_MAX]; // train val test

// Not collective. E_ARG names the folder that does not fit, with the nearest alias.
fct_status fct_layout_find(const fct_scan *scan, const fct_pack_spec *spec, fct_layout *out);
void fct_layout_release(fct_layout *layout);
// Leaves persons out as spec->leave_out and spec->min_pictures say; those that stay are numbered
// from 0.
fct_status fct_layout_filter(const fct_scan *scan, const fct_pack_spec *spec, fct_layout *layout);

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

// Landmarks of label files: point (rows, points, 2).
typedef struct {
    fct_keys keys;
    fct_text point;
    int points;
    int in_pixels; // of the upright picture as it is stored; else in 0..1 of it
} fct_landmark_cache;
typedef struct {
    const char *files; // one or several, separated by commas; a folder is one too
    int of_68;         // how many are kept of 68 points: 5 or 10
    int width, height; // of the pictures whose pixels the files count; 0: of those that are there
    const fct_scan *scan; // for files that name no picture
} fct_landmark_spec;
// E_FORMAT, E_ARG or E_IO with file, line or picture, and cause.
fct_status fct_landmark_cache_load(const fct_landmark_spec *spec, fct_landmark_cache *out);
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

// ---- plan: everything that decides what the shards hold, as one file that all ranks map

typedef struct {
    uint64_t name;                    // offset in plan->text
    int64_t size_bytes, mtime_ns, at; // as in fct_scan_file
    int32_t label, landmark, unit;    // rows of the tables, -1 none
    int32_t split;
    int32_t box, affect; // as label
} fct_plan_row;

typedef struct {
    char name[FCT_PACK_NAME_BYTES];
    int64_t first, rows, shards; // rows [first, first + rows) of the plan
    int64_t path_bytes;          // fixed length of the path column
} fct_plan_split;

typedef struct {
    char magic[8];
    uint64_t hash; // of the file with this field and `ignored` 0
    int32_t kind, labels, points, units;
    int32_t height, width, fit, is_jpeg, quality, splits;
    int32_t is_aligned, keeps_unmarked, in_pixels, has_affect;
    int32_t source, listed, few, unknown; // fct_source_kind; as in fct_layout
    int64_t source_bytes, source_mtime_ns, min_pictures;
    int64_t max_pixels, max_bytes, max_scans;
    int64_t rows, excluded, ignored, dropped, filtered, unmatched_landmarks, unmatched_units;
    int64_t unmarked;                  // left out since they have no landmarks
    int64_t expressionless[3];         // AffectNet's none, uncertain, no face; all are in `dropped`
    int64_t unlisted, unmatched_faces; // pictures in no list of faces; faces of no picture
    fct_plan_split split[FCT_PACK_SPLITS_MAX];
    int64_t section_bytes[FCT_PLAN_SECTIONS]; // of what follows the head, each on a multiple of 8
} fct_plan_head;

typedef struct {
    const fct_plan_head *head;
    const fct_plan_row *row; // by split, then by the bytes of their paths; so is `text`
    const char *text, *label_names, *unit_names, *excluded;
    const float *point;  // (n, points, 2), in pixels or in 0..1
    const int32_t *box;  // (n, 4): left, top, width, height of the face in pixels
    const float *affect; // (n, 2): valence, arousal, NaN none
    const int8_t *value; // (n, units)
    const char *source;  // the input folder as it was given
    void *bytes;         // the mapping: of every shard only its own pages are ever in memory
    size_t size;
    uint64_t hash;
} fct_plan;

// What the plan is written from; only the rank that makes it holds one.
typedef struct {
    fct_scan scan;
    fct_layout layout; // split: of every file that stays
    fct_landmark_cache landmarks;
    fct_unit_table units;
    fct_text box, affect; // tables of the plan
    // (files), -1 none; NULL without such labels
    int32_t *landmark_of, *unit_of, *box_of, *affect_of;
    fct_plan_head head;
} fct_plan_draft;

// Not collective. Leaves out what --align cannot place, each with its reason; E_ARG when it can
// place nothing.
fct_status fct_plan_mark(const fct_pack_spec *spec, fct_plan_draft *draft);
// Not collective. Scans, labels, splits; writes the plan to `file`.
fct_status fct_plan_make(const fct_pack_spec *spec, const fct_pack_tick *tick, const char *file);
fct_status fct_plan_write(const fct_pack_spec *spec, fct_plan_draft *draft, const char *file);
// Not collective. Maps a plan that facet wrote; E_FORMAT when it is torn or of another version.
fct_status fct_plan_open(const char *file, fct_plan *out);
void fct_plan_close(fct_plan *plan);
// Not collective. In words, the first thing in which two plans differ; reads the whole of `old`.
void fct_plan_tell_difference(const fct_plan *old, const fct_plan *now, fct_text *out);
void fct_plan_preprocessing(const fct_plan_head *head, char out[128]);
// Rows of shard i of a split.
void fct_plan_shard(const fct_plan_split *split, int64_t i, int64_t *first, int64_t *count);
// Shards are numbered over all splits, from 0.
int64_t fct_plan_shards(const fct_plan *plan);
void fct_plan_locate(const fct_plan *plan, int64_t number, int *split, int64_t *index);
int64_t fct_plan_number(const fct_plan *plan, int64_t split, int64_t index);
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
    int is_outside;  // some of its landmarks lie outside of the picture as it was
    const char *bad; // why it is left out, NULL when it is not
} fct_packed;

typedef struct fct_workers fct_workers;
fct_status fct_workers_create(const fct_pack_spec *spec, const fct_plan *plan, fct_workers **out);
// Rows [first, first + count) of the plan come after all that were added before; at most two such
// ranges wait.
void fct_workers_add(fct_workers *w, int64_t first, int64_t count);
// How many pictures the threads are ahead of the writer at most.
int64_t fct_workers_ahead(const fct_workers *w);
void fct_workers_destroy(fct_workers *w);
// The next row's picture, of those that were added. Fails for what is no fault of the picture (no
// memory, too many files).
fct_status fct_workers_next(fct_workers *w, fct_packed *out);

// ---- shard: rows appended, then closed as an HDF5 file

// What is known of a shard once it is done; also what its .done.tmp holds.
typedef struct {
    int64_t split, index;
    int64_t rows, bytes; // pictures kept, bytes of `images` or `bytes`
    uint64_t data_hash;
    uint64_t frame_hash; // of all bytes of the file that are not pictures
    int64_t cut;         // pictures whose landmarks were left outside by the fit
    int64_t bad;         // pictures left out; their rows and reasons follow in text form
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
// landmarks off), 0, the reason, 0. write and read append to records.
fct_status fct_journal_write(const fct_pack_spec *spec, const fct_plan *plan,
                             fct_shard_record *record, const fct_text *notes, fct_text *records);
// 1 when the shard is done under this very plan, and all of it but its pictures is unharmed.
int fct_journal_read(const fct_pack_spec *spec, const fct_plan *plan, int64_t split, int64_t index,
                     fct_text *records);
// 1 when `file` is a shard's record; *plan_hash: of the plan under which it was made.
int fct_journal_plan(const char *file, uint64_t *plan_hash);
fct_status fct_journal_forget(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                              int64_t index);
// The records of all shards in order of their numbers, each once, however many times and in
// whatever order they come in. E_IO when one is missing.
fct_status fct_journal_sort(const fct_plan *plan, const char *records, size_t n, fct_text *out);
// Walks records; *at starts at 0. 0 at the end.
int fct_journal_next(const char *records, size_t n, size_t *at, fct_shard_record *record,
                     const char **notes, size_t *notes_bytes);
// Walks notes; *at starts at 0. 0 at the end.
int fct_journal_next_note(const char *notes, size_t n, size_t *at, char *kind, int64_t *row,
                          const char **reason);

// ---- share: which shards are still to be made, and who makes which

typedef struct {
    const fct_pack_spec *spec;
    const fct_plan *plan;
    int rank, ranks;
    int64_t *missing; // numbers of the shards that are to be made
    int64_t shards, rows;
    int64_t tried; // of `missing`, by this rank
} fct_pack_share;

// is_there (shards of the plan): 1 for what needs not be made.
fct_status fct_pack_share_create(const fct_pack_spec *spec, const fct_plan *plan, int rank,
                                 int ranks, const int64_t *is_there, fct_pack_share *out);
void fct_pack_share_release(fct_pack_share *share);
// Not collective. The next shard that this rank is to make, -1 when none is left. Each rank begins
// at its own part and then helps the others: whoever creates a shard's claim file makes it, so a
// slow rank delays the others by no more than a shard. What is made does not depend on it.
fct_status fct_pack_share_next(fct_pack_share *share, int64_t *number);
fct_status fct_pack_share_forget(const fct_pack_spec *spec, const fct_plan *plan, int64_t split,
                                 int64_t index);

// ---- the output folder: whose it is, and what runs that were stopped left there

#define FCT_PACK_PLAN_NAME "pack.plan.tmp"     // of the pack that is under way
#define FCT_PACK_NEW_NAME  "pack.plan.new.tmp" // until it is known that it may be
#define FCT_PACK_STOP_NAME "pack.stop.tmp"     // a rank had to stop: the others need not go on

// Keeps other packs off OUTPUT until let go of; E_ARG when one is at work there. fd -1 is let go
// for free.
fct_status fct_pack_hold(const char *output, int *fd_out);
void fct_pack_let_go(const char *output, int fd);
typedef enum { FCT_OUTPUT_OPEN, FCT_OUTPUT_DONE } fct_output_state;
// Readies OUTPUT. DONE when it holds this very plan's finished set; E_ARG, with the difference in
// words, when it holds a set or finished shards of another plan, unless spec->force removes those.
// Removes what else runs that were stopped left. is_there (shards of the plan): 1 for those with a
// record.
fct_status fct_pack_prepare(const fct_pack_spec *spec, const fct_plan *plan, int64_t *is_there,
                            fct_output_state *state);

// ---- the end: names, the file that shows all shards as one, bad.csv, the summary

// `records`: of all shards, sorted. Gives the shards their names, shows them as one, writes
// bad.csv.
fct_status fct_pack_publish(const fct_pack_spec *spec, const fct_plan *plan, const char *records,
                            size_t n);
// record (shards of the split, in order).
fct_status fct_virtual_write(const fct_pack_spec *spec, const fct_plan *plan, int split,
                             const fct_shard_record *record);
// 1 when OUTPUT/<split>.h5 was made by this plan, 0 when by another one, -1 when there is none.
int fct_virtual_is_of_plan(const char *path, uint64_t plan_hash);
fct_status fct_pack_summarise(const fct_plan *plan, const char *records, size_t n, fct_text *out);

#endif
