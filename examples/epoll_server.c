/* SPDX-License-Identifier: MIT */
/* epoll-server ADDRESS...: serves calc.x in an epoll loop of its own, which has a signalfd beside
 * the server. Ends on SIGINT or SIGTERM once the calls in progress are answered. */
#include "calc.h"

#include <dari/dari.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    return __builtin_add_overflow(arg->a, arg->b, ret) ? DARI_RANGE : 0;
}

static const calc_1_handlers handlers = {.add = add};

/* What epoll_wait takes: rounded up, and -1 for no limit. */
static int milliseconds(uint64_t ns)
{
    uint64_t rounded = ns / DARI_MS + (ns % DARI_MS != 0);
    if (ns == UINT64_MAX)
        return -1;
    return rounded > INT_MAX ? INT_MAX : (int)rounded;
}

/* Blocks the signals; they can be read instead. */
static int open_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC);
}

static int watch(int loop, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    return epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event);
}

static int run(dari_server *server, int loop, int signals)
{
    int status = 0;
    while (status >= 0 && !dari_server_finished(server)) {
        struct epoll_event events[2];
        int count = epoll_wait(loop, events, 2, milliseconds(dari_server_timeout_ns(server)));
        for (int i = 0; i < count; i++) {
            struct signalfd_siginfo info;
            if (events[i].data.fd == signals && read(signals, &info, sizeof info) > 0)
                dari_server_finish(server, 5 * DARI_S);
        }
        /* The descriptor may be readable, or the time over: dispatch finds out. */
        status = dari_server_dispatch(server);
    }
    if (status < 0)
        fprintf(stderr, "epoll-server: %s\n", dari_error_text(status));
    return status;
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
        fprintf(stderr, "epoll-server: %s\n", dari_server_message(server));
    fflush(stdout);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "Usage: epoll-server ADDRESS...\n");
        return 2;
    }
    dari_server *server = NULL;
    int loop = epoll_create1(EPOLL_CLOEXEC), signals = open_signals();
    int status = dari_server_create(NULL, &server);
    if (status < 0 || watch(loop, signals) < 0 || watch(loop, dari_server_descriptor(server)) < 0) {
        perror("epoll-server");
        status = -1;
    }
    if (status == 0)
        status = serve(server, argc - 1, argv + 1);
    if (status == 0)
        status = run(server, loop, signals);
    dari_server_destroy(server);
    close(signals);
    close(loop);
    return status < 0;
}
