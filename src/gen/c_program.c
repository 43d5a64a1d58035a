/* SPDX-License-Identifier: MIT */
#include "gen/c_program.h"

#include "gen/c_codec.h"
#include "gen/c_stub.h"
#include "gen/c_types.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *di_c_stub_name(di_c_writer *writer, const di_procedure *procedure,
                           const di_version *version)
{
    return di_c_string(writer, "%s%s_%u", writer->options->prefix,
                       di_c_lower(writer, procedure->name), version->number);
}

const char *di_c_version_name(di_c_writer *writer, const di_program *program,
                              const di_version *version)
{
    return di_c_string(writer, "%s%s_%u", writer->options->prefix,
                       di_c_lower(writer, program->name), version->number);
}

const char *di_c_handler_name(di_c_writer *writer, const di_procedure *procedure)
{
    return di_c_member(writer, di_c_lower(writer, procedure->name));
}

bool di_c_is_void(const di_declaration *declaration)
{
    return !declaration || declaration->type->kind == DI_VOID;
}

/* The members of the struct that several arguments become, and its measure. */
static di_type *argument_struct(di_c_writer *writer, const di_procedure *procedure,
                                const di_version *version)
{
    di_type *type = dari_arena_take(writer->arena, sizeof *type);
    if (!type) {
        writer->failed = true;
        return NULL;
    }
    *type =
        (di_type){.kind = DI_STRUCT, .position = procedure->position, .measure = {.fixed = true}};
    type->name =
        di_c_string(writer, "%s_%u_argument", di_c_lower(writer, procedure->name), version->number);
    const di_declaration **link = &type->members;
    unsigned number = 0;
    for (const di_declaration *a = procedure->arguments; a; a = a->next) {
        di_declaration *member = dari_arena_take(writer->arena, sizeof *member);
        if (!member) {
            writer->failed = true;
            return NULL;
        }
        *member = *a;
        number++;
        if (!member->name)
            member->name = di_c_string(writer, "arg%u", number);
        member->next = NULL;
        *link = member;
        link = &member->next;
        di_measure measure = di_measure_declaration(member);
        type->measure.minimum += measure.minimum;
        bool bounded = measure.maximum != UINT64_MAX && type->measure.maximum != UINT64_MAX;
        type->measure.maximum = bounded ? type->measure.maximum + measure.maximum : UINT64_MAX;
        type->measure.fixed &= measure.fixed;
        type->measure.holds_memory |= measure.holds_memory;
        type->measure.checked |= measure.checked;
    }
    return type;
}

const di_declaration *di_c_argument(di_c_writer *writer, const di_procedure *procedure,
                                    const di_version *version)
{
    const di_declaration *first = procedure->arguments;
    if (di_c_is_void(first))
        return NULL;
    if (!first->next)
        return first;
    const di_type *type = argument_struct(writer, procedure, version);
    di_declaration *declaration = dari_arena_take(writer->arena, sizeof *declaration);
    if (!declaration || !type) {
        writer->failed = true;
        return NULL;
    }
    *declaration = (di_declaration){.position = procedure->position, .type = type};
    return declaration;
}

static bool has_argument_struct(const di_procedure *procedure)
{
    return procedure->arguments && procedure->arguments->next;
}

/* The name of a static codec: "int", "string_255". */
static const char *static_codec_name(di_c_writer *writer, const di_declaration *d)
{
    static const char *const words[] = {
        [DI_BOOL] = "bool",
        [DI_CHAR] = "char",
        [DI_UNSIGNED_CHAR] = "unsigned_char",
        [DI_SHORT] = "short",
        [DI_UNSIGNED_SHORT] = "unsigned_short",
        [DI_INT] = "int",
        [DI_UNSIGNED_INT] = "unsigned_int",
        [DI_LONG] = "long",
        [DI_UNSIGNED_LONG] = "unsigned_long",
        [DI_HYPER] = "hyper",
        [DI_UNSIGNED_HYPER] = "unsigned_hyper",
        [DI_FLOAT] = "float",
        [DI_DOUBLE] = "double",
        [DI_QUADRUPLE] = "quadruple",
        [DI_OPAQUE] = "opaque",
        [DI_STRING] = "string",
    };
    const char *word = d->type->kind <= DI_STRING ? words[d->type->kind] : d->type->name;
    switch (d->shape) {
    case DI_PLAIN:
        break;
    case DI_FIXED:
        return di_c_string(writer, "%s_array_%u", word, d->size);
    case DI_VARIABLE:
        if (d->size != UINT32_MAX)
            return di_c_string(writer, "%s_%u", word, d->size);
        break;
    case DI_OPTIONAL:
        return di_c_string(writer, "%s_pointer", word);
    }
    return word;
}

