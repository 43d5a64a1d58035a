#!/bin/sh
# SPDX-License-Identifier: MIT
# machines_test.sh HERE THERE ENDIAN: two builds of one program, for the machine that builds and for
# another one of that byte order, which MESON_EXE_WRAPPER runs, call each other over each scheme.
set -u
: "${DARI_SOURCE:?}" "${MESON_EXE_WRAPPER:?}"
here=$(realpath "$1")
there=$(realpath "$2")
endian=$3
. "$DARI_SOURCE/tests/support/tap.sh"

server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$tap_directory"' EXIT

# peer MACHINE ARGUMENT...
peer() {
    machine=$1
    shift
    if [ "$machine" = here ]; then
        exec "$here" "$@"
    fi
    # shellcheck disable=SC2086
    exec $MESON_EXE_WRAPPER "$there" "$@"
}

# start_server MACHINE ADDRESS: fills in server and address.
start_server() {
    mkfifo ready
    peer "$1" serve "$2" >ready 2>"$err" &
    server=$!
    read -r address <ready
    rm ready
    [ -n "$address" ]
}

ends_well() {
    kill "$server" && wait "$server"
    ended=$?
    server=
    [ "$ended" = 0 ]
}

call() {
    (peer "$1" call "$address")
}

# check_pair SERVER CLIENT SCHEME
check_pair() {
    case $3 in
    unix | shm | fifo) listen="$3:$PWD/meeting" ;;
    mq) listen="mq:dari-machines-$$" ;;
    *) listen="$3://127.0.0.1:0" ;;
    esac
    check "a server $1 serves over $3" start_server "$1" "$listen"
    run call "$2"
    check "a client $2 calls it over $3" says "types reflected" "calc: 200 sums"
    check "a server $1 ends with 0 over $3" ends_well
}

for scheme in unix fifo tcp udp; do
    check_pair here there "$scheme"
    check_pair there here "$scheme"
done
# Memory and queues are shared by machines of one byte order; another one refuses the memory.
if [ "$endian" = little ]; then
    for scheme in shm mq; do
        check_pair here there "$scheme"
        check_pair there here "$scheme"
    done
else
    check "a server here serves over shm" start_server here "shm:$PWD/meeting"
    run call there
    check "a client there does not take its memory" exits 1 "shm:"
    check "a server here ends with 0 over shm" ends_well
fi

finish
