/* SPDX-License-Identifier: MIT */
#include "gen/c_body.h"

#include <inttypes.h>
#include <string.h>

void di_c_body_begin(di_c_body *body, di_c_writer *writer, const di_c_codec *codec)
{
    *body = (di_c_body){.writer = writer, .outside = writer->out, .codec = codec};
    writer->out = &body->text;
    writer->indent++;
}

void di_c_body_end(di_c_body *body, const char *signature, const char *context)
{
    di_c_writer *writer = body->writer;
    writer->out = body->outside;
    writer->indent--;
    di_c_line(writer, "%s", "");
    di_c_line(writer, "%s", signature);
    di_c_line(writer, "{");
    if (!body->uses_context)
        di_c_line(writer, "(void)%s;", context);
    if (!body->text.data || !strstr(body->text.data, "value"))
        di_c_line(writer, "(void)value;");
    if (body->first_line)
        di_c_line(writer, "%s", body->first_line);
    if (body->uses_number)
        di_c_line(writer, "int32_t number;");
    if (body->uses_present)
        di_c_line(writer, "bool present;");
    di_text_append(writer->out, body->pointers.data, body->pointers.size);
    di_text_append(writer->out, body->text.data, body->text.size);
    writer->failed |= body->text.failed | body->pointers.failed;
    di_text_free(&body->pointers);
    di_text_free(&body->text);
    di_c_line(writer, "}");
}

const char *di_c_pieces(const di_c_body *body)
{
    const di_c_codec *codec = body->codec;
    bool often = codec->inlined || body->loops || (codec->type && codec->type->tail);
    return often ? "dari_inline_" : "dari_";
}

const char *di_c_at(const di_c_body *body)
{
    if (!body->offset)
        return "at";
    return di_c_string(body->writer, "at + %" PRIu64, body->offset);
}

void di_c_advance(di_c_body *body, uint64_t extra)
{
    if (body->offset + extra)
        di_c_line(body->writer, "at += %" PRIu64 ";", body->offset + extra);
    body->offset = 0;
    body->available = 0;
}

void di_c_take_back(di_c_body *body, const char *condition, const char *consequence)
{
    di_c_writer *writer = body->writer;
    di_text *text = writer->out, lines = {0};
    writer->out = &lines;
    di_c_line(writer, "%s", condition);
    di_c_line(writer, "    %s", consequence);
    writer->out = text;
    size_t size = lines.size;
    bool there = !lines.failed && text->size >= size &&
                 !memcmp(text->data + text->size - size, lines.data, size);
    writer->failed |= lines.failed;
    di_text_free(&lines);
    if (!there)
        return;
    text->size -= size;
    text->data[text->size] = '\0';
}

const char *di_c_loop(di_c_body *body, const char *count)
{
    const char *index = di_c_string(body->writer, "index%u", body->loops++);
    di_c_line(body->writer, "for (uint32_t %s = 0; %s < %s; %s++) {", index, index, count, index);
    return index;
}

const char *di_c_loop_over(di_c_body *body, const di_atom *atom, const char *count,
                           const char *items)
{
    di_c_writer *writer = body->writer;
    di_declaration element = {.type = atom->declaration.type, .shape = DI_PLAIN};
    if (di_c_resolve(&element).shape == DI_FIXED) /* before C23 no pointer to it can be const */
        return di_path_index(writer, items, di_c_loop(body, count));
    unsigned number = body->pointer_count++;
    const char *pointer = di_c_string(writer, "item%u", number);
    di_text_format(&body->pointers, "    %s;\n", di_c_pointer(writer, &element, true, pointer));
    di_c_line(writer, "%s = %s;", pointer, items);
    di_c_line(writer, "for (uint32_t left%u = %s; left%u; left%u--, %s++) {", number, count, number,
              number, pointer);
    body->loops++;
    return di_c_string(writer, "*%s", pointer);
}

void di_c_loop_end(di_c_body *body)
{
    body->loops--;
    di_c_line(body->writer, "}");
}

