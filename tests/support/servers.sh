# SPDX-License-Identifier: MIT
# For scripts that need servers of others, rpcbind, rpc.rstatd and NFS-Ganesha: they are started in namespaces
# of the script's own, so that nothing of them is seen outside, and they end with it. Only root can do that.
#
#   . servers.sh
#   is_inside || exit_inside "ganesha.nfsd" sh "$0" "$@"
#   make_namespaces && start_rpcbind && start_ganesha
# shellcheck shell=sh

PATH=$PATH:/usr/sbin:/sbin

# no_namespaces [PROGRAM...]: why there can be none, or fails where there can. The programs are those that
# are needed inside.
no_namespaces() {
    [ "$(id -u)" = 0 ] || { echo "only root can start servers of our own"; return; }
    for program in rpcbind ip unshare "$@"; do
        command -v "$program" >/dev/null || { echo "there is no $program"; return; }
    done
    unshare --net --mount --pid --fork true 2>/dev/null && return 1
    echo "there are no namespaces for servers of our own"
}

is_inside() {
    [ -n "${DARI_INSIDE-}" ]
}

# inside COMMAND...: in new namespaces, with a temporary folder that goes with them. What the command
# leaves running is killed at its end.
inside() {
    (
        TMPDIR=$(mktemp -d)
        trap 'rm -rf "$TMPDIR"' EXIT
        export TMPDIR DARI_INSIDE=yes
        unshare --net --mount --pid --fork --kill-child --mount-proc "$@"
    )
}

# exit_inside PROGRAMS COMMAND...: for tests. Runs the script again, inside; or skips it, where one of the
# programs that it needs is missing.
exit_inside() {
    # shellcheck disable=SC2086
    if reason=$(no_namespaces $1); then
        echo "ok 1 - servers of our own # SKIP $reason"
        echo "1..1"
        exit 0
    fi
    shift
    inside "$@"
    exit
}

# What the servers write, and the exported files, are in memory. Fills in export.
make_namespaces() {
    mount --make-rprivate / && ip link set lo up && mount -t tmpfs none /run &&
        mkdir -p /var/lib/nfs && mount -t tmpfs none /var/lib/nfs &&
        mount -t tmpfs none "$TMPDIR" && mkdir -p /run/rpcbind /run/ganesha "$TMPDIR/export" &&
        export=$TMPDIR/export
}

# It goes to the background once it listens.
start_rpcbind() {
    rpcbind -w
}

# rpc.rstatd forks, and then registers its versions; the oldest is the last one.
start_rstatd() {
    rpc.rstatd
    until rpcinfo -p 127.0.0.1 | grep -q '^ *100001  *1  *udp'; do :; done
}

configure_ganesha() {
    cat <<CONFIGURATION
NFS_CORE_PARAM { Protocols = 3; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }
NFSV4 { Graceless = true; }
EXPORT {
    Export_Id = 1;
    Path = $export;
    Pseudo = /export;
    Access_Type = RW;
    Squash = No_Root_Squash;
    SecType = sys;
    Protocols = 3;
    Transports = TCP, UDP;
    FSAL { Name = VFS; }
}
CONFIGURATION
}

# Returns once it serves, which only its log tells: the log goes through a pipe that is read to its
# end. Fills in ganesha and ganesha_began, in seconds; fails, with the log, where it ends before.
start_ganesha() {
    configure_ganesha >/run/ganesha/conf
    mkfifo /run/ganesha/log
    ganesha.nfsd -F -L STDERR -f /run/ganesha/conf -p /run/ganesha/pid 2>/run/ganesha/log &
    ganesha=$!
    ganesha_began=$(date +%s)
    exec 9</run/ganesha/log
    rm /run/ganesha/log
    : >/run/ganesha/said
    while read -r line <&9; do
        echo "$line" >>/run/ganesha/said
        case $line in *"NFS SERVER INITIALIZED"*)
            cat <&9 >>/run/ganesha/said &
            exec 9<&-
            return
            ;;
        esac
    done
    exec 9<&-
    cat /run/ganesha/said
    return 1
}

kill_ganesha() {
    kill -KILL "$ganesha"
    wait "$ganesha" 2>/dev/null
}

# freeze PROCESS: returns once it sleeps, until SIGCONT. Each of its threads stops by itself.
freeze() {
    kill -STOP "$1"
    while grep -q '^State:[[:space:]]*[^T[:space:]]' "/proc/$1/task/"*/status; do :; done
}
