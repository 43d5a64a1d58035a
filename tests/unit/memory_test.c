/* SPDX-License-Identifier: MIT */
/* Shared memory: made so that nobody can take it away, and refused where it is otherwise. */
#include "ipc/memory.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* The stand-in for fallocate: the errno that it fails with, or 0. That the system has no memory
 * left cannot be brought about without harm. Its name depends on the width of off_t. */
static int fails_with;

int __real_fallocate(int descriptor, int mode, off_t offset, off_t size);
int __wrap_fallocate(int descriptor, int mode, off_t offset, off_t size);
int __real_fallocate64(int descriptor, int mode, off64_t offset, off64_t size);
int __wrap_fallocate64(int descriptor, int mode, off64_t offset, off64_t size);

int __wrap_fallocate(int descriptor, int mode, off_t offset, off_t size)
{
    if (fails_with == 0)
        return __real_fallocate(descriptor, mode, offset, size);
    errno = fails_with;
    return -1;
}

int __wrap_fallocate64(int descriptor, int mode, off64_t offset, off64_t size)
{
    if (fails_with == 0)
        return __real_fallocate64(descriptor, mode, offset, size);
    errno = fails_with;
    return -1;
}

static int make(size_t size)
{
    int descriptor = -1;
    const char *words = NULL;
    if (di_memory_create(size, &descriptor, &words) < 0)
        fail_msg("%s: %s", words, strerror(errno));
    return descriptor;
}

static void refused(int descriptor, size_t size, const char *expected)
{
    const char *words = "";
    assert_true(descriptor >= 0);
    assert_int_equal(di_memory_check(descriptor, size, &words), DARI_PROTOCOL);
    if (!strstr(words, expected))
        fail_msg("\"%s\" does not say \"%s\"", words, expected);
    close(descriptor);
}

static void what_is_made_is_taken(void **state)
{
    (void)state;
    const char *words;
    struct stat status;
    size_t size = 3 * di_memory_page();
    int descriptor = make(size);
    assert_int_equal(di_memory_check(descriptor, size, &words), 0);
    assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fstat(descriptor, &status), 0);
    assert_true((size_t)status.st_blocks * 512 >= size);
    assert_int_equal(ftruncate(descriptor, 0), -1);
    assert_int_equal(ftruncate(descriptor, (off_t)(2 * size)), -1);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE), -1);
    close(descriptor);
}

static void mapped_twice_it_wraps_around(void **state)
{
    (void)state;
    size_t page = di_memory_page();
    int descriptor = make(3 * page);
    void *memory, *second, *one;
    assert_int_equal(di_memory_map(descriptor, page, 2 * page, true, true, &memory), 0);
    assert_int_equal(di_memory_map(descriptor, page, 2 * page, true, false, &second), 0);
    assert_int_equal(di_memory_map(descriptor, 0, page, false, true, &one), 0);
    close(descriptor);
    uint8_t *bytes = memory;
    memcpy(bytes + 2 * page - 3, "across", 6);
    assert_memory_equal(bytes, "oss", 3);
    assert_memory_equal((uint8_t *)second + 2 * page - 3, "across", 6);
    assert_int_equal(*(uint8_t *)one, 0);
    di_memory_unmap(memory, 2 * page, true);
    di_memory_unmap(second, 2 * page, true);
    di_memory_unmap(one, page, false);
    di_memory_unmap(NULL, page, true);
}

static int with_seals(size_t size, int seals)
{
    int descriptor = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(fallocate(descriptor, 0, 0, (off_t)size), 0);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, seals), 0);
    return descriptor;
}

static void other_seals_are_refused(void **state)
{
    (void)state;
    size_t size = di_memory_page();
    static const int others[] = {0,
                                 F_SEAL_SHRINK,
                                 F_SEAL_SHRINK | F_SEAL_GROW,
                                 F_SEAL_SHRINK | F_SEAL_SEAL,
                                 F_SEAL_GROW | F_SEAL_SEAL,
                                 SEALS | F_SEAL_WRITE,
                                 SEALS | F_SEAL_FUTURE_WRITE};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        refused(with_seals(size, others[i]), size, "not sealed as it must be");
}

