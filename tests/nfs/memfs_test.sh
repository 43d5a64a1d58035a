#!/bin/sh
# SPDX-License-Identifier: MIT
# memfs_test.sh MEMFS NFS: the NFS server of the examples, used by the client of the examples and by
# the tools of libnfs. Where DARI_ALL is set, with large files.
set -u
: "${DARI_SOURCE:?}"
memfs=$(realpath "$1")
nfs=$(realpath "$2")
. "$DARI_SOURCE/tests/support/tap.sh"
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$tap_directory"' EXIT

large=$((1 << 20))
[ -z "${DARI_ALL-}" ] || large=$((64 << 20))

# Fills in server, stream and datagrams.
start_server() {
    mkfifo ready
    "$memfs" --workers 4 tcp://127.0.0.1:0 udp://127.0.0.1:0 >ready 2>log &
    server=$!
    { read -r stream && read -r datagrams; } <ready
    rm ready
    [ -n "$stream" ] && [ -n "$datagrams" ]
}

ends_well() {
    kill "$server" && wait "$server"
    ended=$?
    server=
    [ "$ended" = 0 ] && [ ! -s log ]
}

lists() {
    [ "$(sed 's/.* //' "$out" | sort | tr '\n' ' ')" = "$* " ]
}

check_client() {
    via=${1%%:*}
    run "$nfs" put "$1" large /memory/large
    check "$via: put" exits 0
    run "$nfs" cat "$1" /memory/large
    check "$via: cat" cmp large "$out"
    run "$nfs" put "$1" small /memory/small
    run "$nfs" ls "$1" /memory
    check "$via: ls" lists large small
    run "$nfs" stat "$1" /memory/small
    check "$via: stat" says "type      file" "size      6 ("
    handle=$(sed -n 's/^handle  *//p' "$out")
    run "$nfs" mv "$1" /memory/small /memory/large
    check "$via: mv over another file" exits 0
    run "$nfs" cat "$1" /memory/large
    check "$via: which is replaced" cmp small "$out"
    run "$nfs" rm "$1" /memory/large
    check "$via: rm" exits 0
    run "$nfs" stat "$1" "$handle"
    check "$via: a stale handle" exits 1 "stale handle"
    run "$nfs" put "$1" small /memory/mine
    run "$nfs" --as 1000 put "$1" large /memory/mine
    check "$via: writing without permission" exits 1 "mine: permission denied"
    run "$nfs" rm "$1" /memory/mine
    run "$nfs" ls "$1" /memory/nothing
    check "$via: what is not there" exits 1 "there is no such file"
    run "$nfs" df "$1" /memory
    check "$via: df" says "bytes"
}

# What is there already keeps its kind; a new file has the mode of the one that it is got from.
check_get() {
    chmod 640 small
    "$nfs" put "$stream" small /memory/small
    mkfifo pipe
    cat pipe >copy &
    copier=$!
    run "$nfs" get "$stream" /memory/small pipe
    wait "$copier"
    check "get into a pipe" exits 0
    check "which stays one" [ -p pipe ]
    check "and has it" cmp small copy
    echo old >target
    ln -s target link
    run "$nfs" get "$stream" /memory/small link
    check "get by a link" exits 0
    check "which stays one" [ -L link ]
    check "and names the file" cmp small target
    umask 022
    run "$nfs" get "$stream" /memory/small new
    check "a new file has its mode" [ "$(stat -c %a new)" = 640 ]
    run "$nfs" get "$stream" /memory/small .
    check "get into a directory" exits 1 ".: Is a directory"
    check "nothing else is left" [ "$(echo new* link* target* pipe*)" = "new link target pipe" ]
    "$nfs" rm "$stream" /memory/small
}

# at NAME: the file as libnfs names it.
at() {
    echo "nfs://127.0.0.1/memory/$1?nfsport=${stream##*:}&mountport=${stream##*:}"
}

check_libnfs() {
    run nfs-cp large "$(at large)"
    check "libnfs writes" exits 0
    run "$nfs" cat "$stream" /memory/large
    check "that is there" cmp large "$out"
    run nfs-cat "$(at large)"
    check "libnfs reads" cmp large "$out"
    run nfs-cp "$(at large)" back
    check "libnfs copies" cmp large back
    run nfs-ls "$(at '')"
    check "libnfs lists" lists large
    run nfs-cat "$(at nothing)"
    check "libnfs hears of what is not there" [ "$status" != 0 ]
}

# Several at once, of files of their own and of one.
at_once() {
    for i in 1 2 3 4; do
        {
            "$nfs" put "$stream" large "/memory/own-$i" &&
                "$nfs" get "$stream" "/memory/own-$i" "own-$i" && cmp large "own-$i" &&
                "$nfs" put "$stream" large /memory/shared && "$nfs" rm "$stream" "/memory/own-$i"
        } &
        clients="${clients-} $!"
    done
    for client in $clients; do wait "$client" || return; done
    "$nfs" cat "$stream" /memory/shared | cmp large -
}

head -c "$large" /dev/urandom >large
echo small >small
check "a server" start_server
check_client "$stream"
check_client "$datagrams"
check_get
run "$nfs" stat "$stream" /memory
handle=$(sed -n 's/^handle  *//p' "$out")
if command -v nfs-cp >/dev/null; then
    check_libnfs
else
    skip "libnfs" "its tools are not there"
fi
check "clients at once" at_once
check "it ends well" ends_well
check "another run of it" start_server
run "$nfs" stat "$stream" "$handle"
check "does not know the handles of the first one" exits 1 "stale handle"
check "it ends well, too" ends_well
for arguments in "" "--workers x tcp://127.0.0.1:0" "--workers -1 tcp://127.0.0.1:0"; do
    # shellcheck disable=SC2086
    run "$memfs" $arguments
    check "misuse: memfs $arguments" exits 2 "Usage:"
done

finish
