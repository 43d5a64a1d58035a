/* SPDX-License-Identifier: MIT */
#include "tirpc_peer.h"

#include "tirpc_codec.h"

#include <stdlib.h>
#include <string.h>

static const tirpc_codec_entry *find(const char *name)
{
    for (size_t i = 0; i < tirpc_codec_under_test.count; i++)
        if (strcmp(tirpc_codec_under_test.codecs[i].name, name) == 0)
            return &tirpc_codec_under_test.codecs[i];
    return NULL;
}

bool tirpc_peer_has(const char *name)
{
    return find(name) != NULL;
}

static const char *encode(const tirpc_codec_entry *codec, void *value, uint8_t *again, size_t size)
{
    XDR stream;
    /* Room for what is too long, so that it is seen. */
    uint8_t *room = malloc(size + 64);
    if (!room)
        abort();
    xdrmem_create(&stream, (char *)room, (u_int)size + 64, XDR_ENCODE);
    const char *failure = NULL;
    if (!codec->code(&stream, value))
        failure = "libtirpc cannot encode what it decoded";
    else if (xdr_getpos(&stream) != size)
        failure = "libtirpc encodes another size";
    else
        memcpy(again, room, size);
    free(room);
    return failure;
}

const char *tirpc_peer_run(const char *name, const uint8_t *message, size_t size, uint8_t *again,
                           model_rendering *ret_rendering)
{
    const tirpc_codec_entry *codec = find(name);
    void *value = calloc(1, codec->type->size + 64);
    if (!value)
        abort();
    XDR stream;
    xdrmem_create(&stream, (char *)(uintptr_t)message, (u_int)size, XDR_DECODE);
    const char *failure = NULL;
    if (!codec->code(&stream, value))
        failure = "libtirpc refuses the message";
    else if (xdr_getpos(&stream) != size)
        failure = "libtirpc reads another size";
    else if (!model_render(ret_rendering, codec->type, value))
        failure = "libtirpc's value is invalid";
    else
        failure = encode(codec, value, again, size);
    XDR release = {.x_op = XDR_FREE};
    codec->code(&release, value);
    free(value);
    return failure;
}
