/* SPDX-License-Identifier: MIT */
/* `dari gen`: interface files in, C out. */
#include "cli/command.h"
#include "cli/output.h"

#include "gen/emit_c.h"
#include "gen/sizes.h"
#include "idl/compile.h"

#include <dari/error.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct arguments {
    const char *directory;
    const char *prefix;
    bool strings_as_spans;
    bool sizes;
    bool dependencies;
    di_idl_options idl;
    const char **include_directories; /* these three are idl's lists, while they grow */
    const char **defines;
    const char **externs;
    char **files; /* ended by NULL */
} arguments;

enum { OPTION_PREFIX = 256, OPTION_EXTERN, OPTION_STRINGS, OPTION_SIZES, OPTION_HELP };

static const struct option long_options[] = {
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"extern", required_argument, NULL, OPTION_EXTERN},
    {"strings", required_argument, NULL, OPTION_STRINGS},
    {"sizes", no_argument, NULL, OPTION_SIZES},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

/* The base name of the outputs: that of the file, without its ending. The caller frees it. */
static char *stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? strndup(name, (size_t)(dot - name)) : strdup(name);
}

static int no_memory(void)
{
    fprintf(stderr, "dari gen: out of memory\n");
    return DI_EXIT_FAILED;
}

/* How many bytes of the text are a name at its beginning. */
static size_t name_length(const char *text)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    bool begins = *text && strchr(letters + 10, *text);
    return begins ? strspn(text, letters) : 0;
}

static bool is_name(const char *text)
{
    return *text && !text[name_length(text)];
}

/* NAME or NAME=VALUE */
static bool is_define(const char *text)
{
    size_t length = name_length(text);
    return length && (!text[length] || text[length] == '=') && !strchr(text, '\n');
}

/* Returns enum di_exit, or -1 to go on. */
static int take_option(arguments *to, int option, const char *value)
{
    switch (option) {
    case 'o':
        to->directory = value;
        return *value ? -1 : di_usage_error("dari gen", "-o: the directory is empty");
    case 'I':
        to->include_directories[to->idl.include_directory_count++] = value;
        return -1;
    case 'D':
        to->defines[to->idl.define_count++] = value;
        return is_define(value) ? -1
                                : di_usage_error("dari gen", "-D: '%s' defines no name", value);
    case 'M':
        to->dependencies = true;
        return !strcmp(value, "D") ? -1 : di_usage_error("dari gen", "-M%s: use -MD", value);
    case OPTION_PREFIX:
        to->prefix = value;
        return is_name(value) ? -1
                              : di_usage_error("dari gen", "--prefix: '%s' begins no name", value);
    case OPTION_EXTERN:
        to->externs[to->idl.extern_count++] = value;
        return is_name(value) ? -1 : di_usage_error("dari gen", "--extern: '%s' is no name", value);
    case OPTION_STRINGS:
        to->strings_as_spans = true;
        return !strcmp(value, "span") ? -1
                                      : di_usage_error("dari gen", "--strings: use --strings=span");
    case OPTION_SIZES:
        to->sizes = true;
        return -1;
    case OPTION_HELP:
        return di_print(di_command_gen.help);
    default:
        fprintf(stderr, "Try 'dari help gen'.\n");
        return DI_EXIT_USAGE;
    }
}

/* Two files that would write the same outputs are a mistake, not a race for the last word. */
static int check_stems(char **files)
{
    int status = -1;
    for (char **one = files; *one && status < 0; one++) {
        char *stem = stem_of(*one);
        if (!stem)
            return no_memory();
        if (!*stem)
            status = di_usage_error("dari gen", "'%s' is no name of a file", *one);
        for (char **other = one + 1; *other && status < 0; other++) {
            char *other_stem = stem_of(*other);
            if (!other_stem)
                status = no_memory();
            else if (!strcmp(stem, other_stem))
                status = di_usage_error("dari gen", "%s and %s would both be written to %s.h", *one,
                                        *other, stem);
            free(other_stem);
        }
        free(stem);
    }
    return status;
}

