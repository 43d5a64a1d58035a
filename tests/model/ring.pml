/* SPDX-License-Identifier: MIT */
/* The ring of src/ipc/ring.h with its two flags, and the socket by which sides wake each other, on
 * a machine where each side's stores wait in a buffer until they reach memory: x86, and what the
 * acquire and release of other machines allow of stores passing loads. A store of memory_order_seq_cst
 * is one after which the buffer is drained.
 *
 * Checked: all messages are read, and whatever side sleeps, the other one can still wake it (spin
 * finds an invalid end state otherwise); a side that dies at any step ends the other one.
 *
 * Each NO_... takes one thing away, which must make the check fail (model_test.sh):
 *   NO_FENCE_PUBLISH  the writer looks at reader_sleeps while its tail is still in its buffer
 *   NO_FENCE_SLEEP    the reader looks at the tail while reader_sleeps is
 *   NO_FENCE_READ     the reader looks at writer_waits while its head is
 *   NO_FENCE_WAIT     the writer looks at the head while writer_waits is
 *   NO_LOOK_SLEEP, NO_LOOK_WAIT    the second look after an announcement
 *   NO_WAKE_PUBLISH, NO_WAKE_READ  the wake-up
 *   NO_HANG_UP                     the socket's end, with a DEATH
 */
#define SIZE 2     /* bytes of the ring */
#define MESSAGES 4 /* bytes that go through it */

/* Memory, and the stores of each side that have not reached it. A side has one store of each word
 * in its buffer at most, in the order of the channel. */
mtype = {TAIL, HEAD, SLEEPS, WAITS};
byte tail, head, sleeps, waits;
chan stores[2] = [3] of {mtype, byte};
bool dead[2];

/* Wake-ups in the sockets to the reader and to the writer. Where one has no room, there are some. */
byte wakes[2];

#define READER 0
#define WRITER 1

inline write_memory(word, value)
{
    if
    :: word == TAIL -> tail = value
    :: word == HEAD -> head = value
    :: word == SLEEPS -> sleeps = value
    :: word == WAITS -> waits = value
    fi
}

/* A side's stores reach memory in their order, at any time; those of a dead one too. */
proctype buffer(byte side)
{
    mtype word;
    byte value;
end:
    do
    :: atomic { stores[side] ? word, value; write_memory(word, value); word = 0; value = 0 }
    od
}

inline store(side, word, value) { stores[side] ! word, value }
inline fence(side) { empty(stores[side]) }

/* A side sees its own last store of a word, which matters for none of these loads: no side loads what
 * it has in its buffer, after its fences. */
inline load(variable, ret) { ret = variable }

/* An exchange drains the buffer, and is one step. */
inline exchange(side, variable, ret)
{
    atomic { empty(stores[side]); ret = variable; variable = 0 }
}

inline wake(side)
{
    if
    :: wakes[side] < 2 -> wakes[side]++
    :: else -> skip
    fi
}

/* Sleeps in poll until there is a wake-up, which is taken, or the other side has hung up. */
inline sleep(side, other, ret_ended)
{
#ifdef NO_HANG_UP
    atomic { wakes[side] > 0; wakes[side] = 0 }
#else
    if
    :: atomic { wakes[side] > 0 -> wakes[side] = 0 }
    :: dead[other] -> ret_ended = true
    fi
#endif
}

#ifdef DEATH
/* What a process has stored is in memory before its socket is closed. */
#define MAY_DIE(side) if :: side == DEATH -> fence(side); dead[side] = true; goto over :: true -> skip fi
#else
#define MAY_DIE(side) skip
#endif

proctype writer()
{
    byte written, seen, flag;
    bool ended;
    do
    :: written == MESSAGES || ended -> break
    :: else ->
        MAY_DIE(WRITER);
        load(head, seen);
        if
        :: written - seen < SIZE ->
            /* di_ring_publish */
            written++;
            store(WRITER, TAIL, written);
#ifndef NO_FENCE_PUBLISH
            fence(WRITER);
#endif
            MAY_DIE(WRITER);
            load(sleeps, flag);
            if
            :: flag ->
                exchange(WRITER, sleeps, flag);
                MAY_DIE(WRITER);
                if
#ifndef NO_WAKE_PUBLISH
                :: flag -> wake(READER)
#endif
                :: else -> skip
                fi
            :: else -> skip
            fi
        :: else ->
            /* di_ring_wait_for_room */
            store(WRITER, WAITS, 1);
#ifndef NO_FENCE_WAIT
            fence(WRITER);
#endif
#ifndef NO_LOOK_WAIT
            load(head, seen);
#endif
            MAY_DIE(WRITER);
            if
            :: written - seen < SIZE -> store(WRITER, WAITS, 0)
            :: else -> sleep(WRITER, READER, ended)
            fi
        fi
    od;
over:
    skip
}

proctype reader()
{
    byte count, seen, flag;
    bool ended;
    do
    :: count == MESSAGES -> break
    :: else ->
        MAY_DIE(READER);
        load(tail, seen);
        if
        :: seen != count ->
            /* di_ring_read */
            assert(seen - count <= SIZE);
            count++;
            store(READER, HEAD, count);
#ifndef NO_FENCE_READ
            fence(READER);
#endif
            MAY_DIE(READER);
            if
            :: seen - count <= SIZE / 2 ->
                load(waits, flag);
                if
                :: flag ->
                    exchange(READER, waits, flag);
                    MAY_DIE(READER);
                    if
#ifndef NO_WAKE_READ
                    :: flag -> wake(WRITER)
#endif
                    :: else -> skip
                    fi
                :: else -> skip
                fi
            :: else -> skip
            fi
        :: seen == count && ended -> break
        :: seen == count && !ended ->
            /* di_ring_sleep, then di_ring_rise */
            store(READER, SLEEPS, 1);
#ifndef NO_FENCE_SLEEP
            fence(READER);
#endif
#ifndef NO_LOOK_SLEEP
            load(tail, seen);
#endif
            MAY_DIE(READER);
            if
            :: seen == count -> sleep(READER, WRITER, ended)
            :: else -> skip
            fi;
            store(READER, SLEEPS, 0)
        fi
    od;
    /* What a dead writer has published is read before its end is told. */
    assert(count == (ended -> tail : MESSAGES));
over:
    skip
}

init
{
    atomic { run buffer(READER); run buffer(WRITER); run writer(); run reader() }
}
