/* SPDX-License-Identifier: MIT */
/* Where names of shm: are. Root's are in /run, which is left alone: there the directories are made
 * another user's, and this process is taken for that one. */
#include "transport/shm_place.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER 65534u

static bool is_root;
static uid_t user; /* whom the library takes this process for */

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);

/* The linker puts it in the place of geteuid: --wrap. */
uid_t __wrap_geteuid(void)
{
    return user;
}

typedef struct place {
    char base[64], names[80];
} place;

static void give(const char *path)
{
    if (is_root)
        assert_int_equal(chown(path, OTHER, OTHER), 0);
}

static int begin(void **state)
{
    place *self = calloc(1, sizeof *self);
    assert_non_null(self);
    is_root = __real_geteuid() == 0;
    user = is_root ? OTHER : __real_geteuid();
    strcpy(self->base, "/tmp/dari-place-XXXXXX");
    assert_non_null(mkdtemp(self->base));
    snprintf(self->names, sizeof self->names, "%s/dari", self->base);
    give(self->base);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", self->base, 1), 0);
    *state = self;
    return 0;
}

static int end(void **state)
{
    place *self = *state;
    rmdir(self->names);
    assert_int_equal(rmdir(self->base), 0);
    free(self);
    return 0;
}

/* Looks for a path. On failure `words` are what is said. */
static void check(const char *rest, bool make, int expected, const char *what)
{
    di_text path = {0};
    di_failure failure = {0};
    assert_int_equal(di_shm_find_path(rest, make, &path, &failure), expected);
    assert_string_equal(expected ? failure.words : path.data, what);
    di_text_free(&path);
}

static void a_path_is_taken_as_it_is(void **state)
{
    (void)state;
    check("/some/where", false, 0, "/some/where");
    check("/some/where", true, 0, "/some/where");
}

static void names_are_names(void **state)
{
    (void)state;
    static const char *const wrong[] = {".", "..", "a/b", "./a"};
    check("", false, DARI_ADDRESS, "the name is missing");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check(wrong[i], true, DARI_ADDRESS, "it is neither a name nor an absolute path");
}

static void there_has_to_be_a_directory_for_them(void **state)
{
    static const char unset[] = "XDG_RUNTIME_DIR is not set, and no path is given";
    place *self = *state;
    unsetenv("XDG_RUNTIME_DIR");
    check("calc", true, DARI_ADDRESS, unset);
    setenv("XDG_RUNTIME_DIR", "here", 1);
    check("calc", true, DARI_ADDRESS, unset);
    setenv("XDG_RUNTIME_DIR", self->names, 1);
    check("calc", true, DARI_REFUSED, "the directory of shm: names is not there");
    setenv("XDG_RUNTIME_DIR", "/dev/null", 1);
    check("calc", true, DARI_ADDRESS, "the directory of shm: names is none");
}

static void a_server_makes_its_own_part(void **state)
{
    place *self = *state;
    struct stat status;
    char path[96];
    snprintf(path, sizeof path, "%s/calc", self->names);
    check("calc", false, DARI_REFUSED, "the directory of shm: names is not there");
    if (is_root) { /* who makes it is root, not the other one */
        check("calc", true, DARI_PERMISSION, "the directory of shm: names is another user's");
        give(self->names);
    }
    check("calc", true, 0, path);
    check("calc", true, 0, path);
    check("calc", false, 0, path);
    assert_int_equal(stat(self->names, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void nobody_else_can_write_there(void **state)
{
    place *self = *state;
    static const char words[] = "others can write to the directory of shm: names";
    assert_int_equal(mkdir(self->names, 0700), 0);
    give(self->names);
    assert_int_equal(chmod(self->names, 0720), 0);
    check("calc", true, DARI_PERMISSION, words);
    assert_int_equal(chmod(self->names, 0702), 0);
    check("calc", false, DARI_PERMISSION, words);
    assert_int_equal(chmod(self->names, 0755), 0);
    assert_int_equal(chmod(self->base, 0777), 0);
    check("calc", false, DARI_PERMISSION, words);
    assert_int_equal(chmod(self->base, 0700), 0);
    user += 1;
    check("calc", false, DARI_PERMISSION, "the directory of shm: names is another user's");
}

/* Not where there is a user's own. */
static void roots_names_are_elsewhere(void **state)
{
    di_text path = {0};
    di_failure failure = {0};
    (void)state;
    user = 0;
    int error = di_shm_find_path("dari-unit-test", false, &path, &failure);
    assert_true(error == 0 || error == DARI_REFUSED);
    assert_non_null(strstr(path.data, "/run/dari"));
    di_text_free(&path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_path_is_taken_as_it_is),
        TEST(names_are_names),
        TEST(there_has_to_be_a_directory_for_them),
        TEST(a_server_makes_its_own_part),
        TEST(nobody_else_can_write_there),
        TEST(roots_names_are_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
