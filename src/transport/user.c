/* SPDX-License-Identifier: MIT */
#include "transport/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What the kernel has unless it is told otherwise. */
#define NOBODY 65534u
/* As many numbers as there are. */
#define NUMBERS UINT32_MAX

/* Reads what of a file there is room for, as text. Returns whether it could be read. */
static bool read_text(const char *path, char *text, size_t room)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t size;
    do
        size = read(file, text, room - 1);
    while (size < 0 && errno == EINTR);
    close(file);
    if (size < 0)
        return false;
    text[size] = '\0';
    return true;
}

/* How many numbers have a user, by lines of three: the first one inside, outside, and how many. */
static unsigned long long count_mapped(const char *map)
{
    unsigned long long count = 0, number;
    char *end;
    for (unsigned column = 0; number = strtoull(map, &end, 10), end != map; map = end)
        if (++column % 3 == 0)
            count += number;
    return count;
}

/* Whether the number is told of those who have none here. Where the kernel knows no namespaces,
 * there are none. */
static bool is_nobody(uint32_t told, const char *map_path, const char *nobody_path)
{
    char text[4096];
    if (told == 0)
        return false;
    bool known = read_text(nobody_path, text, sizeof text);
    if (told != (known ? strtoul(text, NULL, 10) : NOBODY))
        return false;
    return read_text(map_path, text, sizeof text) ? count_mapped(text) < NUMBERS : !known;
}

bool di_user_is(uint32_t told, uint32_t user)
{
    return told == user && !is_nobody(told, "/proc/self/uid_map", "/proc/sys/kernel/overflowuid");
}

bool di_user_is_own(uint32_t told)
{
    return di_user_is(told, geteuid());
}

bool di_group_is(uint32_t told, uint32_t group)
{
    return told == group && !is_nobody(told, "/proc/self/gid_map", "/proc/sys/kernel/overflowgid");
}
