/* SPDX-License-Identifier: MIT */
/* xdr_size_T: checks what may be wrong with a value and adds up what it takes on the wire. */
#include "gen/c_body.h"
#include "gen/c_inline.h"

#include <inttypes.h>

const char *di_c_size_signature(di_c_writer *writer, const di_c_codec *codec)
{
    return di_c_string(writer, "%sint64_t %ssize_%s(dari_encoder *encoder, %s)", codec->storage,
                       codec->verb_prefix, codec->name, codec->in);
}

static void write_atoms(di_c_body *body, const di_atoms *atoms);

/* Adds to the size by a call, or leaves the function with its error. */
static void add_call(di_c_body *body, const char *call)
{
    body->uses_context = true;
    di_c_line(body->writer, "if (!%s)", call);
    di_c_line(body->writer, "    return size;");
}

/* Constant bytes are summed up over a scope (an arm, a loop, a branch) and added once at its end;
 * those of the whole function begin the sum. */
static void write_scope(di_c_body *body, const di_atoms *atoms)
{
    uint64_t outside = body->offset;
    body->offset = 0;
    write_atoms(body, atoms);
    if (body->offset)
        di_c_line(body->writer, "size += %" PRIu64 ";", body->offset);
    body->offset = outside;
}

static void check_number(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    const di_type *type = atom->declaration.type;
    const char *error = "DARI_RANGE";
    if (type->kind == DI_ENUM) {
        error = "DARI_ENUM";
        di_c_line(writer, "if (!xdr_is_%s((int32_t)%s))", di_c_codec_name(writer, type),
                  atom->path);
    } else if (type->kind == DI_LONG) {
        di_c_line(writer, "if (%s != (int32_t)%s)", atom->path, atom->path);
    } else if (type->kind == DI_UNSIGNED_LONG) {
        di_c_line(writer, "if (%s != (uint32_t)%s)", atom->path, atom->path);
    } else {
        return;
    }
    body->uses_context = true;
    di_c_line(writer, "    return dari_encode_fault(encoder, %s, \"%s\", (int64_t)%s, 0);", error,
              atom->field, atom->path);
}

/* A loop over elements whose sizes vary or whose values are checked. */
static void write_loop(di_c_body *body, const di_atom *atom, const char *count, const char *items)
{
    di_atoms element =
        di_atoms_of_element(body->writer, atom, di_c_loop_over(body, atom, count, items));
    write_scope(body, &element);
    di_c_loop_end(body);
}

/* The measure of one element of an array. */
static di_measure element_measure(const di_atom *atom)
{
    di_declaration element = {.type = atom->declaration.type, .shape = DI_PLAIN};
    return di_measure_declaration(&element);
}

static void write_array(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    di_measure element = element_measure(atom);
    bool simple = element.fixed && !element.checked;
    const char *count = di_path_member(writer, atom->path, "count");
    const char *items = di_path_member(writer, atom->path, "items");
    add_call(body,
             di_c_string(writer, "dari_add_array(encoder, &size, %s, %s,\n%*s%uu, %u, \"%s\")",
                         count, items, (int)(4 * writer->indent + 20), "", atom->declaration.size,
                         simple ? (unsigned)element.minimum : 0, atom->field));
    if (!simple)
        write_loop(body, atom, count, items);
}

static void write_optional(di_c_body *body, const di_atom *atom)
{
    body->offset += 4;
    di_c_line(body->writer, "if (%s) {", atom->path);
    di_atoms element =
        di_atoms_of_element(body->writer, atom, di_c_string(body->writer, "*%s", atom->path));
    write_scope(body, &element);
    di_c_line(body->writer, "}");
}

static void write_tail(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    di_c_line(writer, "size += %" PRIu64 ";", body->offset + 4);
    body->offset = 0;
    di_c_line(writer, "if (!%s) {", atom->path);
    if (body->codec->type->recursive)
        di_c_line(writer, "encoder->depth++;");
    di_c_line(writer, "return size;");
    di_c_line(writer, "}");
    di_c_line(writer, "value = %s;", atom->path);
}

static void write_call(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    di_measure measure = di_measure_declaration(&atom->declaration);
    if (measure.fixed && !measure.checked)
        body->offset += measure.minimum;
    else
        add_call(body, di_c_string(writer, "dari_add(&size, %ssize_%s(encoder, %s))",
                                   di_c_codec_prefix(writer, atom->declaration.type),
                                   di_c_codec_name(writer, atom->declaration.type),
                                   di_path_address(writer, atom->path)));
}

