/* SPDX-License-Identifier: MIT */
#include "base/fork_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/wait.h>

/* The guard in this process, in its child, and in the child's child. */
static void check(const di_fork_guard *guard)
{
    assert_false(di_forked(guard));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!di_forked(guard))
            _exit(1);
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(di_forked(guard) ? 0 : 2);
        int status = 0;
        waitpid(grandchild, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_false(di_forked(guard));
}

static void a_child_knows(void **state)
{
    (void)state;
    di_fork_guard guard = {0};
    assert_int_equal(di_fork_guard_init(&guard), 0);
    check(&guard);
    di_fork_guard_end(&guard);
    assert_false(di_forked(&guard));
    di_fork_guard_end(&guard);
}

static void a_child_knows_by_its_id(void **state)
{
    (void)state;
    di_fork_guard guard;
    di_fork_guard_init_by_id(&guard);
    assert_null((void *)guard.page);
    check(&guard);
    di_fork_guard_end(&guard);
}

static void no_guard_guards_nothing(void **state)
{
    (void)state;
    di_fork_guard guard = {0};
    assert_false(di_forked(&guard));
    di_fork_guard_end(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_knows),
        cmocka_unit_test(a_child_knows_by_its_id),
        cmocka_unit_test(no_guard_guards_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
