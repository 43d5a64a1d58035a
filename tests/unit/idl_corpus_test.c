/* SPDX-License-Identifier: MIT */
/* Every file of tests/golden/bad is compiled, and the messages must be those that its last lines
 * expect, in their order and no others:
 *
 *   // expect LINE:COLUMN SEVERITY: WORDS     in the file itself
 *   // expect FILE:LINE:COLUMN SEVERITY: …    in a file that it includes
 *   // expect - SEVERITY: WORDS               without a place
 *
 * Every file of tests/golden/good must compile without an error. Each file is a test case. */
#include "idl_support.h"

#include <dirent.h>
#include <stdio.h>

#define FILES_MAX 512u

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = malloc(100000);
    assert_non_null(text);
    text[fread(text, 1, 99999, file)] = '\0';
    fclose(file);
    return text;
}

/* A message as the corpus writes it, but for the end. */
static void describe(const di_diagnostic *d, const char *path, char *text, size_t size)
{
    static const char *const severities[] = {"error", "warning", "note"};
    const char *severity = severities[d->severity];
    if (!d->position.source) {
        snprintf(text, size, "- %s: %s", severity, d->text);
        return;
    }
    const char *file = di_source_path(d->position.source), *slash = strrchr(file, '/');
    bool other = strcmp(file, path) != 0;
    snprintf(text, size, "%s%s%u:%u %s: %s", other ? slash + 1 : "", other ? ":" : "",
             d->position.line, d->position.column, severity, d->text);
}

static void test_bad_file(void **state)
{
    const char *path = *state;
    char *text = read_text(path);
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(NULL, path, NULL, 0, &idl), 0);
    assert_null(di_idl_unit(idl));
    const di_diagnostic *d = di_idl_diagnostics(idl);
    char *rest = text, *line;
    size_t expected = 0;
    while ((line = strsep(&rest, "\n"))) {
        char found[1000] = "nothing";
        if (strncmp(line, "// expect ", 10) != 0)
            continue;
        if (d)
            describe(d, path, found, sizeof found);
        if (strncmp(found, line + 10, strlen(line + 10)) != 0)
            fail_msg("found    %s\nexpected %s", found, line + 10);
        d = d->next;
        expected++;
    }
    assert_true(expected > 0);
    if (d)
        fail_msg("not expected: %s", d->text);
    di_idl_free(idl);
    free(text);
}

static void test_good_file(void **state)
{
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(NULL, *state, NULL, 0, &idl), 0);
    if (!di_idl_unit(idl))
        fail_msg("%s", di_idl_diagnostics(idl)->text);
    di_idl_free(idl);
}

static int by_name(const void *one, const void *other)
{
    const struct CMUnitTest *a = one, *b = other;
    return strcmp(a->name, b->name);
}

/* Adds a test for every .x file of a folder. */
static size_t add_tests(struct CMUnitTest *tests, size_t count, const char *kind,
                        CMUnitTestFunction function)
{
    const char *top = getenv("DARI_SOURCE");
    char folder[1000], path[2000];
    snprintf(folder, sizeof folder, "%s/tests/golden/%s", top ? top : ".", kind);
    DIR *directory = opendir(folder);
    for (const struct dirent *e; directory && count < FILES_MAX && (e = readdir(directory));) {
        size_t length = strlen(e->d_name);
        if (length < 3 || strcmp(e->d_name + length - 2, ".x") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        char *copy = strdup(path);
        tests[count++] = (struct CMUnitTest){.name = copy + strlen(folder) - strlen(kind),
                                             .test_func = function,
                                             .initial_state = copy};
    }
    if (directory)
        closedir(directory);
    return count;
}

/* The number of files, as the state. */
static void test_there_is_a_corpus(void **state)
{
    assert_in_range(*(size_t *)*state, 100, FILES_MAX - 1);
}

int main(void)
{
    static struct CMUnitTest tests[FILES_MAX + 1];
    size_t count = add_tests(tests, 0, "bad", test_bad_file);
    count = add_tests(tests, count, "good", test_good_file);
    qsort(tests, count, sizeof *tests, by_name);
    tests[count] = (struct CMUnitTest){.name = "test_there_is_a_corpus",
                                       .test_func = test_there_is_a_corpus,
                                       .initial_state = &count};
    int failed = _cmocka_run_group_tests("idl/corpus", tests, count + 1, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free(tests[i].initial_state);
    return failed;
}
