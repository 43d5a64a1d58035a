/* SPDX-License-Identifier: MIT */
/* The log of a server that hostile peers try to flood. */
#include "conformance/cases.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a log got: lines, and lines that were left out. */
typedef struct kept_log {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned lines;
    uint64_t left_out;
} kept_log;

static void take_line(void *user, int error, const char *text)
{
    kept_log *log = user;
    uint64_t left_out;
    pthread_mutex_lock(&log->lock);
    if (sscanf(text, "lines left out: %" SCNu64, &left_out) == 1) {
        assert_int_equal(error, DARI_LIMIT);
        assert_true(left_out > 0);
        log->left_out += left_out;
    } else {
        log->lines++;
    }
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

static void await_lines(kept_log *log, unsigned count)
{
    pthread_mutex_lock(&log->lock);
    while (log->lines + log->left_out < count)
        pthread_cond_wait(&log->changed, &log->lock);
    assert_int_equal(log->lines + log->left_out, count);
    pthread_mutex_unlock(&log->lock);
}

/* A server with a log that is kept, and `limit` lines a second, 0: the default. */
static void listen_with_log(test_fixture *fixture, kept_log *log, uint32_t limit)
{
    *log = (kept_log){.lines = 0};
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->changed, NULL);
    fixture->options.log = take_line;
    fixture->options.log_user = log;
    fixture->options.log_lines_per_second = limit;
    assert_int_equal(dari_server_create(&fixture->options, &fixture->server), 0);
    assert_int_equal(echo_1_serve(fixture->server, &echo_handlers, fixture), 0);
    assert_int_equal(dari_server_listen(fixture->server, fixture->address), 0);
    fixture_listens(fixture, dari_server_address(fixture->server, 0));
}

static void end_log(kept_log *log)
{
    pthread_cond_destroy(&log->changed);
    pthread_mutex_destroy(&log->lock);
}

/* There is some, and in no second more than so much. */
static void check_limited(const kept_log *log, uint64_t began, unsigned limit)
{
    uint64_t seconds = (di_now() - began) / DARI_S + 1;
    assert_true(log->lines >= limit);
    assert_true(log->lines <= seconds * limit);
}

void a_flood_of_garbage(test_fixture *fixture)
{
    enum { COUNT = 3 * DARI_LOG_LINES_PER_SECOND_DEFAULT };
    kept_log log;
    listen_with_log(fixture, &log, 0);
    fixture_start(fixture);
    uint64_t began = di_now();
    for (int i = 0; i < COUNT; i++) {
        di_connection *peer = raw_connect(fixture);
        raw_send_record(peer, "garbage!", 8);
        assert_true(raw_ended(peer));
        raw_close(peer);
    }
    await_lines(&log, COUNT);
    check_limited(&log, began, DARI_LOG_LINES_PER_SECOND_DEFAULT);
    fixture_stop(fixture);
    end_log(&log);
}

/* Calls whose handlers fail, in threads of their own: the loop sleeps, and yet tells. */
void a_flood_of_failures(test_fixture *fixture)
{
    enum { COUNT = 50, LIMIT = 3 };
    kept_log log;
    fixture->options.workers = 2;
    listen_with_log(fixture, &log, LIMIT);
    fixture_start(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    uint64_t began = di_now();
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(fail_1(client, &(int32_t){DARI_NO_MEMORY}, NULL), DARI_SYSTEM_ERROR);
    await_lines(&log, COUNT);
    check_limited(&log, began, LIMIT);
    dari_client_close(client);
    fixture_stop(fixture);
    end_log(&log);
}

void lines_left_out_at_the_end(test_fixture *fixture)
{
    enum { COUNT = 20 };
    kept_log log;
    listen_with_log(fixture, &log, 1);
    fixture_start(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(fail_1(client, &(int32_t){DARI_NO_MEMORY}, NULL), DARI_SYSTEM_ERROR);
    dari_client_close(client);
    fixture_stop(fixture);
    assert_int_equal(log.lines + log.left_out, COUNT);
    end_log(&log);
}
