/* SPDX-License-Identifier: MIT */
#include "transport/shm_loans.h"

#include <stdlib.h>
#include <string.h>

/* Room for what mostly follows on a loan in its message. */
#define ROOM_BEHIND ((size_t)4096)

di_shm_loans *di_shm_loans_create(di_region *region, di_lending_control *control)
{
    di_shm_loans *loans = calloc(1, sizeof *loans);
    if (!loans)
        return NULL;
    loans->region = region;
    loans->lender.control = loans->borrower.control = control;
    return loans;
}

static bool has_place(const di_shm_loans *loans, const di_ring_writer *writer)
{
    return di_ring_known_room(writer) > 0 && di_lender_has_slot(&loans->lender);
}

int di_shm_lend(di_shm_loans *loans, di_ring_writer *writer, const uint8_t *data, size_t size)
{
    if (size == 0 || !di_region_has(loans->region, data, size))
        return 0;
    if (!has_place(loans, writer)) {
        int error = di_lender_look_for_room(&loans->lender, writer);
        if (error < 0)
            return error;
        if (!has_place(loans, writer))
            return 0;
    }
    di_lend(&loans->lender, writer, (uint32_t)(data - loans->region->memory), (uint32_t)size);
    return 1;
}

/* Whether the reference is to bytes that are there. */
static bool is_valid(const di_shm_loans *loans, const di_lending_reference *reference)
{
    size_t whole = loans->region->size;
    return reference->size > 0 && reference->offset <= whole &&
           reference->size <= whole - reference->offset;
}

int di_shm_find_reference(di_shm_loans *loans, const di_ring_reader *reader, uint32_t size,
                          uint32_t *ret_before)
{
    if (!loans->has_next) {
        int found = di_borrower_look(&loans->borrower, &loans->next);
        if (found <= 0)
            return found;
        if (!is_valid(loans, &loans->next))
            return DARI_PROTOCOL;
        loans->has_next = true;
        loans->done = 0;
    }
    uint32_t before = loans->next.place - atomic_load_explicit(&reader->head, memory_order_relaxed);
    if (before >= size)
        return 0;
    *ret_before = before;
    return 1;
}

static void take(di_shm_loans *loans)
{
    di_borrower_take(&loans->borrower);
    loans->has_next = false;
}

/* Leaves the place of the whole reference free. */
static int leave_place(di_shm_loans *loans, di_inbound *in, size_t behind)
{
    uint8_t *room;
    uint32_t size = loans->next.size;
    int error = di_inbound_make_room(in, 1);
    if (error == 0)
        error = di_buffer_reserve(&in->buffer, size + behind, &room);
    if (error < 0)
        return error;
    uint32_t index = (loans->first + loans->count++) % DI_PLACES_MAX;
    loans->places[index].at = loans->consumed + di_buffer_size(&in->buffer);
    loans->places[index].data = loans->region->memory + loans->next.offset;
    loans->places[index].size = size;
    di_buffer_commit(&in->buffer, size);
    take(loans);
    return 1;
}

/* Copies as much as is wanted. What is wanted of a loan may be believed: it is there. */
static int copy(di_shm_loans *loans, di_inbound *in, size_t want)
{
    uint8_t *room;
    size_t left = loans->next.size - loans->done;
    int error = di_inbound_make_room(in, want < left ? want : 1);
    if (error == 0 && want >= left)
        error = di_buffer_reserve(&in->buffer, left, &room);
    if (error < 0)
        return error;
    if (left > di_buffer_room(&in->buffer))
        left = di_buffer_room(&in->buffer);
    memcpy(in->buffer.data + in->buffer.end,
           loans->region->memory + loans->next.offset + loans->done, left);
    di_buffer_commit(&in->buffer, left);
    loans->done += (uint32_t)left;
    if (loans->done < loans->next.size)
        return 0;
    take(loans);
    return 1;
}

int di_shm_put_loan(di_shm_loans *loans, di_inbound *in, size_t want, size_t whole_until)
{
    size_t before = di_buffer_size(&in->buffer);
    uint32_t size = loans->next.size;
    if (loans->done > 0 || size < DI_SHM_IN_PLACE_MIN || before > whole_until ||
        size > whole_until - before || loans->count == DI_PLACES_MAX)
        return copy(loans, in, want);
    size_t behind = whole_until - before - size;
    return leave_place(loans, in, behind < ROOM_BEHIND ? behind : ROOM_BEHIND);
}

unsigned di_shm_forget_places(di_shm_loans *loans, size_t size)
{
    loans->consumed += size;
    while (loans->count > 0 && loans->places[loans->first].at < loans->consumed) {
        loans->first = (loans->first + 1) % DI_PLACES_MAX;
        loans->count--;
    }
    return loans->count;
}

unsigned di_shm_list_places(const di_shm_loans *loans, uint8_t *bytes, const uint8_t *from,
                            size_t size, di_part *ret_parts)
{
    uint64_t begin = loans->consumed + (uint64_t)(from - bytes);
    unsigned listed = 0;
    for (uint32_t i = 0; i < loans->count; i++) {
        uint32_t index = (loans->first + i) % DI_PLACES_MAX;
        uint64_t at = loans->places[index].at;
        if (at >= begin && at - begin < size)
            ret_parts[listed++] = (di_part){bytes + (at - loans->consumed),
                                            loans->places[index].data, loans->places[index].size};
    }
    return listed;
}
