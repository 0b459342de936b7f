// SPDX-License-Identifier: Apache-2.0
// Which expression a folder's name means, and the order of the classes that follows from all of
// them.
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "facet/labels.h"
#include "facet/path.h"
#include "pack_parts.h"

enum { FILE_BYTES_MAX = 1 << 24 };

enum { AFFECTNET_CLASSES = 8, FER_CLASSES = 7, AFFECTNET_NUMBERS = 11, CONTEMPT = 7 };

typedef struct {
    char *folder;
    char *target; // as written; NULL: left out
    int32_t label;
} entry;

struct fct_class_map {
    const char *given; // the caller's class map, NULL for the aliases
    entry *entry;
    int entries, capacity;
    const char **name; // of the classes; into entry[].target or the built-in names
    int classes;
};

// AffectNet's 0 .. 10 (8 none, 9 uncertain, 10 no face), -1 for anything else.
static int affectnet_number(const char *folder)
{
    int64_t x;
    if (strlen(folder) > 2 || fct_text_to_i64(folder, &x) != FCT_OK || x < 0 ||
        x >= AFFECTNET_NUMBERS)
        return -1;
    return folder[0] == '0' && folder[1] ? -1 : (int)x;
}

int fct_class_map_knows(const char *folder)
{
    return fct_expression_from_alias(folder) >= 0 || affectnet_number(folder) >= 0;
}

static fct_status add_entry(fct_class_map *map, const char *folder, size_t n, const char *target)
{
    if (map->entries == map->capacity) {
        int capacity = map->capacity ? map->capacity * 2 : 16;
        entry *grown = realloc(map->entry, (size_t)capacity * sizeof *grown);
        if (!grown)
            return FCT_FAIL_NOMEM((size_t)capacity * sizeof *grown, "the class map");
        map->entry = grown;
        map->capacity = capacity;
    }
    entry *e = &map->entry[map->entries];
    *e = (entry){ strndup(folder, n), target ? strdup(target) : NULL, FCT_LABEL_DROP };
    map->entries++;
    return e->folder && (e->target || !target) ? FCT_OK : FCT_FAIL_NOMEM(n, "the class map");
}

static const entry *find_entry(const fct_class_map *map, const char *folder)
{
    for (int i = 0; i < map->entries; i++)
        if (!strcmp(map->entry[i].folder, folder))
            return &map->entry[i];
    return NULL;
}

static fct_status read_json(fct_class_map *map, const char *file)
{
    json_error_t where;
    char *text;
    size_t n;
    FCT_TRY(fct_path_read(file, FILE_BYTES_MAX, &text, &n)); // jansson would wait for a pipe
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (!root)
        return FCT_FAIL(FCT_E_ARG, "%s:%d:%d: %s", file, where.line, where.column, where.text);
    fct_status status = FCT_OK;
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        status =
            FCT_FAIL(FCT_E_ARG, "%s: a class map is an object {\"folder\": \"class\", ...}", file);
    else
        json_object_foreach(root, key, value)
        {
            if (status == FCT_OK && !json_is_string(value) && !json_is_null(value))
                status = FCT_FAIL(
                    FCT_E_ARG, "%s: folder \"%s\": its class must be a string or null", file, key);
            if (status == FCT_OK)
                status = add_entry(map, key, strlen(key), json_string_value(value));
        }
    json_decref(root);
    return status;
}

static fct_status read_pair(fct_class_map *map, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair || !equals[1])
        return FCT_FAIL(FCT_E_ARG,
                        "class map: \"%s\" is not FOLDER=CLASS\n"
                        "write a=happy,b=sad (b=null leaves b out) or name a .json file",
                        pair);
    return add_entry(map, pair, (size_t)(equals - pair),
                     strcmp(equals + 1, "null") ? equals + 1 : NULL);
}

static fct_status read_pairs(fct_class_map *map, const char *spec)
{
    char *copy = strdup(spec), *rest = copy;
    if (!copy)
        return FCT_FAIL_NOMEM(strlen(spec), "the class map");
    fct_status status = FCT_OK;
    while (status == FCT_OK && rest) {
        char *comma = strchr(rest, ',');
        if (comma)
            *comma = 0;
        status = read_pair(map, rest);
        rest = comma ? comma + 1 : NULL;
    }
    free(copy);
    return status;
}

static fct_status check_listed(const fct_class_map *map, const char *const *folder, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!find_entry(map, folder[i]))
            return FCT_FAIL(FCT_E_ARG,
                            "folder %s: the class map does not name it\n"
                            "add %s=CLASS, or %s=null to leave it out",
                            folder[i], folder[i], folder[i]);
    return FCT_OK;
}

static fct_status fail_unknown(const char *folder)
{
    const char *near = fct_expression_nearest(folder);
    return FCT_FAIL(
        FCT_E_ARG,
        "folder %s: names no expression%s%s%s\n"
        "rename it, give --class-map %s=CLASS, or say --format identity for one folder a person",
        folder, near ? "; the nearest known name is " : "", near ? near : "", near ? "" : "",
        folder);
}

