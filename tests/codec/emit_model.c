/* SPDX-License-Identifier: MIT */
/* emit-model [--tirpc] [--strings=span] [--prefix P] [-I DIR] [--extern TYPE] -o OUT.c FILE.x
 *
 * Writes the models (model.h) of all types of an interface file, over the header that `dari gen`
 * or, with --tirpc, rpcgen writes for it, and the table of their codecs. Sits on the front end and
 * the sizes that the compiler states: it knows how the generated C names things, and nothing of how
 * the codecs are made. */
#include "base/text.h"
#include "gen/sizes.h"
#include "idl/compile.h"

#include <dari/arena.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct model_emitter {
    di_text out;
    bool tirpc;
    bool spans;
    const char *prefix;
    const char *stem;
    unsigned next_node; /* numbers the types that have no name */
    di_text sizes;      /* what `dari gen --sizes` prints */
} model_emitter;

/* What a declaration is in the generated C: an expression to measure it, and where it stands. */
typedef struct c_place {
    const char *lvalue; /* "((entry *)0)->name" */
    const char *name;   /* the member's C name; the typedef's where it stands there */
} c_place;

static char *format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));

/* All strings made on the way live to the end of the program. */
static dari_arena strings;

static char *format(const char *pattern, ...)
{
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, pattern, arguments);
    char *string = size < 0 ? NULL : dari_arena_take(&strings, (size_t)size + 1);
    if (!string)
        abort();
    vsnprintf(string, (size_t)size + 1, pattern, again);
    va_end(again);
    va_end(arguments);
    return string;
}

static const char *c_name(const model_emitter *emitter, const char *name)
{
    static const char *const keywords[] = {
        "alignas",       "alignof",     "and",       "and_eq",   "asm",       "auto",
        "bitand",        "bitor",       "bool",      "break",    "case",      "catch",
        "char",          "class",       "compl",     "const",    "constexpr", "const_cast",
        "continue",      "decltype",    "default",   "delete",   "do",        "double",
        "dynamic_cast",  "else",        "enum",      "explicit", "export",    "extern",
        "false",         "float",       "for",       "friend",   "goto",      "if",
        "inline",        "int",         "long",      "mutable",  "namespace", "new",
        "noexcept",      "not",         "not_eq",    "nullptr",  "operator",  "or",
        "or_eq",         "private",     "protected", "public",   "register",  "reinterpret_cast",
        "restrict",      "return",      "short",     "signed",   "sizeof",    "static",
        "static_assert", "static_cast", "struct",    "switch",   "template",  "this",
        "thread_local",  "throw",       "true",      "try",      "typedef",   "typeid",
        "typename",      "typeof",      "union",     "unsigned", "using",     "virtual",
        "void",          "volatile",    "wchar_t",   "while",    "xor",       "xor_eq"};
    for (size_t i = 0; !emitter->tirpc && i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(name, keywords[i]) == 0)
            return format("%s_", name);
    return name;
}

static const char *type_name(const model_emitter *emitter, const char *name)
{
    return *emitter->prefix ? format("%s%s", emitter->prefix, name) : c_name(emitter, name);
}

static const char *number_traits(di_kind kind)
{
    switch (kind) {
    case DI_CHAR:
    case DI_SHORT:
    case DI_INT:
    case DI_LONG:
        return ".width = 4, .is_signed = true";
    case DI_UNSIGNED_CHAR:
    case DI_UNSIGNED_SHORT:
    case DI_UNSIGNED_INT:
    case DI_UNSIGNED_LONG:
        return ".width = 4";
    case DI_HYPER:
        return ".width = 8, .is_signed = true";
    case DI_UNSIGNED_HYPER:
        return ".width = 8";
    case DI_FLOAT:
        return ".width = 4, .is_floating = true";
    case DI_DOUBLE:
        return ".width = 8, .is_floating = true";
    default:
        return NULL;
    }
}

static const char *emit_node(model_emitter *emitter, const char *members)
{
    char *name = format("node_%u", emitter->next_node++);
    di_text_format(&emitter->out, "static const model_type %s = {%s};\n", name, members);
    return name;
}

