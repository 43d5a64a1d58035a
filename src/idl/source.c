/* SPDX-License-Identifier: MIT */
#include "idl/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint32_t *index_lines(di_compilation *compilation, const char *text, size_t size,
                                   uint32_t *ret_count)
{
    uint32_t count = 1;
    const char *end = text + size;
    for (const char *at = text; size && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        count++;
    uint32_t *lines = di_take(compilation, count, sizeof *lines);
    uint32_t line = 1;
    for (const char *at = text; size && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        lines[line++] = (uint32_t)(at - text) + 1;
    *ret_count = count;
    return lines;
}

di_source *di_source_of_text(di_compilation *compilation, const char *path, const char *text,
                             size_t size)
{
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        size -= 3;
    }
    di_source *source = di_take(compilation, 1, sizeof *source);
    source->path = di_copy(compilation, path, strlen(path));
    source->text = text;
    source->size = size;
    source->lines = index_lines(compilation, text, size, &source->line_count);
    return source;
}

void di_source_list(di_compilation *compilation, di_source *source)
{
    if (compilation->last_source)
        compilation->last_source->next = source;
    else
        compilation->sources = source;
    compilation->last_source = source;
}

/* Reads up to `size` bytes. Returns how many, or -1 with errno. */
static ssize_t read_all(int descriptor, char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(descriptor, data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static di_source *find(di_compilation *compilation, const struct stat *status)
{
    for (di_source *source = compilation->sources; source; source = source->next) {
        if (source->inode && source->inode == status->st_ino && source->device == status->st_dev)
            return source;
    }
    return NULL;
}

/* The text of an open file, or NULL with the reason. */
static const char *read_file(di_compilation *compilation, int descriptor, size_t *size,
                             const char **ret_reason)
{
    /* Memory that may escape is taken only while the descriptor is closed: di_take would leak it.
     */
    char *text = dari_arena_take(&compilation->arena, *size + 1);
    ssize_t got = text ? read_all(descriptor, text, *size) : 0;
    int error = errno;
    close(descriptor);
    if (!text)
        di_escape(compilation, DI_ESCAPE_NO_MEMORY);
    if (got < 0) {
        *ret_reason = di_copy(compilation, strerror(error), strlen(strerror(error)));
        return NULL;
    }
    *size = (size_t)got;
    return text;
}

di_source *di_source_load(di_compilation *compilation, const char *path, const char **ret_reason)
{
    struct stat status;
    /* O_NONBLOCK: opening a FIFO that nobody writes to must not wait. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *reason = NULL;
    if (descriptor < 0 || fstat(descriptor, &status) < 0)
        reason = strerror(errno);
    else if (!S_ISREG(status.st_mode))
        reason = "not a regular file";
    else if (status.st_size > (off_t)DI_SOURCE_LIMIT)
        reason = "larger than an interface file may be";
    if (reason) {
        if (descriptor >= 0)
            close(descriptor);
        *ret_reason = di_copy(compilation, reason, strlen(reason));
        return NULL;
    }
    di_source *known = find(compilation, &status);
    if (known) {
        close(descriptor);
        return known;
    }
    size_t size = (size_t)status.st_size;
    const char *text = read_file(compilation, descriptor, &size, ret_reason);
    if (!text)
        return NULL;
    di_source *source = di_source_of_text(compilation, path, text, size);
    source->device = status.st_dev;
    source->inode = status.st_ino;
    di_source_list(compilation, source);
    return source;
}

const char *di_source_path(const di_source *source)
{
    return source->path;
}

const char *di_source_line(const di_source *source, uint32_t line, size_t *ret_size)
{
    if (line < 1 || line > source->line_count) {
        *ret_size = 0;
        return "";
    }
    size_t start = source->lines[line - 1];
    size_t end = line < source->line_count ? source->lines[line] - 1 : source->size;
    while (end > start && source->text[end - 1] == '\r')
        end--;
    *ret_size = end - start;
    return source->text + start;
}