di_atoms di_c_body_atoms(const di_c_body *body)
{
    const di_c_codec *codec = body->codec;
    if (codec->type && codec->type->kind == DI_STRUCT)
        return di_atoms_of_struct(body->writer, codec->type, "*value", codec->field);
    if (codec->type && codec->type->kind == DI_TYPEDEF)
        return di_atoms_of(body->writer, codec->type->declaration, "*value", codec->field);
    if (codec->type) {
        di_declaration plain = {.type = codec->type, .shape = DI_PLAIN};
        return di_atoms_of(body->writer, &plain, "*value", codec->field);
    }
    return di_atoms_of(body->writer, codec->declaration, "*value", codec->field);
}

static di_kind discriminant_kind(const di_type *type)
{
    return di_resolve(type->discriminant->type)->kind;
}

static di_atoms discriminant_atoms(const di_c_body *body)
{
    const di_type *type = body->codec->type;
    return di_atoms_of(
        body->writer, type->discriminant,
        di_c_string(body->writer, "value->%s", di_c_discriminant(body->writer, type)),
        di_c_string(body->writer, "%s.%s", body->codec->field, type->discriminant->name));
}

static di_atoms arm_atoms(const di_c_body *body, const di_arm *arm)
{
    const di_declaration *declaration = arm->declaration;
    if (declaration->type->kind == DI_VOID)
        return (di_atoms){0};
    return di_atoms_of(
        body->writer, declaration,
        di_c_string(body->writer, "value->u.%s", di_c_member(body->writer, declaration->name)),
        di_c_string(body->writer, "%s.%s", body->codec->field, declaration->name));
}

/* One line of a switch's labels. */
static void write_label(di_c_body *body, const di_label *label)
{
    di_c_writer *writer = body->writer;
    di_kind kind = discriminant_kind(body->codec->type);
    if (kind == DI_BOOL)
        di_c_line(writer, "case %s:", label->value ? "true" : "false");
    else if (kind == DI_ENUM && label->symbolic && !di_c_is_hidden(writer, label->text))
        di_c_line(writer, "case %s:", di_c_name(writer, label->text));
    else if (kind == DI_UNSIGNED_INT)
        di_c_line(writer, "case %uu:", label->value);
    else if (label->value == (uint32_t)INT32_MIN)
        di_c_line(writer, "case INT32_MIN:");
    else
        di_c_line(writer, "case %d:", (int32_t)label->value);
}

static void write_arm(di_c_body *body, const di_arm *arm, di_c_write_scope *write)
{
    di_c_writer *writer = body->writer;
    writer->indent--;
    if (!arm->labels)
        di_c_line(writer, "default:");
    for (const di_label *label = arm->labels; label; label = label->next)
        write_label(body, label);
    writer->indent++;
    di_atoms atoms = arm_atoms(body, arm);
    write(body, &atoms);
    di_c_line(writer, "break;");
}

/* Whether every value of the discriminant has an arm, so that no default is needed. */
static bool covers_all(const di_type *type)
{
    unsigned labels = 0;
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        for (const di_label *label = arm->labels; label; label = label->next)
            labels++;
    return discriminant_kind(type) == DI_BOOL && labels == 2;
}

void di_c_write_union(di_c_body *body, di_c_write_scope *discriminant, di_c_write_scope *arm,
                      di_c_write_missing *missing)
{
    di_c_writer *writer = body->writer;
    const di_type *type = body->codec->type;
    di_atoms atoms = discriminant_atoms(body);
    discriminant(body, &atoms);
    bool boolean = discriminant_kind(type) == DI_BOOL;
    di_c_line(writer, "switch (%svalue->%s) {", boolean ? "(int)" : "",
              di_c_discriminant(writer, type));
    for (const di_arm *a = type->arms; a; a = a->next)
        write_arm(body, a, arm);
    if (type->default_arm) {
        write_arm(body, type->default_arm, arm);
    } else if (!covers_all(type)) {
        writer->indent--;
        di_c_line(writer, "default:");
        writer->indent++;
        missing(body);
    }
    di_c_line(writer, "}");
}
