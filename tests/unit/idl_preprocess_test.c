/* SPDX-License-Identifier: MIT */
#include "idl_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of its own for every test that needs files. */
static char folder[] = "/tmp/dari-idl-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[80];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char paths[4][120];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static di_idl *compile_file(const di_idl_options *options, const char *name)
{
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(options, path_of(name), NULL, 0, &idl), 0);
    return idl;
}

/* Whether a text defines the constant YES. */
static bool says_yes(const di_idl_options *options, const char *text)
{
    bool found = false;
    di_idl *idl = idl_compile_with(options, text);
    if (!di_idl_unit(idl)) {
        char *message = di_diagnostic_format(di_idl_diagnostics(idl));
        fail_msg("%s", message);
    }
    for (const di_definition *d = di_idl_unit(idl)->definitions; d; d = d->next)
        found |= d->name && !strcmp(d->name, "YES");
    di_idl_free(idl);
    return found;
}

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"1", true},
        {"0", false},
        {"UNKNOWN", false},
        {"2 + 3 * 4 == 14", true},
        {"(2 + 3) * 4 == 20", true},
        {"7 - 2 - 1 == 4", true},
        {"100 / 10 / 5 == 2", true},
        {"7 % 4 == 3 && -7 / 2 == -3 && -7 % 2 == -1", true},
        {"1 << 3 == 8 && 256 >> 4 == 16 && -8 >> 1 == -4", true},
        {"1 << 64 || 1 >> 64 || 5u >> 100", false},
        {"-1 >> 64 == -1", true},
        {"(6 & 3) == 2 && (6 | 3) == 7 && (6 ^ 3) == 5", true},
        {"~0 == -1 && !0 && !!5 && +3 == 3 && - -3 == 3", true},
        {"-1 < 0", true},
        {"-1 < 0u", false},
        {"18446744073709551615 > 0", true},
        {"0x10 == 16 && 010 == 8 && 10L == 10 && 10ull == 10U", true},
        {"3 <= 3 && 3 >= 3 && 2 < 3 && 3 > 2 && 2 != 3", true},
        {"2 <= 1 || 1 >= 2 || 3 < 3 || 3 > 3", false},
        {"'a' == 97", true},
        {"1 ? 0 : 1", false},
        {"0 ? 0 : 1 ? 2 : 0", true},
        {"0 && 1 / 0", false},
        {"1 || 1 % 0", true},
        {"1 ? 1 : 1 / 0", true},
        {"(-9223372036854775807 - 1) / -1 != 0", true},
        {"(-9223372036854775807 - 1) % -1", false},
        {"5u / 2u == 2 && 5u % 2u == 1", true},
        {"defined(RPC_HDR) && defined(RPC_XDR)", false},
        {"defined RPC_HDR || defined RPC_XDR", true},
        {"defined(RPC_SVC) || defined(RPC_CLNT) || defined(RPC_TBL)", false},
        {"RPC_HDR", true},
        {"RPC_XDR", true},
        {"!RPC_HDR", true},
        {"/* comment */ 1 // more", true},
        {"0 || \\\n 1", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "#if %s\nconst YES = 1;\n#endif\n", cases[i].condition);
        if (says_yes(NULL, text) != cases[i].holds)
            fail_msg("%s", cases[i].condition);
    }
}

static void test_groups(void **state)
{
    (void)state;
    assert_true(says_yes(NULL, "#if 0\n#elif 1\nconst YES = 1;\n#else\nconst YES = 08;\n#endif\n"));
    assert_true(says_yes(NULL, "#ifdef X\n$\n#else\nconst YES = 1;\n#endif\n"));
    assert_true(says_yes(NULL, "#define X\n#ifndef X\n$\n#elif 1\nconst YES = 1;\n#endif\n"));
    assert_false(says_yes(NULL, "#if 0\n#if 1\n#else\n#endif\nconst YES = 1;\n#endif\n"));
    assert_false(says_yes(NULL, "#if 1\n#elif 1 +\nconst YES = 1;\n#endif\n"));
    assert_false(says_yes(NULL, "#if 0\n#error no\n#warning no\n#include \"no\"\nconst YES = 1;\n"
                                "%#endif\n/* #endif\n */ don't \" %\n#endif\n"));
    assert_true(says_yes(NULL, "  /* x */ # /* y */ if 1\nconst YES = 1;\n#endif"));
}

static void assert_environments(const di_definition *d, const char *text, bool header, bool source)
{
    assert_non_null(d);
    assert_int_equal(d->kind, DI_DEFINE_PASS);
    assert_string_equal(d->text, text);
    assert_int_equal(d->for_header, header);
    assert_int_equal(d->for_source, source);
}

