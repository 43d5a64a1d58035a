/* SPDX-License-Identifier: MIT */
#include "idl/compilation.h"

#include <string.h>

_Noreturn void di_escape(di_compilation *compilation, enum di_escape_reason reason)
{
    longjmp(compilation->escape, (int)reason);
}

static void *take(di_compilation *compilation, size_t count, size_t size)
{
    void *taken = NULL;
    if (!size || count <= SIZE_MAX / 2 / size)
        taken = dari_arena_take(&compilation->arena, count * size);
    if (!taken)
        di_escape(compilation, DI_ESCAPE_NO_MEMORY);
    return taken;
}

void *di_take(di_compilation *compilation, size_t count, size_t size)
{
    return memset(take(compilation, count, size), 0, count * size);
}

void *di_grow(di_compilation *compilation, void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    size_t larger = *room < 8 ? 8 : *room * 2;
    void *grown = take(compilation, larger, size);
    if (count)
        memcpy(grown, items, count * size);
    *room = larger;
    return grown;
}

char *di_copy(di_compilation *compilation, const char *text, size_t size)
{
    char *copy = di_take(compilation, size + 1, 1);
    if (size)
        memcpy(copy, text, size);
    return copy;
}
