/* SPDX-License-Identifier: MIT */
/* Every allocation fails in turn: the compilation says so, and gives back what it has. Linked with
 * --wrap for malloc, calloc and realloc. */
#include "idl_support.h"

#include <unistd.h>

/* How many allocations still succeed; negative: all. */
static long allowed = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool fails(void)
{
    if (allowed <= 0)
        return allowed == 0;
    allowed--;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

/* Compiles with ever more allocations allowed, until it succeeds. Returns how many it took. */
static long compile_starved(const char *path, const char *text)
{
    for (long count = 0;; count++) {
        di_idl *idl = NULL;
        allowed = count;
        int error = di_idl_compile(NULL, path, text, text ? strlen(text) : 0, &idl);
        allowed = -1;
        if (error == 0) {
            assert_non_null(idl);
            di_idl_free(idl);
            return count;
        }
        assert_int_equal(error, -1); /* DARI_NO_MEMORY */
        assert_null(idl);
        assert_true(count < 1000);
    }
}

/* Definitions and errors enough for several blocks of memory. */
static char *large_text(void)
{
    char *text = malloc(400000), *end = text;
    assert_non_null(text);
    for (unsigned i = 0; i < 2000; i++)
        end += sprintf(end, "struct s%u { int x<>; struct { s%u *y; } z; };\n%%line\n", i, i / 2);
    end += sprintf(end, "#define A 1\n#if A\n#endif\nunion u switch (int d) { case 1: void; };\n");
    sprintf(end, "const X = 08; struct t { missing x; }; typedef u s1; $\n");
    return text;
}

static void test_compiling_a_text(void **state)
{
    (void)state;
    char *text = large_text();
    assert_true(compile_starved("/nowhere/a.x", text) > 8);
    free(text);
}

static void test_compiling_files(void **state)
{
    (void)state;
    char path[] = "/tmp/dari-idl-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    char *text = large_text();
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    assert_true(compile_starved(path, NULL) > 8);
    char including[100];
    snprintf(including, sizeof including, "#include \"%s\"\n#include \"%s\"\n", path, path);
    assert_true(compile_starved("/nowhere/a.x", including) > 8);
    assert_true(compile_starved("/nowhere/missing.x", NULL) > 1);
    unlink(path);
    free(text);
}

static void test_formatting(void **state)
{
    (void)state;
    di_idl *idl = idl_compile_with(NULL, "const A = 08;");
    allowed = 0;
    char *formatted = di_diagnostic_format(di_idl_diagnostics(idl));
    allowed = -1;
    assert_null(formatted);
    di_idl_free(idl);
    di_idl_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiling_a_text),
        cmocka_unit_test(test_compiling_files),
        cmocka_unit_test(test_formatting),
    };
    return cmocka_run_group_tests_name("idl/memory", tests, NULL, NULL);
}