static void test_two_environments_at_once(void **state)
{
    (void)state;
    di_idl *idl =
        idl_compile("%both\n#ifdef RPC_HDR\n%header\n#define A 1\n#else\n%source\n#endif\n"
                    "#if RPC_XDR\n%source\n#define A 2\n#elif RPC_HDR\n%header\n#endif\n"
                    "#ifndef RPC_HDR\nconst SOURCE = A;\n#endif\n"
                    "#ifdef RPC_HDR\nconst HEADER = A;\n#endif\nconst BOTH = A;\n"
                    "#ifdef RPC_SVC\n%none\n#endif\n");
    const di_definition *d = di_idl_unit(idl)->definitions;
    assert_environments(d, "both", true, true);
    assert_environments(d = d->next, "header", true, false);
    assert_environments(d = d->next, "source", false, true);
    assert_environments(d = d->next, "source", false, true);
    assert_environments(d = d->next, "header", true, false);
    assert_int_equal(idl_find(idl, "SOURCE")->constant.magnitude, 2);
    assert_int_equal(idl_find(idl, "HEADER")->constant.magnitude, 1);
    assert_int_equal(idl_find(idl, "BOTH")->constant.magnitude, 1);
    assert_int_equal(idl_count(idl, DI_DEFINE_PASS), 5);
    di_idl_free(idl);
}

static void test_pass_lines(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("  %indented\n%\n%one \\\n  two\\\r\n\t%three\r\n"
                              "struct s {\n%before\nint a; };\n%after # % /* \"\n%last\\");
    static const char *const lines[] = {
        "indented", "", "one \\\n  two\\\nthree", "before", NULL, "after # % /* \"", "last\\"};
    const di_definition *d = di_idl_unit(idl)->definitions;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++, d = d->next) {
        if (lines[i])
            assert_environments(d, lines[i], true, true);
        else
            assert_string_equal(d->name, "s");
    }
    assert_null(d);
    di_idl_free(idl);
}

static void test_numbers_of_pass_lines(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("%#define A 4\n%# define B (A+1)*2 /* not ended\n%#define C -3\n"
                              "%#define D A B\n%#define E UNKNOWN\n%#define F(x) 1\n%#define G\n"
                              "%#undef A\n%define H 1\n%#define I \"s\"\n"
                              "struct s { int a[A]; int b<B>; }; const C_COPY = C;\n");
    const di_declaration *a = idl_type(idl, "s")->members;
    assert_int_equal(a->size, 4);
    assert_string_equal(a->size_text, "4");
    assert_int_equal(a->next->size, 10);
    assert_string_equal(a->next->size_text, "10");
    assert_true(idl_find(idl, "C_COPY")->constant.negative);
    assert_string_equal(idl_find(idl, "C_COPY")->constant.text, "-3");
    di_idl_free(idl);
    static const char *const none[] = {"D A B", "E UNKNOWN", "F(x) 1", "G", "I \"s\""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char text[80];
        snprintf(text, sizeof text, "%%#define A 1\n%%#define B 2\n%%#define %s\nconst X = %c;\n",
                 none[i], none[i][0]);
        idl_expect(text, 4, 11, "undeclared constant");
    }
}

static void test_macros(void **state)
{
    (void)state;
    di_idl *idl = idl_compile("#define SIZE 0x10\n#define ALIAS SIZE\n#define TYPE unsigned hyper\n"
                              "#define NOTHING\n#define LOOP LOOP\n#define F (1)\n"
                              "NOTHING struct s { TYPE NOTHING LOOP[ALIAS]; };\n#undef SIZE\n"
                              "const SIZE = 3; const G = SIZE;\n#undef UNKNOWN\n"
                              "#define EMPTY_COMMENT /* x */ // y\nEMPTY_COMMENT\n"
                              "#define LONG 1 + \\\n2\n#if LONG != 3\n#error wrong\n#endif\n");
    (void)idl;
    di_idl_free(idl);
}

static void test_defines_from_outside(void **state)
{
    (void)state;
    static const char *const defines[] = {"ONE", "TWO=2", "EMPTY=", "WORDS=unsigned int"};
    const di_idl_options options = {.defines = defines, .define_count = 4};
    assert_true(says_yes(&options, "#if ONE == 1 && TWO == 2 && defined(EMPTY)\n"
                                   "EMPTY const YES = TWO;\nstruct s { WORDS x; };\n#endif\n"));
    static const char *const wrong[] = {"1=2"};
    const di_idl_options none = {.defines = wrong, .define_count = 1};
    idl_expect_with(&none, "", 1, 9, "name is expected");
}