static char *declaration_text(model_emitter *emitter, const di_declaration *declaration,
                              c_place at);

static bool is_built_in_text(di_position position)
{
    return !position.source || strcmp(di_source_path(position.source), "<built-in>") == 0;
}

/* A typedef that the language has by itself: no file defines it, so that it has no model. */
static bool is_builtin(const di_type *type)
{
    return type->kind == DI_TYPEDEF && is_built_in_text(type->position);
}

/* The members of a model_type for a type without its shape; NULL where the type has a name and so a
 * model of its own. `lvalue` is something of that type. */
static char *plain_text(model_emitter *emitter, const di_type *type, const char *lvalue)
{
    if (is_builtin(type))
        return declaration_text(emitter, type->declaration, (c_place){lvalue, type->name});
    const char *traits = number_traits(type->kind);
    bool is_long = type->kind == DI_LONG || type->kind == DI_UNSIGNED_LONG;
    /* libtirpc extends a long by its sign or by zeros, whatever its type says. */
    const char *loose = emitter->tirpc && is_long ? ", .is_loose = true" : "";
    if (traits)
        return format(".kind = MODEL_NUMBER, .size = sizeof(%s), %s%s", lvalue, traits, loose);
    if (type->kind == DI_VOID)
        return format(".kind = MODEL_VOID");
    if (type->kind == DI_BOOL)
        return format(".kind = MODEL_BOOL, .size = sizeof(%s)", lvalue);
    if (type->kind == DI_QUADRUPLE)
        return format(".kind = MODEL_QUADRUPLE, .size = sizeof(%s)", lvalue);
    return NULL;
}

static const char *emit_plain(model_emitter *emitter, const di_type *type, const char *lvalue)
{
    const char *text = plain_text(emitter, type, lvalue);
    return text ? emit_node(emitter, text) : format("model_%s", type->name);
}

static char *bytes_text(const model_emitter *emitter, const di_declaration *declaration,
                        const char *lvalue)
{
    const char *kind = "OPAQUE";
    if (declaration->shape == DI_FIXED)
        kind = "BYTES";
    else if (declaration->type->kind == DI_STRING)
        kind = emitter->spans ? "TEXT" : "STRING";
    return format(".kind = MODEL_%s, .size = sizeof(%s), .bound = %" PRIu32 "u", kind, lvalue,
                  declaration->size);
}

/* The members of a model_type for a declaration, or NULL where it is no more than a named type. */
static char *declaration_text(model_emitter *emitter, const di_declaration *declaration, c_place at)
{
    const di_type *type = declaration->type;
    const char *items = emitter->tirpc ? format("%s_val", at.name) : "items";
    const char *element;
    if (type->kind == DI_OPAQUE || type->kind == DI_STRING)
        return bytes_text(emitter, declaration, at.lvalue);
    switch (declaration->shape) {
    case DI_FIXED:
        element = emit_plain(emitter, type, format("%s[0]", at.lvalue));
        return format(".kind = MODEL_FIXED, .size = sizeof(%s), .bound = %" PRIu32 "u, "
                      ".element = &%s",
                      at.lvalue, declaration->size, element);
    case DI_VARIABLE:
        element = emit_plain(emitter, type, format("%s.%s[0]", at.lvalue, items));
        return format(".kind = MODEL_VARIABLE, .size = sizeof(%s), .bound = %" PRIu32 "u, "
                      ".element = &%s",
                      at.lvalue, declaration->size, element);
    case DI_OPTIONAL:
        element = emit_plain(emitter, type, format("*%s", at.lvalue));
        return format(".kind = MODEL_OPTIONAL, .size = sizeof(%s), .element = &%s", at.lvalue,
                      element);
    case DI_PLAIN:
        break;
    }
    return plain_text(emitter, type, at.lvalue);
}

static const char *emit_declaration(model_emitter *emitter, const di_declaration *declaration,
                                    c_place at)
{
    const char *text = declaration_text(emitter, declaration, at);
    return text ? emit_node(emitter, text) : format("model_%s", declaration->type->name);
}

