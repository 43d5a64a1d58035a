#!/bin/bash
# SPDX-License-Identifier: MIT
# capture_test.sh NFS MEMFS: what an independent dissector (tshark) makes of calls and replies, captured on
# the wire: the client of examples/nfs with NFS-Ganesha, and rpcinfo, showmount and libnfs with the server of
# examples/memfs, all found by rpcbind. Every message must be decoded as the program that it is of, and every
# call must have its reply.
set -u
: "${DARI_SOURCE:?}"
nfs=$(realpath "$1")
memfs=$(realpath "$2")
. "$DARI_SOURCE/tests/support/servers.sh"

is_inside || exit_inside "ganesha.nfsd tshark dumpcap nfs-cp showmount" bash "$0" "$@"
make_namespaces || exit 1
. "$DARI_SOURCE/tests/support/tap.sh"
. "$DARI_SOURCE/tests/support/capture.sh"
large=$((1 << 20))

# Every command of the client.
use_client() {
    local directory=$export/all
    "$nfs" put "$1" large "$directory/large" && "$nfs" get "$1" "$directory/large" back &&
        "$nfs" ls "$1" "$export/many" >/dev/null && "$nfs" stat "$1" "$export/link" >/dev/null &&
        "$nfs" mv "$1" "$directory/large" "$directory/moved" && "$nfs" rm "$1" "$directory/moved" &&
        "$nfs" df "$1" "$export" >/dev/null && ! "$nfs" cat "$1" "$export/nothing" 2>/dev/null &&
        cmp large back
}

fill_export() {
    mkdir "$export/many" "$export/all" && ln -s many "$export/link" &&
        (cd "$export/many" && seq -f 'entry-%05g' 500 | xargs touch) &&
        head -c "$large" /dev/urandom >large
}

start_memfs() {
    mkfifo ready
    "$memfs" tcp://127.0.0.1 udp://127.0.0.1 >ready &
    server=$!
    { read -r _ && read -r _; } <ready
}

end_memfs() {
    kill "$server" && wait "$server"
}

use_memfs() {
    rm back && nfs-cp large nfs://127.0.0.1/memory/large && nfs-cp nfs://127.0.0.1/memory/large back &&
        nfs-ls nfs://127.0.0.1/memory/ && cmp large back
}

ask_memfs() {
    showmount -e 127.0.0.1 && rpcinfo -T udp 127.0.0.1 100003 3 && rpcinfo -T tcp 127.0.0.1 100005 3 &&
        ! rpcinfo -T tcp 127.0.0.1 100003 4 && rpcinfo -p 127.0.0.1
}

check "rpcbind" start_rpcbind
check "files" fill_export
check "NFS-Ganesha" start_ganesha
for scheme in tcp udp; do
    check "capture" start_capture "ganesha-$scheme"
    check "the client over $scheme" use_client "$scheme://127.0.0.1"
    check "captured" end_capture "ganesha-$scheme"
    check_capture "ganesha-$scheme" 50 mount nfs portmap rpc
done
kill_ganesha

check "memfs" start_memfs
check "capture" start_capture memfs
check "libnfs" use_memfs
check "rpcinfo and showmount" ask_memfs
check "captured" end_capture memfs
check "memfs ends" end_memfs
check_capture memfs 40 mount nfs portmap rpc

finish
