#!/bin/sh
# SPDX-License-Identifier: MIT
# nfs_shell.sh EXAMPLES: starts rpcbind and NFS-Ganesha, in namespaces of their own, and the server of
# examples/memfs there; says "ready", or why that is not possible. Then every line of standard input is one of
# the commands below with a number, which changes what is read or written; the answer is "ok" where what came
# back is right.
set -u
examples=$1
. "$(dirname "$0")/../tests/support/servers.sh"

if ! is_inside; then
    no_namespaces ganesha.nfsd nfs-cp && exit
    if [ ! -x "$examples/nfs/nfs" ] || [ ! -x "$examples/memfs/memfs" ]; then
        echo "the examples are not built"
        exit
    fi
    inside sh "$0" "$@"
    exit
fi

size=64M
entries=10000
mark_at=1000003 # times 16 bytes: where a file's changing number stands

fill() {
    mkdir "$export/many-$1" &&
        (cd "$export/many-$1" && seq -f "entry-$1-%05g" $entries | xargs touch)
}

set_up() {
    start_rpcbind && head -c $size /dev/urandom >large &&
        cp large "$export/large" && mkdir "$export/files" && fill 0 && fill 1 && start_ganesha &&
        mkfifo ready || return
    "$examples/memfs/memfs" tcp://127.0.0.1:0 >ready &
    read -r memfs <ready
    [ -n "$memfs" ]
}

change() {
    printf '%016x' "$2" | dd of="$1" bs=16 seek=$mark_at conv=notrunc status=none
}

# has_change FILE NUMBER: it has the number, and its size.
has_change() {
    [ "$(dd if="$1" bs=16 skip=$mark_at count=1 status=none)" = "$(printf '%016x' "$2")" ] &&
        [ "$(stat -c %s "$1")" = "$(stat -c %s large)" ] && rm "$1"
}

dari_reads() {
    change "$export/large" "$1" &&
        "$examples/nfs/nfs" get tcp://127.0.0.1 "$export/large" back && has_change back "$1"
}

libnfs_reads() {
    change "$export/large" "$1" && nfs-cp "nfs://127.0.0.1$export/large" back && has_change back "$1"
}

# Lists one of two directories.
dari_lists() {
    which=$(($1 % 2))
    "$examples/nfs/nfs" ls tcp://127.0.0.1 "$export/many-$which" >listing && has_entries
}

libnfs_lists() {
    which=$(($1 % 2))
    nfs-ls "nfs://127.0.0.1$export/many-$which" >listing && has_entries
}

has_entries() {
    [ "$(grep -c "entry-$which-" listing)" = $entries ]
}

# libnfs_copies NUMBER ADDRESS FOLDER [PORTS]: libnfs writes a new file and reads it back.
libnfs_copies() {
    change large "$1" && nfs-cp large "nfs://127.0.0.1$3/new${4-}" &&
        nfs-cp "nfs://127.0.0.1$3/new${4-}" back && has_change back "$1" &&
        "$examples/nfs/nfs" rm "$2" "$3/new"
}

to_memfs() {
    libnfs_copies "$1" "$memfs" /memory "?nfsport=${memfs##*:}&mountport=${memfs##*:}"
}

to_ganesha() {
    libnfs_copies "$1" tcp://127.0.0.1 "$export/files"
}

make_namespaces && cd "$TMPDIR" || exit
if ! set_up >said 2>&1; then
    echo "the servers do not start: $(tail -n 1 said)"
    exit
fi
echo ready
while read -r command number; do
    if $command "$number" >said 2>&1 </dev/null; then
        echo ok
    else
        echo "failed: $(head -n 1 said)"
    fi
done
