#!/bin/sh
# SPDX-License-Identifier: MIT
# nfs_test.sh NFS MEMFS: the client of examples/nfs with NFS-Ganesha and rpcbind, both started for this
# in namespaces of their own: nothing of them is seen outside, and they end with this script. Only root
# can do that. Where DARI_ALL is set, with large files and directories. Then the server of
# examples/memfs takes Ganesha's place.
set -u
: "${DARI_SOURCE:?}"
nfs=$(realpath "$1")
memfs=$(realpath "$2")
. "$DARI_SOURCE/tests/support/servers.sh"

is_inside || exit_inside "ganesha.nfsd" sh "$0" "$@"
make_namespaces || exit 1
. "$DARI_SOURCE/tests/support/tap.sh"

large=$((1 << 20))
many=500
if [ -n "${DARI_ALL-}" ]; then
    large=$((64 << 20))
    many=10000
fi

# A directory that user 1000 may not enter, one that is full, and files of every size around those
# of the pieces.
fill_export() {
    mkdir -m 700 "$export/private" && echo secret >"$export/private/file" &&
        mkdir "$export/many" && (cd "$export/many" && seq -f 'entry-%05g' "$many" | xargs touch) &&
        mkdir "$export/odd" && : >"$export/odd/$(printf 'a\033b\177c')" &&
        : >"$export/odd/$(printf 'd\302\233e\233f')" && : >"$export/odd/$(printf 'g\342\200\256h')" &&
        : >"$export/odd/$(printf 'i\303\251\360\237\230\200\\j')" &&
        mkdir -m 777 "$export/all" && ln -s many "$export/link" &&
        head -c "$large" /dev/urandom >large && chmod 640 large
}

# The cases.

same() {
    cmp "$1" "$2"
}

there_is_no() {
    [ ! -e "$1" ]
}

lists_all() {
    [ "$(sed 's/.* //' "$out" | sort | cksum)" = "$(ls "$export/many" | sort | cksum)" ]
}

check_listing() {
    run "$nfs" ls "$address" "$export/many"
    check "$via: $many entries are listed" lists_all
    run "$nfs" ls "$address" "$export/"
    check "$via: a listing tells type, mode and name" grep -q '^drwx------ .* private$' "$out"
    run "$nfs" ls "$address" "$export/odd"
    check "$via: names cannot act on a terminal" says ' a\033b\177c' ' d\302\233e\233f' ' g\342\200\256h'
    check "$via: other names are as they are" says "$(printf ' i\303\251\360\237\230\200')\\\\j"
    run "$nfs" ls "$address" "$export/private/file"
    check "$via: one file is listed" grep -q '^-rw-.* 7 .*/private/file$' "$out"
}

check_facts() {
    run "$nfs" stat "$address" "$export/private/file"
    check "$via: stat" says "type      file" "mode      0644 -rw-r--r--" "size      7 ("
    run "$nfs" stat "$address" "$export/link"
    check "$via: stat of a link" says "type      symbolic link" "target    many"
    run "$nfs" df "$address" "$export"
    check "$via: df" grep -q '^bytes  *[1-9][0-9]*  *[1-9][0-9]*  *[1-9][0-9]*$' "$out"
}

check_transfer() {
    run "$nfs" put "$address" large "$export/all/large"
    check "$via: put a file of $large bytes" exits 0
    check "$via: it is there unchanged" same large "$export/all/large"
    check "$via: it has its mode" [ "$(stat -c %a "$export/all/large")" = 640 ]
    check "$via: no bar without a terminal" [ ! -s "$err" ]
    run "$nfs" get "$address" "$export/all/large" back
    check "$via: get it back" exits 0
    check "$via: it is unchanged" same large back
    run "$nfs" cat "$address" "$export/all/large"
    check "$via: cat it" same large "$out"
    rm -f back
}

