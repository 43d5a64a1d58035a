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
large=$((1 << 20))

# Begins to capture all that goes over the loopback interface. Returns once that is so, which dumpcap
# tells by naming its output. What was sent before the last packet has been captured once that has.
start_capture() {
    mkfifo said packets
    dumpcap -q -i lo -B 64 -w - >packets 2>said &
    capture=$!
    tee "$1" <packets | { grep -qa "$last" && kill -KILL "$capture"; cat >/dev/null; } &
    written=$!
    exec 8<said
    while read -r line <&8; do
        case $line in File:*) return ;; esac
    done
    return 1
}

last="the last packet of this capture"
end_capture() {
    echo "$last" >/dev/udp/127.0.0.1/9
    wait "$written" "$capture"
    exec 8<&-
    rm said packets
    [ -s "$1" ]
}

# dissect CAPTURE OPTION...: what tshark prints of it. Reserved ports have been given to other protocols, so
# what a message says comes before its port.
dissect() {
    local file=$1
    shift
    tshark -n -2 -r "$file" -o tcp.try_heuristic_first:true -o udp.try_heuristic_first:true "$@" \
        2>/dev/null
}

# The calls and replies of a capture, one a line: their type, connection or pair of ports, and xid. A packet
# may have several, and a datagram may be sent again.
list_messages() {
    dissect "$1" -T fields -e rpc.msgtyp -e tcp.stream -e udp.stream -e rpc.xid | awk -F '\t' '$1 != "" {
        count = split($1, type, ","); split($4, xid, ",")
        for (i = 1; i <= count; i++) print type[i], $2 "/" $3, xid[i]
    }' | sort -u
}

# is_matched CAPTURE LEAST: there are calls, at least so many, and exactly their replies.
is_matched() {
    list_messages "$1" >messages
    sed -n 's/^0 //p' messages >calls
    sed -n 's/^1 //p' messages >replies
    echo "$(wc -l <calls) calls"
    [ "$(wc -l <calls)" -ge "$2" ] && diff calls replies
}

# No packet that the dissector could not make sense of.
is_well_formed() {
    ! dissect "$1" -Y '_ws.malformed || _ws.unreassembled || _ws.expert.severity == error' | grep .
}

# knows CAPTURE PROGRAM...: the programs that were called are these, by their dissectors' names.
knows() {
    local file=$1
    shift
    dissect "$file" -Y rpc -T fields -e frame.protocols | sed 's/.*rpc/rpc/' | sort -u | tee programs
    [ "$(tr ':' '\n' <programs | sort -u | tr '\n' ' ')" = "$* " ]
}

check_capture() {
    check "$1: no message is malformed" is_well_formed "$1"
    check "$1: each call has its reply" is_matched "$1" "$2"
    check "$1: each is what it is" knows "$1" "${@:3}"
}

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
