/* SPDX-License-Identifier: MIT */
#include "idl/include.h"

#include <string.h>

/* `directory`, of `size` bytes, and `path` joined. */
static const char *join(di_compilation *compilation, const char *directory, size_t size,
                        const char *path)
{
    if (!size || *path == '/')
        return path;
    bool slash = directory[size - 1] == '/';
    char *joined = di_take(compilation, size + !slash + strlen(path) + 1, 1);
    memcpy(joined, directory, size);
    joined[size] = '/';
    strcpy(joined + size + !slash, path);
    return joined;
}

di_source *di_find_include(di_compilation *compilation, const di_source *including,
                           const char *path, bool quoted, const char **ret_reason)
{
    const di_idl_options *options = compilation->options;
    const char *slash = strrchr(including->path, '/');
    di_source *found = NULL;
    *ret_reason = "it is in no directory given by -I";
    if (quoted) {
        size_t size = slash ? (size_t)(slash - including->path) + 1 : 0;
        const char *place = join(compilation, including->path, size, path);
        found = di_source_load(compilation, place, ret_reason);
    }
    for (size_t i = 0; !found && i < options->include_directory_count; i++) {
        const char *directory = options->include_directories[i];
        const char *reason;
        const char *place = join(compilation, directory, strlen(directory), path);
        found = di_source_load(compilation, place, &reason);
    }
    return found;
}