/* A model_member as an initialiser. `path` leads to it in the C type: "u.name". */
static char *member_text(model_emitter *emitter, const di_type *owner,
                         const di_declaration *declaration, const char *path)
{
    const char *c_type = type_name(emitter, owner->name);
    c_place at = {format("((%s *)0)->%s", c_type, path), c_name(emitter, declaration->name)};
    const char *model = emit_declaration(emitter, declaration, at);
    return format("{\"%s\", \"%s.%s\", &%s, offsetof(%s, %s)}", declaration->name, owner->name,
                  declaration->name, model, c_type, path);
}

static void emit_enum(model_emitter *emitter, const di_type *type)
{
    di_text_format(&emitter->out, "static const int32_t values_%s[] = {", type->name);
    for (const di_enumerator *at = type->enumerators; at; at = at->next)
        di_text_format(&emitter->out, "%s%s", type_name(emitter, at->name), at->next ? ", " : "");
    di_text_format(&emitter->out,
                   "};\nstatic const model_type model_%s = {.kind = MODEL_ENUM, .name = \"%s\", "
                   ".size = sizeof(%s), .values = values_%s, "
                   ".value_count = sizeof values_%s / 4};\n",
                   type->name, type->name, type_name(emitter, type->name), type->name, type->name);
}

static void emit_struct(model_emitter *emitter, const di_type *type)
{
    di_text members = {0};
    for (const di_declaration *at = type->members; at; at = at->next)
        if (at->type->kind != DI_VOID)
            di_text_format(&members, "    %s,\n",
                           member_text(emitter, type, at, c_name(emitter, at->name)));
    di_text_format(&emitter->out, "static const model_member members_%s[] = {\n%s};\n", type->name,
                   members.data ? members.data : "    {0}\n");
    di_text_format(&emitter->out,
                   "static const model_type model_%s = {.kind = MODEL_STRUCT, .name = \"%s\", "
                   ".size = sizeof(%s), .members = members_%s, "
                   ".member_count = sizeof members_%s / sizeof *members_%s};\n",
                   type->name, type->name, type_name(emitter, type->name), type->name, type->name,
                   type->name);
    di_text_free(&members);
}

static const char *arm_member(model_emitter *emitter, const di_type *type,
                              const di_declaration *arm)
{
    if (!arm->name || arm->type->kind == DI_VOID)
        return "{0}";
    const char *name = c_name(emitter, arm->name);
    const char *inner = emitter->tirpc ? format("%s_u", type_name(emitter, type->name)) : "u";
    return member_text(emitter, type, arm, format("%s.%s", inner, name));
}

static void emit_union(model_emitter *emitter, const di_type *type)
{
    const char *name = type->name;
    const char *c_type = type_name(emitter, name);
    const char *path = c_name(emitter, type->discriminant->name);
    if (!emitter->tirpc && strcmp(path, "u") == 0)
        path = "u_"; /* the arms' union has that name */
    const char *discriminant = member_text(emitter, type, type->discriminant, path);
    di_text arms = {0};
    for (const di_arm *arm = type->arms; arm; arm = arm->next) {
        const char *member = arm_member(emitter, type, arm->declaration);
        for (const di_label *label = arm->labels; label; label = label->next)
            di_text_format(&arms, "    {%" PRIu32 "u, %s},\n", label->value, member);
    }
    const char *other = NULL;
    if (type->default_arm)
        other = arm_member(emitter, type, type->default_arm->declaration);
    di_text_format(&emitter->out, "static const model_member members_%s[] = {%s};\n", name,
                   discriminant);
    di_text_format(&emitter->out, "static const model_arm arms_%s[] = {\n%s};\n", name,
                   arms.data ? arms.data : "    {0}\n");
    if (other)
        di_text_format(&emitter->out, "static const model_arm default_%s = {0, %s};\n", name,
                       other);
    di_text_format(&emitter->out,
                   "static const model_type model_%s = {.kind = MODEL_UNION, .name = \"%s\", "
                   ".size = sizeof(%s), .members = members_%s, .member_count = 1, "
                   ".arms = arms_%s, .arm_count = %s%s%s%s};\n",
                   name, name, c_type, name, name,
                   arms.data ? format("sizeof arms_%s / sizeof *arms_%s", name, name) : "0",
                   other ? ", .default_arm = &default_" : "", other ? name : "", "");
    di_text_free(&arms);
}