# Sizes about the ones of the pieces.
check_sizes() {
    for size in 0 1 32767 32768 32769 524288 524289; do
        head -c "$size" large >part
        run "$nfs" put "$address" part "$export/all/part"
        check "$via: put $size bytes over others" same part "$export/all/part"
        run "$nfs" cat "$address" "$export/all/part"
        check "$via: cat $size bytes" same part "$out"
    done
}

check_changes() {
    run "$nfs" mv "$address" "$export/all/part" "$export/all/moved"
    check "$via: mv" same part "$export/all/moved"
    check "$via: the old name is gone" there_is_no "$export/all/part"
    handle=$("$nfs" stat "$address" "$export/all/moved" | sed -n 's/^handle  *//p')
    run "$nfs" cat "$address" "$handle"
    check "$via: a handle stands for a path" same part "$out"
    run "$nfs" rm "$address" "$export/all/moved"
    check "$via: rm" there_is_no "$export/all/moved"
    run "$nfs" cat "$address" "$handle"
    check "$via: a stale handle" exits 1 "stale handle"
    run "$nfs" rm "$address" "$export/many"
    check "$via: rm of a full directory" exits 1 "many: the directory is not empty"
    mkdir "$export/all/empty"
    run "$nfs" rm "$address" "$export/all/empty"
    check "$via: rm of an empty directory" there_is_no "$export/all/empty"
}

check_refusals() {
    run "$nfs" --as 1000 cat "$address" "$export/private/file"
    check "$via: reading without permission" exits 1 "private/file: permission denied"
    run "$nfs" --as 1000 put "$address" part "$export/part"
    check "$via: writing without permission" exits 1 "part: permission denied"
    run "$nfs" --as 1000:100 put "$address" part "$export/all/part"
    check "$via: writing with permission" [ "$(stat -c %u:%g "$export/all/part")" = 1000:100 ]
    run "$nfs" cat "$address" "$export/nothing"
    check "$via: a file that is not there" exits 1 "nothing: there is no such file"
    run "$nfs" cat "$address" "$export/many"
    check "$via: cat of a directory" exits 1 "many: it is a directory"
    run "$nfs" ls "$address" /elsewhere
    check "$via: a path that is not exported" exits 1 "/elsewhere: the server exports no directory"
    run "$nfs" get "$address" "$export/all/large" nowhere/back
    check "$via: get into no directory" exits 1 "nowhere/back: No such file"
    run "$nfs" cat "$address" handle:0123
    check "$via: a handle of somebody else's" exits 1 "handle:0123: the server does not know"
}

check_silence() {
    freeze "$ganesha"
    run "$nfs" --timeout 0.3 df "$address" "$export"
    kill -CONT "$ganesha"
    check "$via: a server that is silent" exits 1 "deadline of 300 ms passed"
}

# The reader takes a little and then nothing, so that the client is in the middle of the file, which
# is larger than what may be in flight.
check_death() {
    truncate -s 32M "$export/all/long"
    mkfifo pipe
    "$nfs" --timeout 2 cat "$address" "$export/all/long" >pipe 2>"$err" &
    client=$!
    exec 3<pipe
    head -c 100000 <&3 >/dev/null
    kill_ganesha
    cat <&3 >/dev/null
    exec 3<&-
    status=0
    wait "$client" || status=$?
    rm pipe
    check "$via: a server that is killed in the middle" exits 1 "$1"
    check "$via: that is said once" [ "$(wc -l <"$err")" = 1 ]
    start_ganesha >/dev/null 2>&1
    run "$nfs" cat "$address" "$export/all/large"
    check "$via: a new server serves" same large "$out"
}

# begin_put [OPTION...]: begins to put the file `local`, which takes much longer than this looks on, and
# returns once more of it has been written than is in flight at once: so some is answered. Fills in client.
begin_put() {
    "$nfs" "$@" put "$address" local "$export/all/new" 2>"$err" &
    client=$!
    until [ "$(stat -c %s "$export/all/new" 2>/dev/null || echo 0)" -gt 16777216 ] ||
        has_ended "$client"; do :; done
}