static void test_includes(void **state)
{
    (void)state;
    static const char *directories[2];
    assert_int_equal(mkdir(path_of("one"), 0700), 0);
    assert_int_equal(mkdir(path_of("two"), 0700), 0);
    write_file("main.x", "#include \"one/a.x\"\n#include \"b.x\"\n#include <one/../c.x>\n"
                         "#include \"one/a.x\"\nstruct s { a x; b y; c z; };\n");
    write_file("one/a.x", "#include \"beside.x\"\n%of a\ntypedef beside a;\n");
    write_file("one/beside.x", "typedef int beside;\n");
    write_file("two/b.x", "#ifdef RPC_HDR\n#include \"d.x\"\n#endif\ntypedef int b;\n");
    write_file("two/d.x", "%for the header\n");
    write_file("c.x", "typedef int c;\n");
    directories[0] = folder;
    char two[120];
    snprintf(two, sizeof two, "%s/", path_of("two"));
    directories[1] = two;
    const di_idl_options options = {.include_directories = directories,
                                    .include_directory_count = 2};
    di_idl *idl = compile_file(&options, "main.x");
    assert_null(di_idl_diagnostics(idl));
    static const struct {
        const char *text;
        bool included;
    } expected[] = {
        {"one/a.x", false}, {"beside.x", true},    {"beside", true}, {"of a", true},
        {"a", true},        {"b.x", false},        {"d.x", true},    {"for the header", true},
        {"b", true},        {"one/../c.x", false}, {"c", true},      {"one/a.x", false},
        {"s", false}};
    const di_definition *d = di_idl_unit(idl)->definitions;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++, d = d->next) {
        assert_string_equal(d->name ? d->name : d->text, expected[i].text);
        assert_int_equal(d->included, expected[i].included);
        if (!strcmp(expected[i].text, "for the header"))
            assert_environments(d, "for the header", true, false);
    }
    assert_null(d);
    static const char *const files[] = {"main.x", "one/a.x", "one/beside.x", "two/b.x", "two/d.x"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *dependency = di_idl_dependency(idl, i);
        assert_non_null(dependency);
        assert_string_equal(dependency + strlen(dependency) - strlen(files[i]), files[i]);
    }
    assert_non_null(di_idl_dependency(idl, 5));
    assert_null(di_idl_dependency(idl, 6));
    assert_null(di_idl_dependency(idl, 100));
    di_idl_free(idl);
}

/* What a file with that text gets from the interface file beside a header that it includes. */
static di_idl *compile_neighbour(const di_idl_options *options, const char *text)
{
    write_file("needing.x", text);
    return compile_file(options, "needing.x");
}

static void test_interfaces_behind_headers(void **state)
{
    (void)state;
    static const char text[] = "%#include <stdio.h>\n% # include <rpc/near.h>\n"
                               "%#include \"near.h\"\nstruct s { near_t a[NEAR]; };\n";
    write_file("near.x", "%in near\n#include \"nearer.x\"\ntypedef nearer near_t;\n");
    write_file("nearer.x", "typedef int nearer;\nconst NEAR = 4;\n");
    di_idl *idl = compile_neighbour(NULL, text);
    assert_null(di_idl_diagnostics(idl));
    const di_definition *d = di_idl_unit(idl)->definitions;
    assert_environments(d, "#include <stdio.h>", true, true);
    d = d->next;
    assert_int_equal(d->kind, DI_DEFINE_INCLUDE);
    assert_string_equal(d->text, "rpc/near.x");
    assert_false(d->included);
    for (d = d->next; d->included; d = d->next)
        continue;
    assert_environments(d, "#include \"near.h\"", true, true);
    assert_int_equal(idl_type(idl, "s")->members->size, 4);
    assert_true(idl_find(idl, "near_t")->included);
    assert_non_null(di_idl_dependency(idl, 2));
    di_idl_free(idl);
}

static void test_interfaces_behind_headers_that_are_not_needed(void **state)
{
    (void)state;
    static const char *const externs[] = {"near_t"};
    const di_idl_options options = {.externs = externs, .extern_count = 1};
    write_file("near.x", "typedef nowhere near_t;\n");
    di_idl *idl = compile_neighbour(NULL, "%#include \"near.h\"\nstruct s { int a; };\n");
    assert_null(di_idl_diagnostics(idl));
    assert_null(di_idl_dependency(idl, 1));
    di_idl_free(idl);
    idl = compile_neighbour(&options, "%#include \"near.h\"\nstruct s { near_t a; };\n");
    assert_null(di_idl_diagnostics(idl));
    di_idl_free(idl);
}

