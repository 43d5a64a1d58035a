/* SPDX-License-Identifier: MIT */
#include "gen/c_atoms.h"

#include <string.h>

/* Structs of a fixed size up to this many bytes on the wire are opened. */
#define OPEN_BYTES_MAX 64u

uint32_t di_number_width(di_kind kind)
{
    switch (kind) {
    case DI_HYPER:
    case DI_UNSIGNED_HYPER:
    case DI_DOUBLE:
        return 8;
    case DI_QUADRUPLE:
        return 16;
    default:
        return 4;
    }
}

bool di_kind_is_swapped(di_kind kind)
{
    return kind == DI_INT || kind == DI_UNSIGNED_INT || kind == DI_FLOAT || kind == DI_HYPER ||
           kind == DI_UNSIGNED_HYPER || kind == DI_DOUBLE;
}

bool di_kind_is_checked(di_kind kind)
{
    return kind == DI_ENUM || kind == DI_LONG || kind == DI_UNSIGNED_LONG;
}

static bool is_number(di_kind kind)
{
    return (kind >= DI_BOOL && kind <= DI_QUADRUPLE) || kind == DI_ENUM;
}

bool di_struct_is_opened(const di_type *type)
{
    return type->kind == DI_STRUCT && type->measure.fixed && !type->recursive && !type->tail &&
           type->measure.minimum <= OPEN_BYTES_MAX;
}

static di_atom_kind kind_of(const di_declaration *d)
{
    switch (d->shape) {
    case DI_PLAIN:
        return is_number(d->type->kind) ? DI_ATOM_NUMBER : DI_ATOM_CALL;
    case DI_FIXED:
        if (d->type->kind == DI_OPAQUE)
            return DI_ATOM_BYTES;
        return di_kind_is_swapped(d->type->kind) ? DI_ATOM_NUMBERS : DI_ATOM_ELEMENTS;
    case DI_VARIABLE:
        if (d->type->kind == DI_OPAQUE)
            return DI_ATOM_OPAQUE;
        return d->type->kind == DI_STRING ? DI_ATOM_STRING : DI_ATOM_ARRAY;
    case DI_OPTIONAL:
        break;
    }
    return DI_ATOM_OPTIONAL;
}

static void append(di_c_writer *writer, di_atoms *atoms, di_atom atom)
{
    if (!(atoms->count & (atoms->count - 1))) {
        size_t room = atoms->count ? 2 * atoms->count : 1;
        di_atom *items = dari_arena_take(writer->arena, room * sizeof *items);
        if (!items) {
            writer->failed = true;
            return;
        }
        if (atoms->count)
            memcpy(items, atoms->items, atoms->count * sizeof *items);
        atoms->items = items;
    }
    atoms->items[atoms->count++] = atom;
}

static void collect_struct(di_c_writer *writer, di_atoms *atoms, const di_type *type,
                           const char *path, const char *field);

/* Adds a value's atoms. Opened structs nest no deeper than OPEN_BYTES_MAX / 4. */
static void collect(di_c_writer *writer, di_atoms *atoms, const di_declaration *declaration,
                    const char *path, const char *field)
{
    di_declaration d = di_c_resolve(declaration);
    if (d.type->kind == DI_VOID)
        return;
    if (d.shape == DI_PLAIN && di_struct_is_opened(d.type)) {
        collect_struct(writer, atoms, d.type, path, field);
        return;
    }
    append(writer, atoms, (di_atom){kind_of(&d), d, path, field});
}

static void collect_struct(di_c_writer *writer, di_atoms *atoms, const di_type *type,
                           const char *path, const char *field)
{
    for (const di_declaration *member = type->members; member; member = member->next) {
        if (!member->name)
            continue;
        size_t before = atoms->count;
        collect(writer, atoms, member,
                di_path_member(writer, path, di_c_member(writer, member->name)),
                di_c_string(writer, "%s.%s", field, member->name));
        if (member == type->tail && atoms->count > before)
            atoms->items[before].kind = DI_ATOM_TAIL;
    }
}

di_atoms di_atoms_of(di_c_writer *writer, const di_declaration *declaration, const char *path,
                     const char *field)
{
    di_atoms atoms = {0};
    collect(writer, &atoms, declaration, path, field);
    return atoms;
}

