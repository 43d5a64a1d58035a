/* SPDX-License-Identifier: MIT */
/* Unions: what they switch on, and which values their arms are for. */
#include "idl/check.h"

typedef struct labels {
    di_checker *checker;
    di_node *node;       /* of the union */
    const di_type *type; /* of the discriminant, behind typedefs */
    di_number_set seen;
} labels;

/* The type that a union switches on, NULL after an error. */
static const di_type *discriminant_type(di_checker *checker, const di_node *node)
{
    const di_declaration *discriminant = node->type.discriminant;
    const di_syntax_declaration *syntax = node->body->discriminant;
    const di_type *type = di_resolve(discriminant->type);
    if (discriminant->shape == DI_PLAIN && (type->kind == DI_INT || type->kind == DI_UNSIGNED_INT ||
                                            type->kind == DI_BOOL || type->kind == DI_ENUM))
        return type;
    di_error(checker->compilation, syntax->type.span,
             "a union switches on an int, unsigned int, bool or enum only");
    return NULL;
}

/* Whether a label's number is a value of the discriminant. Reports where not. */
static bool check_value(labels *l, const di_syntax_value *value, const di_number *number)
{
    di_compilation *compilation = l->checker->compilation;
    const di_symbol *symbol = value->name ? di_number_symbol(compilation, value->name) : NULL;
    const di_node *enumeration = di_node_of(l->type);
    uint64_t magnitude = number->magnitude;
    uint32_t bits = number->negative ? (uint32_t)-magnitude : (uint32_t)magnitude;
    switch (l->type->kind) {
    case DI_BOOL:
        if (magnitude <= 1 && !number->negative)
            return true;
        di_error(compilation, value->span, "a case of a bool is TRUE or FALSE");
        return false;
    case DI_UNSIGNED_INT:
        if (magnitude <= UINT32_MAX && !number->negative)
            return true;
        di_error(compilation, value->span, "the case does not fit an unsigned int");
        return false;
    case DI_INT:
        if (magnitude <= (uint64_t)INT32_MAX + number->negative)
            return true;
        di_error(compilation, value->span, "the case does not fit an int");
        return false;
    default:
        break;
    }
    bool other = symbol && symbol->kind == DI_SYMBOL_ENUMERATOR && symbol->node != enumeration;
    bool fits = magnitude <= (uint64_t)INT32_MAX + number->negative;
    if (enumeration->incomplete ||
        (!other && fits && di_number_set_has(&enumeration->values, bits)))
        return true;
    di_error(compilation, value->span, "'%s' is no member of the enum '%s'", value->text,
             l->type->name);
    di_note(compilation, enumeration->span, "the enum is defined here");
    return false;
}

static const di_label *check_labels(labels *l, const di_syntax_arm *syntax)
{
    di_compilation *compilation = l->checker->compilation;
    const di_label *first = NULL, **tail = &first;
    for (const di_syntax_label *s = syntax->labels; s; s = s->next) {
        di_number number;
        if (!di_evaluate(compilation, &s->value, &number) || !check_value(l, &s->value, &number))
            continue;
        di_label *label = di_take(compilation, 1, sizeof *label);
        label->position = s->value.span.position;
        label->value = (uint32_t)(number.negative ? -number.magnitude : number.magnitude);
        label->text = l->type->kind == DI_BOOL ? s->value.text : number.text;
        label->symbolic = number.symbolic;
        const di_span *earlier = di_number_set_add(&l->seen, label->value, &s->value.span);
        if (earlier) {
            di_error(compilation, s->value.span, "duplicate case %s", label->text);
            di_note(compilation, *earlier, "the value has its arm here");
        }
        *tail = label;
        tail = &label->next;
    }
    return first;
}

void di_check_union(di_checker *checker, di_node *node)
{
    labels l = {.checker = checker, .node = node};
    size_t count = 0;
    if (!node->type.discriminant)
        return; /* a syntax error was reported */
    for (const di_syntax_arm *a = node->body->arms; a; a = a->next) {
        for (const di_syntax_label *s = a->labels; s; s = s->next)
            count++;
    }
    if (!count && !node->body->broken)
        di_error(checker->compilation, node->span, "the union '%s' has no case", node->type.name);
    l.type = discriminant_type(checker, node);
    if (!l.type)
        return;
    l.seen = di_number_set_of(checker->compilation, count);
    const di_arm *arm = node->type.arms;
    for (const di_syntax_arm *a = node->body->arms; a; a = a->next) {
        if (!a->labels)
            continue;
        ((di_arm *)(uintptr_t)arm)->labels = check_labels(&l, a);
        arm = arm->next;
    }
}
