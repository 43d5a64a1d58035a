/* SPDX-License-Identifier: MIT */
/* The NFS server of the examples, by calls that the usual clients do not make: at its limits, and
 * with old handles. Each test has a server of its own, MEMFS, at the other end of two pipes. */
#include "mount3.h"
#include "nfs3.h"

#include <dari/dari.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

typedef struct handle {
    uint8_t bytes[NFS_HANDLE_SIZE];
    uint32_t size;
} handle;

static struct {
    dari_client *client;
    dari_call call;
    handle root;
} with;

static handle keep(dari_opaque from)
{
    handle kept = {.size = from.size};
    assert_in_range(from.size, 1, NFS_HANDLE_SIZE);
    memcpy(kept.bytes, from.data, from.size);
    return kept;
}

static nfs_handle as_argument(const handle *of)
{
    return (nfs_handle){.size = of->size, .data = of->bytes};
}

static int set_up(void **state)
{
    char *const arguments[] = {getenv("MEMFS"), "--memory", *state, "pipe:0,1", NULL};
    const dari_auth_sys root = {0};
    const dari_client_options options = {
        .exec.allowed = true, .auth_sys = &root, .call = &with.call};
    mount_result mounted;
    mount_path path = "/memory";
    assert_int_equal(dari_connect_program(arguments, &options, &with.client), 0);
    assert_int_equal(mnt_3(with.client, &path, &mounted, &with.call), 0);
    assert_int_equal(mounted.status, MOUNT_OK);
    with.root = keep(mounted.u.root.handle);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dari_call_end(&with.call);
    dari_client_close(with.client);
    return 0;
}

/* The calls. What they return lasts until the next one. */

static nfs_place in_root(const char *name)
{
    return (nfs_place){.directory = as_argument(&with.root), .name = (char *)name};
}

static nfs_status try_create(const char *name, handle *ret_file)
{
    create_result result;
    const create_arguments arguments = {.where = in_root(name), .how.mode = NFS_GUARDED};
    dari_call_reset(&with.call);
    assert_int_equal(create_3(with.client, &arguments, &result, &with.call), 0);
    if (result.status == NFS_OK)
        *ret_file = keep(*result.u.created.object);
    return result.status;
}

static handle create(const char *name)
{
    handle file = {0};
    assert_int_equal(try_create(name, &file), NFS_OK);
    return file;
}

static void remove_name(const char *name)
{
    change_result result;
    const nfs_place place = in_root(name);
    dari_call_reset(&with.call);
    assert_int_equal(remove_3(with.client, &place, &result, &with.call), 0);
    assert_int_equal(result.status, NFS_OK);
}

static nfs_status write_at(const handle *file, uint64_t offset, const void *bytes, uint32_t size)
{
    write_result result;
    const write_arguments arguments = {.file = as_argument(file),
                                       .offset = offset,
                                       .count = size,
                                       .data = {.size = size, .data = bytes}};
    dari_call_reset(&with.call);
    assert_int_equal(write_3(with.client, &arguments, &result, &with.call), 0);
    if (result.status == NFS_OK)
        assert_int_equal(result.u.written.count, size);
    return result.status;
}

static dari_opaque read_at(const handle *file, uint64_t offset, uint32_t size)
{
    read_result result;
    const read_arguments arguments = {.file = as_argument(file), .offset = offset, .count = size};
    dari_call_reset(&with.call);
    assert_int_equal(read_3(with.client, &arguments, &result, &with.call), 0);
    assert_int_equal(result.status, NFS_OK);
    return result.u.read.data;
}

static void set_size(const handle *file, uint64_t size, nfs_status expected)
{
    change_result result;
    const setattr_arguments arguments = {.object = as_argument(file), .attributes.size = &size};
    dari_call_reset(&with.call);
    assert_int_equal(setattr_3(with.client, &arguments, &result, &with.call), 0);
    assert_int_equal(result.status, expected);
}

static nfs_status try_attributes(const handle *node, nfs_attributes *ret_attributes)
{
    getattr_result result;
    const nfs_handle argument = as_argument(node);
    dari_call_reset(&with.call);
    assert_int_equal(getattr_3(with.client, &argument, &result, &with.call), 0);
    if (result.status == NFS_OK)
        *ret_attributes = result.u.attributes;
    return result.status;
}

static nfs_attributes attributes(const handle *node)
{
    nfs_attributes found = {0};
    assert_int_equal(try_attributes(node, &found), NFS_OK);
    return found;
}

static fsstat_space space(void)
{
    fsstat_result result;
    const nfs_handle root = as_argument(&with.root);
    dari_call_reset(&with.call);
    assert_int_equal(fsstat_3(with.client, &root, &result, &with.call), 0);
    assert_int_equal(result.status, NFS_OK);
    return result.u.space;
}

