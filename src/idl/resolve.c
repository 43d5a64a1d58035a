/* SPDX-License-Identifier: MIT */
/* The second pass: the names of types are looked up, and the types filled in. */
#include "idl/check.h"

#include <string.h>

#define BASIC(kind_, bytes)                  \
    [kind_] = {.kind = kind_,                \
               .measure = {.minimum = bytes, \
                           .maximum = bytes, \
                           .fixed = true,    \
                           .checked = (kind_) == DI_LONG || (kind_) == DI_UNSIGNED_LONG}}

/* The types without a name. Those of bytes are measured by how they are declared. */
static const di_type basic_types[] = {
    BASIC(DI_VOID, 0),          BASIC(DI_BOOL, 4),         BASIC(DI_CHAR, 4),
    BASIC(DI_UNSIGNED_CHAR, 4), BASIC(DI_SHORT, 4),        BASIC(DI_UNSIGNED_SHORT, 4),
    BASIC(DI_INT, 4),           BASIC(DI_UNSIGNED_INT, 4), BASIC(DI_LONG, 4),
    BASIC(DI_UNSIGNED_LONG, 4), BASIC(DI_HYPER, 8),        BASIC(DI_UNSIGNED_HYPER, 8),
    BASIC(DI_FLOAT, 4),         BASIC(DI_DOUBLE, 8),       BASIC(DI_QUADRUPLE, 16),
    BASIC(DI_OPAQUE, 1),        BASIC(DI_STRING, 1),
};

