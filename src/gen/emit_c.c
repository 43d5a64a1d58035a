/* SPDX-License-Identifier: MIT */
#include "gen/emit_c.h"

#include "gen/c_clash.h"
#include "gen/c_codec.h"
#include "gen/c_inline.h"
#include "gen/c_macro.h"
#include "gen/c_program.h"
#include "gen/c_types.h"
#include "gen/type_set.h"
#include "idl/compile.h"

#include <dari/error.h>

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* Whether a definition is of a type that this file's header defines: one of its own, or one that is
 * built in and has to be written where it is used. */
static bool is_own_type(const di_definition *d)
{
    if (d->kind != DI_DEFINE_TYPE || di_c_is_netbuf(d->type))
        return false;
    return !d->included || di_c_is_builtin(d->type);
}

/* Types in the order that C needs: what a type holds by value or by another typedef's name stands
 * before it. Otherwise the order is the file's. The way down is kept here, not on the stack: a file
 * decides how long it is. */
typedef struct order_step {
    const di_type *type;
    const di_declaration *member; /* the next one to look at */
    const di_arm *arm;            /* likewise */
    unsigned others; /* of the discriminant, the default arm and the typedef's declaration,
                        how many were looked at */
} order_step;

typedef struct type_order {
    di_type_set own;
    bool *begun;
    order_step *steps; /* each type is begun once */
    size_t depth;
} type_order;

static void order_make(type_order *order, di_c_writer *writer, const di_unit *unit)
{
    *order = (type_order){0};
    writer->failed |= di_type_set_make(writer->tables, unit, is_own_type, &order->own) < 0;
    order->begun = dari_arena_take(writer->tables, order->own.count * sizeof *order->begun);
    order->steps = dari_arena_take(writer->tables, order->own.count * sizeof *order->steps);
    if (!order->begun || !order->steps) {
        writer->failed = true;
        *order = (type_order){0};
        return;
    }
    memset(order->begun, 0, order->own.count * sizeof *order->begun);
}

/* The next declaration that a type is made of, or NULL. */
static const di_declaration *next_part(order_step *step)
{
    const di_declaration *part = step->member;
    if (part) {
        step->member = part->next;
        return part;
    }
    if (step->arm) {
        part = step->arm->declaration;
        step->arm = step->arm->next;
        return part;
    }
    while (step->others < 3 && !part) {
        const di_arm *last = step->type->default_arm;
        unsigned other = step->others++;
        part = other == 0   ? step->type->discriminant
               : other == 1 ? (last ? last->declaration : NULL)
                            : step->type->declaration;
    }
    return part;
}

/* Begins a type that is this file's and was not begun before. */
static void order_begin(type_order *order, const di_type *type)
{
    size_t index = di_type_set_find(&order->own, type);
    if (index == SIZE_MAX || order->begun[index])
        return;
    order->begun[index] = true;
    order->steps[order->depth++] =
        (order_step){.type = type, .member = type->members, .arm = type->arms};
}

static void define_in_order(type_order *order, di_c_writer *writer, const di_type *type)
{
    order_begin(order, type);
    while (order->depth) {
        order_step *step = &order->steps[order->depth - 1];
        const di_declaration *part = next_part(step);
        if (!part) {
            di_c_define_type(writer, step->type);
            order->depth--;
            continue;
        }
        bool pointer = part->shape == DI_OPTIONAL || part->shape == DI_VARIABLE;
        bool declared = part->type->kind == DI_STRUCT || part->type->kind == DI_UNION;
        if (part->type->kind >= DI_ENUM && !(pointer && declared))
            order_begin(order, part->type);
    }
}

/* Constants are enumerators, which hide nothing: a macro of the name would change whatever has the
 * same name in another scope. That one need not fit an int is an extension that gcc and clang have,
 * and a part of C23. */
static void write_constant(di_c_writer *writer, const di_definition *d)
{
    const di_number *n = &d->constant;
    const char *name = di_c_name(writer, d->name);
    bool may_be_macro = di_c_is_macro(name);
    if (may_be_macro)
        di_c_line(writer, "#ifndef %s", name);
    if (n->magnitude <= INT32_MAX)
        di_c_line(writer, "enum { %s = %s%" PRIu64 " };", name, n->negative ? "-" : "",
                  n->magnitude);
    else if (n->negative)
        di_c_line(writer, "__extension__ enum { %s = -INT64_C(%" PRIu64 ") - 1 };", name,
                  n->magnitude - 1);
    else if (n->magnitude > INT64_MAX)
        di_c_line(writer, "__extension__ enum { %s = UINT64_C(%" PRIu64 ") };", name, n->magnitude);
    else if (n->magnitude > UINT32_MAX)
        di_c_line(writer, "__extension__ enum { %s = INT64_C(%" PRIu64 ") };", name, n->magnitude);
    else
        di_c_line(writer, "__extension__ enum { %s = %" PRIu64 "u };", name, n->magnitude);
    if (may_be_macro)
        di_c_line(writer, "#endif");
}

