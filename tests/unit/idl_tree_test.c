/* SPDX-License-Identifier: MIT */
#include "idl_support.h"

static void test_constants(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("const A = 10; const B = -0x10; const C = 017; const D = C;\n"
                              "const E = 18446744073709551615; const F = -9223372036854775808;\n"
                              "const G = TRUE; const H = - 1; const I = -0;\n");
    const di_number *a = &idl_find(idl, "A")->constant;
    assert_false(a->negative);
    assert_int_equal(a->magnitude, 10);
    assert_string_equal(a->text, "10");
    assert_false(a->symbolic);
    const di_number *b = &idl_find(idl, "B")->constant;
    assert_true(b->negative);
    assert_int_equal(b->magnitude, 16);
    assert_string_equal(b->text, "-0x10");
    assert_int_equal(idl_find(idl, "C")->constant.magnitude, 15);
    const di_number *d = &idl_find(idl, "D")->constant;
    assert_int_equal(d->magnitude, 15);
    assert_string_equal(d->text, "C");
    assert_true(d->symbolic);
    assert_true(idl_find(idl, "E")->constant.magnitude == UINT64_MAX);
    assert_true(idl_find(idl, "F")->constant.negative);
    assert_true(idl_find(idl, "F")->constant.magnitude == (uint64_t)INT64_MAX + 1);
    assert_string_equal(idl_find(idl, "G")->constant.text, "1");
    assert_false(idl_find(idl, "G")->constant.symbolic);
    assert_true(idl_find(idl, "H")->constant.negative);
    assert_string_equal(idl_find(idl, "H")->constant.text, "-1");
    assert_false(idl_find(idl, "I")->constant.negative);
    di_idl_free(idl);
}

static void test_strings_are_kept_as_written(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("const NAME = \"a \\\" b\";\n");
    const di_definition *d = di_idl_unit(idl)->definitions;
    assert_int_equal(d->kind, DI_DEFINE_STRING);
    assert_string_equal(d->name, "NAME");
    assert_string_equal(d->text, "\"a \\\" b\"");
    assert_null(d->next);
    di_idl_free(idl);
}

static void test_enumerators(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("enum e { A, B = 7, C, D = -3, E, F = B, G = LATER, H = -1, I };\n"
                              "const LATER = 100;\n");
    static const struct {
        const char *name;
        int32_t value;
        const char *text;
    } expected[] = {{"A", 0, NULL},      {"B", 7, "7"},   {"C", 8, NULL},
                    {"D", -3, "-3"},     {"E", -2, NULL}, {"F", 7, "B"},
                    {"G", 100, "LATER"}, {"H", -1, "-1"}, {"I", 0, NULL}};
    const di_enumerator *e = idl_type(idl, "e")->enumerators;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++, e = e->next) {
        assert_string_equal(e->name, expected[i].name);
        assert_int_equal(e->value, expected[i].value);
        if (expected[i].text)
            assert_string_equal(e->text, expected[i].text);
        else
            assert_null(e->text);
    }
    assert_null(e);
    di_idl_free(idl);
}

static void test_shapes(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("const N = 3;\n"
                              "struct s { int a; int b[4]; int c<5>; int d<>; int *e;\n"
                              "opaque f[N]; opaque g<N>; string h<9>; string i; };\n");
    static const struct {
        const char *name;
        di_kind kind;
        di_shape shape;
        uint32_t size;
        const char *text;
    } expected[] = {
        {"a", DI_INT, DI_PLAIN, 0, NULL},
        {"b", DI_INT, DI_FIXED, 4, "4"},
        {"c", DI_INT, DI_VARIABLE, 5, "5"},
        {"d", DI_INT, DI_VARIABLE, UINT32_MAX, NULL},
        {"e", DI_INT, DI_OPTIONAL, 0, NULL},
        {"f", DI_OPAQUE, DI_FIXED, 3, "N"},
        {"g", DI_OPAQUE, DI_VARIABLE, 3, "N"},
        {"h", DI_STRING, DI_VARIABLE, 9, "9"},
        {"i", DI_STRING, DI_VARIABLE, UINT32_MAX, NULL},
    };
    const di_declaration *m = idl_type(idl, "s")->members;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++, m = m->next) {
        assert_string_equal(m->name, expected[i].name);
        assert_int_equal(m->type->kind, expected[i].kind);
        assert_int_equal(m->shape, expected[i].shape);
        assert_int_equal(m->size, expected[i].size);
        if (expected[i].text)
            assert_string_equal(m->size_text, expected[i].text);
        else
            assert_null(m->size_text);
    }
    assert_null(m);
    di_idl_free(idl);
}

