/* SPDX-License-Identifier: MIT */
#include "loop/resend.h"

#include "loop/client.h"

#include <stdlib.h>
#include <string.h>

/* Room of the smallest kept message; larger ones than KEPT_MAX are not left in the pool. */
#define KEPT_MIN ((size_t)512)
#define KEPT_MAX ((size_t)8 << 10)
/* When to try again while another thread writes its argument. */
#define BUSY_NS UINT64_C(1000000)

/* A message with room for `size` bytes, or NULL. */
static di_kept_message *take(dari_client *client, size_t size)
{
    di_kept_message *kept = client->kept;
    if (kept) {
        client->kept = kept->next;
        if (kept->room >= size)
            return kept;
        free(kept); /* in the place of which there will be a larger one */
    }
    size_t room = size < KEPT_MIN ? KEPT_MIN : size;
    kept = malloc(sizeof *kept + room);
    if (kept)
        kept->room = room;
    return kept;
}

void di_resend_keep(dari_client *client, di_resend *resend, uint32_t xid, const uint8_t *message,
                    size_t size, uint64_t now)
{
    di_kept_message *kept = take(client, size);
    if (!kept)
        return;
    memcpy(kept->bytes, message, size);
    kept->size = size;
    resend->message = kept;
    di_retry_begin(&resend->retry, client->retry_ns, xid ^ now << 32);
    resend->at = di_retry_next(&resend->retry, now);
}

bool di_resend_is_due(const dari_client *client, di_resend *resend, uint64_t now)
{
    if (now < resend->at)
        return false;
    resend->at = client->writing ? now + BUSY_NS : di_retry_next(&resend->retry, now);
    return !client->writing;
}

void di_resend_send(dari_client *client, di_resend *resend)
{
    const di_kept_message *kept = resend->message;
    uint8_t *room;
    if (client->broken)
        return;
    if (di_channel_reserve(&client->channel, kept->size, &room) < 0)
        return;
    memcpy(room, kept->bytes, kept->size);
    di_channel_commit(&client->channel, room, kept->size);
    client->repeated++;
    resend->again = true;
    di_client_flush(client);
}

void di_resend_end(dari_client *client, di_resend *resend)
{
    di_kept_message *kept = resend->message;
    resend->message = NULL;
    resend->at = DI_NEVER;
    if (!kept)
        return;
    if (kept->room > KEPT_MAX) {
        free(kept);
        return;
    }
    kept->next = client->kept;
    client->kept = kept;
}

void di_resend_free(dari_client *client)
{
    for (di_kept_message *next; client->kept; client->kept = next) {
        next = client->kept->next;
        free(client->kept);
    }
}