end_client() {
    status=0
    wait "$client" || status=$?
}

has_ended() {
    ! grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"
}

check_death_in_put() {
    truncate -s 4G local
    begin_put --timeout 2
    kill_ganesha
    end_client
    check "$via: a server that is killed during put" exits 1 "WRITE: deadline of 2 s passed"
    check "$via: put says what is left" exits 1 "new: a part of it may be left on the server"
    rm "$export/all/new"
    start_ganesha >/dev/null 2>&1
}

# The server's verifier is made of the second in which it started.
restart_ganesha() {
    kill_ganesha
    until [ "$(date +%s)" != "$ganesha_began" ]; do :; done
    : >"$export/all/new" # what was not safe yet is lost
    start_ganesha >/dev/null 2>&1
}

# Over datagrams the client sleeps meanwhile: its calls are then answered by the new server. A connection is
# made again.
check_restart_in_put() {
    yes | head -c 192M >local
    begin_put
    [ "$via" = tcp ] || freeze "$client"
    restart_ganesha
    kill -CONT "$client"
    end_client
    check "$via: a server that restarts during put" exits 0 "new: the server has restarted: all is sent again"
    check "$via: nothing is lost" same local "$export/all/new"
    rm "$export/all/new"
}

# What is read is there after a restart, too.
check_restart_in_get() {
    mv local "$export/all/new"
    mkfifo pipe
    "$nfs" cat "$address" "$export/all/new" >pipe &
    client=$!
    exec 3<pipe
    head -c 100000 <&3 >back
    kill_ganesha
    start_ganesha >/dev/null 2>&1
    cat <&3 >>back
    exec 3<&-
    end_client
    check "$via: a server that restarts during cat" exits 0
    check "$via: all is read" same back "$export/all/new"
    rm pipe back "$export/all/new"
}

# begin_get COMMAND...: begins to get the file `long` by that command, and returns once it has opened a file
# in `got`.
begin_get() {
    mkdir got
    "$@" "$nfs" get "$address" "$export/all/long" got/long 2>"$err" &
    client=$!
    until ls -l "/proc/$client/fd" | grep -q '/got/' || has_ended "$client"; do :; done
}

# The next command sees no /proc, without which a file without a name could not get one.
without_proc() {
    exec unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@"
}

is_left_empty() {
    [ -z "$(ls -A "$1")" ] && rmdir "$1"
}

check_interrupt_of_get() {
    truncate -s 2G "$export/all/long"
    for signal in 1 2 9 15; do
        begin_get env --default-signal
        kill "-$signal" "$client"
        end_client
        check "$via: get is ended by signal $signal" exits $((128 + signal))
        check "$via: and leaves nothing" is_left_empty got
    done
    rm "$export/all/long"
}

check_interrupt_of_named() {
    if ! (without_proc "$nfs" --help) >/dev/null 2>&1; then
        skip "$via: get without /proc" "the program does not start without it"
        return
    fi
    truncate -s 2G "$export/all/long"
    begin_get without_proc
    check "$via: a file that has a name" [ "$(ls got | wc -l)" = 1 ]
    kill -TERM "$client"
    end_client
    check "$via: get is ended" exits 143 "interrupted"
    check "$via: and leaves nothing" is_left_empty got
    mkdir got
    (without_proc "$nfs" get "$address" "$export/all/large" got/large)
    check "$via: get without /proc" same got/large "$export/all/large"
    check "$via: nothing else is there" [ "$(ls -A got)" = large ]
    rm -r got "$export/all/long"
}

check_interrupt_of_put() {
    truncate -s 4G local
    begin_put
    kill -TERM "$client"
    end_client
    check "$via: put is ended" exits 143 "interrupted"
    check "$via: and leaves nothing" there_is_no "$export/all/new"
    : >"$export/all/new"
    begin_put
    kill -TERM "$client"
    end_client
    check "$via: put over a file says what is left" exits 143 "new: what was there is gone"
    rm "$export/all/new"
}

