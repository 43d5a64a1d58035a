#!/bin/sh
# SPDX-License-Identifier: MIT
# memfs_test.sh MEMFS NFS RANDOM: the NFS server of the examples, used by the client of the examples, by the
# tools of libnfs, and by calls at random. Where DARI_ALL is set, with large files.
set -u
: "${DARI_SOURCE:?}"
memfs=$(realpath "$1")
nfs=$(realpath "$2")
random=$(realpath "$3")
. "$DARI_SOURCE/tests/support/tap.sh"
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$tap_directory"' EXIT

large=$((1 << 20))
[ -z "${DARI_ALL-}" ] || large=$((64 << 20))

# start_server [OPTION...]: fills in server, stream and datagrams.
start_server() {
    mkfifo ready
    "$memfs" --workers 4 "$@" tcp://127.0.0.1:0 udp://127.0.0.1:0 >ready 2>log &
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

# Whenever a signal comes, the server that it stops is there, or nothing is called.
ends_by_many_signals() {
    while grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$server/status"; do kill "$server"; done
    wait "$server"
    ended=$?
    server=
    { [ "$ended" = 0 ] || [ "$ended" = 143 ]; } && [ ! -s log ]
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

# space: all and free bytes, as the server tells them.
space() {
    "$nfs" df "$stream" /memory | sed -n 's/^bytes  *\([0-9]*\)  *\([0-9]*\) .*/\1 \2/p'
}

# Of 1 MiB.
check_limit() {
    check "a server with little memory" start_server --memory 1M
    head -c 600000 /dev/zero >half
    before=$(space)
    run "$nfs" put "$stream" half /memory/half
    check "it has room for a file" exits 0
    check "df says how much" [ "${before% *}" = 1048576 ]
    after=$(space)
    check "df says what is left" [ $((${before#* } - ${after#* })) -ge 600000 ]
    run "$nfs" put "$stream" half /memory/other
    check "it has none for another one" exits 1 "other: no space is left on the server"
    run "$nfs" ls "$stream" /memory
    check "nothing is left of that" lists half
    run "$nfs" put "$stream" small /memory/other
    run "$nfs" put "$stream" half /memory/other
    check "what becomes of one that was there is said" exits 1 "other: what was there is gone"
    run "$nfs" rm "$stream" /memory/half
    run "$nfs" put "$stream" half /memory/other
    check "it has when the first one is gone" exits 0
    check "it ends well" ends_well
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
check "it ends by signals that do not stop" ends_by_many_signals
check_limit
check "a server with little memory" start_server --memory 8M
run "$random" "$stream" 2000
check "calls at random over TCP" exits 0
run "$random" "$datagrams" 500
check "calls at random over UDP" exits 0
check "it ends well" ends_well
# misused ARGUMENTS TEXT: the text says what is wrong, and a second line where to read on.
misused() {
    # shellcheck disable=SC2086
    run "$memfs" $1
    check "misuse: memfs $1" exits 2 "memfs: $2"
    check "misuse: memfs $1: where help is" [ "$(tail -n 1 "$err")" = "memfs --help says more" ]
}
misused "" "ADDRESS: "
misused "--workers x tcp://127.0.0.1:0" "--workers x: "
misused "--workers -1 tcp://127.0.0.1:0" "--workers -1: "
misused "--memory 12Q tcp://127.0.0.1:0" "--memory 12Q: "
misused "--memory 0 tcp://127.0.0.1:0" "--memory 0: "
misused "--memory 99999999999G tcp://127.0.0.1:0" "--memory 99999999999G: "
misused "--other tcp://127.0.0.1:0" "unrecognized option '--other'"
misused "--memory" "option '--memory' requires an argument"
run "$memfs" --memory 1 tcp://127.0.0.1:0
check "too little memory for anything" exits 1 "memfs: "
run "$memfs" --help
check "help" says "--memory SIZE" "--workers N"

finish