static void test_unions(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("const TWO = 2; enum e { P = -1, Q = TWO };\n"
                              "union u switch (e d) { case P: int a; case 2: case_of b; };\n"
                              "union v switch (bool d) { case TRUE: case 0: void; };\n"
                              "union w switch (int d) { case TWO: case TRUE: void;\n"
                              "default: hyper c<>; };\n"
                              "typedef int case_of;\n");
    const di_type *u = idl_type(idl, "u");
    assert_int_equal(u->discriminant->type->kind, DI_ENUM);
    assert_string_equal(u->discriminant->name, "d");
    assert_int_equal(u->arms->labels->value, UINT32_MAX);
    assert_string_equal(u->arms->labels->text, "P");
    assert_true(u->arms->labels->symbolic);
    assert_null(u->arms->labels->next);
    assert_false(u->arms->next->labels->symbolic);
    assert_null(u->arms->next->next);
    assert_null(u->default_arm);
    const di_type *v = idl_type(idl, "v");
    assert_string_equal(v->arms->labels->text, "TRUE");
    assert_false(v->arms->labels->symbolic);
    assert_int_equal(v->arms->labels->next->value, 0);
    assert_int_equal(v->arms->declaration->type->kind, DI_VOID);
    assert_null(v->arms->declaration->name);
    const di_type *w = idl_type(idl, "w");
    assert_string_equal(w->arms->labels->text, "TWO");
    assert_string_equal(w->arms->labels->next->text, "1");
    assert_null(w->default_arm->labels);
    assert_string_equal(w->default_arm->declaration->name, "c");
    di_idl_free(idl);
}

static void test_nested_definitions_come_first_and_get_names(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("struct a { struct { enum { X } c; } b; union switch (int i) {\n"
                              "case 1: struct { int z; } e; } d; };\n");
    static const char *const names[] = {"a_b_c", "a_b", "a_d_e", "a_d", "a"};
    const di_definition *d = di_idl_unit(idl)->definitions;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++, d = d->next) {
        assert_string_equal(d->name, names[i]);
        assert_string_equal(d->type->name, names[i]);
    }
    assert_null(d);
    assert_ptr_equal(idl_member(idl_type(idl, "a"), "b")->type, idl_type(idl, "a_b"));
    di_idl_free(idl);
}

static void test_typedefs_of_definitions(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("typedef struct { int x; } plain;\n"
                              "typedef struct same { int x; } same;\n"
                              "typedef struct tag { int x; } other;\n"
                              "typedef enum { A } list<4>;\n"
                              "typedef struct plain plain;\n");
    assert_int_equal(idl_type(idl, "plain")->kind, DI_STRUCT);
    assert_int_equal(idl_type(idl, "same")->kind, DI_STRUCT);
    assert_int_equal(idl_type(idl, "other")->kind, DI_TYPEDEF);
    assert_ptr_equal(di_resolve(idl_type(idl, "other")), idl_type(idl, "tag"));
    assert_ptr_equal(idl_type(idl, "list")->declaration->type, idl_type(idl, "list_element"));
    assert_int_equal(idl_count(idl, DI_DEFINE_TYPE), 6);
    di_idl_free(idl);
}

