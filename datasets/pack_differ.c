// SPDX-License-Identifier: Apache-2.0
// What changed since an interrupted pack, in words: an option, or a picture with its name.
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "pack_parts.h"

// Whether the file is byte for byte what was written: only then are its names and rows trusted.
static int is_whole(const fct_plan *p)
{
    fct_plan_head head = *p->head;
    XXH3_state_t state;
    head.hash = 0;
    head.ignored = 0;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, &head, sizeof head);
    XXH3_64bits_update(&state, (const char *)p->bytes + sizeof head, p->size - sizeof head);
    return XXH3_64bits_digest(&state) == p->head->hash;
}

static const char *differing_option(const fct_plan_head *a, const fct_plan_head *b)
{
    if (a->height != b->height || a->width != b->width)
        return "--size";
    if (a->fit != b->fit)
        return "--fit";
    if (a->is_aligned != b->is_aligned || a->keeps_unmarked != b->keeps_unmarked)
        return "--align or --no-landmarks";
    if (a->is_jpeg != b->is_jpeg || a->quality != b->quality)
        return "--encoding or --quality";
    if (a->max_pixels != b->max_pixels || a->max_bytes != b->max_bytes ||
        a->max_scans != b->max_scans)
        return "--max-megapixels or --max-mebibytes";
    if (a->kind != b->kind)
        return "--format";
    if (a->min_pictures != b->min_pictures)
        return "--min-pictures";
    return NULL;
}

static int is_same_row(const fct_plan_row *a, const fct_plan_row *b)
{
    return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns && a->at == b->at &&
           a->label == b->label && a->landmark == b->landmark && a->unit == b->unit &&
           a->split == b->split && a->box == b->box && a->affect == b->affect;
}

// 1 when a picture differs and is told.
static int tell_picture(const fct_plan *old, const fct_plan *now, fct_text *out)
{
    int64_t i = 0, both = old->head->rows < now->head->rows ? old->head->rows : now->head->rows;
    while (i < both && is_same_row(&old->row[i], &now->row[i]) &&
           !strcmp(old->text + old->row[i].name, now->text + now->row[i].name))
        i++;
    if (i == old->head->rows && i == now->head->rows)
        return 0;
    const char *was = i < old->head->rows ? old->text + old->row[i].name : NULL,
               *is = i < now->head->rows ? now->text + now->row[i].name : NULL;
    const char *name = is ? is : was;
    if (old->head->rows != now->head->rows)
        fct_text_add(out, "it had %lld pictures, now %lld; the first that differs is %s",
                     (long long)old->head->rows, (long long)now->head->rows, name);
    else if (strcmp(was, is) != 0)
        fct_text_add(out, "other pictures, --split or --seed; the first that differs is %s", name);
    else if (old->row[i].size_bytes != now->row[i].size_bytes ||
             old->row[i].mtime_ns != now->row[i].mtime_ns)
        fct_text_add(out, "%s has changed since", name);
    else
        fct_text_add(out, "%s has another label or split", name);
    return 1;
}

void fct_plan_tell_difference(const fct_plan *old, const fct_plan *now, fct_text *out)
{
    const char *option = differing_option(old->head, now->head);
    if (!is_whole(old)) {
        fct_text_add(out, "what it was cannot be read");
        return;
    }
    if (strcmp(old->source, now->source) != 0)
        fct_text_add(out, "it packed %s", old->source);
    else if (option)
        fct_text_add(out, "%s is another", option);
    else if (old->head->source_bytes != now->head->source_bytes ||
             old->head->source_mtime_ns != now->head->source_mtime_ns)
        fct_text_add(out, "%s has changed since", now->source);
    else if (!tell_picture(old, now, out))
        fct_text_add(out, "the shard size, labels or what is left out is another");
}
