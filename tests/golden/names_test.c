/* SPDX-License-Identifier: MIT */
/* Asks the C compiler's preprocessor for every macro that the headers define which generated code
 * includes, and for those of C's own headers that take no arguments: whatever an interface file
 * calls so is refused, or has another name in C. */
#include "gen/emit_c.h"
#include "idl/compile.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* _GNU_SOURCE is what C++ has in any case. */
#define PREPROCESS DARI_CC " -dM -E "
#define GENERATED                                                     \
    PREPROCESS "-D_GNU_SOURCE -I\"$DARI_SOURCE/include\" - <<'END'\n" \
               "#include <dari/interface.h>\n#include <dari/xdr_inline.h>\nEND"

static const char *const headers[] = {
    "assert", "ctype",       "errno",  "fenv",   "float",    "inttypes",  "limits",
    "locale", "math",        "setjmp", "signal", "stdarg",   "stdatomic", "stdbool",
    "stddef", "stdint",      "stdio",  "stdlib", "stdalign", "threads",   "time",
    "uchar",  "stdnoreturn", "wchar",  "wctype", "string",   "iso646",
};

static bool keep(void *context, const char *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return true;
}

/* Whether a text that has one name in it is refused at that place, or the header has it with a `_`
 * behind it instead. */
static bool is_mended(const char *text, const char *name)
{
    static const di_emit_c_options options = {.stem = "a", .prefix = ""};
    di_idl *idl = NULL;
    di_text header = {0};
    di_clash clash;
    char renamed[300];
    assert_int_equal(di_idl_compile(NULL, "a.x", text, strlen(text), &idl), 0);
    bool mended = di_idl_unit(idl) == NULL; /* a keyword of the language */
    if (!mended) {
        int status =
            di_emit_c(di_idl_unit(idl), &options, &header, &(di_emit_sink){keep, NULL}, &clash);
        snprintf(renamed, sizeof renamed, " %s_", name);
        if (status == DARI_INVALID)
            mended = !strncmp(text + clash.error.position.column - 1, name, strlen(name));
        else
            mended = strstr(header.data, renamed) != NULL;
    }
    di_text_free(&header);
    di_idl_free(idl);
    return mended;
}

static void expect_mended(const char *name)
{
    static const char *const texts[] = {
        "struct s { int %s; };",
        "union u switch (int %s) { case 1: int a; };",
        "union u switch (int d) { case 1: int a; case 2: int %s; };",
        "union u switch (int d) { case 1: int a; default: int %s; };",
        "program P { version V { int F(int a, int %s) = 1; } = 1; } = 1;",
        "const %s = 77;",
        "const %s = \"77\";",
        "enum e { %s = 77 };",
        "struct %s { int a; };",
        "typedef hyper %s;",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[600];
        snprintf(text, sizeof text, texts[i], name);
        if (!is_mended(text, name))
            fail_msg("accepted: %s", text);
    }
}

/* Runs the preprocessor. Returns how many macros there were. */
static size_t expect_all_mended(const char *command, bool with_parameters)
{
    static const char define[] = "#define ";
    char line[4096], name[256];
    size_t count = 0;
    FILE *macros = popen(command, "r");
    assert_non_null(macros);
    while (fgets(line, sizeof line, macros)) {
        if (strncmp(line, define, sizeof define - 1) != 0)
            continue;
        const char *start = line + sizeof define - 1;
        size_t size = strcspn(start, " (\n");
        if (size >= sizeof name || (start[size] == '(' && !with_parameters))
            continue;
        memcpy(name, start, size);
        name[size] = '\0';
        expect_mended(name);
        count++;
    }
    assert_int_equal(pclose(macros), 0);
    return count;
}

static void test_macros_of_headers_that_generated_code_includes(void **state)
{
    (void)state;
    assert_true(expect_all_mended(GENERATED, true) > 300);
}

static void test_macros_of_the_headers_of_c(void **state)
{
    (void)state;
    char command[2000];
    int size = snprintf(command, sizeof command, "%s -std=c11 - <<'END'\n", PREPROCESS);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        size += snprintf(command + size, sizeof command - (size_t)size, "#include <%s.h>\n",
                         headers[i]);
    snprintf(command + size, sizeof command - (size_t)size, "END");
    assert_true(expect_all_mended(command, false) > 500);
}

static void test_other_names_are_free(void **state)
{
    (void)state;
    static const char *const names[] = {"null",   "NULL_",  "PRIORITY", "SCNx", "EOFS", "E",
                                        "si_pid", "offset", "_under",   "log",  "I"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[300];
        snprintf(text, sizeof text, "struct s { int %s; }; const %s = 1;", names[i], names[i]);
        if (is_mended(text, names[i]))
            fail_msg("%s is refused", names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_macros_of_headers_that_generated_code_includes),
        cmocka_unit_test(test_macros_of_the_headers_of_c),
        cmocka_unit_test(test_other_names_are_free),
    };
    return cmocka_run_group_tests_name("golden/names", tests, NULL, NULL);
}
