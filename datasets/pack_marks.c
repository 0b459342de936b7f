// SPDX-License-Identifier: Apache-2.0
// What alignment asks of the landmarks before any picture is opened: that there are some, of
// faces that are not mirrored.
#include "facet/align.h"
#include "pack_parts.h"

static int is_mirrored(const fct_landmark_cache *marks, int32_t row)
{
    const float *point =
        (const float *)(const void *)marks->point.data + (size_t)row * (size_t)marks->points * 2;
    double xy[2 * FCT_ALIGN_POINTS_MAX], five[FCT_ALIGN_POINTS][2];
    for (int i = 0; i < 2 * marks->points; i++)
        xy[i] = point[i];
    return fct_align_five(xy, marks->points, five) &&
           fct_align_is_mirrored((const double(*)[2])five);
}

// One such face is a profile or a slip; most of them are another order of the points.
static fct_status check_sides(const fct_plan_draft *d)
{
    int64_t faces = 0, mirrored = 0;
    for (size_t i = 0; i < d->scan.files; i++) {
        if (d->landmark_of[i] < 0)
            continue;
        faces++;
        mirrored += is_mirrored(&d->landmarks, d->landmark_of[i]);
    }
    if (mirrored * 2 <= faces)
        return FCT_OK;
    return FCT_FAIL(FCT_E_ARG,
                    "%s: in %lld of %lld faces left and right are exchanged, so they cannot be "
                    "aligned\nthe order is left eye, right eye, nose, left and right mouth corner, "
                    "left as one sees it in the picture",
                    d->landmarks.keys.file, (long long)mirrored, (long long)faces);
}

fct_status fct_plan_mark(const fct_pack_spec *spec, fct_plan_draft *d)
{
    if (!spec->is_aligned)
        return FCT_OK;
    if (!d->landmark_of || d->landmarks.points == 0)
        return FCT_FAIL(FCT_E_ARG, "--align: the pictures have no landmarks to align them by\n"
                                   "name a file of them with --landmarks");
    FCT_TRY(check_sides(d));
    for (size_t i = 0; i < d->scan.files && !spec->keeps_unmarked; i++)
        if (d->layout.label[i] >= FCT_LABEL_NONE && d->landmark_of[i] < 0) {
            fct_scan_exclude(&d->scan, fct_scan_path(&d->scan, i),
                             "has no landmarks to align it by");
            d->layout.label[i] = FCT_LABEL_TOLD;
            d->head.unmarked++;
        }
    return FCT_OK;
}
