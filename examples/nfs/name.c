/* SPDX-License-Identifier: MIT */
#include "name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The bytes of a character that begins so; 0: none does. */
static size_t character_size(unsigned char first)
{
    return first < 0x80   ? 1
           : first < 0xc0 ? 0
           : first < 0xe0 ? 2
           : first < 0xf0 ? 3
           : first < 0xf8 ? 4
                          : 0;
}

/* The bytes of the character at the text, and which it is. 1 byte and UINT32_MAX: none. */
static size_t read_character(const char *text, uint32_t *ret_character)
{
    static const uint32_t least[] = {UINT32_MAX, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)*text;
    size_t size = character_size(first);
    uint32_t character = size < 2 ? first : first & (0x7fu >> size);
    bool right = true;
    for (size_t i = 1; i < size && right; i++) {
        right = (text[i] & 0xc0) == 0x80;
        character = character << 6 | ((unsigned char)text[i] & 0x3fu);
    }
    right = right && character >= least[size] && character <= 0x10ffff &&
            (character < 0xd800 || character > 0xdfff);
    *ret_character = right ? character : UINT32_MAX;
    return right ? size : 1;
}

/* Control characters, and those that change lines or the direction of what follows. */
static bool can_be_seen(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},          {0x200e, 0x200f},
                  {0x2028, 0x202e}, {0x2066, 0x2069}, {UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (character >= hidden[i].first && character <= hidden[i].last)
            return false;
    return true;
}

void print_name(const char *name)
{
    uint32_t character;
    for (size_t size; *name; name += size) {
        size = read_character(name, &character);
        if (character == '\\')
            fputs("\\\\", stdout);
        else if (can_be_seen(character))
            fwrite(name, 1, size, stdout);
        else
            for (size_t i = 0; i < size; i++)
                printf("\\%03o", (unsigned)(unsigned char)name[i]);
    }
    putchar('\n');
}
