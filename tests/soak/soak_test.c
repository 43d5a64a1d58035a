/* SPDX-License-Identifier: MIT */
/* The soak: servers and clients in processes and threads do everything at random for some seconds,
 * some clients are killed or frozen, servers are killed or end, and others take their places; then
 * every call must be accounted for.
 *
 * DARI_SOAK_SECONDS says how long, DARI_SOAK_SEED what happens, as far as that is one process's
 * decision. The soak runs before the cases, which look at what came of it: processes are forked
 * while this one has one thread and no handlers. */
#include "soak/process.h"

#include "soak.h"
#include "support/descriptors.h"
#include "support/queues.h"

#include <dari/dari.h>

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 3, THREADS = 4, LONERS = CLIENTS - THREADS };
/* The longest wait for calls within which a server may kill itself. */
enum { DOOM_MS = 200 };
/* Memory that a process may hold at its end beyond what it had: the C library's own. */
enum { MEMORY_SLACK = 256 << 10 };

/* A process; one of several that are watched. */
typedef struct process {
    pid_t id;
    int descriptor; /* readable once it has ended */
    bool frozen;
} process;

static struct soak {
    ledger *book;
    dice dice;
    char directory[64];
    process servers[SERVERS];
    process crew;
    process loners[LONERS];
    unsigned lives;
    unsigned kills, freezes, server_kills;
    unsigned idle[ADDRESSES]; /* descriptors of the server with one connection */
    unsigned answering;       /* addresses that answer at the end */
    bool idle_again;          /* servers have no more descriptors than in the beginning */
    bool childless;
    ledger_sums sums;
} soak;

soak_usage soak_usage_now(void)
{
    return (soak_usage){count_descriptors(), mallinfo2().uordblks};
}

void soak_check_usage(ledger *book, const soak_usage *before, const char *who)
{
    soak_usage now = soak_usage_now();
    if (now.descriptors != before->descriptors)
        ledger_complain(book, "%s leaks descriptors: %u before, %u after", who, before->descriptors,
                        now.descriptors);
    if (now.memory > before->memory + MEMORY_SLACK)
        ledger_complain(book, "%s leaks memory: %zu before, %zu after", who, before->memory,
                        now.memory);
}

/* Returns true in the child, which ends with this process at the latest. */
static bool start(process *ret_process)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t id = fork();
    if (id == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        return true;
    }
    *ret_process = (process){.id = id, .descriptor = id > 0 ? pidfd_open(id, 0) : -1};
    if (ret_process->descriptor < 0)
        ledger_complain(soak.book, "no process can be made");
    return false;
}

/* Waits for the end of a process, which is to be a good one unless it was `killed`. */
static void await_end(process *one, const char *who, bool killed)
{
    struct pollfd ended = {.fd = one->descriptor, .events = POLLIN};
    int status = 0;
    if (one->id <= 0)
        return;
    if (poll(&ended, 1, PATIENCE_S * 1000) == 0) {
        ledger_complain(soak.book, "%s does not end", who);
        kill(one->id, SIGABRT);
    }
    waitpid(one->id, &status, 0);
    close(one->descriptor);
    if (!(killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) && status != 0)
        ledger_complain(soak.book, "%s ends with status %d", who, status);
    one->id = 0;
}