/* Returns enum di_exit, or -1 to go on. */
static int take_arguments(arguments *to, int argc, char **argv)
{
    size_t room = (size_t)argc; /* every argument holds one name at most */
    to->include_directories = calloc(room, sizeof(char *));
    to->defines = calloc(room, sizeof(char *));
    to->externs = calloc(room, sizeof(char *));
    if (!to->include_directories || !to->defines || !to->externs)
        return no_memory();

    int option, status;
    while ((option = getopt_long(argc, argv, "o:I:D:M:", long_options, NULL)) != -1)
        if ((status = take_option(to, option, optarg)) >= 0)
            return status;
    if (optind == argc)
        return di_usage_error("dari gen", "an interface file is missing");

    to->idl.include_directories = to->include_directories;
    to->idl.defines = to->defines;
    to->idl.externs = to->externs;
    to->files = argv + optind;
    return check_stems(to->files);
}

/* "place: error: text" with the colours that C compilers have. */
static void print_colourful(const char *text, di_severity severity)
{
    static const struct {
        const char *word, *colour;
    } severities[] = {
        [DI_ERROR] = {"error: ", "\033[1;31m"},
        [DI_WARNING] = {"warning: ", "\033[1;35m"},
        [DI_NOTE] = {"note: ", "\033[1;36m"},
    };
    const char *word = severities[severity].word;
    const char *at = strstr(text, word);
    if (!at) {
        fputs(text, stderr);
        return;
    }
    const char *rest = at + strlen(word);
    const char *line_end = rest + strcspn(rest, "\n");
    fprintf(stderr, "\033[1m%.*s%s%s\033[0m\033[1m%.*s\033[0m%s", (int)(at - text), text,
            severities[severity].colour, word, (int)(line_end - rest), rest, line_end);
}

static void print_diagnostics(const di_diagnostic *first)
{
    const char *no_color = getenv("NO_COLOR");
    bool colourful = isatty(STDERR_FILENO) && !(no_color && *no_color);
    for (const di_diagnostic *at = first; at; at = at->next) {
        char *text = di_diagnostic_format(at);
        if (!text)
            no_memory();
        else if (colourful)
            print_colourful(text, at->severity);
        else
            fputs(text, stderr);
        free(text);
    }
}

/* A path as make and ninja read it. */
static void append_make_path(di_text *text, const char *path)
{
    for (; *path; path++) {
        if (strchr(" #\\", *path))
            di_text_append(text, "\\", 1);
        else if (*path == '$')
            di_text_append(text, "$", 1);
        di_text_append(text, path, 1);
    }
}

static void describe_dependencies(const di_idl *idl, const di_output_set *outputs, di_text *text)
{
    for (unsigned i = 0; i < outputs->count; i++) {
        append_make_path(text, outputs->files[i].path);
        di_text_append(text, i + 1 < outputs->count ? " " : ":", 1);
    }
    const char *path;
    for (size_t i = 0; (path = di_idl_dependency(idl, i)) != NULL; i++) {
        di_text_format(text, " \\\n  ");
        append_make_path(text, path);
    }
    di_text_format(text, "\n");
}

/* What is being written, and the numbers of its files. */
typedef struct emission {
    const arguments *from;
    const char *stem;
    di_output_set outputs;
} emission;

enum { OUTPUT_HEADER, OUTPUT_SOURCE, OUTPUT_DEPENDENCIES };

/* Nothing is opened before there is something to write. */
static bool take_source(void *context, const char *data, size_t size)
{
    emission *to = context;
    const char *directory = to->from->directory;
    if (!to->outputs.count && !(di_output_open(&to->outputs, directory, to->stem, ".h") &&
                                di_output_open(&to->outputs, directory, to->stem, ".c")))
        return false;
    return di_output_append(&to->outputs, OUTPUT_SOURCE, data, size);
}

static bool write_dependencies(emission *to, const di_idl *idl)
{
    di_text text = {0};
    describe_dependencies(idl, &to->outputs, &text);
    bool written = !text.failed &&
                   di_output_open(&to->outputs, to->from->directory, to->stem, ".d") &&
                   di_output_append(&to->outputs, OUTPUT_DEPENDENCIES, text.data, text.size);
    di_text_free(&text);
    return written;
}

/* Writes what is left when the source is there. Outputs are rewritten even where they stay as they
 * are: one that kept its old time would make a build run this again and again. */
static bool finish(emission *to, const di_idl *idl, const di_text *header)
{
    return di_output_append(&to->outputs, OUTPUT_HEADER, header->data, header->size) &&
           (!to->from->dependencies || write_dependencies(to, idl)) &&
           di_output_commit(&to->outputs);
}

