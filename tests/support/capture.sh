# SPDX-License-Identifier: MIT
# For scripts that ask an independent dissector, tshark, what it makes of what is on the wire, in namespaces
# of their own (servers.sh). Needs tshark and dumpcap, and bash for datagrams.
#
#   start_capture NAME, anything, end_capture NAME, then check_capture NAME LEAST PROGRAM...
# shellcheck shell=bash

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
# what a message says comes before its port; calls of programs that it does not know are calls, too.
dissect() {
    local file=$1
    shift
    tshark -n -2 -r "$file" -o tcp.try_heuristic_first:true -o udp.try_heuristic_first:true \
        -o rpc.dissect_unknown_programs:true "$@" 2>/dev/null
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