// Without a map: every folder is an alias, or every folder is a number.
static fct_status read_folders(fct_class_map *map, const char *const *folder, size_t n,
                               int *are_numbers)
{
    const char *named = NULL, *numbered = NULL;
    for (size_t i = 0; i < n; i++) {
        int class = fct_expression_from_alias(folder[i]), number = affectnet_number(folder[i]);
        if (class < 0 && number < 0)
            return fail_unknown(folder[i]);
        named = class >= 0 ? folder[i] : named;
        numbered = number >= 0 ? folder[i] : numbered;
        class = class >= 0 ? class : number;
        FCT_TRY(add_entry(map, folder[i], strlen(folder[i]),
                          class < AFFECTNET_CLASSES ? fct_affectnet_names[class] : NULL));
    }
    if (named && numbered)
        return FCT_FAIL(FCT_E_ARG,
                        "folders %s and %s: one is a name, the other a number, so the numbering "
                        "is not sure\ngive --class-map with every folder's class",
                        named, numbered);
    *are_numbers = numbered != NULL;
    return FCT_OK;
}

// The classes are expressions: FER's seven when it is exactly those, else AffectNet's eight.
static fct_status number_expressions(fct_class_map *map, int are_numbers)
{
    unsigned seen = 0;
    for (int i = 0; i < map->entries; i++)
        if (map->entry[i].target)
            seen |= 1u << fct_expression_from_alias(map->entry[i].target);
    int is_fer = !are_numbers && seen == (1u << CONTEMPT) - 1;
    map->classes = is_fer ? FER_CLASSES : AFFECTNET_CLASSES;
    map->name = calloc((size_t)map->classes, sizeof *map->name);
    if (!map->name)
        return FCT_FAIL_NOMEM((size_t)map->classes * sizeof *map->name, "the class map");
    for (int c = 0; c < map->classes; c++) {
        map->name[c] = is_fer ? fct_fer_names[c] : fct_affectnet_names[c];
        for (int i = 0; i < map->entries; i++)
            if (map->entry[i].target && fct_expression_from_alias(map->entry[i].target) ==
                                            fct_expression_from_alias(map->name[c]))
                map->entry[i].label = c;
    }
    return FCT_OK;
}

// The user's own classes, in the order in which the map first names them.
static fct_status number_own(fct_class_map *map)
{
    map->name = calloc((size_t)map->entries + 1, sizeof *map->name);
    if (!map->name)
        return FCT_FAIL_NOMEM((size_t)map->entries * sizeof *map->name, "the class map");
    for (int i = 0; i < map->entries; i++) {
        int c = 0;
        if (!map->entry[i].target)
            continue;
        while (c < map->classes && strcmp(map->name[c], map->entry[i].target) != 0)
            c++;
        if (c == map->classes)
            map->name[map->classes++] = map->entry[i].target;
        map->entry[i].label = c;
    }
    return FCT_OK;
}

static fct_status fill_map(fct_class_map *map, const char *spec, const char *const *folder,
                           size_t n)
{
    int are_numbers = 0, are_expressions = 1, kept = 0;
    if (!spec) {
        FCT_TRY(read_folders(map, folder, n, &are_numbers));
    } else {
        FCT_TRY(fct_text_ends_with(spec, ".json") ? read_json(map, spec) : read_pairs(map, spec));
        FCT_TRY(check_listed(map, folder, n));
    }
    for (int i = 0; i < map->entries; i++) {
        const char *target = map->entry[i].target;
        kept += target != NULL;
        are_expressions &= !target || fct_expression_from_alias(target) >= 0;
    }
    if (!kept)
        return FCT_FAIL(FCT_E_ARG, "no folder has a class");
    return are_expressions ? number_expressions(map, are_numbers) : number_own(map);
}

fct_status fct_class_map_create(const char *spec, const char *const *folder, size_t n,
                                fct_class_map **out)
{
    fct_class_map *map = calloc(1, sizeof *map);
    if (!map)
        return FCT_FAIL_NOMEM(sizeof *map, "the class map");
    map->given = spec;
    fct_status status = fill_map(map, spec, folder, n);
    if (status != FCT_OK) {
        fct_class_map_destroy(map);
        return status;
    }
    *out = map;
    return FCT_OK;
}

void fct_class_map_destroy(fct_class_map *map)
{
    if (!map)
        return;
    for (int i = 0; i < map->entries; i++) {
        free(map->entry[i].folder);
        free(map->entry[i].target);
    }
    free(map->entry);
    free(map->name);
    free(map);
}

fct_status fct_class_map_find(const fct_class_map *map, const char *folder, int32_t *out)
{
    const entry *e = find_entry(map, folder);
    if (!e)
        return fail_unknown(folder);
    *out = e->label;
    return FCT_OK;
}

int fct_class_map_classes(const fct_class_map *map)
{
    return map->classes;
}

const char *fct_class_map_name(const fct_class_map *map, int i)
{
    return map->name[i];
}