static void write_atom(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    const char *adder;
    switch (atom->kind) {
    case DI_ATOM_NUMBER:
        check_number(body, atom);
        body->offset += di_atom_fixed_bytes(atom);
        break;
    case DI_ATOM_BYTES:
    case DI_ATOM_NUMBERS:
        body->offset += di_atom_fixed_bytes(atom);
        break;
    case DI_ATOM_ELEMENTS: {
        di_measure element = element_measure(atom);
        if (element.fixed && !element.checked)
            body->offset += atom->declaration.size * element.minimum;
        else
            write_loop(body, atom, di_c_string(writer, "%u", atom->declaration.size), atom->path);
        break;
    }
    case DI_ATOM_OPAQUE:
        add_call(body, di_c_string(writer, "dari_add_opaque(encoder, &size, %s, %uu, \"%s\")",
                                   atom->path, atom->declaration.size, atom->field));
        break;
    case DI_ATOM_STRING:
        adder = writer->options->strings_as_spans
                    ? di_c_string(writer, "%sadd_text", di_c_pieces(body))
                    : "dari_add_string";
        add_call(body, di_c_string(writer, "%s(encoder, &size, %s, %uu, \"%s\")", adder, atom->path,
                                   atom->declaration.size, atom->field));
        break;
    case DI_ATOM_ARRAY:
        write_array(body, atom);
        break;
    case DI_ATOM_OPTIONAL:
        write_optional(body, atom);
        break;
    case DI_ATOM_TAIL:
        write_tail(body, atom);
        break;
    case DI_ATOM_CALL:
        write_call(body, atom);
        break;
    }
}

static void write_atoms(di_c_body *body, const di_atoms *atoms)
{
    for (size_t i = 0; i < atoms->count; i++)
        write_atom(body, &atoms->items[i]);
}

static void write_missing(di_c_body *body)
{
    const di_type *type = body->codec->type;
    body->uses_context = true;
    di_c_line(body->writer,
              "return dari_encode_fault(encoder, DARI_ARM, \"%s.%s\", (int64_t)value->%s, 0);",
              body->codec->field, type->discriminant->name, di_c_discriminant(body->writer, type));
}

/* A value that always takes the same bytes and cannot be wrong. */
static bool is_constant(const di_c_codec *codec)
{
    di_declaration plain = {.type = codec->type, .shape = DI_PLAIN};
    di_measure measure = di_measure_declaration(codec->type ? &plain : codec->declaration);
    return measure.fixed && !measure.checked;
}

static void write_constant(di_c_body *body)
{
    const di_c_codec *codec = body->codec;
    di_declaration plain = {.type = codec->type, .shape = DI_PLAIN};
    di_measure measure = di_measure_declaration(codec->type ? &plain : codec->declaration);
    di_c_line(body->writer, "return %" PRIu64 ";", measure.minimum);
}

static void write_struct_or_value(di_c_body *body)
{
    bool list = body->codec->type && body->codec->type->tail;
    if (list)
        di_c_line(body->writer, "for (;;) {");
    di_atoms atoms = di_c_body_atoms(body);
    write_atoms(body, &atoms);
    if (list)
        di_c_line(body->writer, "}");
}

void di_c_size_function(di_c_writer *writer, const di_c_codec *codec)
{
    di_c_body body;
    di_c_body_begin(&body, writer, codec);
    if (is_constant(codec)) {
        write_constant(&body);
        di_c_body_end(&body, di_c_size_signature(writer, codec), "encoder");
        return;
    }
    const di_type *type = codec->type;
    bool recursive = type && type->recursive;
    if (recursive) {
        body.uses_context = true;
        di_c_line(writer, "if (!dari_encoder_enter(encoder, \"%s\"))", codec->field);
        di_c_line(writer, "    return DARI_DEPTH;");
    }
    if (type && type->kind == DI_UNION)
        di_c_write_union(&body, write_atoms, write_scope, write_missing);
    else
        write_struct_or_value(&body);
    if (!type || !type->tail) {
        if (recursive)
            di_c_line(writer, "encoder->depth++;");
        di_c_line(writer, "return size;");
    }
    body.first_line = di_c_string(writer, "int64_t size = %" PRIu64 ";", body.offset);
    di_c_body_end(&body, di_c_size_signature(writer, codec), "encoder");
}
