/* SPDX-License-Identifier: MIT */
/* xdr_encode_T: plain stores at constant offsets. The size function has checked the value. */
#include "gen/c_body.h"
#include "gen/c_inline.h"

#include <inttypes.h>

const char *di_c_encode_signature(di_c_writer *writer, const di_c_codec *codec)
{
    return di_c_string(writer, "%suint8_t *%sencode_%s(dari_encoder *encoder, uint8_t *at, %s)",
                       codec->storage, codec->verb_prefix, codec->name, codec->in);
}

static void write_atoms(di_c_body *body, const di_atoms *atoms);

static void write_number(di_c_body *body, const di_atom *atom)
{
    const char *put = "u32", *cast = "";
    switch (atom->declaration.type->kind) {
    case DI_CHAR:
    case DI_SHORT:
    case DI_INT:
        put = "i32";
        break;
    case DI_LONG:
    case DI_ENUM:
        put = "i32";
        cast = "(int32_t)";
        break;
    case DI_UNSIGNED_LONG:
        cast = "(uint32_t)";
        break;
    case DI_HYPER:
        put = "i64";
        break;
    case DI_UNSIGNED_HYPER:
        put = "u64";
        break;
    case DI_FLOAT:
        put = "float";
        break;
    case DI_DOUBLE:
        put = "double";
        break;
    case DI_QUADRUPLE:
        put = "quadruple";
        break;
    default:
        break;
    }
    bool by_address = *put == 'f' || *put == 'd';
    di_c_line(body->writer, "dari_put_%s(%s, %s%s);", put, di_c_at(body), cast,
              by_address ? di_path_address(body->writer, atom->path) : atom->path);
    body->offset += di_atom_fixed_bytes(atom);
}

static void write_elements(di_c_body *body, const di_atom *atom, const char *count,
                           const char *items)
{
    di_c_advance(body, 0);
    di_atoms element =
        di_atoms_of_element(body->writer, atom, di_c_loop_over(body, atom, count, items));
    write_atoms(body, &element);
    di_c_advance(body, 0);
    di_c_loop_end(body);
}

static void write_array(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    di_kind kind = atom->declaration.type->kind;
    const char *count = di_path_member(writer, atom->path, "count");
    const char *items = di_path_member(writer, atom->path, "items");
    di_c_line(writer, "dari_put_u32(%s, %s);", di_c_at(body), count);
    di_c_advance(body, 4);
    if (di_kind_is_swapped(kind)) {
        uint32_t width = di_number_width(kind);
        di_c_line(writer, "dari_swap_array_u%u(at, %s, %s);", 8 * width, items, count);
        di_c_line(writer, "at += %u * (size_t)%s;", width, count);
    } else {
        write_elements(body, atom, count, items);
    }
}

static void write_optional(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    di_c_line(writer, "dari_put_u32(%s, %s != NULL);", di_c_at(body), atom->path);
    di_c_advance(body, 4);
    di_c_line(writer, "if (%s) {", atom->path);
    di_atoms element = di_atoms_of_element(writer, atom, di_c_string(writer, "*%s", atom->path));
    write_atoms(body, &element);
    di_c_advance(body, 0);
    di_c_line(writer, "}");
}

static void write_tail(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    di_c_line(writer, "dari_put_u32(%s, %s != NULL);", di_c_at(body), atom->path);
    di_c_advance(body, 4);
    di_c_line(writer, "if (!%s)", atom->path);
    di_c_line(writer, "    return at;");
    di_c_line(writer, "value = %s;", atom->path);
}

static void write_atom(di_c_body *body, const di_atom *atom)
{
    di_c_writer *writer = body->writer;
    const di_declaration *d = &atom->declaration;
    const char *put = NULL;
    switch (atom->kind) {
    case DI_ATOM_NUMBER:
        write_number(body, atom);
        return;
    case DI_ATOM_BYTES:
        if (d->size % 4)
            di_c_line(writer, "%sput_bytes(%s, %s, %u);", di_c_pieces(body), di_c_at(body),
                      atom->path, d->size);
        else if (d->size)
            di_c_line(writer, "memcpy(%s, %s, %u);", di_c_at(body), atom->path, d->size);
        body->offset += di_atom_fixed_bytes(atom);
        return;
    case DI_ATOM_NUMBERS:
        di_c_line(writer, "dari_swap_array_u%u(%s, %s, %u);", 8 * di_number_width(d->type->kind),
                  di_c_at(body), atom->path, d->size);
        body->offset += di_atom_fixed_bytes(atom);
        return;
    case DI_ATOM_ELEMENTS:
        write_elements(body, atom, di_c_string(writer, "%u", d->size), atom->path);
        return;
    case DI_ATOM_ARRAY:
        write_array(body, atom);
        return;
    case DI_ATOM_OPTIONAL:
        write_optional(body, atom);
        return;
    case DI_ATOM_TAIL:
        write_tail(body, atom);
        return;
    case DI_ATOM_OPAQUE:
        body->uses_context = true;
        di_c_line(writer, "at = %sput_opaque(encoder, %s, %s);", di_c_pieces(body), di_c_at(body),
                  atom->path);
        body->offset = 0;
        return;
    case DI_ATOM_STRING:
        put = writer->options->strings_as_spans ? "text" : "string";
        break;
    case DI_ATOM_CALL:
        body->uses_context = true;
        di_c_line(writer, "at = %sencode_%s(encoder, %s, %s);", di_c_codec_prefix(writer, d->type),
                  di_c_codec_name(writer, d->type), di_c_at(body),
                  di_path_address(writer, atom->path));
        body->offset = 0;
        return;
    }
    di_c_line(writer, "at = %sput_%s(%s, %s);", di_c_pieces(body), put, di_c_at(body), atom->path);
    body->offset = 0;
}

static void write_atoms(di_c_body *body, const di_atoms *atoms)
{
    for (size_t i = 0, count; i < atoms->count; i += count) {
        const di_atom *atom = &atoms->items[i];
        count = di_atoms_together(atoms, i);
        if (count == 1) {
            write_atom(body, atom);
        } else {
            di_c_line(body->writer, "%s",
                      di_atoms_move(body->writer, atom, (unsigned)count, "put", di_c_at(body)));
            body->offset += count * di_atom_fixed_bytes(atom);
        }
    }
}

static void write_scope(di_c_body *body, const di_atoms *atoms)
{
    write_atoms(body, atoms);
    di_c_advance(body, 0);
}

static void write_missing(di_c_body *body)
{
    di_c_line(body->writer, "break;");
}

void di_c_encode_function(di_c_writer *writer, const di_c_codec *codec)
{
    di_c_body body;
    di_c_body_begin(&body, writer, codec);
    const di_type *type = codec->type;
    if (type && type->kind == DI_UNION) {
        di_c_write_union(&body, write_scope, write_scope, write_missing);
        di_c_line(writer, "return at;");
    } else {
        bool list = type && type->tail;
        if (list)
            di_c_line(writer, "for (;;) {");
        di_atoms atoms = di_c_body_atoms(&body);
        write_atoms(&body, &atoms);
        if (list)
            di_c_line(writer, "}");
        else
            di_c_line(writer, "return %s;", di_c_at(&body));
    }
    di_c_body_end(&body, di_c_encode_signature(writer, codec), "encoder");
}