/* A string is a constant array, which hides nothing either. */
static void write_string(di_c_writer *writer, const di_definition *d)
{
    di_text_format(writer->out, "static const char %s[] = ", di_c_name(writer, d->name));
    for (const char *at = d->text; *at; at++) {
        /* C before C23 has trigraphs: "??=" is "#". */
        if (at > d->text && at[-1] == '?' && *at == '?')
            di_text_append(writer->out, "\\", 1);
        /* Whatever character set a C compiler takes for granted, the bytes stay these. */
        if (*at & 0x80)
            di_text_format(writer->out, "\\%03o", (unsigned char)*at);
        else
            di_text_append(writer->out, at, 1);
    }
    di_text_append(writer->out, ";\n", 2);
}

/* The header of an included interface file: it is written into the same folder as this one, under
 * the file's name without its ending. */
static void write_include(di_c_writer *writer, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    int size = (int)(dot && dot > name ? (size_t)(dot - name) : strlen(name));
    di_c_line(writer, "#include \"%.*s.h\"", size, name);
}

/* Marks of a version control of old, which C compilers warn of: `#pragma ident`, `#ident`, and the
 * macros of BSD. */
static bool is_obsolete(const char *line)
{
    if (!strncmp(line, "__FBSDID(", 9) || !strncmp(line, "__RCSID(", 8))
        return true;
    while (*line == ' ' || *line == '\t' || *line == '#')
        line++;
    if (!strncmp(line, "pragma", 6))
        line += 6;
    while (*line == ' ' || *line == '\t')
        line++;
    return !strncmp(line, "ident", 5) && (line[5] == ' ' || line[5] == '\t');
}

static void write_pass(di_c_writer *writer, const char *line)
{
    if (!is_obsolete(line))
        di_text_format(writer->out, "%s\n", line);
}

/* `%` lines are written for a header that includes the C library's headers for RPC. Those that name
 * the type XDR get that. */
static bool needs_rpc_headers(const di_unit *unit)
{
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        const char *found =
            d->kind == DI_DEFINE_PASS && !d->included ? strstr(d->text, "(XDR ") : NULL;
        if (found && d->for_header)
            return true;
    }
    return false;
}

/* The definitions in the order of the file. */
static void write_definitions(di_c_writer *writer, const di_unit *unit, const di_c_numbers *numbers)
{
    type_order order;
    order_make(&order, writer, unit);
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        if (d->included)
            continue;
        switch (d->kind) {
        case DI_DEFINE_CONSTANT:
            write_constant(writer, d);
            break;
        case DI_DEFINE_STRING:
            write_string(writer, d);
            break;
        case DI_DEFINE_TYPE:
            define_in_order(&order, writer, d->type);
            break;
        case DI_DEFINE_PROGRAM:
            di_c_program_types(writer, numbers, d->program);
            break;
        case DI_DEFINE_PASS:
            if (d->for_header)
                write_pass(writer, d->text);
            break;
        case DI_DEFINE_INCLUDE:
            write_include(writer, d->text);
            break;
        }
        di_c_forget(writer);
    }
}

static di_c_codec codec_of_type(di_c_writer *writer, const di_type *type)
{
    const di_declaration plain = {.type = type, .shape = DI_PLAIN};
    return (di_c_codec){.name = di_c_codec_name(writer, type),
                        .storage = "",
                        .verb_prefix = "xdr_",
                        .in = di_c_pointer(writer, &plain, true, "value"),
                        .out = di_c_pointer(writer, &plain, false, "value"),
                        .field = type->name,
                        .type = type};
}

static void codec_prototypes(di_c_writer *writer, const di_type *type)
{
    di_c_codec codec = codec_of_type(writer, type);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "%s;", di_c_size_signature(writer, &codec));
    di_c_line(writer, "%s;", di_c_encode_signature(writer, &codec));
    di_c_line(writer, "%s;", di_c_decode_signature(writer, &codec));
}