static bool has_own_codec(const di_declaration *declaration)
{
    if (declaration->shape != DI_PLAIN || declaration->type->kind < DI_ENUM)
        return false;
    return di_c_is_netbuf(declaration->type) || !di_c_is_builtin(declaration->type);
}

di_c_value_codec di_c_codec_of(di_c_writer *writer, const di_declaration *declaration)
{
    if (has_own_codec(declaration))
        return (di_c_value_codec){"xdr_", di_c_codec_name(writer, declaration->type)};
    di_declaration resolved = di_c_resolve(declaration);
    return (di_c_value_codec){"plain_", static_codec_name(writer, &resolved)};
}

/* Before C23 a pointer to an array does not become one to a constant array by itself: arguments
 * that are arrays are not constant, and codecs are given them with a cast. */
bool di_c_is_array(const di_declaration *declaration)
{
    return di_c_resolve(declaration).shape == DI_FIXED;
}

static void static_codec(di_c_writer *writer, const di_declaration *declaration, di_text *names)
{
    if (di_c_is_void(declaration) || has_own_codec(declaration))
        return;
    di_declaration resolved = di_c_resolve(declaration);
    if (has_own_codec(&resolved))
        return;
    const char *name = static_codec_name(writer, &resolved);
    const char *key = di_c_string(writer, " %s ", name);
    if (names->data && strstr(names->data, key))
        return;
    di_text_append(names, key, strlen(key));
    di_c_codec codec = {.name = name,
                        .storage = "static ",
                        .verb_prefix = "plain_",
                        .in = di_c_pointer(writer, &resolved, !di_c_is_array(&resolved), "value"),
                        .out = di_c_pointer(writer, &resolved, false, "value"),
                        .field = name,
                        .declaration = &resolved};
    di_c_size_function(writer, &codec);
    di_c_encode_function(writer, &codec);
    di_c_decode_function(writer, &codec);
}

void di_c_static_codecs(di_c_writer *writer, const di_unit *unit)
{
    di_text names = {0};
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        if (d->kind != DI_DEFINE_PROGRAM || d->included)
            continue;
        for (const di_version *v = d->program->versions; v; v = v->next)
            for (const di_procedure *p = v->procedures; p; p = p->next) {
                if (!has_argument_struct(p))
                    static_codec(writer, p->arguments, &names);
                static_codec(writer, p->result, &names);
            }
    }
    writer->failed |= names.failed;
    di_text_free(&names);
}

/* `name` as the codecs take it. */
const char *di_c_constant_value(di_c_writer *writer, const di_declaration *d, const char *name)
{
    if (!di_c_is_array(d) || !has_own_codec(d))
        return name;
    return di_c_string(writer, "(const %s *)%s", di_c_type_text(writer, d->type, false), name);
}

/* ", const pair *arg, int32_t *ret" */
const char *di_c_value_parameters(di_c_writer *writer, const di_declaration *argument,
                                  const di_declaration *result)
{
    const char *in = "", *out = "";
    if (argument)
        in = di_c_string(writer, ", %s",
                         di_c_pointer(writer, argument, !di_c_is_array(argument), "arg"));
    if (!di_c_is_void(result))
        out = di_c_string(writer, ", %s", di_c_pointer(writer, result, false, "ret"));
    return di_c_string(writer, "%s%s", in, out);
}

static const char *reply_signature(di_c_writer *writer, const di_procedure *procedure,
                                   const di_version *version)
{
    const char *value = "";
    if (!di_c_is_void(procedure->result))
        value = di_c_string(
            writer, ", %s",
            di_c_pointer(writer, procedure->result, !di_c_is_array(procedure->result), "ret"));
    return di_c_string(writer, "int %s_reply(dari_request *request%s)",
                       di_c_stub_name(writer, procedure, version), value);
}

/* What a value needs before the table in which its type's name is a member's. */
static void alias_of_value(di_c_writer *writer, const di_declaration *d)
{
    if (d && di_c_has_alias(d->type) && di_c_is_hidden(writer, di_c_type_name(writer, d->type)))
        di_c_define_alias(writer, d->type);
}

