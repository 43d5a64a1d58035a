/* SPDX-License-Identifier: MIT */
/* uv-server ADDRESS...: serves calc.x in a libuv loop. Ends on SIGINT or SIGTERM once the calls in
 * progress are answered. */
#include "calc.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>
#include <uv.h>

/* A server in a loop: it is dispatched when its descriptor is readable and when its time is over,
 * and says right before the loop sleeps when that is. */
typedef struct member {
    dari_server *server;
    uv_poll_t readable;
    uv_timer_t timer;
    uv_prepare_t before_sleep;
    uv_signal_t interrupt, terminate;
    int error;
} member;

static int add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    return __builtin_add_overflow(arg->a, arg->b, ret) ? DARI_RANGE : 0;
}

static const calc_1_handlers handlers = {.add = add};

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

static void dispatch(member *self)
{
    int status = dari_server_dispatch(self->server);
    if (status < 0)
        self->error = status;
    if (status < 0 || dari_server_finished(self->server))
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
    uint64_t ns = dari_server_timeout_ns(self->server);
    if (ns == UINT64_MAX)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, on_time, ns / DARI_MS + (ns % DARI_MS != 0), 0);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    (void)signal;
    dari_server_finish(((member *)handle->data)->server, 5 * DARI_S);
}

static void join(member *self, uv_loop_t *loop)
{
    uv_poll_init(loop, &self->readable, dari_server_descriptor(self->server));
    uv_timer_init(loop, &self->timer);
    uv_prepare_init(loop, &self->before_sleep);
    uv_signal_init(loop, &self->interrupt);
    uv_signal_init(loop, &self->terminate);
    self->readable.data = self->timer.data = self->before_sleep.data = self;
    self->interrupt.data = self->terminate.data = self;
    uv_poll_start(&self->readable, UV_READABLE, on_readable);
    uv_prepare_start(&self->before_sleep, on_before_sleep);
    uv_signal_start(&self->interrupt, on_signal, SIGINT);
    uv_signal_start(&self->terminate, on_signal, SIGTERM);
}

static int serve(dari_server *server, int count, char **addresses)
{
    int status = calc_1_serve(server, &handlers, NULL);
    for (int i = 0; i < count && status == 0; i++) {
        status = dari_server_listen(server, addresses[i]);
        if (status == 0)
            printf("%s\n", dari_server_address(server, (size_t)i));
    }
    if (status < 0)
        fprintf(stderr, "uv-server: %s\n", dari_server_message(server));
    fflush(stdout);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "Usage: uv-server ADDRESS...\n");
        return 2;
    }
    uv_loop_t loop;
    member self = {0};
    uv_loop_init(&loop);
    self.error = dari_server_create(NULL, &self.server);
    if (self.error < 0) {
        fprintf(stderr, "uv-server: %s\n", dari_error_text(self.error));
        return 1;
    }
    join(&self, &loop);
    self.error = serve(self.server, argc - 1, argv + 1);
    if (self.error == 0) {
        uv_run(&loop, UV_RUN_DEFAULT);
        if (self.error < 0)
            fprintf(stderr, "uv-server: %s\n", dari_error_text(self.error));
    }
    /* The descriptor must leave the loop before the server closes it. */
    uv_walk(&loop, close_handle, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    dari_server_destroy(self.server);
    return self.error < 0;
}
