// SPDX-License-Identifier: Apache-2.0
// Landmarks of many pictures in one text file: csv with a header, and detectors' lists.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "facet/text.h"
#include "landmark_files.h"

enum { WHERE_BYTES = 512, NUMBERS_MAX = 2 * FCT_FACE_POINTS_MAX };

static int is_face(int numbers)
{
    return numbers == 10 || numbers == 20 || numbers == NUMBERS_MAX;
}

// A header's columns may be named by numbers, but no header begins with "a/1.jpg,21.5".
static fct_status read_header(fct_csv *csv, int *numbers)
{
    char *key, *field;
    double x;
    int ends_row;
    FCT_TRY(fct_csv_next(csv, &key, &ends_row));
    for (*numbers = 0; !ends_row; ++*numbers) {
        FCT_TRY(fct_csv_next(csv, &field, &ends_row));
        if (*numbers == 0 && strchr(key, '.') && fct_text_to_f64(field, &x) == FCT_OK)
            return FCT_FAIL(FCT_E_FORMAT,
                            "%s:1: is a row of \"%.100s\", where a header belongs\n"
                            "put the columns' names in front of it, such as path,x1,y1,...",
                            csv->file, key);
    }
    if (!is_face(*numbers))
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s:1: the header has %d columns behind the picture's; 10, 20 or 136 are x "
                        "and y of 5, 10 or 68 points",
                        csv->file, *numbers);
    return FCT_OK;
}

// A row without any number is a picture in which no face was found.
static fct_status read_row(fct_landmark_reader *r, fct_csv *csv, int numbers)
{
    char *key, *field, where[WHERE_BYTES];
    int ends_row, n = 0, none = 0;
    fct_face_points face = { .points = numbers / 2 };
    FCT_TRY(fct_csv_next(csv, &key, &ends_row));
    for (; !ends_row && n <= numbers; n++) {
        double x = 0;
        FCT_TRY(fct_csv_next(csv, &field, &ends_row));
        if (fct_csv_is_none(field))
            none++;
        else if (fct_text_to_f64(field, &x) != FCT_OK)
            return FCT_FAIL(FCT_E_FORMAT, "%s:%d: column %d: \"%.100s\" is no number", csv->file,
                            csv->line, n + 2, field);
        if (n < numbers)
            face.xy[n / 2][n % 2] = x;
    }
    if (n != numbers || !ends_row)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d: %s%d numbers where the header names %d", csv->file,
                        csv->line, ends_row ? "" : "more than ", n - !ends_row, numbers);
    if (none && none < numbers)
        return FCT_FAIL(FCT_E_FORMAT, "%s:%d: %d of its %d numbers are missing", csv->file,
                        csv->line, none, numbers);
    face.points = none ? 0 : face.points;
    snprintf(where, sizeof where, "%s:%d", csv->file, csv->line);
    return fct_landmarks_add(r, where, key, &face);
}

fct_status fct_landmarks_read_csv(fct_landmark_reader *r, char *text)
{
    fct_csv csv = fct_csv_open(r->file, text);
    int numbers;
    if (!fct_csv_next_row(&csv))
        return FCT_FAIL(FCT_E_FORMAT, "%s: is empty", r->file);
    FCT_TRY(read_header(&csv, &numbers));
    while (fct_csv_next_row(&csv))
        FCT_TRY(read_row(r, &csv, numbers));
    return FCT_OK;
}

// "path<tab>x y x y ...": the path ends at the first tab, without tabs at the first space.
static fct_status read_line(fct_landmark_reader *r, char *line, int number)
{
    char where[WHERE_BYTES], *rest = line + strcspn(line, strchr(line, '\t') ? "\t" : " "), *word;
    int n = 0;
    fct_face_points face = { 0 };
    snprintf(where, sizeof where, "%s:%d", r->file, number);
    if (*rest)
        *rest++ = 0;
    for (char *kept; (word = strtok_r(rest, " \t\r", &kept)); rest = NULL, n++) {
        double x;
        if (fct_text_to_f64(word, &x) != FCT_OK)
            return FCT_FAIL(FCT_E_FORMAT, "%s: \"%.100s\" is no number", where, word);
        if (n < NUMBERS_MAX)
            face.xy[n / 2][n % 2] = x;
    }
    if (!is_face(n))
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: %d numbers behind the picture's name; x and y of 5 points are 10",
                        where, n);
    face.points = n / 2;
    return fct_landmarks_add(r, where, line, &face);
}

fct_status fct_landmarks_read_list(fct_landmark_reader *r, char *text)
{
    int number = 1;
    for (char *line = fct_csv_open(r->file, text).at, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (*line)
            FCT_TRY(read_line(r, line, number));
    }
    return FCT_OK;
}