static void handler_table(di_c_writer *writer, const di_program *program, const di_version *version)
{
    const char *name = di_c_version_name(writer, program, version);
    di_c_line(writer, "%s", "");
    di_c_line(writer,
              "/* %s: what a server of %s %s runs. A handler returns 0, the error that is "
              "answered,\n"
              " * or DARI_LATER: then it is answered by its ..._reply or by dari_request_fail. */",
              di_c_place(writer, version->position), program->name, version->name);
    writer->handlers = version;
    for (const di_procedure *p = version->procedures; p; p = p->next) {
        alias_of_value(writer, di_c_argument(writer, p, version));
        alias_of_value(writer, p->result);
    }
    di_c_line(writer, "typedef struct %s_handlers {", name);
    for (const di_procedure *p = version->procedures; p; p = p->next)
        di_c_line(writer, "int (*%s)(dari_request *request%s);", di_c_handler_name(writer, p),
                  di_c_value_parameters(writer, di_c_argument(writer, p, version), p->result));
    if (!version->procedures)
        di_c_line(writer, "char empty;");
    writer->handlers = NULL;
    di_c_line(writer, "} %s_handlers;", name);
}

void di_c_program_types(di_c_writer *writer, const di_c_numbers *numbers, const di_program *program)
{
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s */", di_c_place(writer, program->position));
    di_c_program_numbers(writer, numbers, program);
    for (const di_version *v = program->versions; v; v = v->next) {
        for (const di_procedure *p = v->procedures; p; p = p->next) {
            if (!has_argument_struct(p))
                continue;
            const di_type *type = di_c_argument(writer, p, v)->type;
            di_c_line(writer, "%s", "");
            di_c_declare_type(writer, type);
            di_c_define_type(writer, type);
        }
        handler_table(writer, program, v);
    }
}

void di_c_program_prototypes(di_c_writer *writer, const di_program *program)
{
    for (const di_version *v = program->versions; v; v = v->next) {
        const char *name = di_c_version_name(writer, program, v);
        di_c_line(writer, "%s", "");
        di_c_line(writer, "extern const dari_interface %s_interface;", name);
        di_c_line(writer, "%s", "");
        di_c_line(writer,
                  "/* Makes a server answer %s %s. The handlers live as long as it does. */",
                  program->name, v->name);
        di_c_line(writer,
                  "int %s_serve(dari_server *server, const %s_handlers *handlers, "
                  "void *user);",
                  name, name);
        for (const di_procedure *p = v->procedures; p; p = p->next) {
            di_c_stub_prototypes(writer, p, v);
            di_c_line(writer, "%s", "");
            di_c_line(writer, "/* %s: answers %s later than its handler returns. */",
                      di_c_place(writer, p->position), p->name);
            di_c_line(writer, "%s;", reply_signature(writer, p, v));
        }
    }
}

/* The procedures in ascending order of their numbers. Returns how many. */
static uint32_t sorted_procedures(di_c_writer *writer, const di_version *version,
                                  const di_procedure ***ret_procedures)
{
    uint32_t count = 0;
    for (const di_procedure *p = version->procedures; p; p = p->next)
        count++;
    const di_procedure **procedures = dari_arena_take(writer->arena, count * sizeof *procedures);
    if (!procedures) {
        writer->failed = true;
        return 0;
    }
    uint32_t filled = 0;
    for (const di_procedure *p = version->procedures; p; p = p->next) {
        uint32_t at = filled++;
        for (; at && procedures[at - 1]->number > p->number; at--)
            procedures[at] = procedures[at - 1];
        procedures[at] = p;
    }
    *ret_procedures = procedures;
    return count;
}

/* Decodes the argument on the server into the request's memory. */
static void write_argument_decoding(di_c_writer *writer, const di_declaration *argument)
{
    di_c_line(writer, "dari_decoder *decoder = dari_request_decoder(request);");
    di_c_line(writer, "const uint8_t *at = dari_request_arguments(request);");
    if (argument) {
        di_c_value_codec codec = di_c_codec_of(writer, argument);
        di_c_line(writer, "%s = dari_request_take(request, sizeof *arg);",
                  di_c_pointer(writer, argument, false, "arg"));
        di_c_line(writer, "if (!arg)");
        di_c_line(writer, "    return DARI_NO_MEMORY;");
        di_c_line(writer, "at = %sdecode_%s(decoder, at, arg);", codec.verb_prefix, codec.name);
    }
    di_c_line(writer, "if (dari_decoder_finish(decoder, at) < 0)");
    di_c_line(writer, "    return DARI_GARBAGE_ARGUMENTS;");
}

