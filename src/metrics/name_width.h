// SPDX-License-Identifier: Apache-2.0
// How wide a class name stands in a table.
#ifndef FACET_NAME_WIDTH_H
#define FACET_NAME_WIDTH_H

// Code points of a UTF-8 text, which is what Python's len() counts.
static inline int name_width(const char *utf8)
{
    int n = 0;
    for (; *utf8; utf8++)
        n += ((unsigned char)*utf8 & 0xC0) != 0x80;
    return n;
}

static inline int widest_name(char *const *name, int n)
{
    int width = 0;
    for (int i = 0; i < n; i++)
        if (name_width(name[i]) > width)
            width = name_width(name[i]);
    return width;
}

#endif
