/* SPDX-License-Identifier: MIT */
/* Fuzzes the decoders of call and reply headers and of AUTH_SYS: whatever they accept lies within
 * the message, and says the same when it is written again. rpc_fuzz_test.c runs it on damaged valid
 * input; with an engine: clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc -Iinclude,
 * this file and the files of src/base, src/xdr and src/rpc. */
#include "rpc/flavor.h"
#include "rpc/message.h"

#include <dari/error.h>
#include <dari/xdr.h>

#include <stdlib.h>
#include <string.h>

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_auth(const di_auth *auth, const uint8_t *bytes, size_t size)
{
    check(auth->size <= DI_AUTH_MAX);
    check(auth->body >= bytes && auth->body + dari_padded(auth->size) <= bytes + size);
}

/* Writes AUTH_SYS again: all but the padding of the name must be as it was. */
static void check_auth_sys(const di_auth *credential)
{
    dari_auth_sys auth;
    bool known = di_auth_sys_decode(credential, &auth) == 0;
    check((di_flavor_find(DI_AUTH_SYS)->check(credential) == DI_AUTH_OK) == known);
    if (!known)
        return;
    uint32_t length = (uint32_t)strlen(auth.machine);
    size_t padded = (size_t)dari_padded(length);
    check(length <= DARI_AUTH_SYS_NAME_MAX && auth.group_count <= DARI_AUTH_SYS_GROUPS_MAX);
    check(credential->size == 20 + padded + 4 * auth.group_count);
    uint8_t again[DI_AUTH_MAX];
    dari_put_u32(again, auth.stamp);
    dari_put_u32(again + 4, length);
    memcpy(again + 8, auth.machine, length);
    memcpy(again + 8 + length, credential->body + 8 + length, padded - length);
    uint8_t *at = again + 8 + padded;
    dari_put_u32(at, auth.uid);
    dari_put_u32(at + 4, auth.gid);
    dari_put_u32(at + 8, auth.group_count);
    for (uint32_t i = 0; i < auth.group_count; i++)
        dari_put_u32(at + 12 + 4 * i, auth.groups[i]);
    check(memcmp(again, credential->body, credential->size) == 0);
}

static void fuzz_call(const uint8_t *bytes, size_t size)
{
    di_call_header header;
    const uint8_t *arguments;
    uint32_t status = 0;
    int error = di_call_header_decode(bytes, size, &header, &arguments, &status);
    check(error == 0 || error == DARI_RPC_MISMATCH || error == DARI_AUTH ||
          error == DARI_BAD_REPLY);
    check((error == DARI_AUTH) == (status != 0));
    if (error)
        return;
    check_auth(&header.credential, bytes, size);
    check_auth(&header.verifier, bytes, size);
    check_auth_sys(&header.credential);
    size_t length = di_call_header_size(&header);
    check(length <= DI_CALL_HEADER_MAX && arguments == bytes + length);
    uint8_t again[DI_CALL_HEADER_MAX];
    di_call_header second;
    check(di_call_header_encode(again, &header) == again + length);
    check(di_call_header_decode(again, length, &second, &arguments, &status) == 0);
    check(memcmp(again, bytes, 28) == 0);
    check(second.verifier.size == header.verifier.size);
}

static void fuzz_reply(const uint8_t *bytes, size_t size)
{
    di_reply_header header, second;
    const uint8_t *results;
    int error = di_reply_header_decode(bytes, size, &header, &results);
    check(error == 0 || error == DARI_BAD_REPLY);
    if (error)
        return;
    check(results >= bytes && results <= bytes + size);
    if (header.verifier.body)
        check_auth(&header.verifier, bytes, size);
    uint8_t again[DI_REPLY_HEADER_MAX];
    size_t length = di_reply_header_size(&header);
    check(di_reply_header_encode(again, &header) == again + length);
    check(di_reply_header_decode(again, length, &second, &results) == 0);
    check(second.xid == header.xid && second.error == header.error);
    check(second.auth_status == header.auth_status);
    check(second.low == header.low && second.high == header.high);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_call(data, size);
    fuzz_reply(data, size);
    return 0;
}