/* Writes the result at the server into the reply. */
static void write_result(di_c_writer *writer, const di_declaration *result)
{
    if (di_c_is_void(result)) {
        di_c_line(writer, "dari_request_reserve(request, 0);");
        return;
    }
    di_c_value_codec codec = di_c_codec_of(writer, result);
    const char *value = di_c_constant_value(writer, result, "ret");
    di_c_line(writer, "dari_encoder *encoder = dari_request_encoder(request);");
    di_c_line(writer, "int64_t size = %ssize_%s(encoder, %s);", codec.verb_prefix, codec.name,
              value);
    di_c_line(writer, "uint8_t *result = dari_request_reserve(request, size);");
    di_c_line(writer, "if (result)");
    di_c_line(writer, "    %sencode_%s(encoder, result, %s);", codec.verb_prefix, codec.name,
              value);
}

static void write_server_side(di_c_writer *writer, const di_program *program,
                              const di_version *version, const di_procedure *procedure)
{
    const di_declaration *argument = di_c_argument(writer, procedure, version);
    bool has_result = !di_c_is_void(procedure->result);
    const char *handler = di_c_handler_name(writer, procedure);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s */", di_c_place(writer, procedure->position));
    di_c_line(writer, "static int serve_%s(dari_request *request, const void *handlers)",
              di_c_stub_name(writer, procedure, version));
    di_c_line(writer, "{");
    di_c_line(writer, "const %s_handlers *table = handlers;",
              di_c_version_name(writer, program, version));
    di_c_line(writer, "if (!table->%s)", handler);
    di_c_line(writer, "    return DARI_PROCEDURE_UNAVAILABLE;");
    write_argument_decoding(writer, argument);
    if (has_result) {
        di_c_line(writer, "%s = dari_request_take(request, sizeof *ret);",
                  di_c_pointer(writer, procedure->result, false, "ret"));
        di_c_line(writer, "if (!ret)");
        di_c_line(writer, "    return DARI_NO_MEMORY;");
    }
    di_c_line(writer, "int status = table->%s(request%s%s);", handler, argument ? ", arg" : "",
              has_result ? ", ret" : "");
    di_c_line(writer, "if (status)");
    di_c_line(writer, "    return status;");
    write_result(writer, procedure->result);
    di_c_line(writer, "return dari_request_reply(request);");
    di_c_line(writer, "}");
    di_c_line(writer, "%s", "");
    di_c_line(writer, "%s", reply_signature(writer, procedure, version));
    di_c_line(writer, "{");
    write_result(writer, procedure->result);
    di_c_line(writer, "return dari_request_reply_later(request);");
    di_c_line(writer, "}");
}

static void write_interface(di_c_writer *writer, const di_program *program,
                            const di_version *version, const di_procedure *const *procedures,
                            uint32_t count)
{
    const char *name = di_c_version_name(writer, program, version);
    if (count) {
        di_c_line(writer, "%s", "");
        di_c_line(writer, "static const dari_procedure %s_procedures[] = {", name);
        for (uint32_t i = 0; i < count; i++)
            di_c_line(writer, "{%u, \"%s\", serve_%s},", procedures[i]->number, procedures[i]->name,
                      di_c_stub_name(writer, procedures[i], version));
        di_c_line(writer, "};");
    }
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s */", di_c_place(writer, version->position));
    di_c_line(writer, "const dari_interface %s_interface = {", name);
    di_c_line(writer, ".generator = 2,");
    di_c_line(writer, ".program = 0x%08xu,", program->number);
    di_c_line(writer, ".version = %u,", version->number);
    di_c_line(writer, ".name = \"%s\",", version->name);
    if (count)
        di_c_line(writer, ".procedures = %s_procedures,", name);
    di_c_line(writer, ".procedure_count = %u,", count);
    di_c_line(writer, "};");
    di_c_line(writer, "%s", "");
    di_c_line(writer, "int %s_serve(dari_server *server, const %s_handlers *handlers, void *user)",
              name, name);
    di_c_line(writer, "{");
    di_c_line(writer, "return dari_server_add(server, &%s_interface, handlers, user);", name);
    di_c_line(writer, "}");
}

void di_c_program_functions(di_c_writer *writer, const di_program *program)
{
    for (const di_version *v = program->versions; v; v = v->next) {
        const di_procedure **procedures = NULL;
        uint32_t count = sorted_procedures(writer, v, &procedures);
        for (uint32_t i = 0; i < count; i++)
            write_server_side(writer, program, v, procedures[i]);
        write_interface(writer, program, v, procedures, count);
        for (uint32_t i = 0; i < count; i++)
            di_c_stub_functions(writer, program, v, procedures[i], i);
    }
}
