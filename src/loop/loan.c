/* SPDX-License-Identifier: MIT */
#include <dari/loan.h>

#include "loop/client.h"
#include "transport/shm_meeting.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(DARI_SHM_LOAN_SIZE_MAX == DI_SHM_LOANS_MAX && DI_SHM_LOANS_MAX <= UINT32_MAX,
               "one limit, and references have 32 bits");

/* Loans begin at multiples of that, and end there. */
#define ALIGNMENT ((size_t)4096)

/* The memory that the client's connection lends, or NULL. */
static di_region *region_of(const dari_client *client)
{
    const di_connection *connection = client->channel.connection;
    if (!connection || client->broken || !connection->ops->loans)
        return NULL;
    return connection->ops->loans(connection);
}

/* Finds the first gap of the region that is large enough. Returns 0 or DARI_FULL. */
static int find_gap(const di_loans *loans, const di_region *region, size_t size, uint8_t **ret_gap)
{
    uint8_t *at = region->memory;
    for (const di_loan *loan = loans->first; loan; loan = loan->next) {
        if (loan->region != region)
            continue;
        if ((size_t)(loan->memory - at) >= size)
            break;
        at = loan->memory + loan->size;
    }
    if (size > region->size - (size_t)(at - region->memory))
        return DARI_FULL;
    *ret_gap = at;
    return 0;
}

static int take_memory(const dari_client *client, di_loan *loan, size_t size)
{
    di_region *region = region_of(client);
    if (size > SIZE_MAX - ALIGNMENT)
        return DARI_LIMIT;
    loan->size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!region) {
        loan->memory = aligned_alloc(ALIGNMENT, loan->size);
        return loan->memory ? 0 : DARI_NO_MEMORY;
    }
    if (loan->size > region->size)
        return DARI_LIMIT;
    int error = find_gap(&client->loans, region, loan->size, &loan->memory);
    if (error == 0)
        loan->region = di_region_add(region);
    return error;
}

static void insert(di_loans *loans, di_loan *loan)
{
    di_loan **link = &loans->first;
    while (*link && (uintptr_t)(*link)->memory < (uintptr_t)loan->memory)
        link = &(*link)->next;
    loan->next = *link;
    *link = loan;
}

static void free_loan(di_loan *loan)
{
    if (loan->region)
        di_region_release(loan->region);
    else
        free(loan->memory);
    free(loan);
}

/* Frees the loan if nobody has to do with it any more. */
static void drop(di_loans *loans, di_loan *loan)
{
    if (!loan->ended || loan->lent > 0)
        return;
    di_loan **link = &loans->first;
    while (*link != loan)
        link = &(*link)->next;
    *link = loan->next;
    free_loan(loan);
}

int dari_loan(dari_client *client, size_t size, void **ret_memory)
{
    if (!client || size == 0 || !ret_memory)
        return DARI_INVALID;
    if (di_forked(&client->guard))
        return DARI_FORKED;
    di_loan *loan = calloc(1, sizeof *loan);
    if (!loan)
        return DARI_NO_MEMORY;
    pthread_mutex_lock(&client->lock);
    int error = take_memory(client, loan, size);
    if (error == 0)
        insert(&client->loans, loan);
    pthread_mutex_unlock(&client->lock);
    if (error < 0) {
        free(loan);
        return error;
    }
    *ret_memory = loan->memory;
    return 0;
}

void dari_loan_end(dari_client *client, void *memory)
{
    if (!memory || di_forked(&client->guard))
        return;
    pthread_mutex_lock(&client->lock);
    di_loan *loan = client->loans.first;
    while (loan && (loan->memory != memory || loan->ended))
        loan = loan->next;
    if (loan) {
        loan->ended = true;
        drop(&client->loans, loan);
    }
    pthread_mutex_unlock(&client->lock);
}

/* The loan of that memory in which the bytes lie whole, or NULL. */
static di_loan *find(const di_loans *loans, const di_region *region, const dari_reference *one)
{
    uintptr_t at = (uintptr_t)one->data;
    for (di_loan *loan = loans->first; loan && (uintptr_t)loan->memory <= at; loan = loan->next) {
        size_t offset = at - (uintptr_t)loan->memory;
        if (loan->region == region && !loan->ended && offset < loan->size)
            return one->size <= loan->size - offset ? loan : NULL;
    }
    return NULL;
}

/* Copies the bytes of a reference to their place, and removes it. */
static void copy(dari_references *references, uint32_t index)
{
    dari_reference *one = &references->items[index];
    memcpy(one->at, one->data, one->size);
    references->count--;
    memmove(one, one + 1, (references->count - index) * sizeof *one);
}

/* Returns NULL where there is no memory. */
static di_lent_message *take_message(di_loans *loans)
{
    di_lent_message *message = loans->spare;
    if (!message)
        return calloc(1, sizeof *message);
    loans->spare = message->next;
    message->next = NULL;
    message->count = 0;
    return message;
}

static void append(di_loans *loans, di_lent_message *message)
{
    di_lent_message **end = loans->lent ? loans->end : &loans->lent;
    *end = message;
    loans->end = &message->next;
}

bool di_loans_lend(dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    dari_references *references = &exchange->references;
    const di_region *region = references->count ? region_of(client) : NULL;
    di_lent_message *message = NULL;
    if (!region)
        return false;
    for (uint32_t i = 0; i < references->count;) {
        const dari_reference *one = &references->items[i];
        if (!di_region_has(region, one->data, one->size)) {
            i++;
            continue;
        }
        di_loan *loan = find(&client->loans, region, one);
        if (loan && !message)
            message = take_message(&client->loans);
        if (!loan || !message) {
            copy(references, i);
            continue;
        }
        message->loans[message->count++] = loan;
        loan->lent++;
        i++;
    }
    if (!message)
        return false;
    message->xid = exchange->xid;
    append(&client->loans, message);
    return true;
}

void di_loans_copy(dari_exchange *exchange)
{
    dari_references *references = &exchange->references;
    const di_region *region = references->count ? region_of(exchange->client) : NULL;
    for (uint32_t i = 0; region && i < references->count;) {
        if (di_region_has(region, references->items[i].data, references->items[i].size))
            copy(references, i);
        else
            i++;
    }
}

/* Nobody reads what the message, the first of the list, refers to. */
static void return_first(di_loans *loans, di_lent_message **list)
{
    di_lent_message *message = *list;
    *list = message->next;
    if (loans->end == &message->next)
        loans->end = list;
    for (unsigned i = 0; i < message->count; i++) {
        message->loans[i]->lent--;
        drop(loans, message->loans[i]);
    }
    message->next = loans->spare;
    loans->spare = message;
}

void di_loans_return(di_loans *loans, uint32_t xid)
{
    di_lent_message **link = &loans->lent;
    while (*link && (*link)->xid != xid)
        link = &(*link)->next;
    if (*link)
        return_first(loans, link);
}

void di_loans_return_all(di_loans *loans)
{
    while (loans->lent)
        return_first(loans, &loans->lent);
}

void di_loans_end(di_loans *loans)
{
    di_loans_return_all(loans);
    for (di_lent_message *next; loans->spare; loans->spare = next) {
        next = loans->spare->next;
        free(loans->spare);
    }
    for (di_loan *next; loans->first; loans->first = next) {
        next = loans->first->next;
        free_loan(loans->first);
    }
}
