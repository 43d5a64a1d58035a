/* SPDX-License-Identifier: MIT */
#include "gen/c_stub.h"

#include "gen/c_program.h"

#include <inttypes.h>

/* What the names of one procedure's functions and types are made of. */
typedef struct stub {
    const char *name;               /* "add_1" */
    const di_declaration *argument; /* NULL: void */
    const di_declaration *result;   /* NULL: void */
    bool needs_call;                /* a result that holds memory needs a context */
} stub;

static stub make_stub(di_c_writer *writer, const di_procedure *procedure, const di_version *version)
{
    stub s = {.name = di_c_stub_name(writer, procedure, version),
              .argument = di_c_argument(writer, procedure, version)};
    if (!di_c_is_void(procedure->result)) {
        s.result = procedure->result;
        s.needs_call = di_measure_declaration(procedure->result).holds_memory;
    }
    return s;
}

static const char *call_signature(di_c_writer *writer, const stub *s)
{
    return di_c_string(writer, "int %s(dari_client *client%s, dari_call *call)", s->name,
                       di_c_value_parameters(writer, s->argument, s->result));
}

static const char *start_signature(di_c_writer *writer, const stub *s)
{
    return di_c_string(
        writer, "int %s_start(dari_client *client%s, dari_call *call, %s_done *done, void *user)",
        s->name, di_c_value_parameters(writer, s->argument, NULL), s->name);
}

static const char *oneway_signature(di_c_writer *writer, const stub *s)
{
    return di_c_string(writer, "int %s_oneway(dari_client *client%s, dari_call *call)", s->name,
                       di_c_value_parameters(writer, s->argument, NULL));
}

/* The attribute that says which pointers must be given: client, values, and the rest. */
static const char *nonnull(di_c_writer *writer, unsigned last)
{
    const char *list = "1";
    for (unsigned i = 2; i <= last; i++)
        list = di_c_string(writer, "%s, %u", list, i);
    return di_c_string(writer, "__attribute__((nonnull(%s)))", list);
}

void di_c_stub_prototypes(di_c_writer *writer, const di_procedure *procedure,
                          const di_version *version)
{
    stub s = make_stub(writer, procedure, version);
    const char *result = "";
    if (s.result)
        result = di_c_string(writer, ", %s",
                             di_c_pointer(writer, s.result, !di_c_is_array(s.result), "ret"));
    unsigned in = 1 + (s.argument != NULL);
    unsigned values = in + (s.result != NULL);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s: calls %s. */", di_c_place(writer, procedure->position),
              procedure->name);
    di_c_line(writer, "%s", call_signature(writer, &s));
    di_c_line(writer, "    %s;", nonnull(writer, values + s.needs_call));
    di_c_line(writer, "typedef void %s_done(void *user%s, dari_call *call);", s.name, result);
    di_c_line(writer, "%s", start_signature(writer, &s));
    di_c_line(writer, "    %s;", nonnull(writer, in + 2));
    if (s.result)
        return;
    di_c_line(writer, "%s", oneway_signature(writer, &s));
    di_c_line(writer, "    %s;", nonnull(writer, in));
}

/* Sizes and encodes the argument, for all three. */
static void write_put(di_c_writer *writer, const stub *s)
{
    di_c_value_codec codec = di_c_codec_of(writer, s->argument);
    const char *value = di_c_constant_value(writer, s->argument, "arg");
    di_c_line(writer, "static void put_%s(dari_exchange *exchange%s)", s->name,
              di_c_value_parameters(writer, s->argument, NULL));
    di_c_line(writer, "{");
    di_c_line(writer, "int64_t size = %ssize_%s(&exchange->encoder, %s);", codec.verb_prefix,
              codec.name, value);
    di_c_line(writer, "uint8_t *argument = dari_exchange_reserve(exchange, size);");
    di_c_line(writer, "if (argument)");
    di_c_line(writer, "    %sencode_%s(&exchange->encoder, argument, %s);", codec.verb_prefix,
              codec.name, value);
    di_c_line(writer, "}");
    di_c_line(writer, "%s", "");
}

