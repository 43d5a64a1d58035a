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

for at in "shm:$PWD/socket" "unix:$PWD/socket"; do
    check "frame-server serves at $at" start_server frame-server "$at"
    run "$examples/frame-client" "$address" 30
    check "frame-server finds what frame-client has drawn" \
        says "30 frames, the last one bright at 29, 29"
    check "frame-server ends with 0" ends_well
done
run "$examples/frame-client" "unix:$PWD/socket" 30
check "frame-client says that nobody is there" exits 1 "unix:$PWD/socket: connect:"

start_server uid-server "unix:$PWD/socket" "$(id -u)" 12345
run "$examples/calc-client" "$address" 40 2
check "uid-server answers its users" says "40 + 2 = 42"
check "uid-server ends with 0" ends_well
start_server uid-server "unix:$PWD/socket" 12345
run "$examples/calc-client" "$address" 40 2
check "uid-server answers nobody else" exits 1 "ADD:"
check "uid-server ends with 0, again" ends_well

start_server job-server "unix:$PWD/socket"
run "$examples/job-client" "$address" 1000000
check "job-client gets its sum" says "500000500000"
check "job-client is told how far it is" [ "$(grep -c % "$out")" = 10 ]
run "$examples/job-client" "$address" 1000000 30
check "job-client has enough" exits 1 "SUM:"
check "job-client is called no more then" [ "$(grep -c % "$out")" = 3 ]
check "job-server ends with 0" ends_well

# A client that reads lines from a pipe, while its server ends and comes back.
start_server calc-server "unix:$PWD/socket"
mkfifo lines sums
"$examples/calc-again" "$address" <lines >sums &
client=$!
exec 8>lines 9<sums
echo "40 2" >&8
read -r first <&9
check "calc-again has a sum made" [ "$first" = "40 + 2 = 42" ]
ends_well
echo "1 2" >&8
start_server calc-server "unix:$PWD/socket" 8>&- 9<&-
read -r second <&9
check "calc-again waits for its server" [ "$second" = "1 + 2 = 3" ]
exec 8>&- 9<&-
wait "$client"
check "calc-again ends with 0" [ $? = 0 ]
rm lines sums
ends_well

# What systemd does: a socket that listens, then the server in its place.
mkfifo started
python3 -c '
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind("socket")
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
print(flush=True)
os.execv(sys.argv[1], sys.argv[1:])' "$examples/activated-server" >started &
server=$!
exec 9<started
read -r _ <&9
run "$examples/calc-client" "unix:$PWD/socket" 40 2
check "activated-server answers" says "40 + 2 = 42"
check "activated-server ends with 0" ends_well
exec 9<&-
rm -f socket started
run "$examples/activated-server"
check "activated-server needs sockets" exits 1 "there are no sockets"

run "$examples/epoll-server" nowhere:
check "epoll-server says what is wrong with an address" exits 1 "epoll-server: nowhere:"
run "$examples/epoll-server"
check "epoll-server without an address is a usage error" exits 2 "Usage:"

finish
