/* SPDX-License-Identifier: MIT */
/* xdr_decode_T: one check for each run of constant bytes, then plain loads; every length is checked
 * before it is believed. */
#include "gen/c_body.h"
#include "gen/c_inline.h"

#include <inttypes.h>

const char *di_c_decode_signature(di_c_writer *writer, const di_c_codec *codec)
{
    return di_c_string(writer,
                       "%sconst uint8_t *%sdecode_%s(dari_decoder *decoder, const uint8_t *at, %s)",
                       codec->storage, codec->verb_prefix, codec->name, codec->out);
}

static void write_atoms(di_c_body *body, const di_atoms *atoms);

/* Leaves the function where the last call gave NULL. */
static void return_if_null(di_c_body *body, const char *pointer)
{
    body->uses_context = true;
    di_c_line(body->writer, "if (!%s)", pointer);
    di_c_line(body->writer, "    return NULL;");
}

/* Checks that the bytes of the run which begins with atom `index` are there. */
static void check_run(di_c_body *body, const di_atoms *atoms, size_t index)
{
    uint64_t run = di_atoms_run(atoms, index);
    if (!run || body->offset + run <= body->available)
        return;
    di_c_advance(body, 0);
    body->uses_context = true;
    body->available = run;
    di_c_line(body->writer, "if (dari_left(decoder, at) < %" PRIu64 ")", run);
    di_c_line(body->writer, "    return dari_truncated(decoder, at, %" PRIu64 ", \"%s\");", run,
              atoms->items[index].field);
}

/* A number of less than 32 bits: it must fit. */
static void write_small(di_c_body *body, const di_atom *atom, const char *type)
{
    di_c_writer *writer = body->writer;
    body->uses_number = true;
    body->uses_context = true;
    di_c_line(writer, "number = dari_get_i32(%s);", di_c_at(body));
    di_c_line(writer, "if (number != (%s)number)", type);
    di_c_line(writer, "    return dari_decode_fault(decoder, %s, DARI_RANGE, \"%s\", number, 0);",
              di_c_at(body), atom->field);
    di_c_line(writer, "%s = (%s)number;", atom->path, type);
}

static void write_bool(di_c_body *body, const char *at, const char *field, const char *target)
{
    di_c_writer *writer = body->writer;
    body->uses_context = true;
    di_c_line(writer, "if (dari_get_u32(%s) > 1 && !dari_accepts_bool(decoder, %s, \"%s\"))", at,
              at, field);
    di_c_line(writer, "    return NULL;");
    di_c_line(writer, "%s = dari_get_u32(%s) != 0;", target, at);
}

static void write_enum(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    const di_type *type = atom->declaration.type;
    body->uses_number = true;
    body->uses_context = true;
    di_c_line(writer, "number = dari_get_i32(%s);", di_c_at(body));
    di_c_line(writer, "if (!xdr_is_%s(number) && !dari_accepts_enum(decoder, %s, \"%s\"))",
              di_c_codec_name(writer, type), di_c_at(body), atom->field);
    di_c_line(writer, "    return NULL;");
    di_c_line(writer, "%s = (%s)number;", atom->path, di_c_type_text(writer, type, false));
}

static void write_number(di_c_body *body, const di_atom *atom)
{
    const char *get = NULL;
    switch (atom->declaration.type->kind) {
    case DI_BOOL:
        write_bool(body, di_c_at(body), atom->field, atom->path);
        break;
    case DI_ENUM:
        write_enum(body, atom);
        break;
    case DI_CHAR:
        write_small(body, atom, "int8_t");
        break;
    case DI_UNSIGNED_CHAR:
        write_small(body, atom, "uint8_t");
        break;
    case DI_SHORT:
        write_small(body, atom, "int16_t");
        break;
    case DI_UNSIGNED_SHORT:
        write_small(body, atom, "uint16_t");
        break;
    case DI_INT:
    case DI_LONG:
        get = "i32";
        break;
    case DI_HYPER:
        get = "i64";
        break;
    case DI_UNSIGNED_HYPER:
        get = "u64";
        break;
    case DI_FLOAT:
        get = "float";
        break;
    case DI_DOUBLE:
        get = "double";
        break;
    case DI_QUADRUPLE:
        get = "quadruple";
        break;
    default:
        get = "u32";
        break;
    }
    if (get && (*get == 'f' || *get == 'd'))
        di_c_line(body->writer, "dari_get_%s(%s, %s);", get, di_c_at(body),
                  di_path_address(body->writer, atom->path));
    else if (get)
        di_c_line(body->writer, "%s = dari_get_%s(%s);", atom->path, get, di_c_at(body));
    body->offset += di_atom_fixed_bytes(atom);
}