static void start_server(unsigned number)
{
    int ready[2];
    char byte;
    if (pipe(ready) < 0)
        return;
    if (start(&soak.servers[number])) {
        close(ready[0]);
        soak_serve(soak.book, number, ready[1]);
        exit(0);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        ledger_complain(soak.book, "server %u does not start", number);
    close(ready[0]);
}

static void start_clients(process *ret_process, unsigned first, unsigned count)
{
    unsigned life = soak.lives++;
    if (start(ret_process)) {
        soak_call(soak.book, first, count, life);
        exit(0);
    }
}

static void start_loner(unsigned index)
{
    start_clients(&soak.loners[index], THREADS + index, 1);
}

/* How many descriptors the server at an address has open; 0 where it does not answer. */
static unsigned ask_descriptors(const char *address)
{
    uint32_t count = 0;
    dari_call call = DARI_CALL(.deadline_ns = PATIENCE_S * DARI_S);
    dari_client *client = NULL;
    if (dari_connect(address, &(dari_client_options){.call = &call}, &client) < 0 ||
        descriptors_1(client, &count, &call) < 0)
        ledger_complain(soak.book, "%s", dari_call_message(&call));
    dari_client_close(client);
    dari_call_end(&call);
    return count;
}

/* Waits until a process ends that should not, for some time at most. */
static void watch(uint32_t milliseconds)
{
    struct pollfd all[SERVERS + LONERS + 1];
    nfds_t count = 0;
    for (unsigned i = 0; i < SERVERS; i++)
        all[count++] = (struct pollfd){.fd = soak.servers[i].descriptor, .events = POLLIN};
    for (unsigned i = 0; i < LONERS; i++)
        all[count++] = (struct pollfd){.fd = soak.loners[i].descriptor, .events = POLLIN};
    all[count++] = (struct pollfd){.fd = soak.crew.descriptor, .events = POLLIN};
    if (poll(all, count, (int)milliseconds) > 0 && ledger_now() < soak.book->end_at)
        ledger_complain(soak.book, "a process has ended early");
}

static void thaw(process *one)
{
    if (one->frozen)
        kill(one->id, SIGCONT);
    one->frozen = false;
}

/* The addresses that a server will listen at, before it says which ports those are. */
static void set_addresses(unsigned number)
{
    char(*own)[sizeof *soak.book->addresses] = &soak.book->addresses[number];
    const size_t room = sizeof *own;
    if (number == 0)
        snprintf(*own, room, "unix:%s/socket", soak.directory);
    else
        snprintf(*own, room, "unix:@dari-soak-%d", getpid());
    snprintf(own[SERVERS], room, "tcp://127.0.0.1:0");
    snprintf(own[2 * SERVERS], room, "udp://127.0.0.1:0");
    snprintf(own[3 * SERVERS], room, "shm:%s/shm-%u", soak.directory, number);
    snprintf(own[4 * SERVERS], room, "fifo:%s/fifo-%u", soak.directory, number);
    /* A user has not much room for queues. */
    snprintf(own[5 * SERVERS], room, "mq:dari-soak-%d-%u?messages=4&bytes=4096", getpid(), number);
}

/* Ends a server, which answers what it has begun. It waits for nobody who is frozen. */
static void end_server(unsigned number)
{
    for (unsigned i = 0; i < LONERS; i++)
        thaw(&soak.loners[i]);
    kill(soak.servers[number].id, SIGTERM);
    await_end(&soak.servers[number], "a server", false);
}

/* Kills a server, whatever it does, or within a call, which has run and is not answered then. It
 * leaves calls behind that it has begun. */
static void kill_server(unsigned number)
{
    server_sums *sums = &soak.book->servers[number];
    struct pollfd ended = {.fd = soak.servers[number].descriptor, .events = POLLIN};
    if (roll(&soak.dice, 2)) {
        atomic_store(&sums->doomed, 1 + roll(&soak.dice, 50));
        poll(&ended, 1, DOOM_MS);
    }
    kill(soak.servers[number].id, SIGKILL);
    await_end(&soak.servers[number], "a server", true);
    atomic_store(&sums->doomed, 0);
    sums->cut_off = sums->begun - (sums->answered + sums->failed + sums->unheard);
    soak.server_kills++;
}

static void replace_server(unsigned number, bool killed)
{
    atomic_fetch_add(&soak.book->replaced, 1);
    if (killed)
        kill_server(number);
    else
        end_server(number);
    atomic_fetch_add(&soak.book->servers[number].lives, 1);
    set_addresses(number);
    start_server(number);
    atomic_fetch_add(&soak.book->replaced, 1);
}

static void disturb_client(unsigned index)
{
    process *victim = &soak.loners[index];
    if (victim->frozen) {
        thaw(victim);
    } else if (roll(&soak.dice, 3) == 0) {
        kill(victim->id, SIGSTOP);
        victim->frozen = true;
        soak.freezes++;
    } else {
        kill(victim->id, SIGKILL);
        await_end(victim, "a client", true);
        soak.kills++;
        start_loner(index);
    }
}

/* Kills, freezes, thaws and replaces until the time is over. */
static void disturb(void)
{
    watch(20 + roll(&soak.dice, 150));
    for (unsigned i = 0; i < SERVERS; i++)
        replace_server(i, true);
    while (ledger_now() < soak.book->end_at && soak.book->complaint_count == 0) {
        watch(20 + roll(&soak.dice, 150));
        if (roll(&soak.dice, 8) == 0)
            replace_server(roll(&soak.dice, SERVERS), roll(&soak.dice, 2));
        else
            disturb_client(roll(&soak.dice, LONERS));
    }
    soak.book->end_at = ledger_now();
}

/* Servers that have nothing to do hold what they held before. */
static bool is_idle_again(void)
{
    uint64_t patience = ledger_now() + PATIENCE_S * DARI_S;
    for (unsigned i = 0; i < ADDRESSES; i++) {
        unsigned count = 0;
        while ((count = ask_descriptors(soak.book->addresses[i])) == 0 || count > soak.idle[i])
            if (count == 0 || ledger_now() > patience) {
                printf("# %s: %u descriptors, %u in the beginning\n", soak.book->addresses[i],
                       count, soak.idle[i]);
                return false;
            }
        soak.answering++;
    }
    return true;
}

static void finish(void)
{
    bool killed[CLIENTS] = {false};
    for (unsigned i = 0; i < LONERS; i++) {
        killed[THREADS + i] = true;
        thaw(&soak.loners[i]);
        await_end(&soak.loners[i], "a client", false);
    }
    await_end(&soak.crew, "the crew", false);
    soak.idle_again = is_idle_again();
    for (unsigned i = 0; i < SERVERS; i++) {
        /* The next one removes what clients have left that were killed while they connected. */
        replace_server(i, false);
        kill(soak.servers[i].id, SIGTERM);
        await_end(&soak.servers[i], "a server", false);
    }
    soak.childless = waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
    soak.sums = ledger_balance(soak.book, killed);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void run(void)
{
    uint64_t seconds = number_of("DARI_SOAK_SECONDS", SECONDS);
    ledger *book = soak.book;
    book->seed = number_of("DARI_SOAK_SEED", 1);
    soak.dice = dice_of(book->seed, 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        set_addresses(i);
        start_server(i);
    }
    for (unsigned i = 0; i < ADDRESSES; i++)
        soak.idle[i] = ask_descriptors(book->addresses[i]);
    book->end_at = ledger_now() + seconds * DARI_S;
    start_clients(&soak.crew, 0, THREADS);
    for (unsigned i = 0; i < LONERS; i++)
        start_loner(i);
    disturb();
    finish();
}

static void nothing_is_wrong(void **state)
{
    (void)state;
    uint32_t count = soak.book->complaint_count;
    for (uint32_t i = 0; i < count && i < COMPLAINTS; i++)
        print_message("# %s\n", soak.book->complaints[i]);
    assert_int_equal(count, 0);
}

static void every_call_is_accounted_for(void **state)
{
    (void)state;
    uint64_t sum = 0;
    for (unsigned i = FATE_NONE; i < FATES; i++)
        sum += soak.sums.by_fate[i];
    assert_true(soak.sums.calls > 0);
    assert_int_equal(sum, soak.sums.calls);
    /* Each way that a call can end was gone. */
    for (unsigned i = FATE_ANSWERED; i < FATES; i++)
        assert_true(soak.sums.by_fate[i] > 0);
}

static void both_sides_count_the_same(void **state)
{
    (void)state;
    uint64_t begun = 0, refused = 0, failed = 0, answered = 0, cut_off = 0;
    for (unsigned i = 0; i < SERVERS; i++) {
        const server_sums *server = &soak.book->servers[i];
        begun += server->begun;
        answered += server->answered;
        failed += server->failed;
        refused += server->refused;
        cut_off += server->cut_off;
        assert_int_equal(server->begun,
                         server->answered + server->failed + server->unheard + server->cut_off);
    }
    /* Each call of a server that was killed may have come to any point. */
    assert_in_range(begun, soak.sums.runs + refused, soak.sums.runs + refused + cut_off);
    assert_true(refused + cut_off >= soak.sums.by_fate[FATE_REFUSED]);
    assert_true(answered + cut_off >=
                soak.sums.by_fate[FATE_ANSWERED] + soak.sums.by_fate[FATE_CONFIRMED]);
    assert_true(failed + cut_off >=
                soak.sums.by_fate[FATE_FAILED] + soak.sums.by_fate[FATE_REFUSED]);
}

static void clients_outlive_servers(void **state)
{
    (void)state;
    assert_true(soak.server_kills >= SERVERS);
    assert_true(soak.book->resumed > 0);
}

static void servers_still_answer(void **state)
{
    (void)state;
    assert_int_equal(soak.answering, ADDRESSES);
}

static void nothing_is_left(void **state)
{
    (void)state;
    assert_true(soak.idle_again);
    assert_true(soak.childless);
    assert_int_equal(rmdir(soak.directory), 0);
}

static void tell(void)
{
    static const char *const names[FATES] = {
        "",         "left behind by a kill",     "answered", "failed",
        "refused",  "ended early, may have run", "not run",  "sent one-way",
        "confirmed"};
    printf(
        "# seed %" PRIu64 ": %" PRIu64 " calls, %" PRIu64 " connections (%" PRIu64
        " not made), %u clients killed, %u frozen, %u servers replaced, %u of them killed, %" PRIu64
        " calls on connections made again\n",
        soak.book->seed, soak.sums.calls, soak.book->connections, soak.book->failed_connections,
        soak.kills, soak.freezes, soak.book->replaced / 2, soak.server_kills, soak.book->resumed);
    for (unsigned i = FATE_STARTED; i < FATES; i++)
        printf("# %10" PRIu64 " %s\n", soak.sums.by_fate[i], names[i]);
    for (unsigned i = 0; i < SERVERS; i++)
        printf("# server %u: %" PRIu64 " begun, %" PRIu64 " answered, %" PRIu64 " failed, %" PRIu64
               " to nobody, %" PRIu64 " cut off\n",
               i, soak.book->servers[i].begun, soak.book->servers[i].answered,
               soak.book->servers[i].failed, soak.book->servers[i].unheard,
               soak.book->servers[i].cut_off);
    fflush(stdout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong),          cmocka_unit_test(every_call_is_accounted_for),
        cmocka_unit_test(both_sides_count_the_same), cmocka_unit_test(servers_still_answer),
        cmocka_unit_test(clients_outlive_servers),   cmocka_unit_test(nothing_is_left),
    };
    use_queues_of_ones_own();
    take_turns_with_queues();
    soak.book = ledger_create();
    strcpy(soak.directory, "/tmp/dari-soak-XXXXXX");
    if (!soak.book || !mkdtemp(soak.directory)) {
        printf("Bail out! No memory or no directory\n");
        return 1;
    }
    run();
    tell();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ledger_free(soak.book);
    return failed;
}