static void assert_all(dari_opaque data, uint32_t size, uint8_t expected)
{
    assert_int_equal(data.size, size);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(data.data[i], expected);
}

/* The cases. */

static void a_byte_far_away_takes_little(void **state)
{
    (void)state;
    handle file = create("sparse");
    uint64_t before = space().bytes_free;
    assert_int_equal(write_at(&file, 4 * GIB, "x", 1), NFS_OK);
    assert_true(before - space().bytes_free < MIB);
    nfs_attributes is = attributes(&file);
    assert_int_equal(is.size, 4 * GIB + 1);
    assert_true(is.used < MIB);
    assert_all(read_at(&file, 0, MIB), MIB, 0);
    assert_all(read_at(&file, 4 * GIB - 100, 100), 100, 0);
    assert_all(read_at(&file, 4 * GIB, 100), 1, 'x');
}

static void a_file_has_a_limit(void **state)
{
    (void)state;
    handle file = create("large");
    assert_int_equal(write_at(&file, 64 * GIB - 1, "x", 1), NFS_OK);
    assert_int_equal(write_at(&file, 64 * GIB, "x", 1), NFS_FBIG);
    assert_int_equal(write_at(&file, UINT64_MAX, "x", 1), NFS_FBIG);
    set_size(&file, 64 * GIB, NFS_OK);
    set_size(&file, 64 * GIB + 1, NFS_FBIG);
    assert_int_equal(attributes(&file).size, 64 * GIB);
}

/* Of 8 MiB. */
static void all_files_have_a_limit(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 20];
    fsstat_space before = space();
    assert_int_equal(before.bytes, 8 * MIB);
    assert_true(before.bytes_free > 8 * MIB - 64 * 1024);
    handle file = create("full");
    uint64_t written = 0;
    memset(bytes, 'y', sizeof bytes);
    while (write_at(&file, written, bytes, MIB) == NFS_OK)
        written += MIB;
    assert_int_equal(write_at(&file, written, bytes, MIB), NFS_NOSPC);
    assert_int_equal(written, 7 * MIB);
    assert_int_equal(attributes(&file).size, written);
    assert_true(space().bytes_free < MIB);
    assert_all(read_at(&file, written - MIB, MIB), MIB, 'y');
    remove_name("full");
    /* What a directory has taken for names it keeps. */
    assert_true(before.bytes_free - space().bytes_free < 4096);
}

/* Of 8 MiB: what does not fit takes nothing. */
static void a_write_that_fails_takes_nothing(void **state)
{
    (void)state;
    static uint8_t bytes[2 << 20];
    handle file = create("file");
    assert_int_equal(write_at(&file, 6 * MIB, "x", 1), NFS_OK);
    set_size(&file, 0, NFS_OK);
    handle other = create("other");
    for (uint64_t at = 0; at < 6 * MIB; at += MIB)
        assert_int_equal(write_at(&other, at, bytes, MIB), NFS_OK);
    uint64_t before = space().bytes_free;
    assert_int_equal(write_at(&file, MIB / 2, bytes, 2 * MIB), NFS_NOSPC);
    assert_int_equal(space().bytes_free, before);
    assert_int_equal(attributes(&file).used, 0);
}

/* Of 64 KiB. */
static void names_count_too(void **state)
{
    (void)state;
    char name[256];
    handle file;
    unsigned made = 0;
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    for (nfs_status status = NFS_OK; status == NFS_OK; made += status == NFS_OK) {
        snprintf(name, 4, "%03u", made);
        name[3] = '-';
        status = try_create(name, &file);
        assert_true(status == NFS_OK || status == NFS_NOSPC);
    }
    assert_in_range(made, 64, 256);
    assert_true(space().bytes_free < 4096);
    memcpy(name, "000-", 4);
    remove_name(name);
    assert_int_equal(try_create(name, &file), NFS_OK);
}

static void what_is_cut_off_is_zero_later(void **state)
{
    (void)state;
    static uint8_t bytes[3 << 20];
    memset(bytes, 'z', sizeof bytes);
    handle file = create("cut");
    assert_int_equal(write_at(&file, 0, bytes, sizeof bytes), NFS_OK);
    assert_int_equal(attributes(&file).used, 3 * MIB);
    set_size(&file, MIB + 10, NFS_OK);
    assert_int_equal(attributes(&file).used, 2 * MIB);
    set_size(&file, 3 * MIB, NFS_OK);
    assert_all(read_at(&file, MIB, 10), 10, 'z');
    assert_all(read_at(&file, MIB + 10, MIB), MIB, 0);
    assert_all(read_at(&file, 3 * MIB - 1, 10), 1, 0);
    set_size(&file, 0, NFS_OK);
    assert_int_equal(attributes(&file).used, 0);
    set_size(&file, 2 * MIB, NFS_OK);
    assert_all(read_at(&file, 0, MIB), MIB, 0);
}