static void test_interfaces_behind_headers_that_do_not_help(void **state)
{
    (void)state;
    write_file("near.x", "typedef nowhere near_t;\n");
    di_idl *idl = compile_neighbour(NULL, "%#include \"near.h\"\nstruct s { near_t a; };\n");
    const di_diagnostic *d = di_idl_diagnostics(idl);
    assert_non_null(d);
    assert_string_equal(di_source_path(d->position.source), path_of("near.x"));
    assert_string_equal(d->next->text, "'near.x' is included here");
    assert_int_equal(d->next->position.line, 1);
    assert_null(d->next->next);
    di_idl_free(idl);
    static const char *const none[] = {
        "#include \"needing.h\"", "#include \"absent.h\"", "#include \".h\"",    "#include near.h",
        "#include \"near.x\"",    "include \"near.h\"",    "#define \"near.h\"", "# \"near.h\""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char text[100];
        snprintf(text, sizeof text, "%%%s\nstruct s { near_t a; };\n", none[i]);
        idl = compile_neighbour(NULL, text);
        assert_non_null(strstr(di_idl_diagnostics(idl)->text, "undeclared type 'near_t'"));
        assert_null(di_idl_dependency(idl, 1));
        di_idl_free(idl);
    }
}

/* A file that needs another one by itself needs it where it is included, too. */
static void test_interfaces_behind_headers_of_others(void **state)
{
    (void)state;
    write_file("far.x", "typedef int far_t;\n");
    write_file("near.x", "%#include \"far.h\"\ntypedef far_t near_t;\n");
    static const char *const ways[] = {"%#include \"near.h\"", "#include \"near.x\""};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char text[100];
        snprintf(text, sizeof text, "%s\nstruct s { near_t a; far_t b; };\n", ways[i]);
        di_idl *idl = compile_neighbour(NULL, text);
        if (di_idl_diagnostics(idl))
            fail_msg("%s: %s", ways[i], di_idl_diagnostics(idl)->text);
        for (const di_definition *d = di_idl_unit(idl)->definitions; d; d = d->next)
            assert_int_equal(d->included, d->kind == DI_DEFINE_INCLUDE
                                              ? !strcmp(d->text, "far.x")
                                              : !d->name || strcmp(d->name, "s") != 0);
        assert_non_null(di_idl_dependency(idl, 2));
        di_idl_free(idl);
    }
}

static void test_what_a_file_may_lack(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "const A = NEAR;",
        "typedef near_t a;",
        "typedef int a<NEAR>;",
        "enum a { B = NEAR };",
        "union a switch (int b) { case NEAR: int c; };",
        "union a switch (int b) { case 1: near_t c; };",
        "union a switch (near_t b) { case 1: int c; };",
        "program A { version B { near_t C(int) = 1; } = 1; } = 1;",
        "program A { version B { int C(int, near_t) = 1; } = 1; } = 1;",
        "program A { version B { int C(int) = NEAR; } = 1; } = 1;",
        "program A { version B { int C(int) = 1; } = NEAR; } = 1;",
        "program A { version B { int C(int) = 1; } = 1; } = NEAR;",
    };
    write_file("near.x", "typedef int near_t;\nconst NEAR = 4;\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[200];
        snprintf(text, sizeof text, "%%#include \"near.h\"\n%s\n", texts[i]);
        di_idl *idl = compile_neighbour(NULL, text);
        if (di_idl_diagnostics(idl))
            fail_msg("%s: %s", texts[i], di_idl_diagnostics(idl)->text);
        di_idl_free(idl);
    }
}

static void test_a_line_for_c_that_would_be_cut_off(void **state)
{
    (void)state;
    static const char text[] =
        "%/* as it \0 is */\n#if 0\n%\0\n#endif\n%a \\\n%\0 b\nconst A = 1;\n";
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(NULL, "a.x", text, sizeof text - 1, &idl), 0);
    assert_null(di_idl_unit(idl));
    const di_diagnostic *d = di_idl_diagnostics(idl);
    assert_string_equal(d->text, "byte 0x00 cannot stand in a line that begins with '%'");
    assert_int_equal(d->position.line, 1);
    assert_int_equal(d->next->position.line, 5);
    assert_null(d->next->next);
    di_idl_free(idl);
}

static void test_includes_within_a_definition(void **state)
{
    (void)state;
    write_file("members.x", "int b;\nint c;\n");
    write_file("whole.x", "struct s {\nint a;\n#include \"members.x\"\nint d; };\n");
    di_idl *idl = compile_file(NULL, "whole.x");
    assert_null(di_idl_diagnostics(idl));
    assert_int_equal(idl_count(idl, DI_DEFINE_INCLUDE), 0);
    assert_string_equal(idl_type(idl, "s")->members->next->next->name, "c");
    di_idl_free(idl);
}