static bool print_sizes(const di_idl *idl, const di_emit_c_options *options)
{
    di_text text = {0};
    bool done = false;
    if (di_emit_sizes(di_idl_unit(idl), options, &text) < 0 || text.failed)
        no_memory();
    else
        done = di_print(text.data ? text.data : "") == DI_EXIT_OK;
    di_text_free(&text);
    return done;
}

static bool emit(const arguments *from, const di_idl *idl, const di_emit_c_options *options)
{
    di_text header = {0};
    emission to = {.from = from, .stem = options->stem};
    di_clash clash;
    int status =
        di_emit_c(di_idl_unit(idl), options, &header, &(di_emit_sink){take_source, &to}, &clash);
    bool done = status == 0 && finish(&to, idl, &header);
    if (status == DARI_INVALID) {
        clash.error.next = clash.note.text ? &clash.note : NULL;
        print_diagnostics(&clash.error);
    } else if (!done) {
        fprintf(stderr, "dari gen: %s\n",
                to.outputs.error.size ? to.outputs.error.data : "out of memory");
    }
    di_text_free(&header);
    di_output_free(&to.outputs);
    return done;
}

/* `dari gen x.h` would write over what it reads. */
static bool would_overwrite(const arguments *from, const di_idl *idl, const char *stem)
{
    static const char *const endings[] = {".h", ".c", ".d"};
    size_t count = from->dependencies ? 3 : 2;
    for (size_t i = 0; i < count; i++) {
        char *output = di_output_path(from->directory, stem, endings[i]);
        struct stat there;
        bool exists = output && stat(output, &there) == 0;
        free(output);
        const char *path;
        for (size_t k = 0; exists && (path = di_idl_dependency(idl, k)) != NULL; k++) {
            struct stat input;
            if (stat(path, &input) < 0 || input.st_dev != there.st_dev ||
                input.st_ino != there.st_ino)
                continue;
            fprintf(stderr, "dari gen: %s would be overwritten: choose another directory\n", path);
            return true;
        }
    }
    return false;
}

static bool generate(const arguments *from, const char *path)
{
    di_idl *idl = NULL;
    char *stem = stem_of(path);
    if (!stem || di_idl_compile(&from->idl, path, NULL, 0, &idl) < 0) {
        no_memory();
        free(stem);
        return false;
    }
    di_emit_c_options options = {
        .stem = stem,
        .prefix = from->prefix,
        .strings_as_spans = from->strings_as_spans,
    };
    print_diagnostics(di_idl_diagnostics(idl));
    bool done = false;
    if (di_idl_unit(idl) && from->sizes)
        done = print_sizes(idl, &options);
    else if (di_idl_unit(idl))
        done = !would_overwrite(from, idl, stem) && emit(from, idl, &options);
    di_idl_free(idl);
    free(stem);
    return done;
}

static int run(int argc, char **argv)
{
    arguments from = {.directory = ".", .prefix = ""};
    int status = take_arguments(&from, argc, argv);
    if (status < 0) {
        status = DI_EXIT_OK;
        for (char **path = from.files; *path; path++)
            if (!generate(&from, *path))
                status = DI_EXIT_FAILED;
    }
    free(from.include_directories);
    free(from.defines);
    free(from.externs);
    return status;
}

const di_command di_command_gen = {
    .name = "gen",
    .summary = "compile interface files to C",
    .help =
        "Usage: dari gen [OPTION]... FILE...\n\n"
        "Compiles each interface file (RFC 4506, RFC 5531, and the dialect of rpcgen) to STEM.h\n"
        "and STEM.c: types, codecs, client stubs and server dispatch.\n\n"
        "  -o DIR            write to DIR instead of the current directory\n"
        "  -I DIR            look for included files in DIR too\n"
        "  -D NAME[=VALUE]   define a name for #ifdef and in values\n"
        "  -MD               write STEM.d as well: what the outputs depend on, for make and ninja\n"
        "  --prefix P        put P before every name\n"
        "  --extern TYPE     TYPE and its codec are declared elsewhere\n"
        "  --strings=span    strings are {data, size}, borrowed from the message\n"
        "  --sizes           print what each type takes on the wire and in memory; write "
        "nothing\n\n"
        "Exits with 0, with 1 where a file has errors or cannot be written (its outputs are not\n"
        "touched then), with 2 where the command line is wrong.\n",
    .run = run,
};