static void test_built_in_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        di_kind kind;
    } expected[] = {
        {"bool_t", DI_BOOL},
        {"u_char", DI_UNSIGNED_CHAR},
        {"u_short", DI_UNSIGNED_SHORT},
        {"u_int", DI_UNSIGNED_INT},
        {"u_long", DI_UNSIGNED_LONG},
        {"uint", DI_UNSIGNED_INT},
        {"quad_t", DI_HYPER},
        {"u_quad_t", DI_UNSIGNED_HYPER},
        {"longlong_t", DI_HYPER},
        {"u_longlong_t", DI_UNSIGNED_HYPER},
        {"int8_t", DI_CHAR},
        {"uint8_t", DI_UNSIGNED_CHAR},
        {"int16_t", DI_SHORT},
        {"uint16_t", DI_UNSIGNED_SHORT},
        {"int32_t", DI_INT},
        {"uint32_t", DI_UNSIGNED_INT},
        {"int64_t", DI_HYPER},
        {"uint64_t", DI_UNSIGNED_HYPER},
        {"u_int8_t", DI_UNSIGNED_CHAR},
        {"u_int64_t", DI_UNSIGNED_HYPER},
        {"rpcprog_t", DI_UNSIGNED_INT},
        {"rpcvers_t", DI_UNSIGNED_INT},
        {"rpcproc_t", DI_UNSIGNED_INT},
        {"rpcport_t", DI_UNSIGNED_INT},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char text[80];
        snprintf(text, sizeof text, "struct s { %s x[2]; };", expected[i].name);
        di_idl *idl = idl_compile(text);
        const di_declaration *x = idl_type(idl, "s")->members;
        assert_int_equal(x->type->kind, expected[i].kind);
        assert_int_equal(x->shape, DI_FIXED);
        assert_int_equal(idl_count(idl, DI_DEFINE_TYPE), 1);
        di_idl_free(idl);
    }
}

static void test_built_in_bytes_become_definitions_where_they_must(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("struct s { netobj a; }; struct t { netobj *b; netobj c; };\n"
                              "struct u { struct netbuf d; des_block e; };\n");
    const di_declaration *a = idl_type(idl, "s")->members;
    assert_int_equal(a->type->kind, DI_OPAQUE);
    assert_int_equal(a->shape, DI_VARIABLE);
    assert_int_equal(a->size, 1024);
    assert_string_equal(a->size_text, "1024");
    const di_definition *second = di_idl_unit(idl)->definitions->next;
    assert_string_equal(second->name, "netobj");
    assert_false(second->included);
    assert_ptr_equal(idl_member(idl_type(idl, "t"), "b")->type, second->type);
    assert_int_equal(idl_member(idl_type(idl, "t"), "c")->type->kind, DI_OPAQUE);
    assert_string_equal(second->next->next->name, "netbuf");
    assert_string_equal(second->next->next->next->name, "des_block");
    assert_int_equal(idl_count(idl, DI_DEFINE_TYPE), 6);
    di_idl_free(idl);
}

static void test_files_may_define_built_in_names(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("typedef int int32_t; typedef unsigned long u_int32_t;\n"
                              "typedef u_char uint8_t; enum bool_t { FALSE, TRUE };\n"
                              "typedef opaque netobj<8>; struct netbuf { netobj x; };\n"
                              "typedef hyper quad_t; typedef unsigned short longlong_t;\n"
                              "struct s { int32_t a; bool_t b; netobj c; longlong_t d; };\n");
    static const char *const names[] = {"bool_t", "netobj", "netbuf", "longlong_t", "s"};
    const di_definition *d = di_idl_unit(idl)->definitions;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++, d = d->next)
        assert_string_equal(d->name, names[i]);
    assert_null(d);
    const di_type *s = idl_type(idl, "s");
    assert_int_equal(idl_member(s, "a")->type->kind, DI_INT);
    assert_int_equal(idl_member(s, "b")->type->kind, DI_ENUM);
    assert_int_equal(idl_member(s, "c")->type->declaration->size, 8);
    assert_int_equal(idl_member(s, "d")->type->kind, DI_TYPEDEF);
    di_idl_free(idl);
}

