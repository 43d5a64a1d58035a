/* SPDX-License-Identifier: MIT */
#include "idl_support.h"

#define ENDLESS UINT64_MAX

static void assert_measure(const di_idl *idl, const char *name, uint64_t minimum, uint64_t maximum,
                           bool fixed, bool holds_memory)
{
    di_measure m = idl_type(idl, name)->measure;
    if (m.minimum != minimum || m.maximum != maximum)
        fail_msg("%s takes %llu to %llu", name, (unsigned long long)m.minimum,
                 (unsigned long long)m.maximum);
    assert_int_equal(m.fixed, fixed);
    assert_int_equal(m.holds_memory, holds_memory);
}

static void test_numbers(void **state)
{
    (void)state;
    di_idl *idl = idl_compile(
        "struct words { bool a; char b; unsigned char c; short d; unsigned short e; int f;\n"
        "unsigned g; long h; unsigned long i; float j; enum { X } k; };\n"
        "struct doubles { hyper a; unsigned hyper b; double c; };\n"
        "typedef quadruple q; enum e { A }; typedef e f[3]; typedef f g[2];\n");
    assert_measure(idl, "words", 44, 44, true, false);
    assert_measure(idl, "doubles", 24, 24, true, false);
    assert_measure(idl, "q", 16, 16, true, false);
    assert_measure(idl, "e", 4, 4, true, false);
    assert_measure(idl, "g", 24, 24, true, false);
    di_idl_free(idl);
}

static void test_bytes_are_padded(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("typedef opaque a[5]; typedef opaque b<5>; typedef string c<8>;\n"
                              "typedef opaque d<>; typedef opaque e[0]; typedef opaque f<0>;\n"
                              "typedef string g<4294967294>;\n");
    assert_measure(idl, "a", 8, 8, true, false);
    assert_measure(idl, "b", 4, 12, false, true);
    assert_measure(idl, "c", 4, 12, false, true);
    assert_measure(idl, "d", 4, ENDLESS, false, true);
    assert_measure(idl, "e", 0, 0, true, false);
    assert_measure(idl, "f", 4, 4, false, true);
    assert_measure(idl, "g", 4, UINT64_C(4) + 4294967296, false, true);
    di_idl_free(idl);
}

static void test_arrays_and_pointers(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("typedef hyper a<3>; typedef int b<>; typedef hyper *c;\n"
                              "typedef a d[2]; typedef a e<2>; typedef opaque nil[0];\n"
                              "typedef nil f<>; typedef nil g[100]; typedef b h<4>;\n");
    assert_measure(idl, "a", 4, 28, false, true);
    assert_measure(idl, "b", 4, ENDLESS, false, true);
    assert_measure(idl, "c", 4, 12, false, true);
    assert_measure(idl, "d", 8, 56, false, true);
    assert_measure(idl, "e", 4, 60, false, true);
    assert_measure(idl, "f", 4, 4, false, true);
    assert_measure(idl, "g", 0, 0, true, false);
    assert_measure(idl, "h", 4, ENDLESS, false, true);
    di_idl_free(idl);
}

static void test_unions(void **state)
{
    (void)state;
    di_idl *idl =
        idl_compile("union a switch (int d) { case 1: int x; case 2: hyper y; default: void; };\n"
                    "union b switch (bool d) { case TRUE: int x; case FALSE: float y; };\n"
                    "union c switch (int d) { case 1: string s<4>; case 2: int y<1>; };\n"
                    "union e switch (int d) { case 1: void; };\n");
    assert_measure(idl, "a", 4, 12, false, false);
    assert_measure(idl, "b", 8, 8, true, false);
    assert_measure(idl, "c", 8, 12, false, true);
    assert_measure(idl, "e", 4, 4, true, false);
    di_idl_free(idl);
}

static void test_what_must_be_checked_before_it_is_sent(void **state)
{
    (void)state;
    di_idl *idl =
        idl_compile("struct plain { int a; bool b; char c; hyper d[4]; };\n"
                    "struct wide { int a; long b; }; struct wide_too { unsigned long a; };\n"
                    "enum e { A }; struct with_enum { e x[2]; };\n"
                    "union u switch (int d) { case 1: void; };\n"
                    "typedef with_enum alias; struct deep { alias x; };\n");
    assert_false(idl_type(idl, "plain")->measure.checked);
    assert_true(idl_type(idl, "wide")->measure.checked);
    assert_true(idl_type(idl, "wide_too")->measure.checked);
    assert_true(idl_type(idl, "with_enum")->measure.checked);
    assert_true(idl_type(idl, "u")->measure.checked);
    assert_true(idl_type(idl, "deep")->measure.checked);
    di_idl_free(idl);
}

static void assert_recursion(const di_idl *idl, const char *name, bool recursive, const char *tail)
{
    const di_type *type = idl_type(idl, name);
    if (type->recursive != recursive)
        fail_msg("%s is %srecursive", name, recursive ? "not " : "");
    if (!tail)
        assert_null(type->tail);
    else
        assert_string_equal(type->tail->name, tail);
    assert_true(type->measure.maximum == ENDLESS);
}