/* Whether a typedef does no more than give another name to a named type. */
static bool is_alias(const di_type *type)
{
    if (type->kind != DI_TYPEDEF || type->declaration->shape != DI_PLAIN)
        return false;
    const di_type *named = type->declaration->type;
    return named->kind == DI_ENUM || named->kind == DI_STRUCT || named->kind == DI_UNION ||
           (named->kind == DI_TYPEDEF && !is_builtin(named));
}

static void emit_typedef(model_emitter *emitter, const di_type *type)
{
    const char *c_type = type_name(emitter, type->name);
    c_place at = {format("(*(%s *)0)", c_type), c_type};
    if (is_alias(type))
        return;
    const char *text = declaration_text(emitter, type->declaration, at);
    di_text_format(&emitter->out, "static const model_type model_%s = {.name = \"%s\", %s};\n",
                   type->name, type->name, text);
}

/* Types may be used before they are defined. */
static void emit_forward(model_emitter *emitter, const di_type *type)
{
    if (is_alias(type))
        di_text_format(&emitter->out, "#define model_%s model_%s\n", type->name,
                       type->declaration->type->name);
    else if (type->kind != DI_EXTERN)
        di_text_format(&emitter->out, "static const model_type model_%s;\n", type->name);
}

static void emit_type(model_emitter *emitter, const di_type *type)
{
    switch (type->kind) {
    case DI_ENUM:
        emit_enum(emitter, type);
        break;
    case DI_STRUCT:
        emit_struct(emitter, type);
        break;
    case DI_UNION:
        emit_union(emitter, type);
        break;
    case DI_TYPEDEF:
        emit_typedef(emitter, type);
        break;
    default:
        break;
    }
}

/* The functions that the tables point to take `void *`: calling the codecs through a pointer of
 * another type would not be valid C. */
static void emit_codec(model_emitter *emitter, const di_type *type)
{
    const char *c_type = type_name(emitter, type->name);
    const char *name = format("%s%s", emitter->prefix, type->name);
    if (emitter->tirpc) {
        di_text_format(&emitter->out,
                       "static bool_t code_%s(XDR *stream, void *value)\n"
                       "{\n    return xdr_%s(stream, value);\n}\n",
                       type->name, name);
        return;
    }
    di_text_format(
        &emitter->out,
        "static int64_t codec_size_%s(dari_encoder *encoder, const void *value)\n"
        "{\n    return xdr_size_%s(encoder, (const %s *)value);\n}\n"
        "static uint8_t *codec_encode_%s(dari_encoder *encoder, uint8_t *at, const void *value)\n"
        "{\n    return xdr_encode_%s(encoder, at, (const %s *)value);\n}\n"
        "static const uint8_t *codec_decode_%s(dari_decoder *decoder, const uint8_t *at, "
        "void *value)\n"
        "{\n    return xdr_decode_%s(decoder, at, value);\n}\n",
        type->name, name, c_type, type->name, name, c_type, type->name, name);
}

/* Types that a file defines; not those that the language has by itself. */
static bool is_defined(const di_definition *definition)
{
    return definition->kind == DI_DEFINE_TYPE && !is_built_in_text(definition->type->position);
}

static bool has_codec(const di_definition *definition)
{
    return is_defined(definition) && !definition->included && definition->type->kind != DI_EXTERN;
}

/* The last column of a type's line in the table of sizes. */
static const char *stated_ratio(const model_emitter *emitter, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = emitter->sizes.data; line && *line;) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, name, size) == 0 && line[size] == ' ') {
            const char *space = end;
            while (*space != ' ')
                space--;
            return format("%.*s", (int)(end - space - 1), space + 1);
        }
        line = end + 1;
    }
    fprintf(stderr, "emit-model: no size is stated for %s\n", name);
    exit(1);
}