/* The codecs of types that are declared elsewhere are to be found elsewhere too. Repeats those of
 * types used twice, which C allows. */
static void extern_prototypes(di_c_writer *writer, const di_declaration *d)
{
    for (; d; d = d->next)
        if (d->type->kind == DI_EXTERN)
            codec_prototypes(writer, d->type);
}

static void extern_parts(di_c_writer *writer, const di_type *type)
{
    extern_prototypes(writer, type->members);
    extern_prototypes(writer, type->declaration);
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        extern_prototypes(writer, arm->declaration);
    if (type->default_arm)
        extern_prototypes(writer, type->default_arm->declaration);
}

static void extern_arguments(di_c_writer *writer, const di_program *program)
{
    for (const di_version *v = program->versions; v; v = v->next)
        for (const di_procedure *p = v->procedures; p; p = p->next) {
            extern_prototypes(writer, p->arguments);
            extern_prototypes(writer, p->result);
        }
}

static di_c_codec inline_codec(di_c_writer *writer, const di_type *type)
{
    di_c_codec codec = codec_of_type(writer, type);
    codec.storage = "DARI_INLINE ";
    codec.verb_prefix = "inline_";
    codec.inlined = true;
    return codec;
}

static void inline_prototypes(di_c_writer *writer, const di_type *type)
{
    if (!di_c_is_inline(writer, type))
        return;
    di_c_codec codec = inline_codec(writer, type);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "%s;", di_c_size_signature(writer, &codec));
    di_c_line(writer, "%s;", di_c_encode_signature(writer, &codec));
    di_c_line(writer, "%s;", di_c_decode_signature(writer, &codec));
}

#define WRAPPER "\n%s\n{\n    return inline_%s_%s(%s, value);\n}\n"

/* The public functions of a type with inline codecs. */
static void codec_wrappers(di_c_writer *writer, const di_c_codec *codec)
{
    di_text_format(writer->out, WRAPPER, di_c_size_signature(writer, codec), "size", codec->name,
                   "encoder");
    di_text_format(writer->out, WRAPPER, di_c_encode_signature(writer, codec), "encode",
                   codec->name, "encoder, at");
    di_text_format(writer->out, WRAPPER, di_c_decode_signature(writer, codec), "decode",
                   codec->name, "decoder, at");
}

static void codec_functions(di_c_writer *writer, const di_type *type)
{
    bool inlined = di_c_is_inline(writer, type);
    di_c_codec public = codec_of_type(writer, type);
    di_c_codec codec = inlined ? inline_codec(writer, type) : public;
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s: %s */", di_c_place(writer, type->position), type->name);
    di_c_size_function(writer, &codec);
    di_c_encode_function(writer, &codec);
    di_c_decode_function(writer, &codec);
    if (inlined)
        codec_wrappers(writer, &public);
}

/* Calls `write` for every type of this file that has codecs, those of several arguments included.
 * What is built in has none of its own, since several files of one program may use it. */
static void each_type(di_c_writer *writer, const di_unit *unit,
                      void (*write)(di_c_writer *writer, const di_type *type))
{
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        if (d->included)
            continue;
        if (is_own_type(d))
            write(writer, d->type);
        di_c_forget(writer);
        if (d->kind != DI_DEFINE_PROGRAM)
            continue;
        for (const di_version *v = d->program->versions; v; v = v->next)
            for (const di_procedure *p = v->procedures; p; p = p->next)
                if (p->arguments && p->arguments->next)
                    write(writer, di_c_argument(writer, p, v)->type);
        di_c_forget(writer);
    }
}

/* Calls `write` for every program of this file. */
static void each_program(di_c_writer *writer, const di_unit *unit,
                         void (*write)(di_c_writer *writer, const di_program *program))
{
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        if (d->kind == DI_DEFINE_PROGRAM && !d->included)
            write(writer, d->program);
        di_c_forget(writer);
    }
}

/* The lines with the guard, "DARI_GENERATED_CALC_1234ABCD_H": two files may have the same name, so
 * what they say is part of it. They are as long for every hash. */
static const char *guard(di_c_writer *writer, uint32_t hash)
{
    char *name = di_c_string(writer, "DARI_GENERATED_%s%s_%08X_H", writer->options->prefix,
                             writer->options->stem, hash);
    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? (char)toupper((unsigned char)*at) : '_';
    return di_c_string(writer, "#ifndef %s\n#define %s\n", name, name);
}

