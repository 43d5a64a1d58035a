/* SPDX-License-Identifier: MIT */
/* Programs: their numbers, versions and procedures. */
#include "idl/check.h"

/* The number of a program, version or procedure. */
static bool evaluate_number(di_checker *checker, di_symbol *symbol, const char *what,
                            uint32_t *ret_number)
{
    return di_evaluate_symbol(checker->compilation, symbol) &&
           di_evaluate_unsigned(checker->compilation, symbol->value, what, ret_number);
}

/* Adds a number to those of its kind in its scope. Reports a duplicate. */
static void add_number(di_checker *checker, di_number_set *set, uint32_t number,
                       const di_symbol *symbol)
{
    const di_span *earlier = di_number_set_add(set, number, &symbol->value->span);
    if (!earlier)
        return;
    di_error(checker->compilation, symbol->value->span, "duplicate number %u of a %s", number,
             di_symbol_text(symbol));
    di_note(checker->compilation, *earlier, "it was first used here");
}

static const di_declaration *check_arguments(di_checker *checker, const di_syntax_procedure *syntax)
{
    const di_declaration *first = NULL, **tail = &first;
    uint32_t scope = ++checker->scope;
    for (const di_syntax_declaration *a = syntax->arguments; a; a = a->next) {
        di_declaration *argument = di_resolve_declaration(checker, a);
        if (a->name)
            di_scope_enter(checker->compilation, scope, a->name, &a->span, "argument");
        *tail = argument;
        tail = &argument->next;
    }
    return first;
}

static di_procedure *check_procedure(di_checker *checker, const di_syntax_procedure *syntax,
                                     di_number_set *numbers)
{
    di_procedure *procedure = di_take(checker->compilation, 1, sizeof *procedure);
    procedure->position = syntax->span.position;
    procedure->name = syntax->name->text;
    procedure->arguments = check_arguments(checker, syntax);
    procedure->result = di_resolve_declaration(checker, syntax->result);
    if (!evaluate_number(checker, syntax->symbol, "a procedure's number", &procedure->number))
        return procedure;
    add_number(checker, numbers, procedure->number, syntax->symbol);
    if (!procedure->number && (procedure->arguments || procedure->result->type->kind != DI_VOID))
        di_warning(checker->compilation, syntax->span,
                   "procedure 0 has no argument and no result by convention");
    return procedure;
}

static di_version *check_version(di_checker *checker, const di_syntax_version *syntax,
                                 di_number_set *numbers)
{
    di_version *version = di_take(checker->compilation, 1, sizeof *version);
    const di_procedure **tail = &version->procedures;
    version->position = syntax->span.position;
    version->name = syntax->name->text;
    if (evaluate_number(checker, syntax->symbol, "a version's number", &version->number))
        add_number(checker, numbers, version->number, syntax->symbol);
    uint32_t scope = ++checker->scope;
    size_t count = 0;
    for (const di_syntax_procedure *p = syntax->procedures; p; p = p->next) {
        di_scope_enter(checker->compilation, scope, p->name, &p->span, "procedure");
        count++;
    }
    di_number_set own = di_number_set_of(checker->compilation, count);
    for (const di_syntax_procedure *p = syntax->procedures; p; p = p->next) {
        di_procedure *procedure = check_procedure(checker, p, &own);
        *tail = procedure;
        tail = &procedure->next;
    }
    return version;
}

const di_program *di_check_program(di_checker *checker, const di_syntax_item *item)
{
    di_program *program = di_take(checker->compilation, 1, sizeof *program);
    const di_version **tail = &program->versions;
    program->position = item->span.position;
    program->name = item->name->text;
    if (evaluate_number(checker, item->symbol, "a program's number", &program->number))
        add_number(checker, &checker->programs, program->number, item->symbol);
    uint32_t scope = ++checker->scope;
    size_t count = 0;
    for (const di_syntax_version *v = item->versions; v; v = v->next) {
        di_scope_enter(checker->compilation, scope, v->name, &v->span, "version");
        count++;
    }
    di_number_set own = di_number_set_of(checker->compilation, count);
    for (const di_syntax_version *v = item->versions; v; v = v->next) {
        di_version *version = check_version(checker, v, &own);
        *tail = version;
        tail = &version->next;
    }
    return program;
}

/* Reports a number that another definition uses by a name that has another number too. */
static void check_symbol(di_checker *checker, const di_symbol *symbol)
{
    const di_symbol *used = symbol->name->number;
    if (!used->used || used->state != DI_VALUE_KNOWN || symbol->state != DI_VALUE_KNOWN ||
        symbol->magnitude == used->magnitude)
        return;
    di_error(checker->compilation, symbol->span, "'%s' is used as a number but stands for several",
             symbol->name->text);
    di_note(checker->compilation, used->span, "it has another one here");
}

void di_check_ambiguity(di_checker *checker, const di_syntax_item *item)
{
    for (const di_syntax_version *v = item->versions; v; v = v->next) {
        check_symbol(checker, v->symbol);
        for (const di_syntax_procedure *p = v->procedures; p; p = p->next)
            check_symbol(checker, p->symbol);
    }
}
