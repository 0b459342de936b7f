// SPDX-License-Identifier: Apache-2.0
// Who the classes of an identity head are: the persons of the packed sets it was trained on, and
// which persons of other pictures are the same.
#ifndef FACET_PERSONS_H
#define FACET_PERSONS_H

#include "facet/checkpoint.h"
#include "facet/mix.h"

typedef struct {
    int64_t first, count; // its persons' numbers: classes first .. first + count - 1
    const char *source;   // what was packed
} fct_person_set;

typedef struct { // zeros: nobody
    int64_t classes;
    const char **name; // (classes) the person's folder, or #number in the set; "": has no picture
    int sets;
    fct_person_set *set;
    char *text, *sources; // what the names point into
} fct_persons;

typedef struct { // of the classes that a network was trained on
    char *const *class_name, *const *landmark_name;
    const fct_persons *persons;
} fct_label_names;

// Not collective. The persons of a mix's pictures; the caller releases.
fct_status fct_persons_of(const fct_mix *mix, fct_persons *out);
void fct_persons_release(fct_persons *p);
// Not collective. Into a checkpoint, and out of one: nobody where it has none; E_FORMAT when its
// texts contradict each other.
fct_status fct_persons_add(const fct_persons *p, fct_blobs *state);
fct_status fct_persons_read(const fct_blobs *state, fct_persons *out);
// Not collective. (*map)[k]: the class of the mix's person k, -1 not one of the trained; the caller
// frees. The same are persons of the same number in sets that were packed from the same source and
// have the same name where both have one; when one name differs, nobody of that set is the same,
// and a warning says so (`what` names the mix; NULL: silent). *known: how many are.
fct_status fct_persons_match(const fct_persons *trained, const fct_mix *mix, const char *what,
                             int64_t **map, int64_t *known);

#endif