static void test_programs(void **state)
{
    (void)state;
    di_idl *idl =
        idl_compile("program P { version V {\n"
                    "void NONE() = 0; int ADD(int a, int) = ONE; string SAY(string) = 2;\n"
                    "opaque<4> RAW(opaque x<5>) = 3; struct s GIVE(struct s) = 4;\n"
                    "} = 2; version W { void NONE(void) = 0; } = 3; } = 0x20000000;\n"
                    "const ONE = 1; struct s { int x; };\n"
                    "const COPY = ADD; const VERSION = W; const PROGRAM = P;\n");
    const di_program *program = idl_find(idl, "P")->program;
    assert_int_equal(program->number, 0x20000000);
    const di_version *v = program->versions;
    assert_string_equal(v->name, "V");
    assert_int_equal(v->number, 2);
    const di_procedure *p = v->procedures;
    assert_null(p->arguments);
    assert_int_equal(p->result->type->kind, DI_VOID);
    p = p->next;
    assert_int_equal(p->number, 1);
    assert_string_equal(p->arguments->name, "a");
    assert_null(p->arguments->next->name);
    assert_null(p->arguments->next->next);
    p = p->next;
    assert_int_equal(p->arguments->type->kind, DI_STRING);
    assert_int_equal(p->arguments->shape, DI_VARIABLE);
    assert_int_equal(p->result->size, UINT32_MAX);
    p = p->next;
    assert_int_equal(p->result->size, 4);
    assert_int_equal(p->arguments->size, 5);
    assert_ptr_equal(p->next->result->type, idl_type(idl, "s"));
    assert_string_equal(v->next->name, "W");
    assert_null(v->next->next);
    assert_int_equal(idl_find(idl, "COPY")->constant.magnitude, 1);
    assert_int_equal(idl_find(idl, "VERSION")->constant.magnitude, 3);
    assert_int_equal(idl_find(idl, "PROGRAM")->constant.magnitude, 0x20000000);
    di_idl_free(idl);
}

static void test_externs(void **state)
{
    (void)state;
    static const char *const names[] = {"outside", "inside"};
    const di_idl_options options = {.externs = names, .extern_count = 2};
    di_idl *idl =
        idl_compile_with(&options, "struct s { outside a; struct outside *b; inside c; };\n"
                                   "typedef int inside;\n");
    assert_non_null(di_idl_unit(idl));
    const di_declaration *a = idl_type(idl, "s")->members;
    assert_int_equal(a->type->kind, DI_EXTERN);
    assert_string_equal(a->type->name, "outside");
    assert_true(a->type->measure.holds_memory);
    assert_int_equal(idl_member(idl_type(idl, "s"), "c")->type->kind, DI_TYPEDEF);
    di_idl_free(idl);
}

static void test_positions(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("const A = 1;\n\n  struct s {\n\tint\tx; };\n");
    const di_definition *s = idl_find(idl, "s");
    assert_int_equal(s->position.line, 3);
    assert_int_equal(s->position.column, 10);
    assert_int_equal(s->type->members->position.line, 4);
    assert_int_equal(s->type->members->position.column, 6);
    assert_string_equal(di_source_path(s->position.source), "/nowhere/test.x");
    assert_string_equal(di_idl_unit(idl)->path, "/nowhere/test.x");
    di_idl_free(idl);
}

static void test_a_long_chain_of_constants(void **state)
{
    (void)state;
    const size_t count = 20000;
    char *text = malloc(count * 48), *end = text;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "const C%zu = C%zu;\n", i, i + 1);
    sprintf(end, "const C%zu = 5;\n", count);
    di_idl *idl = idl_compile(text);
    assert_int_equal(idl_find(idl, "C0")->constant.magnitude, 5);
    di_idl_free(idl);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_strings_are_kept_as_written),
        cmocka_unit_test(test_enumerators),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_unions),
        cmocka_unit_test(test_nested_definitions_come_first_and_get_names),
        cmocka_unit_test(test_typedefs_of_definitions),
        cmocka_unit_test(test_built_in_names),
        cmocka_unit_test(test_built_in_bytes_become_definitions_where_they_must),
        cmocka_unit_test(test_files_may_define_built_in_names),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_externs),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_a_long_chain_of_constants),
    };
    return cmocka_run_group_tests_name("idl/tree", tests, NULL, NULL);
}