check_address() {
    address=$1
    via=${address%%:*}
    check_listing
    check_facts
    check_transfer
    check_sizes
    check_changes
    check_refusals
    check_silence
}

check "rpcbind" start_rpcbind
check "files" fill_export
check "NFS-Ganesha, found by rpcbind over TCP and UDP" start_ganesha

check_address tcp://127.0.0.1
check_interrupt_of_get
check_interrupt_of_named
check_interrupt_of_put
check_death "tcp://127.0.0.1: READ: deadline of 2 s passed"
check_death_in_put
check_restart_in_put
check_restart_in_get
check_address udp://127.0.0.1
check_death "udp://127.0.0.1: READ: "
check_restart_in_put

if [ -n "${DARI_ALL-}" ]; then
    truncate -s 512M local
    run script -qec "'$nfs' put tcp://127.0.0.1 local '$export/all/new'" /dev/null
    check "a bar on a terminal" says "MB/s" "###"
fi

# What a dead Ganesha has registered is replaced.
check_memfs() {
    kill_ganesha
    mkfifo ready
    "$memfs" tcp://127.0.0.1 udp://127.0.0.1 >ready 2>"$err" &
    server=$!
    { read -r _ && read -r _; } <ready
    run "$nfs" put udp://127.0.0.1 part /memory/part
    check "memfs: put, found by rpcbind over UDP" exits 0
    run "$nfs" cat tcp://127.0.0.1 /memory/part
    check "memfs: cat, found by rpcbind over TCP" same part "$out"
    if command -v showmount >/dev/null; then
        run showmount -e 127.0.0.1
        check "memfs: showmount" grep -q '^/memory ' "$out"
    else
        skip "memfs: showmount" "it is not there"
    fi
    run rpcinfo -u 127.0.0.1 100003 3
    check "memfs: rpcinfo by UDP" says "program 100003 version 3 ready and waiting"
    run rpcinfo -t 127.0.0.1 100005
    check "memfs: rpcinfo by TCP" says "program 100005 version 3 ready and waiting"
    kill "$server"
    wait "$server"
    run rpcinfo -t 127.0.0.1 100003 3
    check "memfs: nothing stays registered" [ "$status" != 0 ]
}
check_memfs

# misused ARGUMENTS TEXT: the text says what is wrong, and a second line where to read on.
misused() {
    # shellcheck disable=SC2086
    run "$nfs" $1
    check "misuse: nfs $1" exits 2 "$2"
    check "misuse: nfs $1: where help is" [ "$(tail -n 1 "$err")" = "nfs --help says more" ]
}
misused "" "nfs: COMMAND: it is missing: one of ls, cat"
misused "ls" "nfs: ls: it takes ADDRESS PATH"
misused "ls tcp://127.0.0.1" "nfs: ls: it takes ADDRESS PATH"
misused "fly tcp://127.0.0.1 /" "nfs: fly: there is no such command, only ls, cat"
misused "mv tcp://127.0.0.1 /a" "nfs: mv: it takes ADDRESS PATH NEW-PATH"
misused "get tcp://127.0.0.1 /a b c" "nfs: get: it takes ADDRESS PATH [FILE]"
misused "ls host /a" "nfs: host: an address is tcp://HOST or udp://HOST"
misused "ls host:/a /a" "nfs: host:/a: an address is tcp://HOST or udp://HOST"
misused "ls tcp://127.0.0.1 a" "nfs: a: a path on the server begins with /"
misused "--as x ls tcp://h /" "nfs: --as: it takes UID or UID:GID"
misused "--as 4294967296 ls tcp://h /" "nfs: --as: it takes UID or UID:GID"
misused "--timeout 0 ls tcp://h /" "nfs: --timeout: it takes seconds"
misused "--timeout nan ls tcp://h /" "nfs: --timeout: it takes seconds"
misused "--else ls tcp://h /" "unrecognized option '--else'"
run "$nfs" --help
check "help" says "cat  ADDRESS PATH" "--as UID[:GID]"

finish