static void test_lists_have_a_tail(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("struct list { int a; list *next; };\n"
                              "struct named { int a; named_pointer next; };\n"
                              "typedef named named_alias; typedef named_alias *named_pointer;\n"
                              "struct only { only *next; };\n");
    assert_recursion(idl, "list", false, "next");
    assert_measure(idl, "list", 8, ENDLESS, false, true);
    assert_recursion(idl, "named", false, "next");
    assert_recursion(idl, "named_pointer", false, NULL);
    assert_recursion(idl, "only", false, "next");
    di_idl_free(idl);
}

static void test_other_recursion(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("struct tree { tree *left; tree *right; };\n"
                              "struct first { first *next; int a; };\n"
                              "struct many { many below<2>; };\n"
                              "struct one { two *a; }; struct two { three a<>; };\n"
                              "union three switch (int d) { case 1: one a; default: void; };\n"
                              "struct user { one a; }; struct none { int x; };\n");
    assert_recursion(idl, "tree", true, "right");
    assert_recursion(idl, "first", true, NULL);
    assert_recursion(idl, "many", true, NULL);
    assert_recursion(idl, "one", true, NULL);
    assert_recursion(idl, "two", true, NULL);
    assert_recursion(idl, "three", true, NULL);
    assert_recursion(idl, "user", false, NULL);
    assert_measure(idl, "three", 4, ENDLESS, false, true);
    assert_false(idl_type(idl, "none")->recursive);
    di_idl_free(idl);
}

/* `count` structs, each declared as the format says with its number and the next one. */
static char *chain(size_t count, const char *format, const char *last)
{
    char *text = malloc(count * 80 + 80), *end = text;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        end += sprintf(end, "struct s%zu { ", i);
        end += sprintf(end, "s%zu ", i + 1);
        end += sprintf(end, "%s };\n", format);
    }
    sprintf(end, "struct s%zu { %s };\n", count, last);
    return text;
}

static void test_types_in_one_another_have_a_limit(void **state)
{
    (void)state;
    char *deepest = chain(64, "x;", "int x;");
    di_idl *idl = idl_compile(deepest);
    assert_measure(idl, "s0", 4, 4, true, false);
    di_idl_free(idl);
    free(deepest);
    char *deeper = chain(65, "x;", "int x;");
    idl_expect(deeper, 1, 8, "'s0' holds types in one another more than 64 deep");
    free(deeper);
}

static void test_long_chains_need_no_stack(void **state)
{
    (void)state;
    char *values = chain(50000, "x;", "int x;");
    di_idl *idl = idl_compile_with(NULL, values);
    assert_null(di_idl_unit(idl));
    di_idl_free(idl);
    free(values);
    char *pointers = chain(50000, "*x; int y;", "s0 *x; int y;");
    idl = idl_compile(pointers);
    assert_recursion(idl, "s0", true, NULL);
    assert_recursion(idl, "s50000", true, NULL);
    di_idl_free(idl);
    free(pointers);
}

static void test_a_long_cycle_is_named_in_part(void **state)
{
    (void)state;
    char *text = chain(100, "x;", "s0 x;");
    di_idl *idl = idl_compile_with(NULL, text);
    const di_diagnostic *d = di_idl_diagnostics(idl);
    assert_string_equal(d->text, "the type 's0' contains itself");
    size_t notes = 0;
    for (d = d->next; d; d = d->next) {
        assert_int_equal(d->severity, DI_NOTE);
        notes++;
    }
    assert_int_equal(notes, 8);
    di_idl_free(idl);
    free(text);
}

static void test_what_memory_cannot_hold(void **state)
{
    (void)state;
    di_idl_free(idl_compile("typedef opaque a[268435456];"));
    idl_expect("typedef opaque a[268435457];", 1, 16, "more than 268435456 bytes");
    idl_expect("typedef quadruple a[16777217];", 1, 19, "more than 268435456 bytes");
    idl_expect("typedef short a[134217729];", 1, 15, "more than 268435456 bytes");
    idl_expect("typedef opaque a[0x8000000]; typedef a b[0xffffffff];", 1, 40, "bytes");
    idl_expect("typedef opaque a[0]; typedef a b[0xffffffff];", 1, 32, "bytes");
    idl_expect("struct a { opaque x[0xf000000]; opaque y[0x1000001]; };", 1, 8, "bytes");
    idl_expect("typedef string s<>; typedef s a[16777217];", 1, 31, "bytes");
    idl_expect("union u switch (int d) { case 1: opaque x[268435456]; };", 1, 7, "bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bytes_are_padded),
        cmocka_unit_test(test_arrays_and_pointers),
        cmocka_unit_test(test_unions),
        cmocka_unit_test(test_what_must_be_checked_before_it_is_sent),
        cmocka_unit_test(test_lists_have_a_tail),
        cmocka_unit_test(test_other_recursion),
        cmocka_unit_test(test_types_in_one_another_have_a_limit),
        cmocka_unit_test(test_long_chains_need_no_stack),
        cmocka_unit_test(test_a_long_cycle_is_named_in_part),
        cmocka_unit_test(test_what_memory_cannot_hold),
    };
    return cmocka_run_group_tests_name("idl/measure", tests, NULL, NULL);
}