static const char *file_name(const di_unit *unit)
{
    const char *slash = strrchr(unit->path, '/');
    return slash ? slash + 1 : unit->path;
}

static void write_header_body(di_c_writer *writer, const di_unit *unit, const di_c_numbers *numbers)
{
    di_c_line(writer, "#include <dari/interface.h>");
    if (needs_rpc_headers(unit))
        di_c_line(writer, "#include <rpc/xdr.h>");
    di_c_line(writer, "%s", "");
    di_c_line(writer, "#if DARI_GENERATOR_OLDEST > 2 || DARI_GENERATOR_NEWEST < 2");
    di_c_line(writer,
              "#error \"this file and <dari/interface.h> are of different versions of dari: "
              "run dari gen again\"");
    di_c_line(writer, "#endif");
    di_c_line(writer, "%s", "");
    /* `%` lines close this and open it again, as they were written for rpcgen, which begins so. */
    di_c_line(writer, "#ifdef __cplusplus");
    di_text_format(writer->out, "extern \"C\" {\n");
    di_c_line(writer, "#endif");
    di_c_line(writer, "%s", "");
    for (const di_definition *d = unit->definitions; d; d = d->next)
        if (is_own_type(d))
            di_c_declare_type(writer, d->type);
    write_definitions(writer, unit, numbers);
    each_type(writer, unit, extern_parts);
    each_program(writer, unit, extern_arguments);
    each_type(writer, unit, codec_prototypes);
    each_program(writer, unit, di_c_program_prototypes);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "#ifdef __cplusplus");
    di_text_format(writer->out, "}\n");
    di_c_line(writer, "#endif");
}

static void write_header(di_c_writer *writer, const di_unit *unit, const di_c_numbers *numbers)
{
    di_text *header = writer->out;
    di_c_line(writer, "/* Written by dari gen from %s: change that file and run it again. */",
              file_name(unit));
    size_t start = header->size;
    di_text_format(header, "%s\n", guard(writer, 0));
    size_t body = header->size;
    write_header_body(writer, unit, numbers);
    size_t end = header->size;
    di_c_line(writer, "%s", "");
    di_c_line(writer, "#endif");
    if (writer->failed || header->failed)
        return;
    const char *lines = guard(writer, di_text_hash(header->data + body, end - body));
    memcpy(header->data + start, lines, strlen(lines));
}

static void write_source(di_c_writer *writer, const di_unit *unit)
{
    di_c_line(writer, "/* Written by dari gen from %s: change that file and run it again. */",
              file_name(unit));
    di_c_line(writer, "#include \"%s.h\"", writer->options->stem);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "#include <dari/xdr_inline.h>");
    for (const di_definition *d = unit->definitions; d; d = d->next)
        if (d->kind == DI_DEFINE_PASS && !d->included && d->for_source && !d->for_header)
            write_pass(writer, d->text);
    each_type(writer, unit, inline_prototypes);
    each_type(writer, unit, codec_functions);
    di_c_static_codecs(writer, unit);
    each_program(writer, unit, di_c_program_functions);
}

/* Whether C has a name for everything, and which numbers get one. */
static int look_at_names(di_c_writer *writer, const di_unit *unit, di_c_numbers *ret_numbers,
                         di_clash *ret_clash)
{
    di_c_names names = di_c_names_of(writer, unit);
    int status = DARI_NO_MEMORY;
    if (!writer->failed)
        status = di_c_find_clash(writer, unit, &names, ret_clash);
    if (!status)
        *ret_numbers = di_c_numbers_make(writer, unit, &names);
    di_c_names_free(&names);
    di_c_forget(writer);
    return status;
}

int di_emit_c(const di_unit *unit, const di_emit_c_options *options, di_text *header,
              const di_emit_sink *source, di_clash *ret_clash)
{
    dari_arena tables = {0}, arena = {0};
    di_c_writer writer = {.out = header, .options = options, .tables = &tables, .arena = &arena};
    di_c_numbers numbers;
    di_c_find_inline(&writer, unit);
    int status = look_at_names(&writer, unit, &numbers, ret_clash);
    if (!status) {
        write_header(&writer, unit, &numbers);
        di_text text = {0};
        writer.out = &text;
        writer.sink = source;
        write_source(&writer, unit);
        di_c_empty(&writer);
        if (writer.failed || header->failed || text.failed)
            status = DARI_NO_MEMORY;
        di_text_free(&text);
    }
    di_text_free(&writer.scratch);
    dari_arena_end(&arena);
    dari_arena_end(&tables);
    return status;
}
