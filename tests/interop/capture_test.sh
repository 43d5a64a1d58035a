#!/bin/bash
# SPDX-License-Identifier: MIT
# capture_test.sh RSTAT_CLIENT TESTS: what an independent dissector (tshark) makes of calls and replies, captured
# on the wire while the tests of the folder TESTS run, over TCP and UDP: dari's clients with the servers of
# libtirpc and ntirpc, their clients with dari's server, and dari's client with rpc.rstatd, found by rpcbind.
set -u
: "${DARI_SOURCE:?}"
client=$(realpath "$1")
tests=$(realpath "$2")
. "$DARI_SOURCE/tests/support/servers.sh"

is_inside || exit_inside "rpc.rstatd rpcinfo tshark dumpcap" bash "$0" "$@"
make_namespaces || exit 1
. "$DARI_SOURCE/tests/support/tap.sh"
. "$DARI_SOURCE/tests/support/capture.sh"

# check_tests NAME TEST...: the tests pass, and their calls can be read. What a program has for arguments that
# tshark does not know it calls data.
check_tests() {
    local name=$1
    shift
    check "$name: capture" start_capture "$name"
    for test; do check "$name: $test" "$tests/$test"; done
    check "$name: captured" end_capture "$name"
    check_capture "$name" 32 data rpc
}

# With and without its bytes beyond the interface.
call_rstatd() {
    "$client" udp://127.0.0.1 1 && "$client" udp://127.0.0.1 2 && "$client" udp://127.0.0.1 3 &&
        ! "$client" udp://127.0.0.1 3 strict && ! "$client" tcp://127.0.0.1 3
}

check_tests libtirpc interop-dari_client interop-tirpc_client
if [ -x "$tests/interop-ntirpc_server" ]; then
    check_tests ntirpc interop-ntirpc_server interop/ntirpc/interop-ntirpc-client
else
    skip ntirpc "it is not there"
fi

check "rpcbind" start_rpcbind
check "rpc.rstatd" start_rstatd
check "rpc.rstatd: capture" start_capture rpc.rstatd
check "rpc.rstatd: calls" call_rstatd
check "rpc.rstatd: captured" end_capture rpc.rstatd
check_capture rpc.rstatd 12 data portmap rpc rstat

finish