static void another_size_is_refused(void **state)
{
    (void)state;
    size_t size = 2 * di_memory_page();
    refused(make(size), size / 2, "the size that was stated");
    refused(make(size), size * 2, "the size that was stated");
    refused(make(size), size - 1, "the size that was stated");
}

static void holes_are_refused(void **state)
{
    (void)state;
    size_t page = di_memory_page();
    int descriptor = make(4 * page);
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    assert_int_equal(fallocate(descriptor, mode, (off_t)page, (off_t)page), 0);
    refused(descriptor, 4 * page, "not allocated in full");
    descriptor = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(descriptor, (off_t)page), 0);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, SEALS), 0);
    refused(descriptor, page, "not allocated in full");
}

static void other_descriptors_are_refused(void **state)
{
    (void)state;
    size_t size = di_memory_page();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    refused(ends[0], size, "no memory");
    refused(ends[1], size, "no memory");
    refused(socket(AF_UNIX, SOCK_STREAM, 0), size, "no memory");
    refused(open("/proc/self/exe", O_RDONLY), size, "no memory");
    refused(open("/dev/zero", O_RDWR), size, "no memory");
    refused(open("/tmp", O_PATH), size, "no memory");
    /* A file of tmpfs has the one seal against others. */
    char path[] = "/dev/shm/dari-test-XXXXXX";
    int file = mkstemp(path);
    if (file >= 0) {
        unlink(path);
        assert_int_equal(ftruncate(file, (off_t)size), 0);
        refused(file, size, "");
    }
}

/* The pool of huge pages may be empty: then there is nothing to allocate, but a file all the same.
 */
static void huge_pages_are_refused(void **state)
{
    (void)state;
    size_t size = (size_t)2 << 20;
    int descriptor = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (descriptor < 0) {
        print_message("# left out: no huge pages here\n");
        return;
    }
    assert_int_equal(ftruncate(descriptor, (off_t)size), 0);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, SEALS), 0);
    refused(descriptor, size, "not of plain pages");
}

/* Makes memory under a limit; returns what came of it, and checks that nothing is left open. */
static int under(__rlimit_resource_t resource, rlim_t limit, size_t size, const char **ret_words,
                 int *ret_cause)
{
    struct rlimit before, less;
    int descriptor = -1, probe = dup(0);
    close(probe);
    assert_int_equal(getrlimit(resource, &before), 0);
    less = (struct rlimit){.rlim_cur = limit, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(resource, &less), 0);
    int error = di_memory_create(size, &descriptor, ret_words);
    *ret_cause = errno;
    assert_int_equal(setrlimit(resource, &before), 0);
    assert_int_equal(descriptor, -1);
    int again = dup(0);
    assert_int_equal(again, probe);
    close(again);
    return error;
}

static void limits_are_named(void **state)
{
    (void)state;
    const char *words = "";
    int cause = 0, probe = dup(0);
    close(probe);
    assert_int_equal(under(RLIMIT_NOFILE, (rlim_t)probe, di_memory_page(), &words, &cause),
                     DARI_ERRNO);
    assert_int_equal(cause, EMFILE);
    assert_non_null(strstr(words, "no descriptor"));
    /* Without a SIGXFSZ. */
    assert_int_equal(under(RLIMIT_FSIZE, 1000, di_memory_page(), &words, &cause), DARI_LIMIT);
    assert_int_equal(cause, EFBIG);
    assert_non_null(strstr(words, "RLIMIT_FSIZE"));
}

static void no_memory_left_is_an_error(void **state)
{
    (void)state;
    const char *words = "";
    static const int causes[] = {ENOSPC, ENOMEM};
    for (int i = 0; i < 2; i++) {
        int cause = 0;
        fails_with = causes[i];
        assert_int_equal(under(RLIMIT_CORE, 0, di_memory_page(), &words, &cause), DARI_NO_MEMORY);
        fails_with = 0;
        assert_int_equal(cause, causes[i]);
        assert_non_null(strstr(words, "cannot be allocated"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_is_taken),
        cmocka_unit_test(mapped_twice_it_wraps_around),
        cmocka_unit_test(other_seals_are_refused),
        cmocka_unit_test(another_size_is_refused),
        cmocka_unit_test(holes_are_refused),
        cmocka_unit_test(other_descriptors_are_refused),
        cmocka_unit_test(huge_pages_are_refused),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(no_memory_left_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
