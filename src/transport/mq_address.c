/* SPDX-License-Identifier: MIT */
#include "transport/mq_address.h"

#include "transport/failure.h"
#include "transport/mq_wire.h"

#include <dari/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So that queues of other programs are left alone. */
#define PREFIX "/dari."
#define PREFIX_SIZE (sizeof PREFIX - 1)
/* ":63" */
#define SLOT_SIZE ((size_t)3)
#define NAME_MAX_BYTES (DI_QUEUE_NAME_MAX - PREFIX_SIZE - SLOT_SIZE)

static int parse_name(const char *rest, size_t size, di_mq_address *address, di_failure *failure)
{
    if (size == 0)
        return di_fail(failure, DARI_ADDRESS, "the name is missing");
    if (memchr(rest, '/', size) || memchr(rest, ':', size))
        return di_fail(failure, DARI_ADDRESS, "the name has a slash or a colon");
    if (size > NAME_MAX_BYTES) {
        *failure = (di_failure){.words = "the name is too long",
                                .found = (int64_t)size,
                                .allowed = (int64_t)NAME_MAX_BYTES};
        return DARI_ADDRESS;
    }
    memcpy(address->name, PREFIX, PREFIX_SIZE);
    memcpy(address->name + PREFIX_SIZE, rest, size);
    address->name[PREFIX_SIZE + size] = '\0';
    address->rest_size = size;
    return 0;
}

/* Reads the number at *at, which it moves behind it. Returns whether it is within the bounds. */
static bool parse_number(const char **at, unsigned long least, unsigned long most,
                         unsigned long *ret_number)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *ret_number = strtoul(*at, &end, 10);
    *at = end;
    return *ret_number >= least && *ret_number <= most;
}

static bool begins(const char **at, const char *key)
{
    size_t size = strlen(key);
    if (strncmp(*at, key, size) != 0)
        return false;
    *at += size;
    return true;
}

static int parse_option(const char **at, di_queue_shape *shape, di_failure *failure)
{
    unsigned long number;
    if (begins(at, "messages=")) {
        if (!parse_number(at, 1, 65536, &number))
            return di_fail(failure, DARI_ADDRESS, "messages= is a number from 1 to 65536");
        shape->messages = (uint32_t)number;
    } else if (begins(at, "bytes=")) {
        if (!parse_number(at, DI_MQ_BYTES_MIN, DI_MQ_BYTES_MAX, &number))
            return di_fail(failure, DARI_ADDRESS, "bytes= is a number from 64 to 16384");
        shape->bytes = (uint32_t)number;
    } else {
        return di_fail(failure, DARI_ADDRESS, "behind the name, only messages= and bytes=");
    }
    return 0;
}

int di_mq_address_parse(const char *rest, const di_queue_shape *defaults,
                        di_mq_address *ret_address, di_failure *failure)
{
    const char *at = strchr(rest, '?');
    di_mq_address address = {.shape = *defaults};
    int error = parse_name(rest, at ? (size_t)(at - rest) : strlen(rest), &address, failure);
    while (error == 0 && at && *at) {
        at++;
        error = parse_option(&at, &address.shape, failure);
        if (error == 0 && *at && *at != '&')
            error = di_fail(failure, DARI_ADDRESS, "options are separated by &");
    }
    if (error == 0)
        *ret_address = address;
    return error;
}

void di_mq_slot_name(const char *name, uint32_t slot, char ret_name[DI_QUEUE_NAME_MAX + 1])
{
    snprintf(ret_name, DI_QUEUE_NAME_MAX + 1, "%s:%u", name, slot);
}

int di_mq_fail(di_failure *failure, int error, const di_queue_failure *of)
{
    *failure = (di_failure){
        .system_error = of->cause, .words = of->words, .found = of->found, .allowed = of->allowed};
    return error;
}