static void test_a_text_that_has_a_file_does_not_include_it(void **state)
{
    (void)state;
    write_file("self.x", "typedef int from_the_file;\n");
    di_idl *idl = NULL;
    const char *text = "#include \"self.x\"\ntypedef int from_the_text;\n";
    assert_int_equal(di_idl_compile(NULL, path_of("self.x"), text, strlen(text), &idl), 0);
    assert_null(di_idl_unit(idl));
    assert_string_equal(di_idl_diagnostics(idl)->text, "this file includes itself");
    assert_null(di_idl_diagnostics(idl)->next);
    di_idl_free(idl);
}

static void expect_failure(const char *name, const char *words)
{
    di_idl *idl = compile_file(NULL, name);
    assert_null(di_idl_unit(idl));
    assert_non_null(strstr(di_idl_diagnostics(idl)->text, words));
    assert_null(di_idl_diagnostics(idl)->position.source);
    assert_null(di_idl_dependency(idl, 0));
    di_idl_free(idl);
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    expect_failure("missing.x", "No such file");
    expect_failure(".", "not a regular file");
    assert_int_equal(mkfifo(path_of("fifo.x"), 0600), 0);
    expect_failure("fifo.x", "not a regular file");
    int file = open(path_of("large.x"), O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (16 << 20) + 1), 0);
    close(file);
    expect_failure("large.x", "larger than");
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(NULL, "x", "", (16 << 20) + 1, &idl), 0);
    assert_non_null(strstr(di_idl_diagnostics(idl)->text, "larger than"));
    di_idl_free(idl);
}

static void test_the_depth_of_includes_is_limited(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        char name[32], text[64];
        snprintf(name, sizeof name, "deep%u.x", i);
        snprintf(text, sizeof text, "#include \"deep%u.x\"\n", i + 1);
        write_file(name, i < 39 ? text : "const END = 1;\n");
    }
    di_idl *idl = compile_file(NULL, "deep0.x");
    assert_null(di_idl_unit(idl));
    assert_non_null(strstr(di_idl_diagnostics(idl)->text, "deeper than 32"));
    di_idl_free(idl);
    idl = compile_file(NULL, "deep8.x");
    assert_non_null(di_idl_unit(idl));
    di_idl_free(idl);
    idl = compile_file(NULL, "deep7.x");
    assert_null(di_idl_unit(idl));
    di_idl_free(idl);
}

static void test_last_lines_without_an_end(void **state)
{
    (void)state;
    idl_expect("#error here", 1, 1, "#error: here");
    idl_expect("#include \"nothing", 1, 1, "#include needs");
    idl_expect("#if 1", 1, 1, "no #endif");
    idl_expect("#define", 1, 1, "name is expected");
    idl_expect("const A = \"x", 1, 11, "no end");
    idl_expect("const A", 1, 8, "end of file");
    di_idl_free(idl_compile("const A = 1; // comment"));
    di_idl_free(idl_compile("const A = 1; \\"
                            "\n"));
}

static void test_an_empty_file(void **state)
{
    (void)state;
    write_file("empty.x", "");
    di_idl *idl = compile_file(NULL, "empty.x");
    assert_non_null(di_idl_unit(idl));
    assert_null(di_idl_unit(idl)->definitions);
    di_idl_free(idl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_two_environments_at_once),
        cmocka_unit_test(test_pass_lines),
        cmocka_unit_test(test_numbers_of_pass_lines),
        cmocka_unit_test(test_macros),
        cmocka_unit_test(test_defines_from_outside),
        cmocka_unit_test(test_includes),
        cmocka_unit_test(test_interfaces_behind_headers),
        cmocka_unit_test(test_interfaces_behind_headers_that_are_not_needed),
        cmocka_unit_test(test_interfaces_behind_headers_that_do_not_help),
        cmocka_unit_test(test_interfaces_behind_headers_of_others),
        cmocka_unit_test(test_what_a_file_may_lack),
        cmocka_unit_test(test_a_line_for_c_that_would_be_cut_off),
        cmocka_unit_test(test_includes_within_a_definition),
        cmocka_unit_test(test_a_text_that_has_a_file_does_not_include_it),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_the_depth_of_includes_is_limited),
        cmocka_unit_test(test_last_lines_without_an_end),
        cmocka_unit_test(test_an_empty_file),
    };
    return cmocka_run_group_tests_name("idl/preprocess", tests, make_folder, remove_folder);
}
