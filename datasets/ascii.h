// SPDX-License-Identifier: Apache-2.0
// Folder names compared without case, the same under every locale (in Turkish, I is no capital i).
#ifndef FACET_ASCII_H
#define FACET_ASCII_H

#include <stddef.h>

static inline char fct_ascii_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

// Are the first n bytes of `name` the whole word?
static inline int fct_ascii_equal(const char *name, size_t n, const char *word)
{
    size_t i = 0;
    while (i < n && word[i] && fct_ascii_lower(name[i]) == fct_ascii_lower(word[i]))
        i++;
    return i == n && !word[i];
}

#endif