static void emit_table(model_emitter *emitter, const di_unit *unit)
{
    const char *kind = emitter->tirpc ? "tirpc_codec" : "codec";
    for (const di_definition *at = unit->definitions; at; at = at->next)
        if (has_codec(at))
            emit_codec(emitter, at->type);
    di_text_format(&emitter->out, "static const %s_entry codecs[] = {\n", kind);
    for (const di_definition *at = unit->definitions; at; at = at->next) {
        if (!has_codec(at))
            continue;
        const char *name = at->type->name;
        if (emitter->tirpc)
            di_text_format(&emitter->out, "    {\"%s\", &model_%s, code_%s},\n", name, name, name);
        else
            di_text_format(&emitter->out,
                           "    {\"%s\", &model_%s, codec_size_%s, codec_encode_%s, codec_decode_%s, "
                           "sizeof(%s), %s},\n",
                           name, name, name, name, name, type_name(emitter, name),
                           stated_ratio(emitter, name));
    }
    di_text_format(&emitter->out,
                   "};\nconst %s_file %s_under_test = {\"%s\", codecs, "
                   "sizeof codecs / sizeof *codecs};\n",
                   kind, kind, emitter->stem);
}

static void emit_unit(model_emitter *emitter, const di_unit *unit)
{
    di_text_format(&emitter->out,
                   "/* Written by emit-model. */\n#include \"%s.h\"\n"
                   "#include \"%s.h\"\n#include <stddef.h>\n\n",
                   emitter->stem, emitter->tirpc ? "tirpc_codec" : "codec");
    for (const di_definition *at = unit->definitions; at; at = at->next)
        if (is_defined(at))
            emit_forward(emitter, at->type);
    for (const di_definition *at = unit->definitions; at; at = at->next)
        if (is_defined(at))
            emit_type(emitter, at->type);
    emit_table(emitter, unit);
}

static int write_file(const model_emitter *emitter, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file || emitter->out.failed) {
        perror(path);
        return 1;
    }
    fwrite(emitter->out.data, 1, emitter->out.size, file);
    return fclose(file) ? 1 : 0;
}

static int compile(model_emitter *emitter, const di_idl_options *options, const char *path,
                   const char *output)
{
    di_idl *idl = NULL;
    int status = 1;
    if (di_idl_compile(options, path, NULL, 0, &idl) < 0)
        return 1;
    for (const di_diagnostic *at = di_idl_diagnostics(idl); at; at = at->next) {
        char *text = di_diagnostic_format(at);
        fputs(text ? text : "", stderr);
        free(text);
    }
    const di_unit *unit = di_idl_unit(idl);
    const di_emit_c_options emitted = {
        .stem = emitter->stem, .prefix = "", .strings_as_spans = emitter->spans};
    if (unit && di_emit_sizes(unit, &emitted, &emitter->sizes) == 0) {
        emit_unit(emitter, unit);
        status = write_file(emitter, output);
    }
    di_text_free(&emitter->out);
    di_text_free(&emitter->sizes);
    di_idl_free(idl);
    return status;
}

static char *stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    return format("%.*s", (int)(dot ? dot - base : (ptrdiff_t)strlen(base)), base);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"tirpc", no_argument, NULL, 't'},
        {"prefix", required_argument, NULL, 'p'},
        {"extern", required_argument, NULL, 'e'},
        {"strings", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    const char *includes[16];
    const char *externs[16];
    di_idl_options options = {.include_directories = includes, .externs = externs};
    model_emitter emitter = {.prefix = ""};
    const char *output = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "o:I:", long_options, NULL)) != -1) {
        if (option == 'o')
            output = optarg;
        else if (option == 't')
            emitter.tirpc = true;
        else if (option == 's')
            emitter.spans = strcmp(optarg, "span") == 0;
        else if (option == 'p')
            emitter.prefix = optarg;
        else if (option == 'I' && options.include_directory_count < 16)
            includes[options.include_directory_count++] = optarg;
        else if (option == 'e' && options.extern_count < 16)
            externs[options.extern_count++] = optarg;
        else
            return 2;
    }
    if (optind + 1 != argc || !output)
        return 2;
    emitter.stem = stem_of(argv[optind]);
    int status = compile(&emitter, &options, argv[optind], output);
    dari_arena_end(&strings);
    return status;
}
