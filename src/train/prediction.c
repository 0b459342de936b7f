// SPDX-License-Identifier: Apache-2.0
// Predictions collected on each rank, gathered on rank 0, and written as csv.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "facet/text.h"
#include "prediction.h"
#include "tasks.h"

fct_status fct_predictions_init(fct_predictions *p, int classes, int landmarks)
{
    size_t floats = (size_t)classes + 4 * (size_t)landmarks;
    size_t bytes = 3 * sizeof(int64_t) + floats * sizeof(float);
    *p = (fct_predictions){ .classes = classes,
                            .landmarks = landmarks,
                            .record_bytes = (bytes + 7) / 8 * 8 };
    return FCT_OK;
}

void fct_predictions_release(fct_predictions *p)
{
    free(p->data);
    p->data = NULL;
    p->n = p->capacity = 0;
}

static fct_status reserve(fct_predictions *p, int64_t n)
{
    if (n <= p->capacity)
        return FCT_OK;
    int64_t capacity = n * 2;
    char *data = realloc(p->data, (size_t)capacity * p->record_bytes);
    if (!data)
        return FCT_FAIL_NOMEM((size_t)capacity * p->record_bytes, "predictions");
    p->data = data;
    p->capacity = capacity;
    return FCT_OK;
}

fct_status fct_predictions_add(fct_predictions *p, const fct_batch *b, int64_t row, int label,
                               const float *logits, const float *points)
{
    FCT_TRY(reserve(p, p->n + 1));
    char *record = p->data + (size_t)p->n++ * p->record_bytes;
    size_t k = (size_t)p->classes, l = 2 * (size_t)p->landmarks;
    int64_t head[3] = { b->picture[row], label, l ? b->landmarks_valid[row] : 0 };
    float *values = (float *)(void *)(record + sizeof head);
    memset(record, 0, p->record_bytes);
    memcpy(record, head, sizeof head);
    memcpy(values, logits, k * sizeof *values);
    if (l) {
        memcpy(values + k, points, l * sizeof *values);
        if (b->landmarks_valid[row]) // a set without points has no room for them either
            memcpy(values + k + l, b->landmarks + (size_t)row * l, l * sizeof *values);
    }
    return FCT_OK;
}

fct_prediction fct_predictions_at(const fct_predictions *p, int64_t i)
{
    const char *record = p->data + (size_t)i * p->record_bytes;
    int64_t head[3];
    memcpy(head, record, sizeof head);
    const float *values = (const float *)(const void *)(record + sizeof head);
    return (fct_prediction){ .picture = head[0],
                             .label = head[1],
                             .landmarks_valid = head[2],
                             .logits = values,
                             .points = values + p->classes,
                             .target = values + p->classes + 2 * p->landmarks };
}

static int by_picture(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

fct_status fct_predictions_gather(const fct_predictions *mine, fct_comm *c, fct_predictions *all)
{
    void *data = NULL;
    size_t total = 0;
    FCT_TRY(fct_comm_gather(c, mine->data, (size_t)mine->n * mine->record_bytes, &data, &total));
    fct_predictions_release(all);
    if (!data)
        return FCT_OK;
    all->data = data;
    all->n = all->capacity = (int64_t)(total / all->record_bytes);
    qsort(all->data, (size_t)all->n, all->record_bytes, by_picture);
    return FCT_OK;
}

static void header(const fct_predictions *p, char *const *class_name, char *const *landmark_name,
                   fct_text *text)
{
    fct_text_add(text, "path");
    if (p->classes)
        fct_text_add(text, ",label,predicted,correct");
    for (int k = 0; k < p->classes; k++)
        fct_text_add(text, ",p_%s", class_name[k]);
    for (int l = 0; l < p->landmarks; l++)
        fct_text_add(text, ",%s_x,%s_y", landmark_name[l], landmark_name[l]);
    fct_text_add(text, p->landmarks ? ",landmark_error\n" : "\n");
}

static void expression_fields(const fct_predictions *p, const fct_prediction *q, char *const *name,
                              fct_text *text)
{
    int best = fct_argmax(q->logits, p->classes);
    double sum = 0;
    for (int k = 0; k < p->classes; k++)
        sum += exp(q->logits[k] - q->logits[best]);
    fct_text_add(text, ",%s,%s,%s", q->label >= 0 ? name[q->label] : "", name[best],
                 q->label < 0       ? ""
                 : q->label == best ? "1"
                                    : "0");
    for (int k = 0; k < p->classes; k++)
        fct_text_add(text, ",%.4f", exp(q->logits[k] - q->logits[best]) / sum);
}

// landmark_error: the root of the mean square over coordinates, in shares of the picture's side.
static void landmark_fields(const fct_predictions *p, const fct_prediction *q, fct_text *text)
{
    double square = 0;
    int n = 2 * p->landmarks;
    for (int j = 0; j < n; j++) {
        double d = (double)q->points[j] - (double)q->target[j];
        fct_text_add(text, ",%.5f", (double)q->points[j]);
        square += d * d;
    }
    if (q->landmarks_valid)
        fct_text_add(text, ",%.5f", sqrt(square / n));
    else
        fct_text_add(text, ",");
}

fct_status fct_predictions_write(const fct_predictions *p, const fct_mix *mix,
                                 char *const *class_name, char *const *landmark_name,
                                 const char *path)
{
    fct_text text = { 0 };
    header(p, class_name, landmark_name, &text);
    for (int64_t i = 0; i < p->n; i++) {
        fct_prediction q = fct_predictions_at(p, i);
        int64_t row;
        const fct_dataset *set = fct_mix_dataset(mix, q.picture, &row);
        fct_text_add_csv(&text, fct_dataset_path(set, row));
        if (p->classes)
            expression_fields(p, &q, class_name, &text);
        if (p->landmarks)
            landmark_fields(p, &q, &text);
        fct_text_add(&text, "\n");
    }
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, path)
                                    : fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}
