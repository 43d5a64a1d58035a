/* SPDX-License-Identifier: MIT */
#include "transport/fifo_request.h"

#include <dari/error.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(DI_FIFO_REQUEST <= PIPE_BUF, "requests do not interleave");

#define GREETING_SIZE (sizeof DI_FIFO_GREETING - 1)

int di_fifo_request_write(char ret_request[DI_FIFO_REQUEST])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char chance[DI_FIFO_DIGITS / 2];
    if (getrandom(chance, sizeof chance, 0) != sizeof chance)
        return DARI_ERRNO;
    char *at = ret_request;
    *at++ = '\n';
    memcpy(at, DI_FIFO_GREETING, GREETING_SIZE);
    at += GREETING_SIZE;
    for (size_t i = 0; i < sizeof chance; i++) {
        *at++ = digits[chance[i] >> 4];
        *at++ = digits[chance[i] & 15];
    }
    *at = '\n';
    return 0;
}

const char *di_fifo_request_read(const char *line, size_t size)
{
    if (size != GREETING_SIZE + DI_FIFO_DIGITS ||
        memcmp(line, DI_FIFO_GREETING, GREETING_SIZE) != 0)
        return NULL;
    const char *found = line + GREETING_SIZE;
    for (size_t i = 0; i < DI_FIFO_DIGITS; i++)
        if (!(found[i] >= '0' && found[i] <= '9') && !(found[i] >= 'a' && found[i] <= 'f'))
            return NULL;
    return found;
}

int di_fifo_names_make(const char *path, const char *digits, di_fifo_names *ret_names)
{
    *ret_names = (di_fifo_names){0};
    di_text_format(&ret_names->to_server, "%s.%.*s.s", path, (int)DI_FIFO_DIGITS, digits);
    di_text_format(&ret_names->to_client, "%s.%.*s.c", path, (int)DI_FIFO_DIGITS, digits);
    return ret_names->to_server.failed || ret_names->to_client.failed ? DARI_NO_MEMORY : 0;
}

void di_fifo_names_remove(const di_fifo_names *names)
{
    unlink(names->to_server.data);
    unlink(names->to_client.data);
}

void di_fifo_names_free(di_fifo_names *names)
{
    di_text_free(&names->to_server);
    di_text_free(&names->to_client);
}

bool di_fifo_is_own(int end)
{
    struct stat status;
    if (fstat(end, &status) < 0)
        return false;
    errno = EPERM;
    return S_ISFIFO(status.st_mode) && status.st_uid == geteuid() && status.st_nlink == 1;
}