di_atoms di_atoms_of_struct(di_c_writer *writer, const di_type *type, const char *path,
                            const char *field)
{
    di_atoms atoms = {0};
    collect_struct(writer, &atoms, type, path, field);
    return atoms;
}

di_atoms di_atoms_of_element(di_c_writer *writer, const di_atom *atom, const char *path)
{
    di_declaration element = {.position = atom->declaration.position,
                              .name = atom->declaration.name,
                              .type = atom->declaration.type,
                              .shape = DI_PLAIN};
    return di_atoms_of(writer, &element, path, atom->field);
}

uint64_t di_atom_fixed_bytes(const di_atom *atom)
{
    switch (atom->kind) {
    case DI_ATOM_NUMBER:
        return di_number_width(atom->declaration.type->kind);
    case DI_ATOM_NUMBERS:
        return (uint64_t)atom->declaration.size * di_number_width(atom->declaration.type->kind);
    case DI_ATOM_BYTES:
        return ((uint64_t)atom->declaration.size + 3) & ~(uint64_t)3;
    case DI_ATOM_OPAQUE:
    case DI_ATOM_STRING:
    case DI_ATOM_ARRAY:
    case DI_ATOM_OPTIONAL:
    case DI_ATOM_TAIL:
        return 4;
    case DI_ATOM_ELEMENTS:
    case DI_ATOM_CALL:
        break;
    }
    return 0;
}

bool di_atom_is_fixed(const di_atom *atom)
{
    return atom->kind == DI_ATOM_NUMBER || atom->kind == DI_ATOM_NUMBERS ||
           atom->kind == DI_ATOM_BYTES;
}

uint64_t di_atoms_run(const di_atoms *atoms, size_t index)
{
    uint64_t bytes = 0;
    for (; index < atoms->count; index++) {
        bytes += di_atom_fixed_bytes(&atoms->items[index]);
        if (!di_atom_is_fixed(&atoms->items[index]))
            break;
    }
    return bytes;
}

/* How many atoms from `index` on are numbers that need no check and have `width` bytes in C as
 * well; at most `limit`. */
static unsigned alike(const di_atoms *atoms, size_t index, uint32_t width, unsigned limit)
{
    unsigned count = 0;
    for (; count < limit && index + count < atoms->count; count++) {
        const di_atom *atom = &atoms->items[index + count];
        di_kind kind = atom->declaration.type->kind;
        if (atom->kind != DI_ATOM_NUMBER || !di_kind_is_swapped(kind) ||
            di_number_width(kind) != width)
            break;
    }
    return count;
}

unsigned di_atoms_together(const di_atoms *atoms, size_t index)
{
    unsigned words = alike(atoms, index, 4, 4);
    if (words >= 2)
        return words == 4 ? 4 : 2;
    return alike(atoms, index, 8, 2) == 2 ? 2 : 1;
}

const char *di_atoms_move(di_c_writer *writer, const di_atom *atoms, unsigned count,
                          const char *verb, const char *at)
{
    const char *call = di_c_string(writer, "dari_inline_%s_u%ux%u(%s", verb,
                                   8 * di_number_width(atoms->declaration.type->kind), count, at);
    for (unsigned i = 0; i < count; i++)
        call = di_c_string(writer, "%s, %s", call, di_path_address(writer, atoms[i].path));
    return di_c_string(writer, "%s);", call);
}

const char *di_path_address(di_c_writer *writer, const char *path)
{
    return *path == '*' ? path + 1 : di_c_string(writer, "&%s", path);
}

const char *di_path_member(di_c_writer *writer, const char *path, const char *member)
{
    if (*path != '*')
        return di_c_string(writer, "%s.%s", path, member);
    const char *pointer = path + 1;
    return di_c_string(writer, *pointer == '*' ? "(%s)->%s" : "%s->%s", pointer, member);
}

const char *di_path_index(di_c_writer *writer, const char *path, const char *index)
{
    return di_c_string(writer, *path == '*' ? "(%s)[%s]" : "%s[%s]", path, index);
}

uint32_t di_element_width(const di_atom *atom)
{
    di_declaration element = {.type = atom->declaration.type, .shape = DI_PLAIN};
    uint64_t minimum = di_measure_declaration(&element).minimum;
    return minimum < UINT32_MAX ? (uint32_t)minimum : UINT32_MAX;
}