/* Data across two blocks is read and written as other data. */
static void blocks_do_not_show(void **state)
{
    (void)state;
    handle file = create("blocks");
    assert_int_equal(write_at(&file, MIB - 2, "abcd", 4), NFS_OK);
    dari_opaque data = read_at(&file, MIB - 4, 100);
    assert_int_equal(data.size, 6);
    assert_memory_equal(data.data, "\0\0abcd", 6);
}

/* Whatever takes the place of a file that is gone, its handle stays stale. */
static void old_handles_are_stale(void **state)
{
    (void)state;
    nfs_attributes ignored;
    handle first = create("name");
    uint64_t number = attributes(&first).number, files = space().files_free;
    for (int i = 0; i < 1000; i++) {
        remove_name("name");
        handle next = create("name");
        assert_int_equal(try_attributes(&first, &ignored), NFS_STALE);
        assert_true(attributes(&next).number > number);
    }
    assert_int_equal(write_at(&first, 0, "x", 1), NFS_STALE);
    assert_int_equal(space().files_free, files);
    remove_name("name");
    assert_int_equal(space().files_free, files + 1);
}

static void made_up_handles_are_stale(void **state)
{
    (void)state;
    nfs_attributes ignored;
    for (uint32_t i = 0; i < with.root.size; i++) {
        handle other = with.root;
        other.bytes[i] ^= 0x80;
        assert_int_equal(try_attributes(&other, &ignored), NFS_STALE);
    }
    handle shorter = with.root;
    shorter.size--;
    assert_int_equal(try_attributes(&shorter, &ignored), NFS_STALE);
}

static nfs_status symlink_to(const char *target, const nfs_new_attributes *wanted, handle *ret_link)
{
    create_result result;
    const symlink_arguments arguments = {
        .where = in_root("link"), .attributes = *wanted, .path = (char *)target};
    dari_call_reset(&with.call);
    assert_int_equal(symlink_3(with.client, &arguments, &result, &with.call), 0);
    if (result.status == NFS_OK)
        *ret_link = keep(*result.u.created.object);
    return result.status;
}

static void links_have_the_attributes_they_are_given(void **state)
{
    (void)state;
    uint32_t mode = 0640, uid = 7, gid = 8;
    uint64_t size = 12345;
    const nfs_new_attributes wanted = {.mode = &mode,
                                       .uid = &uid,
                                       .gid = &gid,
                                       .size = &size,
                                       .written = {.set = NFS_CLIENTS_TIME, .u.time = {99, 100}}};
    handle link = {0};
    assert_int_equal(symlink_to("some/where", &wanted, &link), NFS_OK);
    nfs_attributes is = attributes(&link);
    assert_int_equal(is.type, NFS_LINK);
    assert_int_equal(is.mode, mode);
    assert_int_equal(is.uid, uid);
    assert_int_equal(is.gid, gid);
    assert_int_equal(is.written.seconds, 99);
    assert_int_equal(is.written.nanoseconds, 100);
    assert_int_equal(is.size, strlen("some/where"));
    readlink_result result;
    const nfs_handle argument = as_argument(&link);
    assert_int_equal(readlink_3(with.client, &argument, &result, &with.call), 0);
    assert_int_equal(result.status, NFS_OK);
    assert_string_equal(result.u.found.path, "some/where");
}

static void targets_have_a_limit(void **state)
{
    (void)state;
    static char target[4097];
    handle link = {0};
    memset(target, 't', 4096);
    assert_int_equal(symlink_to(target, &(nfs_new_attributes){0}, &link), NFS_NAMETOOLONG);
    target[4095] = '\0';
    assert_int_equal(symlink_to(target, &(nfs_new_attributes){0}, &link), NFS_OK);
    assert_int_equal(attributes(&link).mode, 0777);
}

static void other_nodes_are_refused(void **state)
{
    (void)state;
    create_result result;
    const mknod_arguments arguments = {.where = in_root("pipe"), .what.type = NFS_PIPE};
    assert_int_equal(mknod_3(with.client, &arguments, &result, &with.call), 0);
    assert_int_equal(result.status, NFS_NOTSUPP);
    assert_non_null(result.u.directory.after);
}

#define WITH(memory, test)                     \
    {                                          \
#test, test, set_up, tear_down, memory \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH("8M", a_byte_far_away_takes_little),
        WITH("8M", a_file_has_a_limit),
        WITH("8M", all_files_have_a_limit),
        WITH("8M", a_write_that_fails_takes_nothing),
        WITH("64K", names_count_too),
        WITH("8M", what_is_cut_off_is_zero_later),
        WITH("8M", blocks_do_not_show),
        WITH("1M", old_handles_are_stale),
        WITH("1M", made_up_handles_are_stale),
        WITH("1M", links_have_the_attributes_they_are_given),
        WITH("1M", targets_have_a_limit),
        WITH("1M", other_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