/* A function that begins an exchange and writes the argument. */
static void write_beginning(di_c_writer *writer, const stub *s, const char *signature,
                            const char *begin, const char *interface, uint32_t index)
{
    di_c_line(writer, "%s", signature);
    di_c_line(writer, "{");
    di_c_line(writer, "dari_exchange exchange;");
    di_c_line(writer, "%s(&exchange, client, &%s_interface, %" PRIu32 ", call);", begin, interface,
              index);
    if (s->argument)
        di_c_line(writer, "put_%s(&exchange, arg);", s->name);
    else
        di_c_line(writer, "dari_exchange_reserve(&exchange, 0);");
}

static void write_call(di_c_writer *writer, const stub *s)
{
    di_c_line(writer, "const uint8_t *result = dari_exchange_send(&exchange);");
    if (s->result) {
        di_c_value_codec codec = di_c_codec_of(writer, s->result);
        di_c_line(writer, "if (result)");
        di_c_line(writer, "    result = %sdecode_%s(&exchange.decoder, result, ret);",
                  codec.verb_prefix, codec.name);
    }
    di_c_line(writer, "return dari_exchange_end(&exchange, result);");
    di_c_line(writer, "}");
}

/* What the runtime calls once an asynchronous call has ended. */
static void write_finish(di_c_writer *writer, const stub *s)
{
    di_c_line(writer, "%s", "");
    di_c_line(writer,
              "static void finish_%s(dari_exchange *exchange, const uint8_t *result, "
              "dari_done *done, void *user)",
              s->name);
    di_c_line(writer, "{");
    if (s->result) {
        di_c_value_codec codec = di_c_codec_of(writer, s->result);
        di_c_line(writer, "%s = NULL;", di_c_pointer(writer, s->result, false, "ret"));
        di_c_line(writer, "if (result) {");
        di_c_line(writer, "ret = dari_exchange_take(exchange, sizeof *ret);");
        di_c_line(writer, "result = ret ? %sdecode_%s(&exchange->decoder, result, ret) : NULL;",
                  codec.verb_prefix, codec.name);
        di_c_line(writer, "}");
        di_c_line(writer, "int status = dari_exchange_end(exchange, result);");
        di_c_line(writer, "((%s_done *)done)(user, status ? NULL : ret, exchange->call);", s->name);
    } else {
        di_c_line(writer, "dari_exchange_end(exchange, result);");
        di_c_line(writer, "((%s_done *)done)(user, exchange->call);", s->name);
    }
    di_c_line(writer, "}");
    di_c_line(writer, "%s", "");
}

void di_c_stub_functions(di_c_writer *writer, const di_program *program, const di_version *version,
                         const di_procedure *procedure, uint32_t index)
{
    stub s = make_stub(writer, procedure, version);
    const char *interface = di_c_version_name(writer, program, version);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s */", di_c_place(writer, procedure->position));
    if (s.argument)
        write_put(writer, &s);
    write_beginning(writer, &s, call_signature(writer, &s), "dari_exchange_begin", interface,
                    index);
    write_call(writer, &s);
    write_finish(writer, &s);
    write_beginning(writer, &s, start_signature(writer, &s), "dari_exchange_begin_queued",
                    interface, index);
    di_c_line(writer, "return dari_exchange_start(&exchange, finish_%s, (dari_done *)done, user);",
              s.name);
    di_c_line(writer, "}");
    if (s.result)
        return;
    di_c_line(writer, "%s", "");
    write_beginning(writer, &s, oneway_signature(writer, &s), "dari_exchange_begin", interface,
                    index);
    di_c_line(writer, "return dari_exchange_post(&exchange);");
    di_c_line(writer, "}");
}