/* A loop over elements. Those of a fixed size are known to be there: `checked`. */
static void write_elements(di_c_body *body, const di_atom *atom, const char *count,
                           const char *items, bool checked)
{
    di_c_advance(body, 0);
    const char *index = di_c_loop(body, count);
    di_atoms element =
        di_atoms_of_element(body->writer, atom, di_path_index(body->writer, items, index));
    body->available = checked ? di_atoms_run(&element, 0) : 0;
    write_atoms(body, &element);
    di_c_advance(body, 0);
    di_c_loop_end(body);
}

static void write_array(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    const di_declaration *d = &atom->declaration;
    const char *count = di_path_member(writer, atom->path, "count");
    const char *items = di_path_member(writer, atom->path, "items");
    di_c_line(writer, "%s = dari_get_u32(%s);", count, di_c_at(body));
    di_c_advance(body, 4);
    di_c_line(writer, "%s =", items);
    di_c_line(writer, "    dari_take_array(decoder, at, %s, %uu, %u, sizeof *%s,", count, d->size,
              di_element_width(atom), items);
    di_c_line(writer, "                    \"%s\");", atom->field);
    return_if_null(body, items);
    if (di_kind_is_swapped(d->type->kind)) {
        uint32_t width = di_number_width(d->type->kind);
        di_c_line(writer, "dari_swap_array_u%u(%s, at, %s);", 8 * width, items, count);
        di_c_line(writer, "at += %u * (size_t)%s;", width, count);
    } else {
        di_declaration element = {.type = d->type, .shape = DI_PLAIN};
        write_elements(body, atom, count, items, di_measure_declaration(&element).fixed);
    }
}

/* The boolean before an optional value, into `present`. */
static void write_present(di_c_body *body, const di_atom *atom)
{
    body->uses_present = true;
    write_bool(body, di_c_at(body), atom->field, "present");
    di_c_advance(body, 4);
    di_c_line(body->writer, "%s = NULL;", atom->path);
}

static void write_take(di_c_body *body, const di_atom *atom)
{
    di_c_line(body->writer, "%s = dari_take(decoder, at, sizeof *%s, \"%s\");", atom->path,
              atom->path, atom->field);
    return_if_null(body, atom->path);
}

static void write_optional(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    write_present(body, atom);
    di_c_line(writer, "if (present) {");
    write_take(body, atom);
    di_atoms element = di_atoms_of_element(writer, atom, di_c_string(writer, "*%s", atom->path));
    write_atoms(body, &element);
    di_c_advance(body, 0);
    di_c_line(writer, "}");
}

static void write_tail(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    write_present(body, atom);
    di_c_line(writer, "if (!present) {");
    if (body->codec->type->recursive)
        di_c_line(writer, "decoder->depth++;");
    di_c_line(writer, "return at;");
    di_c_line(writer, "}");
    write_take(body, atom);
    di_c_line(writer, "value = %s;", atom->path);
}

static void write_bytes(di_c_body *body, const di_atom *atom)
{
    uint32_t size = atom->declaration.size;
    if (size && size % 4 == 0) {
        di_c_line(body->writer, "memcpy(%s, %s, %u);", atom->path, di_c_at(body), size);
    } else if (size) {
        body->uses_context = true;
        di_c_line(body->writer, "if (!dari_get_bytes(decoder, %s, %s, %u, \"%s\"))", di_c_at(body),
                  atom->path, size, atom->field);
        di_c_line(body->writer, "    return NULL;");
    }
    body->offset += di_atom_fixed_bytes(atom);
}

