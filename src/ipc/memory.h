/* SPDX-License-Identifier: MIT */
/* Memory that two processes share, made so that no access to it can fail.
 *
 * It is a memfd of plain pages, allocated in full and then sealed against shrinking, growing and
 * further seals. Who receives one checks exactly that before it maps it. Whoever has the descriptor
 * may still change the contents at any moment, or turn them to zero by punching holes: what is read
 * is to be read once and believed never. From any thread. */
#ifndef DI_IPC_MEMORY_H
#define DI_IPC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of a page: sizes and offsets are multiples of it. */
size_t di_memory_page(void);

/* Makes memory of `size` zero bytes, and a close-on-exec descriptor of it. Errors: DARI_NO_MEMORY,
 * DARI_LIMIT (of the size of files, RLIMIT_FSIZE), DARI_ERRNO; errno is set then, and `ret_words`,
 * static, say what failed. */
int di_memory_create(size_t size, int *ret_descriptor, const char **ret_words);

/* Whether a descriptor that somebody else has sent is such memory of exactly `size` bytes. Returns
 * 0, or DARI_PROTOCOL and `ret_words`, static, say what is wrong. */
int di_memory_check(int descriptor, size_t size, const char **ret_words);

/* Maps `size` bytes from `offset` on, to write to or to read only; with `twice` a second time right
 * behind, so that what wraps around at the end is contiguous. Returns 0, or DARI_NO_MEMORY or
 * DARI_ERRNO with errno. */
int di_memory_map(int descriptor, size_t offset, size_t size, bool twice, bool writable,
                  void **ret_memory);

/* Takes NULL. */
void di_memory_unmap(void *memory, size_t size, bool twice);

#endif
