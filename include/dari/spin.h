/* SPDX-License-Identifier: MIT */
/* How long those who wait for a peer over shared memory look for themselves, before they sleep and
 * have the peer wake them. An option of clients and servers; other schemes have no use for it. */
#ifndef DARI_SPIN_H
#define DARI_SPIN_H

enum dari_spin {
    DARI_SPIN_BALANCED = 0, /* up to 50 us, and less and less where that finds nothing */
    DARI_SPIN_LATENCY = 1,  /* up to 10 ms each time: a processor is this program's own */
    DARI_SPIN_NEVER = 2
};

#endif
