/* SPDX-License-Identifier: MIT */
/* Interceptors around the calls of a client, of every kind. */
#include "conformance/cases.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* What interceptors saw, in order: "1+ADD 2+ADD 2-0 1-0". */
typedef struct sightings {
    char text[512];
    dari_client *client;
    dari_client_call last; /* that `after` was shown */
} sightings;

typedef struct watcher {
    sightings *seen;
    int number;
    int refuses; /* what it answers */
} watcher;

static int ask(const dari_client_call *call, void *user)
{
    watcher *self = user;
    size_t size = strlen(self->seen->text);
    snprintf(self->seen->text + size, sizeof self->seen->text - size, "%d+%s ", self->number,
             call->procedure_name);
    assert_ptr_equal(call->client, self->seen->client);
    assert_int_equal(call->program, ECHO);
    assert_int_equal(call->version, ECHO_V1);
    return self->refuses;
}

static void tell(const dari_client_call *call, int error, void *user)
{
    watcher *self = user;
    size_t size = strlen(self->seen->text);
    snprintf(self->seen->text + size, sizeof self->seen->text - size, "%d-%d ", self->number,
             error);
    self->seen->last = *call;
}

static void check_seen(sightings *seen, const char *expected)
{
    assert_string_equal(seen->text, expected);
    *seen->text = '\0';
}

static void watch(dari_client *client, watcher *watchers, int count, sightings *seen)
{
    seen->client = client;
    for (int i = 0; i < count; i++) {
        watchers[i] = (watcher){.seen = seen, .number = i + 1};
        assert_int_equal(
            dari_client_intercept(client, &(dari_client_interceptor){ask, tell, &watchers[i]}), 0);
    }
}

/* `done` of a call in flight: interceptors have been told before. */
static void count_end(void *user, dari_call *call)
{
    sightings *seen = user;
    strcat(seen->text, call->error ? "failed " : "done ");
}

void interceptors_of_a_client(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    sightings seen = {.text = ""};
    watcher watchers[2];
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_S);
    watch(client, watchers, 2, &seen);
    check_add(client);
    check_seen(&seen, "1+ADD 2+ADD 2-0 1-0 ");
    assert_int_equal(seen.last.procedure, ADD);
    assert_string_equal(seen.last.address, fixture->address);
    assert_null(seen.last.call);
    assert_int_equal(seen.last.allowed_ns, DARI_DEADLINE_DEFAULT_NS);
    assert_true(seen.last.may_have_run);
    assert_in_range(seen.last.elapsed_ns, 1, 10 * DARI_S);
    assert_int_equal(nothing_1(client, &call), 0);
    check_seen(&seen, "1+NOTHING 2+NOTHING 2-0 1-0 ");
    assert_ptr_equal(seen.last.call, &call);
    assert_int_equal(seen.last.allowed_ns, 20 * DARI_S);
    assert_int_equal(nothing_1_start(client, &call, count_end, &seen), 0);
    check_seen(&seen, "1+NOTHING 2+NOTHING ");
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    check_seen(&seen, "2-0 1-0 done ");
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    check_seen(&seen, "1+NOTHING 2+NOTHING 2-0 1-0 ");
    assert_int_equal(dari_client_ping(client, ECHO, ECHO_V1, NULL), 0);
    check_seen(&seen, "1+NULL 2+NULL 2-0 1-0 ");
    const dari_client_interceptor none = {0};
    for (unsigned i = 2; i < DARI_CLIENT_INTERCEPTORS_MAX; i++)
        assert_int_equal(dari_client_intercept(client, &none), 0);
    assert_int_equal(dari_client_intercept(client, &none), DARI_LIMIT);
    check_add(client);
    check_seen(&seen, "1+ADD 2+ADD 2-0 1-0 ");
    dari_client_close(client);
    dari_call_end(&call);
}

void interceptors_refuse_calls(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    sightings seen = {.text = ""};
    watcher watchers[3];
    dari_call call = {0};
    watch(client, watchers, 3, &seen);
    watchers[1].refuses = DARI_AUTH;
    assert_int_equal(nothing_1(client, &call), DARI_AUTH);
    assert_int_equal(call.error, DARI_AUTH);
    assert_false(call.may_have_run);
    check_seen(&seen, "1+NOTHING 2+NOTHING 1--71 ");
    assert_false(seen.last.may_have_run);
    assert_int_equal(nothing_1_start(client, &call, count_end, &seen), DARI_AUTH);
    check_seen(&seen, "1+NOTHING 2+NOTHING 1--71 ");
    assert_int_equal(nothing_1_oneway(client, &call), DARI_AUTH);
    check_seen(&seen, "1+NOTHING 2+NOTHING 1--71 ");
    watchers[1].refuses = 5; /* no error of ours */
    assert_int_equal(nothing_1(client, &call), DARI_INVALID);
    check_seen(&seen, "1+NOTHING 2+NOTHING 1--2 ");
    assert_int_equal(dari_client_wait(client, 0), 0);
    watchers[1].refuses = 0;
    check_add(client);
    fixture_stop(fixture);
    assert_int_equal(fixture_entered(fixture), 1);
    dari_client_close(client);
    dari_call_end(&call);
}

void interceptors_are_told_of_failures(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    sightings seen = {.text = ""};
    watcher watchers[1];
    dari_call call = {0}, other = {0};
    watch(client, watchers, 1, &seen);
    assert_int_equal(fail_1(client, &(int32_t){DARI_GARBAGE_ARGUMENTS}, &call),
                     DARI_GARBAGE_ARGUMENTS);
    check_seen(&seen, "1+FAIL 1--75 ");
    assert_false(seen.last.may_have_run);
    assert_int_equal(fail_1(client, &(int32_t){DARI_NO_MEMORY}, &call), DARI_SYSTEM_ERROR);
    check_seen(&seen, "1+FAIL 1--76 ");
    assert_true(seen.last.may_have_run);
    fixture_close_gate(fixture);
    call.deadline_ns = 20 * DARI_MS;
    assert_int_equal(nothing_1(client, &call), DARI_DEADLINE);
    check_seen(&seen, "1+NOTHING 1--5 ");
    assert_in_range(seen.last.elapsed_ns, 20 * DARI_MS, 10 * DARI_S);
    assert_int_equal(nothing_1_start(client, &call, count_end, &seen), 0);
    assert_int_equal(nothing_1_start(client, &other, count_end, &seen), 0);
    while (!strstr(seen.text, "failed"))
        assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    check_seen(&seen, "1+NOTHING 1+NOTHING 1--5 failed ");
    dari_client_close(client);
    check_seen(&seen, "1--23 failed ");
    assert_true(seen.last.may_have_run);
    dari_call_end(&call);
    dari_call_end(&other);
}
