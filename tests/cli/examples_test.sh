#!/bin/sh
# SPDX-License-Identifier: MIT
# examples_test.sh FOLDER: the built examples there, calling each other.
set -u
: "${DARI_SOURCE:?}"
examples=$1
. "$DARI_SOURCE/tests/support/tap.sh"

server=
end_server() {
    [ -z "$server" ] || kill "$server"
    server=
}
trap 'end_server 2>/dev/null; rm -rf "$tap_directory"' EXIT

# start_server PROGRAM ARGUMENT...: fills in server and address; the server has nothing else of ours
# open, so that its end is the end of its output.
start_server() {
    program=$1
    shift
    mkfifo ready
    "$examples/$program" "$@" >ready 2>"$err" &
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

# Every program that serves calc.x, at an address.
check_server() {
    check "$1 serves at $2" start_server "$1" "$2"
    run "$examples/calc-client" "$address" 40 2
    check "$1 answers calc-client" says "40 + 2 = 42"
    run "$examples/calc-client" "$address" 2147483647 1
    check "$1 refuses a sum that is too large" exits 1 "ADD: the server failed"
    run "$examples/calc-async" "$address" 3000
    check "$1 answers calc-async" says "1 + ... + 3000 = 4501500"
    if [ -x "$examples/uv-client" ]; then
        run "$examples/uv-client" "$address" 3000
        check "$1 answers uv-client" says "1 + ... + 3000 = 4501500"
    fi
    check "$1 ends with 0" ends_well
    check "$1 leaves no files" [ -z "$(ls)" ]
}

check_server calc-server "unix:$PWD/socket"
check_server calc-server "fifo:$PWD/fifo"
run "$examples/calc-pipe" 40 2
check "calc-pipe has its child add" says "40 + 2 = 42"
run "$examples/calc-client" "exec:$examples/calc-server pipe:0,1" 40 2
check "calc-client starts calc-server" says "40 + 2 = 42"
check_server epoll-server "unix:$PWD/socket"
check_server epoll-server "tcp://127.0.0.1:0"
if [ -x "$examples/uv-server" ]; then
    check_server uv-server "unix:$PWD/socket"
    check_server uv-server "tcp://127.0.0.1:0"
    run "$examples/uv-client" "unix:$PWD/socket" 10
    check "uv-client says that nobody is there" exits 1 "unix:$PWD/socket: connect:"
    for program in uv-server uv-client; do
        run "$examples/$program"
        check "$program without an address is a usage error" exits 2 "Usage:"
    done
else
    skip "uv-server and uv-client" "libuv is not there"
fi

start_server uid-server "unix:$PWD/socket" "$(id -u)" 12345
run "$examples/calc-client" "$address" 40 2
check "uid-server answers its users" says "40 + 2 = 42"
check "uid-server ends with 0" ends_well
start_server uid-server "unix:$PWD/socket" 12345
run "$examples/calc-client" "$address" 40 2
check "uid-server answers nobody else" exits 1 "ADD:"
check "uid-server ends with 0, again" ends_well

run "$examples/epoll-server" nowhere:
check "epoll-server says what is wrong with an address" exits 1 "epoll-server: nowhere:"
run "$examples/epoll-server"
check "epoll-server without an address is a usage error" exits 2 "Usage:"

finish
