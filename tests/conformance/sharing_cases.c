/* SPDX-License-Identifier: MIT */
/* Clients that threads share, and handles that a child inherits. */
#include "conformance/cases.h"

#include "loop/client.h"

#include <stdlib.h>
#include <string.h>

typedef struct sharing_thread {
    dari_client *client;
    uint32_t seed;
    int result; /* the first error, or 0; 1 for a wrong answer */
    unsigned done;
    uint64_t deadline_ns;
} sharing_thread;

/* Calls of many sizes, each of which must get its own answer. */
static void *share(void *argument)
{
    sharing_thread *sharer = argument;
    dari_call call = {.deadline_ns = sharer->deadline_ns};
    static const uint32_t sizes[] = {0, 10, 500, 5000, 70000, 3, 300000};
    uint8_t *bytes = malloc(300000);
    for (uint32_t i = 0; i < 60 && sharer->result == 0; i++) {
        uint32_t size = sizes[(sharer->seed + i) % 7];
        memset(bytes, (int)(sharer->seed * 31 + i), size);
        int32_t sum = 0;
        opaque_data ret = {0};
        pair arg = {(int32_t)sharer->seed * 1000, (int32_t)i};
        int error = add_1(sharer->client, &arg, &sum, &call);
        if (error == 0 && sum != arg.a + arg.b)
            error = 1;
        if (error == 0)
            error = echo_data_1(sharer->client, &(opaque_data){size, bytes}, &ret, &call);
        if (error == 0 && (ret.size != size || (size && memcmp(ret.data, bytes, size) != 0)))
            error = 1;
        if (error)
            sharer->result = error;
        sharer->done++;
        dari_call_reset(&call);
    }
    free(bytes);
    dari_call_end(&call);
    return NULL;
}

#define SHARERS 6

void threads_share_a_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){.client = client, .seed = i + 1};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, 0);
        assert_int_equal(sharers[i].done, 60);
    }
    assert_int_equal(client->pending.dropped, 0);
    assert_null(client->asleep);
    assert_null(client->pending.first);
    dari_client_close(client);
}

void threads_share_a_dying_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){.client = client, .seed = i + 1};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    fixture_await_entered(fixture, 1);
    /* The first handler returns to a server that has been told to stop. */
    dari_server_stop(fixture->server);
    fixture_stop(fixture);
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, DARI_CLOSED);
    }
    assert_null(client->asleep);
    assert_null(client->pending.first);
    dari_client_close(client);
}

void threads_meet_their_own_deadlines(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    pthread_t threads[SHARERS];
    sharing_thread sharers[SHARERS];
    fixture_close_gate(fixture);
    for (uint32_t i = 0; i < SHARERS; i++) {
        sharers[i] = (sharing_thread){
            .client = client, .seed = i + 1, .deadline_ns = (i + 1) * 10 * DARI_MS};
        pthread_create(&threads[i], NULL, share, &sharers[i]);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sharers[i].result, DARI_DEADLINE);
        assert_int_equal(sharers[i].done, 1);
    }
    fixture_open_gate(fixture);
    check_add(client);
    assert_int_equal(client->pending.dropped, SHARERS);
    dari_client_close(client);
}

static dari_client *inherited;

static int use_inherited(test_fixture *fixture)
{
    dari_call call = {0};
    dari_server *server = fixture->server;
    if (nothing_1(inherited, &call) != DARI_FORKED || call.may_have_run)
        return __LINE__;
    if (dari_server_dispatch(server) != DARI_FORKED || dari_server_run(server) != DARI_FORKED)
        return __LINE__;
    if (dari_server_listen(server, "unix:@x") != DARI_FORKED)
        return __LINE__;
    if (echo_1_serve(server, &echo_handlers, NULL) != DARI_FORKED)
        return __LINE__;
    dari_server_stop(server);
    dari_server_destroy(server);
    dari_client_close(inherited);
    dari_call_end(&call);
    return 0;
}

void a_child_inherits_nothing(test_fixture *fixture)
{
    fixture_serve(fixture);
    inherited = fixture_connect(fixture, NULL);
    check_add(inherited);
    check_child(use_inherited, fixture);
    check_add(inherited);
    dari_client *another = fixture_connect(fixture, NULL);
    check_add(another);
    dari_client_close(another);
    dari_client_close(inherited);
}
