#!/bin/sh
# SPDX-License-Identifier: MIT
# programs_test.sh RSTAT_CLIENT SERVER: programs of others, all found by a real rpcbind: rpc.rstatd, called by
# stubs made of Debian's rstat.x, and rpcinfo, which looks at a server of interop.x.
set -u
: "${DARI_SOURCE:?}"
client=$(realpath "$1")
server=$(realpath "$2")
. "$DARI_SOURCE/tests/support/servers.sh"

is_inside || exit_inside "rpc.rstatd rpcinfo" sh "$0" "$@"
make_namespaces || exit 1
. "$DARI_SOURCE/tests/support/tap.sh"
program=536871321

is_number() {
    [ "$status" = 0 ] && grep -qx '[0-9]*' "$out"
}

# The clock may be set meanwhile, and so the time of the start move.
is_start() {
    is_number && [ $(($(cat "$out") - $(sed -n 's/^btime //p' /proc/stat))) -le 2 ]
}

# It answers every version with the bytes of the newest, and NULL twice.
check_rstatd() {
    run "$client" udp://127.0.0.1 1
    check "rpc.rstatd: version 1 by UDP" is_number
    run "$client" udp://127.0.0.1 2
    check "rpc.rstatd: version 2 by UDP" is_start
    run "$client" udp://127.0.0.1 3
    check "rpc.rstatd: version 3 by UDP" is_start
    run "$client" udp://127.0.0.1 3 strict
    check "rpc.rstatd: it sends more than its interface says" exits 1 "bytes are left after the value (4)"
    run "$client" tcp://127.0.0.1 3
    check "rpc.rstatd: it does not listen at TCP" exits 1 "rpcbind does not know program 100001, version 3"
}

start_server() {
    mkfifo ready
    "$server" "$1://127.0.0.1" >ready &
    process=$!
    read -r _ <ready
    rm ready
}

# is_said STATUS TEXT: rpcinfo's, on either output.
is_said() {
    [ "$status" = "$1" ] && cat "$out" "$err" | grep -qF "$2"
}

# rpcinfo waits for 10 s.
check_silence() {
    freeze "$process"
    run rpcinfo -T "$1" 127.0.0.1 $program 1
    check "$1: rpcinfo says that it is silent" is_said 1 "RPC: Timed out"
    kill -CONT "$process"
    run rpcinfo -T "$1" 127.0.0.1 $program 1
    check "$1: rpcinfo calls it again" is_said 0 "program $program version 1 ready and waiting"
}

check_rpcinfo() {
    check "$1: a server" start_server "$1"
    run rpcinfo 127.0.0.1
    check "$1: rpcinfo lists it" grep -q "^ *$program  *1  *$1 " "$out"
    run rpcinfo -T "$1" 127.0.0.1 $program 1
    check "$1: rpcinfo calls it" is_said 0 "program $program version 1 ready and waiting"
    run rpcinfo -T "$1" 127.0.0.1 $program
    check "$1: rpcinfo finds its versions" is_said 0 "program $program version 1 ready and waiting"
    run rpcinfo -T "$1" 127.0.0.1 $program 7
    check "$1: rpcinfo hears of a wrong version" is_said 1 "low version = 1, high version = 1"
    [ -z "${DARI_ALL-}" ] || check_silence "$1"
    kill "$process"
    wait "$process"
    run rpcinfo -T "$1" 127.0.0.1 $program 1
    check "$1: rpcinfo does not find it any more" is_said 1 "Program not registered"
}

check "rpcbind" start_rpcbind
check "rpc.rstatd" start_rstatd
check_rstatd
check_rpcinfo udp
check_rpcinfo tcp

finish
