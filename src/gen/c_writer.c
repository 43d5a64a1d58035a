/* SPDX-License-Identifier: MIT */
#include "gen/c_writer.h"

#include "idl/compile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Text goes to a sink in parts of this size, so that it is still in the processor's cache. */
#define SINK_SIZE ((size_t)64 << 10)

static void write_indent(di_c_writer *writer)
{
    static const char blanks[] = "                                ";
    size_t left = 4 * (size_t)writer->indent;
    while (left) {
        size_t size = left < sizeof blanks - 1 ? left : sizeof blanks - 1;
        di_text_append(writer->out, blanks, size);
        left -= size;
    }
}

void di_c_line(di_c_writer *writer, const char *format, ...)
{
    size_t before = writer->out->size;
    if (*format == '}')
        writer->indent--;
    if (*format && *format != '#')
        write_indent(writer);
    va_list arguments;
    va_start(arguments, format);
    di_text_vformat(writer->out, format, arguments);
    va_end(arguments);
    const di_text *out = writer->out;
    if (out->size > before && out->data[out->size - 1] == '{')
        writer->indent++;
    di_text_append(writer->out, "\n", 1);
}

char *di_c_string(di_c_writer *writer, const char *format, ...)
{
    di_text *text = &writer->scratch;
    text->size = 0;
    va_list arguments;
    va_start(arguments, format);
    di_text_vformat(text, format, arguments);
    va_end(arguments);
    char *string = text->failed ? NULL : dari_arena_take(writer->arena, text->size + 1);
    if (!string) {
        writer->failed = true;
        return writer->empty;
    }
    memcpy(string, text->data, text->size + 1);
    return string;
}

void di_c_empty(di_c_writer *writer)
{
    di_text *out = writer->out;
    if (!writer->failed && !out->failed)
        writer->failed = !writer->sink->write(writer->sink->context, out->data, out->size);
    out->size = 0;
}

void di_c_forget(di_c_writer *writer)
{
    dari_arena_reset(writer->arena);
    if (writer->sink && writer->out->size >= SINK_SIZE)
        di_c_empty(writer);
}

static int compare_words(const void *left, const void *right)
{
    const char *a = *(const char *const *)left, *b = *(const char *const *)right;
    return *a != *b ? *a - *b : strcmp(a, b);
}

#define IS_AMONG(list, word) \
    (bsearch(&(word), list, sizeof(list) / sizeof *(list), sizeof *(list), compare_words) != NULL)

/* Every keyword of C17 and C++17 that an interface file could use as a name, what <stdbool.h>
 * takes, and what GCC adds; sorted. */
static const char *const keywords[] = {
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "class",
    "compl",
    "const",
    "const_cast",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "i386",
    "if",
    "inline",
    "int",
    "linux",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
};

/* The types that members are made of: C++ does not allow a struct to use one and have a member of
 * the name. Sorted. */
static const char *const member_types[] = {
    "dari_netbuf", "dari_opaque", "dari_quadruple", "dari_request", "dari_text",
    "int16_t",     "int32_t",     "int64_t",        "int8_t",       "uint16_t",
    "uint32_t",    "uint64_t",    "uint8_t",
};

const char *di_c_member(di_c_writer *writer, const char *name)
{
    bool taken = IS_AMONG(keywords, name) || IS_AMONG(member_types, name);
    return taken ? di_c_string(writer, "%s_", name) : name;
}

const char *di_c_name(di_c_writer *writer, const char *name)
{
    const char *prefix = writer->options->prefix;
    bool keyword = !*prefix && IS_AMONG(keywords, name);
    return *prefix || keyword ? di_c_string(writer, "%s%s%s", prefix, name, keyword ? "_" : "")
                              : name;
}

bool di_c_is_builtin(const di_type *type)
{
    const struct di_source *source = type->position.source;
    return source && !strcmp(di_source_path(source), "<built-in>");
}

