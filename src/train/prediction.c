// SPDX-License-Identifier: Apache-2.0
// Predictions collected on each rank, gathered on rank 0, and written as csv.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "facet/path.h"
#include "facet/text.h"
#include "prediction.h"
#include "tasks.h"

enum { WORDS = 3, PERSON_WORDS = 3 }; // of eight bytes, before the floats

static size_t words(const fct_predictions *p)
{
    return WORDS + (p->has_persons ? PERSON_WORDS : 0);
}

fct_status fct_predictions_init(fct_predictions *p, int classes, int landmarks, int has_persons)
{
    size_t floats = (size_t)classes + 4 * (size_t)landmarks;
    *p =
        (fct_predictions){ .classes = classes, .landmarks = landmarks, .has_persons = has_persons };
    p->record_bytes = (words(p) * sizeof(int64_t) + floats * sizeof(float) + 7) / 8 * 8;
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

fct_status fct_predictions_add(fct_predictions *p, const fct_prediction *of)
{
    FCT_TRY(reserve(p, p->n + 1));
    char *record = p->data + (size_t)p->n++ * p->record_bytes;
    size_t k = (size_t)p->classes, l = 2 * (size_t)p->landmarks;
    int64_t head[WORDS + PERSON_WORDS] = { of->picture, of->label, of->landmarks_valid, of->person,
                                           of->nearest };
    memcpy(&head[WORDS + 2], &of->person_loss, sizeof of->person_loss);
    float *values = (float *)(void *)(record + words(p) * sizeof *head);
    memset(record, 0, p->record_bytes);
    memcpy(record, head, words(p) * sizeof *head);
    memcpy(values, of->logits, k * sizeof *values);
    if (l) {
        memcpy(values + k, of->points, l * sizeof *values);
        if (of->landmarks_valid) // a set without points has no room for them either
            memcpy(values + k + l, of->target, l * sizeof *values);
    }
    return FCT_OK;
}

fct_prediction fct_predictions_at(const fct_predictions *p, int64_t i)
{
    const char *record = p->data + (size_t)i * p->record_bytes;
    int64_t head[WORDS + PERSON_WORDS] = { 0, 0, 0, -1, -1 };
    double loss;
    memcpy(head, record, words(p) * sizeof *head);
    memcpy(&loss, &head[WORDS + 2], sizeof loss);
    const float *values = (const float *)(const void *)(record + words(p) * sizeof *head);
    return (fct_prediction){ .picture = head[0],
                             .label = head[1],
                             .landmarks_valid = head[2],
                             .person = head[WORDS],
                             .nearest = head[WORDS + 1],
                             .person_loss = loss,
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

static void header(const fct_predictions *p, const fct_label_names *names, fct_text *text)
{
    fct_text_add(text, "path");
    if (p->classes)
        fct_text_add(text, ",label,predicted,correct");
    for (int k = 0; k < p->classes; k++)
        fct_text_add(text, ",p_%s", names->class_name[k]);
    for (int l = 0; l < p->landmarks; l++)
        fct_text_add(text, ",%s_x,%s_y", names->landmark_name[l], names->landmark_name[l]);
    fct_text_add(text, p->landmarks ? ",landmark_error" : "");
    fct_text_add(text, p->has_persons ? ",identity,predicted_identity\n" : "\n");
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

static void person_fields(const fct_prediction *q, const fct_persons *persons, fct_text *text)
{
    const int64_t who[2] = { q->person, q->nearest };
    for (int i = 0; i < 2; i++) {
        fct_text_add(text, ",");
        if (who[i] >= 0 && who[i] < persons->classes)
            fct_text_add_csv(text, persons->name[who[i]]);
    }
}

fct_status fct_predictions_write(const fct_predictions *p, const fct_mix *mix,
                                 const fct_label_names *names, const char *path)
{
    fct_text text = { 0 };
    header(p, names, &text);
    for (int64_t i = 0; i < p->n; i++) {
        fct_prediction q = fct_predictions_at(p, i);
        int64_t row;
        const fct_dataset *set = fct_mix_dataset(mix, q.picture, &row);
        fct_text_add_csv(&text, fct_dataset_path(set, row));
        if (p->classes)
            expression_fields(p, &q, names->class_name, &text);
        if (p->landmarks)
            landmark_fields(p, &q, &text);
        if (p->has_persons)
            person_fields(&q, names->persons, &text);
        fct_text_add(&text, "\n");
    }
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, path)
                                    : fct_path_replace(path, text.data, text.size);
    fct_text_release(&text);
    return status;
}
