// SPDX-License-Identifier: Apache-2.0
// Reads "K DIGITS" and K x K counts again and again, prints each report and a line "--": the other
// half of test_classification_sklearn.py.
#include <inttypes.h>
#include <stdio.h>

#include "facet/metrics.h"

enum { MOST = 64 };

int main(void)
{
    static char names[MOST][24];
    static int64_t confusion[MOST * MOST];
    char *name[MOST];
    int classes, digits;
    for (int k = 0; k < MOST; k++) {
        snprintf(names[k], sizeof names[k], "class %d", k);
        name[k] = names[k];
    }
    while (scanf("%d %d", &classes, &digits) == 2 && classes >= 1 && classes <= MOST) {
        for (int i = 0; i < classes * classes; i++)
            if (scanf("%" SCNd64, &confusion[i]) != 1)
                return 1;
        fct_classification c;
        fct_text text = { 0 };
        if (fct_classification_compute(classes, confusion, &c) != FCT_OK)
            return 1;
        fct_classification_print(&c, name, digits, &text);
        printf("%s--\n", text.data);
        fct_text_release(&text);
        fct_classification_release(&c);
    }
    return 0;
}