/* How many changes of a letter make one word from the other; 3 where more than 2. */
static unsigned distance(const di_name *one, const di_name *other)
{
    unsigned rows[2][DI_NAME_LIMIT + 1];
    size_t lengths[] = {one->length, other->length};
    if (lengths[0] > lengths[1] + 2 || lengths[1] > lengths[0] + 2 || lengths[1] > DI_NAME_LIMIT)
        return 3;
    for (unsigned j = 0; j <= lengths[1]; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= lengths[0]; i++) {
        unsigned *now = rows[i % 2], *before = rows[(i + 1) % 2], least = i;
        now[0] = i;
        for (unsigned j = 1; j <= lengths[1]; j++) {
            unsigned best = before[j - 1] + (one->text[i - 1] != other->text[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            now[j] = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            least = now[j] < least ? now[j] : least;
        }
        if (least > 2)
            return 3;
    }
    unsigned result = rows[lengths[0] % 2][lengths[1]];
    return result < 3 ? result : 3;
}

/* The type whose name is nearest to one that is not there, NULL where none is near: two thirds of
 * the letters must be right. */
static const di_node *nearest(const di_checker *checker, const di_name *name)
{
    unsigned best = 3;
    const di_node *found = NULL;
    for (const di_node *node = checker->nodes; node; node = node->next) {
        const di_name other = {.text = node->type.name,
                               .length = (uint32_t)strlen(node->type.name)};
        unsigned apart = distance(name, &other);
        if (apart < best && 3 * apart <= name->length && 3 * apart <= other.length) {
            best = apart;
            found = node;
        }
    }
    return found;
}

static void report_undeclared(di_checker *checker, const di_syntax_type *type)
{
    di_compilation *compilation = checker->compilation;
    if (type->name->reported || compilation->incomplete)
        return;
    type->name->reported = true;
    const di_node *near = nearest(checker, type->name);
    if (!near)
        di_error(compilation, type->span,
                 "undeclared type '%s'; one that a C header declares needs --extern %s",
                 type->name->text, type->name->text);
    else
        di_error(compilation, type->span, "undeclared type '%s'", type->name->text);
    if (near)
        di_note(compilation, near->built_in ? type->span : near->span, "did you mean '%s'?",
                near->type.name);
}

/* Whether the word before a name (struct, union, enum) fits the type. */
static bool tag_fits(const di_type *type, di_kind tag)
{
    /* Types that are not resolved yet are not looked through: cycles are found later. */
    return tag == DI_TYPEDEF || type->kind == tag || type->kind == DI_TYPEDEF ||
           type->kind == DI_EXTERN;
}

/* The type that a name stands for, NULL after an error. */
static const di_type *resolve_name(di_checker *checker, const di_syntax_type *type)
{
    static const char *const tags[] = {
        [DI_ENUM] = "enum", [DI_STRUCT] = "struct", [DI_UNION] = "union"};
    di_compilation *compilation = checker->compilation;
    const di_symbol *symbol = type->name->symbol;
    if (!symbol) {
        report_undeclared(checker, type);
        return NULL;
    }
    if (symbol->kind != DI_SYMBOL_TYPE) {
        di_error(compilation, type->span, "'%s' is not a type", type->name->text);
        di_note(compilation, symbol->span, "it is the name of this %s", di_symbol_text(symbol));
        return NULL;
    }
    if (!tag_fits(&symbol->node->type, type->kind)) {
        di_error(compilation, type->span, "'%s' is no %s", type->name->text, tags[type->kind]);
        di_note(compilation, symbol->span, "it is defined here");
        return NULL;
    }
    return &symbol->node->type;
}

/* Replaces the name of a built-in typedef by what it stands for. Where that cannot be written (a
 * pointer to bytes, an array of them), the typedef becomes a definition of the file. */
static void replace_built_in(di_checker *checker, di_span span, di_declaration *declaration)
{
    di_node *node = di_node_of(declaration->type);
    if (!node || !node->built_in)
        return;
    const di_declaration *alias = node->type.declaration;
    if (alias && alias->shape == DI_PLAIN) {
        declaration->type = alias->type;
    } else if (alias && alias->shape == DI_VARIABLE && declaration->shape == DI_PLAIN) {
        declaration->type = alias->type;
        declaration->shape = alias->shape;
        declaration->size = alias->size;
        declaration->size_text = alias->size_text;
    } else if (!node->listed) {
        node->listed = true;
        di_list_definition(
            checker,
            (di_definition){.kind = DI_DEFINE_TYPE, .name = node->type.name, .type = &node->type},
            span);
    }
}

static void resolve_size(di_checker *checker, const di_syntax_value *value,
                         di_declaration *declaration)
{
    di_number number = {0};
    if (declaration->shape == DI_VARIABLE)
        declaration->size = UINT32_MAX;
    if (!value || !di_evaluate_unsigned(checker->compilation, value, "a size", &declaration->size))
        return;
    di_evaluate(checker->compilation, value, &number);
    declaration->size_text = number.text;
}

di_declaration *di_resolve_declaration(di_checker *checker, const di_syntax_declaration *syntax)
{
    di_declaration *declaration = di_take(checker->compilation, 1, sizeof *declaration);
    declaration->position = syntax->span.position;
    declaration->name = syntax->name ? syntax->name->text : NULL;
    declaration->shape = syntax->shape;
    resolve_size(checker, syntax->size, declaration);
    if (syntax->type.name)
        declaration->type = resolve_name(checker, &syntax->type);
    else if (!syntax->type.body)
        declaration->type = &basic_types[syntax->type.kind];
    else if (syntax->type.body->node)
        declaration->type = &syntax->type.body->node->type;
    if (!declaration->type)
        declaration->type = &basic_types[DI_INT];
    if (!checker->built_in)
        replace_built_in(checker, syntax->type.span, declaration);
    return declaration;
}

static void resolve_enumerators(di_checker *checker, di_node *node)
{
    const di_enumerator **tail = &node->type.enumerators;
    size_t count = 0;
    for (di_syntax_enumerator *e = node->body->enumerators; e; e = e->next)
        count++;
    node->values = di_number_set_of(checker->compilation, count);
    for (di_syntax_enumerator *e = node->body->enumerators; e; e = e->next) {
        if (!di_evaluate_symbol(checker->compilation, e->symbol)) {
            node->incomplete = true;
            continue;
        }
        di_enumerator *added = di_take(checker->compilation, 1, sizeof *added);
        int64_t magnitude = (int64_t)e->symbol->magnitude;
        added->position = e->span.position;
        added->name = e->name->text;
        added->value = (int32_t)(e->symbol->negative ? -magnitude : magnitude);
        added->text = e->value ? e->value->text : NULL;
        di_number_set_add(&node->values, (uint32_t)added->value, &e->span);
        *tail = added;
        tail = &added->next;
    }
}

/* The declarations of a list, whose names must differ. The first of them is returned. */
static const di_declaration *resolve_members(di_checker *checker, di_node *node)
{
    const di_declaration *first = NULL, **tail = &first;
    uint32_t scope = ++checker->scope;
    size_t count = 0;
    for (const di_syntax_declaration *m = node->body->members; m; m = m->next)
        count++;
    node->parts = di_take(checker->compilation, count, sizeof *node->parts);
    for (const di_syntax_declaration *m = node->body->members; m; m = m->next) {
        di_declaration *member = di_resolve_declaration(checker, m);
        if (m->name)
            di_scope_enter(checker->compilation, scope, m->name, &m->span, "member");
        node->parts[node->part_count++] = member;
        *tail = member;
        tail = &member->next;
    }
    return first;
}

static void resolve_arms(di_checker *checker, di_node *node)
{
    const di_syntax_arm *default_arm = NULL;
    const di_arm **tail = &node->type.arms;
    uint32_t scope = ++checker->scope;
    size_t count = 1;
    for (const di_syntax_arm *a = node->body->arms; a; a = a->next)
        count++;
    node->parts = di_take(checker->compilation, count, sizeof *node->parts);
    const di_syntax_declaration *discriminant = node->body->discriminant;
    if (discriminant) {
        node->type.discriminant = di_resolve_declaration(checker, discriminant);
        node->parts[node->part_count++] = node->type.discriminant;
        if (discriminant->name)
            di_scope_enter(checker->compilation, scope, discriminant->name, &discriminant->span,
                           "discriminant");
    }
    for (const di_syntax_arm *a = node->body->arms; a; a = a->next) {
        di_arm *arm = di_take(checker->compilation, 1, sizeof *arm);
        arm->position = a->span.position;
        arm->declaration = di_resolve_declaration(checker, a->declaration);
        node->parts[node->part_count++] = arm->declaration;
        if (a->declaration->name)
            di_scope_enter(checker->compilation, scope, a->declaration->name, &a->declaration->span,
                           "arm");
        if (a->labels) {
            *tail = arm;
            tail = &arm->next;
            continue;
        }
        if (default_arm) {
            di_error(checker->compilation, a->span, "duplicate default");
            di_note(checker->compilation, default_arm->span, "the first one is here");
        }
        default_arm = a;
        node->type.default_arm = arm;
    }
}

void di_resolve_node(di_checker *checker, di_node *node)
{
    switch (node->type.kind) {
    case DI_ENUM:
        resolve_enumerators(checker, node);
        break;
    case DI_STRUCT:
        node->type.members = resolve_members(checker, node);
        break;
    case DI_UNION:
        resolve_arms(checker, node);
        break;
    default:
        node->type.declaration = di_resolve_declaration(checker, node->declaration);
        node->parts = di_take(checker->compilation, 1, sizeof *node->parts);
        node->parts[node->part_count++] = node->type.declaration;
        break;
    }
}
