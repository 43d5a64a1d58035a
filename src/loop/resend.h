/* SPDX-License-Identifier: MIT */
/* Calls over a transport that loses messages: each is kept, and sent again from time to time until
 * its reply has come. Everything is called with the client's lock held. */
#ifndef DI_LOOP_RESEND_H
#define DI_LOOP_RESEND_H

#include "rpc/retry.h"

#include <dari/client.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message; those that are not in use lie in the client's pool. */
typedef struct di_kept_message {
    struct di_kept_message *next;
    size_t room; /* bytes at `bytes` */
    size_t size;
    uint8_t bytes[];
} di_kept_message;

/* A call's part. A zeroed one with `at` of DI_NEVER keeps nothing. */
typedef struct di_resend {
    uint64_t at; /* when to send again; DI_NEVER: it is not sent again */
    di_retry retry;
    di_kept_message *message;
    bool again; /* it was sent again: what answers one copy says nothing of the others */
} di_resend;

/* Keeps a copy of the call that is sent, `now`, by a transport that loses messages. Without memory
 * for that the call is sent once. */
void di_resend_keep(dari_client *client, di_resend *resend, uint32_t xid, const uint8_t *message,
                    size_t size, uint64_t now);

/* Whether it is time to send the call again; then the next time is set. While a thread writes its
 * argument nothing can be sent, and it is not time before a moment later. */
bool di_resend_is_due(const dari_client *client, di_resend *resend, uint64_t now);

/* Sends the call again. */
void di_resend_send(dari_client *client, di_resend *resend);

/* The call is over. */
void di_resend_end(dari_client *client, di_resend *resend);

/* Frees the pool. */
void di_resend_free(dari_client *client);

#endif
