/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void guard_open(guard *memory, size_t room)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    memory->room = (room + GUARD_RED_SIZE + page - 1) / page * page;
    memory->mapped = memory->room + page;
    void *mapped =
        mmap(NULL, memory->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        abort();
    memory->memory = mapped;
    if (mprotect(memory->memory + memory->room, page, PROT_NONE))
        abort();
}

void guard_close(guard *memory)
{
    munmap(memory->memory, memory->mapped);
}

uint8_t *guard_place(guard *memory, size_t size)
{
    if (size + GUARD_RED_SIZE > memory->room)
        abort();
    uint8_t *at = memory->memory + memory->room - size;
    memset(at - GUARD_RED_SIZE, GUARD_RED_BYTE, GUARD_RED_SIZE);
    return at;
}

uint8_t *guard_copy(guard *memory, const void *message, size_t size)
{
    uint8_t *at = guard_place(memory, size);
    if (size)
        memcpy(at, message, size);
    return at;
}

bool guard_intact(const guard *memory, size_t size)
{
    const uint8_t *red = memory->memory + memory->room - size - GUARD_RED_SIZE;
    for (size_t i = 0; i < GUARD_RED_SIZE; i++)
        if (red[i] != GUARD_RED_BYTE)
            return false;
    return true;
}
