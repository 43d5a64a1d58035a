/* SPDX-License-Identifier: MIT */
/* An rpcbind of the tests' own, on a thread, at an address that nobody else uses. */
#ifndef DARI_TEST_FAKE_RPCBIND_H
#define DARI_TEST_FAKE_RPCBIND_H

#include <dari/dari.h>

#include <pthread.h>

#define FAKE_ENTRIES 16
/* Versions, or-ed together. */
enum fake_versions { FAKE_V2 = 1, FAKE_V3 = 2, FAKE_V4 = 4, FAKE_ALL = 7 };

typedef struct fake_entry {
    uint32_t program, version;
    char netid[8];
    char address[80];
    char owner[16];
} fake_entry;

typedef struct fake_rpcbind {
    char address[128]; /* where it listens */
    dari_server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    fake_entry entries[FAKE_ENTRIES];
    unsigned count;
    const char *answer; /* of GETADDR, whatever it is asked; NULL: what the table says */
    int error;          /* that every call is answered with, or 0 */
    bool refuses_set;
    bool silent; /* does not answer */
    unsigned waiting;
    unsigned calls[5]; /* by version */
} fake_rpcbind;

/* Starts one that knows `versions`. A zeroed structure is ready. */
void fake_start(fake_rpcbind *fake, unsigned versions);
void fake_stop(fake_rpcbind *fake);

void fake_add(fake_rpcbind *fake, uint32_t program, uint32_t version, const char *netid,
              const char *address, const char *owner);
/* The entry's index, or -1. */
int fake_find(fake_rpcbind *fake, uint32_t program, uint32_t version, const char *netid);
void fake_set_silent(fake_rpcbind *fake, bool silent);
/* Waits until `count` calls wait for an answer. */
void fake_await_waiting(fake_rpcbind *fake, unsigned count);

#endif