/* An opaque or a string: one check covers it and the run that follows. */
static void write_sized(di_c_body *body, const di_atoms *atoms, size_t index, const char *get)
{
    di_c_writer *writer = body->writer;
    const di_atom *atom = &atoms->items[index];
    uint64_t following = di_atoms_run(atoms, index + 1);
    if (following > UINT32_MAX)
        following = 0;
    di_c_line(writer, "at = %sget_%s(decoder, %s, %uu, %" PRIu64 ", %s, \"%s\");",
              di_c_pieces(body), get, di_c_at(body), atom->declaration.size, following,
              di_path_address(writer, atom->path), atom->field);
    return_if_null(body, "at");
    body->offset = 0;
    body->available = following;
}

static void write_atom(di_c_body *body, const di_atoms *atoms, size_t index)
{
    di_c_writer *writer = body->writer;
    const di_atom *atom = &atoms->items[index];
    const di_declaration *d = &atom->declaration;
    check_run(body, atoms, index);
    switch (atom->kind) {
    case DI_ATOM_NUMBER:
        write_number(body, atom);
        break;
    case DI_ATOM_BYTES:
        write_bytes(body, atom);
        break;
    case DI_ATOM_NUMBERS:
        di_c_line(writer, "dari_swap_array_u%u(%s, %s, %u);", 8 * di_number_width(d->type->kind),
                  atom->path, di_c_at(body), d->size);
        body->offset += di_atom_fixed_bytes(atom);
        break;
    case DI_ATOM_ELEMENTS:
        write_elements(body, atom, di_c_string(writer, "%u", d->size), atom->path, false);
        break;
    case DI_ATOM_OPAQUE:
        write_sized(body, atoms, index, "opaque");
        break;
    case DI_ATOM_STRING:
        write_sized(body, atoms, index, writer->options->strings_as_spans ? "text" : "string");
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
        di_c_line(writer, "at = %sdecode_%s(decoder, %s, %s);", di_c_codec_prefix(writer, d->type),
                  di_c_codec_name(writer, d->type), di_c_at(body),
                  di_path_address(writer, atom->path));
        return_if_null(body, "at");
        body->offset = 0;
        body->available = 0;
        break;
    }
}

static void write_atoms(di_c_body *body, const di_atoms *atoms)
{
    for (size_t i = 0, count; i < atoms->count; i += count) {
        const di_atom *atom = &atoms->items[i];
        count = di_atoms_together(atoms, i);
        if (count == 1) {
            write_atom(body, atoms, i);
        } else {
            check_run(body, atoms, i);
            di_c_line(body->writer, "%s",
                      di_atoms_move(body->writer, atom, (unsigned)count, "get", di_c_at(body)));
            body->offset += count * di_atom_fixed_bytes(atom);
        }
    }
}

static void write_scope(di_c_body *body, const di_atoms *atoms)
{
    write_atoms(body, atoms);
    di_c_take_back(body, "if (!at)", "return NULL;");
    di_c_advance(body, 0);
}

static void write_missing(di_c_body *body)
{
    const di_type *type = body->codec->type;
    body->uses_context = true;
    di_c_line(body->writer, "return dari_decode_fault(decoder, at - 4, DARI_ARM, \"%s.%s\",",
              body->codec->field, type->discriminant->name);
    di_c_line(body->writer, "                         (int64_t)value->%s, 0);",
              di_c_discriminant(body->writer, type));
}

void di_c_decode_function(di_c_writer *writer, const di_c_codec *codec)
{
    di_c_body body;
    di_c_body_begin(&body, writer, codec);
    const di_type *type = codec->type;
    bool recursive = type && type->recursive;
    if (recursive) {
        body.uses_context = true;
        di_c_line(writer, "if (!dari_decoder_enter(decoder, at, \"%s\"))", codec->field);
        di_c_line(writer, "    return NULL;");
    }
    if (type && type->kind == DI_UNION) {
        di_c_write_union(&body, write_scope, write_scope, write_missing);
    } else {
        if (type && type->tail)
            di_c_line(writer, "for (;;) {");
        di_atoms atoms = di_c_body_atoms(&body);
        write_atoms(&body, &atoms);
        if (type && type->tail)
            di_c_line(writer, "}");
    }
    if (!type || !type->tail) {
        di_c_take_back(&body, "if (!at)", "return NULL;");
        if (recursive)
            di_c_line(writer, "decoder->depth++;");
        di_c_line(writer, "return %s;", di_c_at(&body));
    }
    di_c_body_end(&body, di_c_decode_signature(writer, codec), "decoder");
}
