/* SPDX-License-Identifier: MIT */
#include "conformance/fake_rpcbind.h"

#include "portmap.h"
#include "transport/universal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int find(const fake_rpcbind *fake, uint32_t program, uint32_t version, const char *netid)
{
    for (unsigned i = 0; i < fake->count; i++)
        if (fake->entries[i].program == program &&
            (version == 0 || fake->entries[i].version == version) &&
            strcmp(fake->entries[i].netid, netid) == 0)
            return (int)i;
    return -1;
}

/* The same, or else any version of the program. */
static int find_any(const fake_rpcbind *fake, uint32_t program, uint32_t version, const char *netid)
{
    int at = find(fake, program, version, netid);
    return at < 0 ? find(fake, program, 0, netid) : at;
}

static void take_out(fake_rpcbind *fake, int at)
{
    fake->entries[at] = fake->entries[--fake->count];
}

static bool add(fake_rpcbind *fake, const fake_entry *entry)
{
    int at = find(fake, entry->program, entry->version, entry->netid);
    if (at >= 0)
        return strcmp(fake->entries[at].address, entry->address) == 0;
    if (fake->count == FAKE_ENTRIES)
        return false;
    fake->entries[fake->count++] = *entry;
    return true;
}

static fake_entry make_entry(uint32_t program, uint32_t version, const char *netid,
                             const char *address, const char *owner)
{
    fake_entry entry = {.program = program, .version = version};
    snprintf(entry.netid, sizeof entry.netid, "%s", netid);
    snprintf(entry.address, sizeof entry.address, "%s", address);
    snprintf(entry.owner, sizeof entry.owner, "%s", owner);
    return entry;
}

/* Every call goes through here; the lock is held afterwards. */
static fake_rpcbind *enter(dari_request *request, unsigned version)
{
    fake_rpcbind *fake = dari_request_user(request);
    pthread_mutex_lock(&fake->lock);
    fake->calls[version]++;
    fake->waiting++;
    pthread_cond_broadcast(&fake->changed);
    while (fake->silent)
        pthread_cond_wait(&fake->changed, &fake->lock);
    fake->waiting--;
    return fake;
}

static int leave(fake_rpcbind *fake)
{
    int error = fake->error;
    pthread_mutex_unlock(&fake->lock);
    return error;
}

static int set_any(fake_rpcbind *fake, const portmap_place *arg, bool *ret)
{
    fake_entry entry = make_entry(arg->number, arg->edition, arg->netid, arg->address, arg->owner);
    *ret = !fake->refuses_set && !fake->error && add(fake, &entry);
    return leave(fake);
}

static int unset_any(fake_rpcbind *fake, const portmap_place *arg, bool *ret)
{
    int at = find(fake, arg->number, arg->edition, arg->netid);
    *ret =
        at >= 0 && !fake->error &&
        (strcmp(fake->entries[at].owner, arg->owner) == 0 || strcmp(arg->owner, "superuser") == 0);
    if (*ret)
        take_out(fake, at);
    return leave(fake);
}

static int getaddr_any(dari_request *request, fake_rpcbind *fake, const portmap_place *arg,
                       char **ret)
{
    int at = find_any(fake, arg->number, arg->edition, arg->netid);
    const char *answer = fake->answer ? fake->answer : at < 0 ? "" : fake->entries[at].address;
    *ret = dari_arena_take(dari_request_arena(request), strlen(answer) + 1);
    assert_non_null(*ret);
    strcpy(*ret, answer);
    return leave(fake);
}

static int dump_any(dari_request *request, fake_rpcbind *fake, portmap_table *ret)
{
    portmap_entry *all = dari_arena_take(dari_request_arena(request), FAKE_ENTRIES * sizeof *all);
    assert_non_null(all);
    for (unsigned i = 0; i < fake->count; i++) {
        fake_entry *entry = &fake->entries[i];
        all[i] = (portmap_entry){
            {entry->program, entry->version, entry->netid, entry->address, entry->owner},
            i + 1 < fake->count ? &all[i + 1] : NULL};
    }
    *ret = fake->count ? all : NULL;
    return leave(fake);
}

#define MODERN(number)                                                                           \
    static int set_##number##_here(dari_request *request, const portmap_place *arg, bool *ret)   \
    {                                                                                            \
        return set_any(enter(request, number), arg, ret);                                        \
    }                                                                                            \
    static int unset_##number##_here(dari_request *request, const portmap_place *arg, bool *ret) \
    {                                                                                            \
        return unset_any(enter(request, number), arg, ret);                                      \
    }                                                                                            \
    static int getaddr_##number##_here(dari_request *request, const portmap_place *arg,          \
                                       char **ret)                                               \
    {                                                                                            \
        return getaddr_any(request, enter(request, number), arg, ret);                           \
    }                                                                                            \
    static int dump_##number##_here(dari_request *request, portmap_table *ret)                   \
    {                                                                                            \
        return dump_any(request, enter(request, number), ret);                                   \
    }                                                                                            \
    static const portmap_##number##_handlers handlers_##number = {                               \
        set_##number##_here, unset_##number##_here, getaddr_##number##_here,                     \
        dump_##number##_here};
