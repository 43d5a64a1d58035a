/* SPDX-License-Identifier: MIT */
/* uv-client ADDRESS N: has the server there count to N in a libuv loop, one by one but many at
 * once: each call that is answered starts the next one. */
#include "calc.h"

#include <dari/dari.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { AT_ONCE = 64 };

/* A call, again and again. */
typedef struct slot {
    dari_call call;
    struct member *owner;
} slot;

/* A client in a loop: it is dispatched when its descriptor is readable and when its time is over,
 * and says right before the loop sleeps when that is. */
typedef struct member {
    dari_client *client;
    uv_poll_t readable;
    uv_timer_t timer;
    uv_prepare_t before_sleep;
    int32_t started, count;
    int busy; /* slots */
    int64_t total;
    int error;
    slot slots[AT_ONCE];
} member;

static void take_sum(void *user, const int32_t *sum, dari_call *call);

static void fail(member *self, int error, const char *text)
{
    if (self->error == 0)
        fprintf(stderr, "uv-client: %s\n", text);
    self->error = error;
}

/* Starts the next call, unless there is none. */
static void start_next(slot *one)
{
    member *self = one->owner;
    if (self->started == self->count || self->error < 0)
        return;
    int status = add_1_start(self->client, &(pair){self->started++, 1}, &one->call, take_sum, one);
    if (status < 0)
        fail(self, status, dari_call_message(&one->call));
    else
        self->busy++;
}

static void take_sum(void *user, const int32_t *sum, dari_call *call)
{
    slot *one = user;
    member *self = one->owner;
    self->busy--;
    if (sum)
        self->total += *sum;
    else
        fail(self, call->error, dari_call_message(call));
    start_next(one);
}

static void dispatch(member *self)
{
    int status = dari_client_dispatch(self->client);
    if (status < 0)
        fail(self, status, dari_error_text(status));
    if (status < 0 || self->busy == 0)
        uv_stop(self->timer.loop);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    dispatch(handle->data);
}

static void on_time(uv_timer_t *handle)
{
    dispatch(handle->data);
}

static void on_before_sleep(uv_prepare_t *handle)
{
    member *self = handle->data;
    uint64_t ns = dari_client_timeout_ns(self->client);
    if (ns == UINT64_MAX)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, on_time, ns / DARI_MS + (ns % DARI_MS != 0), 0);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

static void run(member *self, uv_loop_t *loop)
{
    uv_poll_init(loop, &self->readable, dari_client_descriptor(self->client));
    uv_timer_init(loop, &self->timer);
    uv_prepare_init(loop, &self->before_sleep);
    self->readable.data = self->timer.data = self->before_sleep.data = self;
    uv_poll_start(&self->readable, UV_READABLE, on_readable);
    uv_prepare_start(&self->before_sleep, on_before_sleep);
    for (int i = 0; i < AT_ONCE; i++) {
        self->slots[i].owner = self;
        start_next(&self->slots[i]);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    /* The descriptor must leave the loop before the client closes it. */
    uv_walk(loop, close_handle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    member self = {.count = argc == 3 ? atoi(argv[2]) : 0};
    if (self.count <= 0) {
        fprintf(stderr, "Usage: uv-client ADDRESS N\n");
        return 2;
    }
    dari_call call = {0};
    if (dari_connect(argv[1], &(dari_client_options){.call = &call}, &self.client) < 0) {
        fprintf(stderr, "uv-client: %s\n", dari_call_message(&call));
        return 1;
    }
    uv_loop_t loop;
    uv_loop_init(&loop);
    run(&self, &loop);
    uv_loop_close(&loop);
    dari_client_close(self.client);
    if (self.error == 0)
        printf("1 + ... + %d = %lld\n", self.count, (long long)self.total);
    for (int i = 0; i < AT_ONCE; i++)
        dari_call_end(&self.slots[i].call);
    return self.error < 0;
}
