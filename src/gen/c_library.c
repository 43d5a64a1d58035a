/* SPDX-License-Identifier: MIT */
/* The functions of <string.h>, with what the GNU library adds to it by default and for C++, and the
 * types of <stddef.h> and <stdint.h>. */
#include "gen/c_library.h"

#include "gen/c_macro.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *name, const void *entry)
{
    const char *a = name, *b = *(const char *const *)entry;
    return *a != *b ? *a - *b : strcmp(a, b);
}

#define IS_AMONG(names, name) \
    (bsearch(name, names, sizeof names / sizeof *names, sizeof *names, compare) != NULL)

bool di_c_is_library_name(const char *name)
{
    /* Sorted. */
    static const char *const names[] = {
        "basename",
        "bcmp",
        "bcopy",
        "bzero",
        "explicit_bzero",
        "ffs",
        "ffsl",
        "ffsll",
        "index",
        "memccpy",
        "memchr",
        "memcmp",
        "memcpy",
        "memfrob",
        "memmem",
        "memmove",
        "mempcpy",
        "memrchr",
        "memset",
        "rawmemchr",
        "rindex",
        "sigabbrev_np",
        "sigdescr_np",
        "stpcpy",
        "stpncpy",
        "strcasecmp",
        "strcasecmp_l",
        "strcasestr",
        "strcat",
        "strchr",
        "strchrnul",
        "strcmp",
        "strcoll",
        "strcoll_l",
        "strcpy",
        "strcspn",
        "strdup",
        "strerror",
        "strerror_l",
        "strerror_r",
        "strerrordesc_np",
        "strerrorname_np",
        "strfry",
        "strlen",
        "strncasecmp",
        "strncasecmp_l",
        "strncat",
        "strncmp",
        "strncpy",
        "strndup",
        "strnlen",
        "strpbrk",
        "strrchr",
        "strsep",
        "strsignal",
        "strspn",
        "strstr",
        "strtok",
        "strtok_r",
        "strverscmp",
        "strxfrm",
        "strxfrm_l",
    };
    return !strncmp(name, "dari_", 5) || di_c_is_macro(name) || IS_AMONG(names, name);
}

bool di_c_is_library_type(const char *name)
{
    /* Sorted. */
    static const char *const names[] = {
        "int16_t",       "int32_t",        "int64_t",        "int8_t",         "int_fast16_t",
        "int_fast32_t",  "int_fast64_t",   "int_fast8_t",    "int_least16_t",  "int_least32_t",
        "int_least64_t", "int_least8_t",   "intmax_t",       "intptr_t",       "locale_t",
        "max_align_t",   "ptrdiff_t",      "size_t",         "uint16_t",       "uint32_t",
        "uint64_t",      "uint8_t",        "uint_fast16_t",  "uint_fast32_t",  "uint_fast64_t",
        "uint_fast8_t",  "uint_least16_t", "uint_least32_t", "uint_least64_t", "uint_least8_t",
        "uintmax_t",     "uintptr_t",      "wchar_t",
    };
    return IS_AMONG(names, name);
}