MODERN(3)
MODERN(4)

static const char *netid_of(const portmap_mapping *arg)
{
    return arg->protocol == 17 ? "udp" : "tcp";
}

static int set_old(dari_request *request, const portmap_mapping *arg, bool *ret)
{
    fake_rpcbind *fake = enter(request, 2);
    char address[32];
    snprintf(address, sizeof address, "0.0.0.0.%u.%u", arg->port >> 8, arg->port & 255);
    fake_entry entry = make_entry(arg->number, arg->edition, netid_of(arg), address, "unknown");
    *ret = !fake->refuses_set && !fake->error && add(fake, &entry);
    return leave(fake);
}

static int unset_old(dari_request *request, const portmap_mapping *arg, bool *ret)
{
    fake_rpcbind *fake = enter(request, 2);
    static const char *const netids[] = {"tcp", "udp"};
    *ret = false;
    for (int i = 0; i < 2; i++) {
        int at = find(fake, arg->number, arg->edition, netids[i]);
        if (at < 0 || strcmp(fake->entries[at].owner, "unknown") != 0)
            continue;
        take_out(fake, at);
        *ret = true;
    }
    return leave(fake);
}

static int getport_old(dari_request *request, const portmap_mapping *arg, uint32_t *ret)
{
    fake_rpcbind *fake = enter(request, 2);
    di_socket_address address;
    int at = find_any(fake, arg->number, arg->edition, netid_of(arg));
    if (at >= 0 && di_universal_read(fake->entries[at].address, &address) == 0)
        *ret = di_socket_port(&address);
    if (fake->answer)
        *ret = (uint32_t)atoi(fake->answer);
    return leave(fake);
}

static const portmap_2_handlers handlers_2 = {set_old, unset_old, getport_old};

static void *run(void *argument)
{
    fake_rpcbind *fake = argument;
    assert_int_equal(dari_server_run(fake->server), 0);
    return NULL;
}

void fake_start(fake_rpcbind *fake, unsigned versions)
{
    static atomic_int number;
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    snprintf(fake->address, sizeof fake->address, "unix:@dari-rpcbind-%d-%d", getpid(), ++number);
    assert_int_equal(dari_server_create(NULL, &fake->server), 0);
    if (versions & FAKE_V2)
        assert_int_equal(portmap_2_serve(fake->server, &handlers_2, fake), 0);
    if (versions & FAKE_V3)
        assert_int_equal(portmap_3_serve(fake->server, &handlers_3, fake), 0);
    if (versions & FAKE_V4)
        assert_int_equal(portmap_4_serve(fake->server, &handlers_4, fake), 0);
    assert_int_equal(dari_server_listen(fake->server, fake->address), 0);
    assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
}

void fake_stop(fake_rpcbind *fake)
{
    fake_set_silent(fake, false);
    dari_server_stop(fake->server);
    pthread_join(fake->thread, NULL);
    dari_server_destroy(fake->server);
    pthread_cond_destroy(&fake->changed);
    pthread_mutex_destroy(&fake->lock);
    *fake = (fake_rpcbind){0};
}

void fake_add(fake_rpcbind *fake, uint32_t program, uint32_t version, const char *netid,
              const char *address, const char *owner)
{
    fake_entry entry = make_entry(program, version, netid, address, owner);
    pthread_mutex_lock(&fake->lock);
    assert_true(add(fake, &entry));
    pthread_mutex_unlock(&fake->lock);
}

int fake_find(fake_rpcbind *fake, uint32_t program, uint32_t version, const char *netid)
{
    pthread_mutex_lock(&fake->lock);
    int at = find(fake, program, version, netid);
    pthread_mutex_unlock(&fake->lock);
    return at;
}

void fake_set_silent(fake_rpcbind *fake, bool silent)
{
    pthread_mutex_lock(&fake->lock);
    fake->silent = silent;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

void fake_await_waiting(fake_rpcbind *fake, unsigned count)
{
    pthread_mutex_lock(&fake->lock);
    while (fake->waiting < count)
        pthread_cond_wait(&fake->changed, &fake->lock);
    pthread_mutex_unlock(&fake->lock);
}