bool di_c_is_netbuf(const di_type *type)
{
    return type->kind == DI_STRUCT && di_c_is_builtin(type);
}

const char *di_c_type_name(di_c_writer *writer, const di_type *type)
{
    if (di_c_is_netbuf(type))
        return "dari_netbuf";
    return type->kind == DI_EXTERN ? type->name : di_c_name(writer, type->name);
}

const char *di_c_codec_name(di_c_writer *writer, const di_type *type)
{
    if (di_c_is_netbuf(type))
        return "dari_netbuf";
    if (type->kind == DI_EXTERN)
        return type->name;
    return di_c_string(writer, "%s%s", writer->options->prefix, type->name);
}

const char *di_c_lower(di_c_writer *writer, const char *name)
{
    char *copy = di_c_string(writer, "%s", name);
    for (char *at = copy; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

const char *di_c_place(di_c_writer *writer, di_position position)
{
    const char *path = position.source ? di_source_path(position.source) : "";
    const char *slash = strrchr(path, '/');
    return di_c_string(writer, "%s:%u", slash ? slash + 1 : path, position.line);
}

/* "index0", "item12". */
static bool is_loop_variable(const char *name)
{
    static const char *const words[] = {"index", "item", "left"};
    size_t word = strcspn(name, "0123456789");
    if (!word || !name[word] || name[word + strspn(name + word, "0123456789")])
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == word && !strncmp(name, words[i], word))
            return true;
    return false;
}

bool di_c_is_hidden(di_c_writer *writer, const char *name)
{
    /* Sorted. */
    static const char *const hiding[] = {
        "arg",     "argument", "at",       "call",   "client",  "decoder", "done",
        "encoder", "exchange", "handlers", "number", "present", "request", "result",
        "ret",     "server",   "size",     "status", "table",   "user",    "value",
    };
    const di_procedure *p = writer->handlers ? writer->handlers->procedures : NULL;
    for (; p; p = p->next)
        if (!strcasecmp(p->name, name) && !strcmp(di_c_lower(writer, p->name), name))
            return true;
    return !*writer->options->prefix && (is_loop_variable(name) || IS_AMONG(hiding, name));
}

/* Whether a typedef'd declaration is written in place of the typedef's name by the codecs. */
static bool is_transparent(const di_declaration *declaration)
{
    return declaration->shape == DI_PLAIN || declaration->shape == DI_FIXED ||
           declaration->type->kind == DI_OPAQUE || declaration->type->kind == DI_STRING;
}

di_declaration di_c_resolve(const di_declaration *declaration)
{
    di_declaration resolved = *declaration;
    while (resolved.shape == DI_PLAIN && resolved.type->kind == DI_TYPEDEF &&
           is_transparent(resolved.type->declaration)) {
        const di_declaration *inner = resolved.type->declaration;
        resolved.type = inner->type;
        resolved.shape = inner->shape;
        resolved.size = inner->size;
        resolved.size_text = inner->size_text;
    }
    return resolved;
}

/* Whether a typedef becomes a struct of its own in C: an array with its count. */
static bool is_array_struct(const di_type *type)
{
    const di_declaration *d = type->declaration;
    return type->kind == DI_TYPEDEF && d->shape == DI_VARIABLE && d->type->kind != DI_OPAQUE &&
           d->type->kind != DI_STRING;
}

bool di_c_has_alias(const di_type *type)
{
    return type->kind == DI_EXTERN || (type->kind == DI_TYPEDEF && !is_array_struct(type));
}

bool di_c_is_shadowed_within(di_c_writer *writer, const di_declaration *declaration)
{
    if (declaration->shape != DI_VARIABLE || !declaration->type->name)
        return false;
    const char *name = di_c_type_name(writer, declaration->type);
    return !strcmp(name, "count") || !strcmp(name, "items");
}

const char *di_c_type_text(di_c_writer *writer, const di_type *type, bool shadowed)
{
    switch (type->kind) {
    case DI_VOID:
        return "void";
    case DI_BOOL:
        return "bool";
    case DI_CHAR:
        return "int8_t";
    case DI_UNSIGNED_CHAR:
        return "uint8_t";
    case DI_SHORT:
        return "int16_t";
    case DI_UNSIGNED_SHORT:
        return "uint16_t";
    case DI_INT:
        return "int32_t";
    case DI_UNSIGNED_INT:
        return "uint32_t";
    case DI_LONG:
        return "long";
    case DI_UNSIGNED_LONG:
        return "unsigned long";
    case DI_HYPER:
        return "int64_t";
    case DI_UNSIGNED_HYPER:
        return "uint64_t";
    case DI_FLOAT:
        return "float";
    case DI_DOUBLE:
        return "double";
    case DI_QUADRUPLE:
        return "dari_quadruple";
    case DI_OPAQUE:
        return "uint8_t";
    case DI_STRING:
        return writer->options->strings_as_spans ? "dari_text" : "char *";
    default:
        break;
    }
    const char *name = di_c_type_name(writer, type);
    /* Where others than this file's headers declare it, an alias cannot be behind that. */
    bool hidden = (type->kind != DI_EXTERN || writer->handlers) && di_c_is_hidden(writer, name);
    if (!shadowed && !hidden)
        return name;
    if (di_c_has_alias(type))
        return di_c_string(writer, "dari_type_%s", name);
    return di_c_string(writer, "%s %s", type->kind == DI_ENUM ? "enum" : "struct", name);
}

/* `type name`, without a space behind a `*`. */
static const char *join(di_c_writer *writer, const char *type, const char *name)
{
    bool pointer = type[strlen(type) - 1] == '*';
    return di_c_string(writer, "%s%s%s", type, pointer ? "" : " ", name);
}

const char *di_c_declare(di_c_writer *writer, const di_declaration *declaration, const char *name,
                         bool shadowed)
{
    const di_declaration *d = declaration;
    const char *type =
        di_c_type_text(writer, d->type, shadowed || di_c_is_shadowed_within(writer, d));
    switch (d->shape) {
    case DI_PLAIN:
        return join(writer, type, name);
    case DI_OPTIONAL:
        return join(writer, di_c_string(writer, "%s%s*", type, strchr(type, '*') ? "" : " "), name);
    case DI_FIXED: {
        const char *array = *name == '*' ? di_c_string(writer, "(%s)", name) : name;
        /* C has no empty arrays; what is not on the wire is not looked at. */
        uint32_t size = d->size ? d->size : 1;
        return di_c_string(writer, "%s[%u]", join(writer, type, array), size);
    }
    case DI_VARIABLE:
        if (d->type->kind == DI_OPAQUE)
            return join(writer, "dari_opaque", name);
        if (d->type->kind == DI_STRING)
            return join(writer, type, name);
        return di_c_string(
            writer, "struct { uint32_t count; %s; } %s",
            join(writer, di_c_string(writer, "%s%s*", type, strchr(type, '*') ? "" : " "), "items"),
            name);
    }
    return "";
}

const char *di_c_pointer(di_c_writer *writer, const di_declaration *declaration, bool constant,
                         const char *name)
{
    const char *pointer = di_c_string(writer, "*%s", name);
    const char *text = di_c_declare(writer, declaration, pointer, false);
    const char *found = strstr(text, pointer);
    if (!constant || !found)
        return text;
    size_t before = (size_t)(found - text);
    if (before && text[before - 1] == '*')
        return di_c_string(writer, "%.*sconst %s", (int)before, text, found);
    return di_c_string(writer, "const %s", text);
}

const char *di_c_discriminant(di_c_writer *writer, const di_type *type)
{
    const char *name = type->discriminant->name;
    return strcmp(name, "u") ? di_c_member(writer, name) : "u_";
}
